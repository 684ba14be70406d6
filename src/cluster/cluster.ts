import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { pack, unpack } from '../codec/packed.js'
import type { Engine } from '../engines/engine.js'
import { SocketStreamError } from '../errors.js'
import type { Logger } from '../log.js'
import { late, noResponder } from './absence.js'
import type { AnswerContext } from './answering.js'
import {
  type Answered,
  type Answerer,
  Calls,
  type ClusterCallOptions,
  checkNew,
  type QueryOptions,
} from './calls.js'
import { ClusterClaims } from './claims.js'
import { atMost, monotonicClock, within } from './clock.js'
import { ClusterForwards } from './forwards.js'
import { Keyed, type KeyedBehaviour, type KeyedHandle } from './keyed.js'
import { Listeners } from './listeners.js'
import type { AskDetails, ClusterMessageOf, Ended, Whom } from './messages.js'
import { type ClusterNode, Nodes } from './nodes.js'
import type { Outcomes } from './once.js'
import type { ClusterSettings } from './options.js'
import {
  type ChannelCounts,
  type ConnectionFilter,
  type ConnectionInfo,
  type FromNodes,
  fromNodes,
  type LocalStatistics,
  type ServerStatistics,
} from './queries.js'
import { Relays } from './relays.js'
import { ServiceCalls } from './service-calls.js'
import { ClusterWire } from './wire.js'

export type { Answered, Answerer, ClusterCallOptions, QueryOptions } from './calls.js'
export type { ChannelCounts } from './queries.js'

/** What a cluster has done on its own server. */
export interface ClusterHost {
  /** Sends what another server relays to connections of this one. */
  deliver(service: string, whom: Whom, message: unknown, except: string | undefined): void
  /** A session has ended on another server. */
  ended(id: string, how: Ended): void
  /** What the others have said for a while may not have come. */
  missed(): void
  /** At most `filter.limit` of this server. */
  connections(filter: ConnectionFilter): ConnectionInfo[]
  /** Occupied channels by service, each with its subscribers. */
  channels(): ChannelCounts
  statistics(): LocalStatistics
}

