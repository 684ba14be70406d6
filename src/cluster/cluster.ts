import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { pack, unpack } from '../codec/packed.js'
import type { Engine } from '../engines/engine.js'
import { SocketStreamError } from '../errors.js'
import type { Logger } from '../log.js'
import { Keyed, type KeyedBehaviour, type KeyedHandle } from './keyed.js'
import type { Ended, Whom } from './messages.js'
import { type ClusterNode, Nodes } from './nodes.js'
import type { ClusterSettings } from './options.js'
import type {
  ConnectionFilter,
  ConnectionInfo,
  FromNodes,
  LocalStatistics,
  ServerStatistics,
} from './queries.js'
import { ClusterWire, handled, isAbsence, noResponder } from './wire.js'

/** What a cluster has done on its own server. */
export interface ClusterHost {
  /** Sends what another server relays to connections of this one. */
  deliver(service: string, whom: Whom, message: unknown, except: string | undefined): void
  /** A session has ended on another server. */
  ended(id: string, how: Ended): void
  /** At most `filter.limit` of this server. */
  connections(filter: ConnectionFilter): ConnectionInfo[]
  /** Occupied channels by service, each with its subscribers. */
  channels(): ChannelCounts
  statistics(): LocalStatistics
}

/** Channels by service, each with the number of its subscribers. */
export type ChannelCounts = Readonly<Record<string, Readonly<Record<string, number>>>>

/** For how long others are waited for. */
export interface QueryOptions {
  /** Milliseconds. Default the option `cluster.deadline`. */
  readonly deadline?: number
}

/** Who is called, and for how long. */
export interface ClusterCallOptions extends QueryOptions {
  /** The id of a server. Default one that answers: this one, or any other. */
  readonly node?: string
}

/** Answers calls of a name. */
export type Answerer = (payload: unknown, from: string) => unknown

/** Milliseconds before a server that could not join tries again. */
const RETRY = 1000
/** The longest name of what is answered. */
const MAX_NAME = 200

/**
 * The servers that share an engine, as one of them sees them: `app.cluster`.
 *
 * Without an engine that has a bus and presence the server is alone, and everything works with itself only.
 */
export class Cluster {
  /** The id of this server, another one each time that it starts. */
  readonly id = randomBytes(9).toString('base64url')
  readonly #settings: ClusterSettings
  readonly #host: ClusterHost
  readonly #log: Logger
  readonly #nodes: Nodes | undefined
  readonly #wire: ClusterWire | undefined
  readonly #engine: Engine
  readonly #answers = new Map<string, Answerer>()
  readonly #keyed = new Map<string, Keyed>()
  readonly #listeners = { joined: new Set<Listener>(), left: new Set<Listener>() }
  readonly #started = Date.now()
  #retry: NodeJS.Timeout | undefined
  #closed = false

  /** @param alone whether the engine is this server's only */
  constructor(engine: Engine, alone: boolean, settings: ClusterSettings, host: ClusterHost, log: Logger) {
    this.#engine = engine
    this.#settings = settings
    this.#host = host
    this.#log = log
    this.#answers.set('$connections', filter => host.connections(filter as ConnectionFilter))
    this.#answers.set('$channels', () => host.channels())
    this.#answers.set('$stats', () => this.#statistics())
    const { bus, presence } = engine
    if (alone || bus === undefined || presence === undefined) return
    const events = {
      joined: (id: string) => this.#emit('joined', id),
      left: (id: string) => this.#emit('left', id),
    }
    this.#nodes = new Nodes(this.id, presence, settings, events, log)
    const wireHost = {
      heard: (message: Parameters<ConstructorParameters<typeof ClusterWire>[2]['heard']>[0]) => {
        if (message[0] === 'ended') host.ended(message[2], message[3])
        else host.deliver(message[2], message[3], unpack(message[4]), message[5] ?? undefined)
      },
      answer: (name: string, payload: unknown, key: string | undefined, from: string) =>
        this.#answer(name, payload, key, from),
    }
    this.#wire = new ClusterWire(bus, this.id, wireHost, log)
  }