/** Milliseconds before a server that could not join tries again. */
const RETRY = 1000

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
  readonly #outcomes: Outcomes
  readonly #calls: Calls
  readonly #keyed = new Map<string, Keyed>()
  readonly #services = new Map<string, ServiceCalls>()
  readonly #listeners: Listeners
  /** What transports hand on; undefined where the server is alone. */
  readonly forwards: ClusterForwards | undefined
  /** How servers take connections over from each other; undefined where the server is alone. */
  readonly claims: ClusterClaims | undefined
  readonly #relays: Relays
  readonly #started = Date.now()
  #retry: NodeJS.Timeout | undefined
  /** Ends the listening to the engine. */
  readonly #ends: (() => void)[] = []
  #closed = false

  /** @param alone whether the engine is this server's only */
  constructor(engine: Engine, alone: boolean, settings: ClusterSettings, host: ClusterHost, log: Logger) {
    this.#engine = engine
    this.#settings = settings
    this.#host = host
    this.#log = log
    this.#listeners = new Listeners(log)
    const { bus, presence, kv } = engine
    if (!alone && bus !== undefined && presence !== undefined) {
      this.#nodes = new Nodes(this.id, presence, settings, this.#nodesEvents(), log)
      this.#wire = new ClusterWire(bus, this.id, this.#wireHost(), log)
      const again = () => this.#nodes!.again()
      this.#ends.push(
        engine.on('gap', again),
        engine.on('up', again),
        engine.on('gap', () => host.missed()),
      )
    }
    this.#relays = new Relays(this.id, node => this.#wire?.say(['count', this.id, null], node))
    this.#outcomes = { kv, clock: monotonicClock, lease: settings.lease }
    this.#calls = new Calls({
      ...this.#outcomes,
      id: this.id,
      deadline: settings.deadline,
      wire: this.#wire,
      nodes: () => this.nodes(),
      able: name => this.#nodes?.able(name) ?? [],
      announce: (name, does) => this.#nodes?.answers(name, does),
    })
    if (this.#wire !== undefined) {
      this.forwards = new ClusterForwards({
        id: this.id,
        serve: (name, handler) => this.#calls.serve(name, handler),
        ask: (node, name, payload, options) => this.#calls.at(node, name, payload, options),
      })
      this.claims = new ClusterClaims({
        id: this.id,
        relays: this.#relays,
        others: () => this.#nodes!.others,
        on: (event, listener) => this.#listeners.on(event, listener),
        serve: (name, handler) => this.#calls.serve(name, handler),
        ask: (node, name, payload, options) => this.#calls.at(node, name, payload, options),
      })
    }
    this.#calls.serve('$connections', filter => host.connections(filter as ConnectionFilter))
    this.#calls.serve('$channels', () => host.channels())
    this.#calls.serve('$stats', () => this.#statistics())
  }

  /** Joins the others. Never rejects: with an engine that fails the server begins alone, and tries again. */
  async start(): Promise<void> {
    if (this.#wire === undefined || this.#nodes === undefined || this.#closed) return
    try {
      // Each goes on from what it had done before it failed.
      await this.#wire.listen()
      await this.#nodes.join()
    } catch (error) {
      if (this.#closed) return
      this.#log.warn('the server has not joined its cluster yet', { error })
      this.#retry = setTimeout(() => void this.start(), RETRY).unref()
    }
  }

  /** Leaves the others: what is keyed here may begin elsewhere at once. An engine that is silent is not waited for. */
  async stop(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    for (const end of this.#ends) end()
    const { deadline } = this.#settings
    const last = performance.now() + deadline
    const nodes = this.#nodes
    if (nodes !== undefined && nodes.others.size > 0) await this.#wire?.leaving(nodes.others)
    if (nodes !== undefined)
      await atMost(monotonicClock, Math.max(1, last - performance.now()), nodes.leave())
    await Promise.all([...this.#keyed.values()].map(keyed => keyed.stop()))
    await this.#wire?.close(deadline)
  }

  // ---- what is there ----------------------------------------------------------------------------

  /** The servers there, this one first. Rejects with `ENGINE_UNAVAILABLE`. */
  async nodes(): Promise<readonly ClusterNode[]> {
    if (this.#nodes !== undefined) return this.#nodes.list()
    const { name = hostname() } = this.#settings
    const answers = this.#calls.names()
    return [{ id: this.id, name, pid: process.pid, started: this.#started, answers }]
  }

  /** Calls back when another server has come, or gone; gives what ends it. */
  on(event: 'joined' | 'left', listener: (id: string) => void): () => void {
    return this.#listeners.on(event, listener)
  }

  /** The open connections of all servers, at most `limit` (1,000) of each. */
  connections(options: ConnectionFilter & QueryOptions = {}): Promise<FromNodes<readonly ConnectionInfo[]>> {
    const { deadline, ...filter } = options
    return this.#askAll('$connections', filter, deadline)
  }

  /** The occupied channels of all servers, by service, each with its subscribers there. */
  channels({ deadline }: QueryOptions = {}): Promise<FromNodes<ChannelCounts>> {
    return this.#askAll('$channels', null, deadline)
  }

  /** Figures of all servers. */
  stats({ deadline }: QueryOptions = {}): Promise<FromNodes<ServerStatistics>> {
    return this.#askAll('$stats', null, deadline)
  }

  // ---- calls ------------------------------------------------------------------------------------

  /**
   * Answers calls of a name that any server makes; gives what ends it, and a typed `call`.
   *
   * What the handler throws with a code goes to the caller; other failures are logged, and are `INTERNAL` there.
   *
   * @throws SocketStreamError `INVALID_ARGUMENTS`, also for a name that is answered already
   * @example
   * const reindex = app.cluster.answer('reindex', (path: string) => index.rebuild(path))
   * await reindex.call('/docs', { deadline: 60_000 })
   */
  answer<Payload = unknown, Answer = unknown>(
    name: string,
    handler: Answerer<Payload, Answer>,
  ): Answered<Payload, Answer> {
    return this.#calls.add(name, handler)
  }

  /**
   * Calls what answers to a name: here, or on another server.
   *
   * Rejects with what the handler has thrown. `NO_RESPONDER`: nobody answers to it, nothing was done. `TIMEOUT`: no
   * answer came in time; `CONNECTION_LOST`: the server has died; `CANCELLED`: nobody knows whether it was done
   * (`data.accepted` is `'unknown'`), and without an idempotency key it is not repeated. `FRAME_TOO_BIG`,
   * `ENGINE_UNAVAILABLE`, and with such a key `IDEMPOTENCY_MISMATCH`.
   */
  call<Answer = unknown>(
    name: string,
    payload: unknown = null,
    options: ClusterCallOptions = {},
  ): Promise<Answer> {
    return this.#calls.call(name, payload, options) as Promise<Answer>
  }

  /**
   * Has things with keys live once in the cluster: on one server each, and on another one when that has died.
   *
   * The server that is called first for a key that lives nowhere begins it. Every server has to call this.
   *
   * @throws SocketStreamError `INVALID_ARGUMENTS`, `INVALID_STATE` for an engine without leases
   */
  keyed<Payload = unknown, Answer = unknown>(
    name: string,
    behaviour: KeyedBehaviour<Payload, Answer>,
  ): KeyedHandle<Payload, Answer> {
    checkNew(name, this.#keyed)
    return this.#addKeyed(name, behaviour) as KeyedHandle<Payload, Answer>
  }

  // ---- for the server ---------------------------------------------------------------------------

  /** What a service has of its cluster; undefined where the server is alone, or the engine has no leases. */
  service(name: string): ServiceCalls | undefined {
    if (this.#wire === undefined || this.#engine.lease === undefined) return undefined
    const wire = this.#wire
    const existing = this.#services.get(name)
    if (existing !== undefined) return existing
    const made = new ServiceCalls(name, {
      id: this.id,
      lease: this.#settings.lease,
      deadline: this.#settings.deadline,
      others: () => this.#nodes!.others,
      on: (event, listener) => this.#listeners.on(event, listener),
      keyed: (full, behaviour) => this.#addKeyed(full, behaviour),
      serve: (full, handler) => this.#calls.serve(full, handler),
      ask: (node, full, payload, options) => this.#calls.at(node, full, payload, options),
      tell: (node, payload) => wire.say(['tell', this.id, name, pack(payload)], node),
    })
    this.#services.set(name, made)
    return made
  }

  /**
   * Has the other servers send a message of a service; gives whether any are known. It is also sent while nobody knows who
   * is there.
   *
   * @throws SocketStreamError `UNENCODABLE`
   */
  relay(service: string, whom: Whom, message: unknown, except?: string): boolean {
    if (this.#nodes === undefined || this.#closed) return false
    if (this.#nodes.isAlone && !this.#relays.isNeeded) return false
    const payload = pack(message)
    const number = this.#relays.send(service, whom, payload, except)
    this.#wire?.say(['relay', this.id, service, whom, payload, except ?? null, number])
    return this.#nodes.others.size > 0
  }

  /** Tells the other servers that a session is over. */
  ended(session: string, how: Ended): void {
    if (!this.#closed) this.#wire?.say(['ended', this.id, session, how])
  }

  #addKeyed(name: string, behaviour: KeyedBehaviour): Keyed {
    const { lease } = this.#engine
    if (lease === undefined) {
      const text = `The engine '${this.#engine.name}' has no leases, which keyed() needs`
      throw new SocketStreamError('INVALID_STATE', text)
    }
    const wire = this.#wire
    const keyed = new Keyed({
      name,
      node: this.id,
      leases: lease,
      ttl: this.#settings.lease,
      deadline: this.#settings.deadline,
      clock: monotonicClock,
      log: this.#log,
      behaviour,
      outcomes: this.#outcomes,
      ask: (node, payload, options) => {
        if (wire === undefined) throw noResponder(`The server ${node} is not there`)
        return wire.ask(node, name, payload, options)
      },
    })
    this.#keyed.set(name, keyed)
    return keyed
  }

  #statistics(): ServerStatistics {
    return { ...this.#host.statistics(), dropped: this.#wire?.dropped ?? 0 }
  }

  #nodesEvents() {
    return {
      joined: (id: string) => {
        this.#wire?.joined(id)
        this.#listeners.emit('joined', id)
      },
      left: (id: string) => {
        this.#wire?.left(id)
        this.#listeners.emit('left', id)
      },
    }
  }

  #wireHost() {
    return {
      heard: (message: ClusterMessageOf<'relay' | 'count' | 'ended' | 'tell'>) => {
        if (message[0] === 'ended') this.#host.ended(message[2], message[3])
        else if (message[0] === 'tell') this.#services.get(message[2])?.heard(unpack(message[3]), message[1])
        else if (message[0] === 'count') this.#counted(message[1], message[2])
        else this.#relayed(message)
      },
      answer: (name: string, payload: unknown, details: AskDetails, context: AnswerContext) => {
        const { key, once } = details
        if (key === undefined) return this.#calls.answer(name, payload, details, context)
        const keyed = this.#keyed.get(name)
        if (keyed === undefined) throw noResponder(`This server has nothing keyed as '${name}'`)
        return keyed.answer(key, payload, context, once)
      },
    }
  }

  #relayed([, from, service, whom, payload, given, number]: ClusterMessageOf<'relay'>): void {
    const except = given ?? undefined
    this.#relays.came({ from, number, service, whom, payload, except })
    this.#host.deliver(service, whom, unpack(payload), except)
  }

  /** A server has said its number, or asks for the one of this server: behind what is on its way to all. */
  #counted(from: string, number: number | null): void {
    if (number === null) this.#wire?.say(['count', this.id, this.#relays.sent])
    else this.#relays.reached(from, number)
  }

  /** Asks all servers at once; who is late is named. */
  async #askAll<Part>(
    name: string,
    payload: unknown,
    deadline = this.#settings.deadline,
  ): Promise<FromNodes<Part>> {
    const last = performance.now() + deadline
    const tooLate = () => late(`The servers were not asked within ${Math.round(deadline)} ms`, false)
    // Without the engine those are asked that were there last.
    const nodes = await within(monotonicClock, deadline, this.nodes(), tooLate).catch(
      () => this.#nodes!.known,
    )
    const left = last - performance.now()
    return fromNodes(
      nodes.map(({ id }) => id),
      id => {
        // What there is here takes no time.
        if (left < 1 && id !== this.id) return Promise.reject(tooLate())
        return this.#calls.at(id, name, payload, { deadline: Math.max(1, left) })
      },
    )
  }
}