  /** Joins the others. Never rejects: with an engine that fails the server begins alone, and tries again. */
  async start(): Promise<void> {
    if (this.#wire === undefined || this.#nodes === undefined || this.#closed) return
    try {
      await this.#wire.listen()
      await this.#nodes.join()
    } catch (error) {
      if (this.#closed) return
      this.#log.warn('the server has not joined its cluster yet', { error })
      this.#retry = setTimeout(() => void this.start(), RETRY).unref()
    }
  }

  /** Leaves the others: what is keyed here may begin elsewhere at once. */
  async stop(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    await this.#nodes?.leave()
    await Promise.all([...this.#keyed.values()].map(keyed => keyed.stop()))
    this.#wire?.close()
  }

  // ---- what is there ----------------------------------------------------------------------------

  /** The servers there, this one first. Rejects with `ENGINE_UNAVAILABLE`. */
  async nodes(): Promise<readonly ClusterNode[]> {
    if (this.#nodes !== undefined) return this.#nodes.list()
    const { name = hostname() } = this.#settings
    return [{ id: this.id, name, pid: process.pid, started: this.#started, answers: this.#names() }]
  }

  /** Calls back when another server has come, or gone; gives what ends it. */
  on(event: 'joined' | 'left', listener: (id: string) => void): () => void {
    const entry = { call: listener }
    this.#listeners[event].add(entry)
    return () => void this.#listeners[event].delete(entry)
  }

  /** The open connections of all servers, at most `limit` (1,000) of each. */
  connections(options: ConnectionFilter & QueryOptions = {}): Promise<FromNodes<readonly ConnectionInfo[]>> {
    const { deadline, ...filter } = options
    return this.#ask('$connections', filter, deadline)
  }

  /** The occupied channels of all servers, by service, each with its subscribers there. */
  channels({ deadline }: QueryOptions = {}): Promise<FromNodes<ChannelCounts>> {
    return this.#ask('$channels', null, deadline)
  }

  /** Figures of all servers. */
  stats({ deadline }: QueryOptions = {}): Promise<FromNodes<ServerStatistics>> {
    return this.#ask('$stats', null, deadline)
  }

  // ---- calls ------------------------------------------------------------------------------------

  /**
   * Answers calls of a name that any server makes; gives what ends it.
   *
   * What the handler throws with a code goes to the caller; other failures are logged, and are `INTERNAL` there.
   *
   * @throws SocketStreamError `INVALID_ARGUMENTS`, also for a name that is answered already
   * @example app.cluster.answer('reindex', async payload => index.rebuild(payload))
   */
  answer(name: string, handler: Answerer): () => void {
    checkNew(name, this.#answers)
    if (typeof handler !== 'function')
      throw invalid('The handler must be a function (payload, from) => answer')
    this.#answers.set(name, handler)
    this.#nodes?.answers(name, true)
    return () => {
      if (this.#answers.get(name) !== handler) return
      this.#answers.delete(name)
      this.#nodes?.answers(name, false)
    }
  }

  /**
   * Calls what answers to a name: here, or on another server.
   *
   * Rejects with what the handler has thrown. `NO_RESPONDER`: nobody answers to it, nothing was done. `TIMEOUT`: no
   * answer came in time, nobody knows whether it was done; it is not repeated. `ENGINE_UNAVAILABLE`.
   */
  async call(name: string, payload: unknown = null, options: ClusterCallOptions = {}): Promise<unknown> {
    const { node, deadline = this.#settings.deadline } = options
    if (name.startsWith('$')) throw invalid('Names with $ are those of the cluster itself')
    if (node !== undefined) return this.#callAt(node, name, payload, deadline)
    if (this.#answers.has(name)) return this.#callAt(this.id, name, payload, deadline)
    const last = performance.now() + deadline
    const able = (await this.nodes()).filter(({ id, answers }) => id !== this.id && answers.includes(name))
    for (const { id } of shuffled(able)) {
      try {
        return await this.#callAt(id, name, payload, Math.max(1, last - performance.now()))
      } catch (error) {
        // It has gone, or answers no more: another one may.
        if (!isAbsence(error)) throw error
      }
    }
    throw noResponder(`No server answers to '${name}'`)
  }

  /**
   * Has things with keys live once in the cluster: on one server each, and on another one when that has died.
   *
   * The server that is called first for a key that lives nowhere begins it. Every server has to call this.
   *
   * @throws SocketStreamError `INVALID_ARGUMENTS`, `INVALID_STATE` for an engine without leases
   */
  keyed(name: string, behaviour: KeyedBehaviour): KeyedHandle {
    checkNew(name, this.#keyed)
    const { lease } = this.#engine
    if (lease === undefined) {
      throw new SocketStreamError(
        'INVALID_STATE',
        `The engine '${this.#engine.name}' has no leases, which keyed() needs`,
      )
    }
    const wire = this.#wire
    const keyed = new Keyed({
      name,
      node: this.id,
      leases: lease,
      ttl: this.#settings.lease,
      deadline: this.#settings.deadline,
      log: this.#log,
      behaviour,
      ask: (node, key, payload, deadline) => {
        if (wire === undefined) throw noResponder(`The server ${node} is not there`)
        return wire.ask(node, name, payload, deadline, key)
      },
    })
    this.#keyed.set(name, keyed)
    return keyed
  }

  // ---- for the server ---------------------------------------------------------------------------

  /** Has the other servers send a message of a service; gives whether there are any. @throws `UNENCODABLE` */
  relay(service: string, whom: Whom, message: unknown, except?: string): boolean {
    if (this.#nodes === undefined || this.#nodes.others.size === 0 || this.#closed) return false
    this.#wire?.say(['relay', this.id, service, whom, pack(message), except ?? null])
    return true
  }

  /** Tells the other servers that a session is over. */
  ended(session: string, how: Ended): void {
    if (this.#nodes !== undefined && this.#nodes.others.size > 0)
      this.#wire?.say(['ended', this.id, session, how])
  }

  #names(): string[] {
    return [...this.#answers.keys()].filter(name => !name.startsWith('$'))
  }

  #statistics(): ServerStatistics {
    return { ...this.#host.statistics(), dropped: this.#wire?.dropped ?? 0 }
  }

  async #answer(name: string, payload: unknown, key: string | undefined, from: string): Promise<unknown> {
    if (key !== undefined) {
      const keyed = this.#keyed.get(name)
      if (keyed === undefined) throw noResponder(`This server has nothing keyed as '${name}'`)
      return keyed.answer(key, payload)
    }
    const handler = this.#answers.get(name)
    if (handler === undefined) throw noResponder(`This server does not answer to '${name}'`)
    return handled(() => handler(payload, from))
  }

  /** Here as there: what is handed over is a copy, and failures look the same. */
  async #callAt(node: string, name: string, payload: unknown, deadline: number): Promise<unknown> {
    if (node !== this.id) {
      if (this.#wire === undefined) throw noResponder(`The server ${node} is not there`)
      return this.#wire.ask(node, name, payload, deadline)
    }
    const copy = unpack(pack(payload))
    return within(
      deadline,
      (async () => unpack(pack((await this.#answer(name, copy, undefined, this.id)) ?? null)))(),
    )
  }

  /** Asks all servers at once; who is late is named. */
  async #ask<Part>(
    name: string,
    payload: unknown,
    deadline = this.#settings.deadline,
  ): Promise<FromNodes<Part>> {
    const nodes = new Map<string, Part>()
    const silent: string[] = []
    const all = await this.nodes()
    await Promise.all(
      all.map(async ({ id }) => {
        try {
          nodes.set(id, (await this.#callAt(id, name, payload, deadline)) as Part)
        } catch {
          silent.push(id)
        }
      }),
    )
    return { nodes, silent }
  }

  #emit(event: 'joined' | 'left', id: string): void {
    for (const { call } of [...this.#listeners[event]]) {
      try {
        call(id)
      } catch (error) {
        this.#log.error(`a listener for '${event}' of the cluster failed`, { error })
      }
    }
  }
}

interface Listener {
  readonly call: (id: string) => void
}

async function within<Value>(deadline: number, work: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const text = `This server did not answer within ${deadline} ms; it may have done what was asked`
    timer = setTimeout(() => reject(new SocketStreamError('TIMEOUT', text)), deadline)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

function shuffled<Item>(items: readonly Item[]): Item[] {
  const rest = [...items]
  const start = Math.floor(Math.random() * rest.length)
  return [...rest.slice(start), ...rest.slice(0, start)]
}

function checkNew(name: unknown, taken: ReadonlyMap<string, unknown>): void {
  if (typeof name !== 'string' || name === '' || name.length > MAX_NAME || name.startsWith('$')) {
    throw invalid(`The name must be a text of 1 to ${MAX_NAME} characters that does not begin with $`)
  }
  if (taken.has(name)) throw invalid(`'${name}' is there already on this server; choose another name`)
}

function invalid(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_ARGUMENTS', message, { data: { issues: [{ message }] } })
}
