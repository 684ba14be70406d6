/**
 * Both halves of a PubSub service with channels, joined by connections that are pumped by hand.
 *
 * Every frame waits until it is let through, and a connection may end at any moment.
 */
import { EventEmitter } from 'node:events'
import { ActorSystem } from '../../src/actors/runtime/index.js'
import { SlowQueue } from '../../src/actors/slow-queue.js'
import type { Engine } from '../../src/engines/engine.js'
import type { GapReason, LogEntry, Position } from '../../src/engines/log.js'
import { hasCode, SocketStreamError } from '../../src/errors.js'
import { createLogger } from '../../src/log.js'
import {
  type ChannelsClient,
  type ChannelsOptions,
  type ChannelsServer,
  pubsub,
} from '../../src/services/pubsub/index.js'
import type {
  Backlog,
  BacklogOptions,
  Call,
  Connection,
  EndListener,
  Request,
  Responder,
  ServiceClient,
  ServiceServer,
  SlowSend,
} from '../../src/services/service.js'
import { transfer } from './recording-responder.js'
import { connectionOf } from './support.js'

export type Said = { said: [channel: string, value: number] }

/** The server half on one node. */
export class ChannelsNode {
  readonly api: ChannelsServer<Said>
  readonly server: ServiceServer
  readonly lines: string[] = []
  readonly definition
  readonly #wires = new Map<string, Wire>()
  readonly #topics = new Map<string, Set<Wire>>()

  constructor(engine: Engine, options: ChannelsOptions, limits = { maxFrame: 2 ** 20, topics: 1000 }) {
    this.definition = pubsub<Said>(options)
    const system = new ActorSystem()
    const keep = (_details: object, line: string) => void this.lines.push(line)
    const sendToSocketIds = (ids: string | readonly string[], message: unknown, slow?: SlowSend): number => {
      const copy = transfer(message)
      const wires = [ids].flat().flatMap(id => this.#wires.get(id) ?? [])
      for (const wire of wires) offer(wire, { kind: 'message', value: copy }, slow)
      return wires.length
    }
    const send = (id: string, message: unknown): boolean => sendToSocketIds(id, message) === 1
    this.server = {
      id: 1,
      name: 'chat',
      options: {},
      root: '/',
      env: 'test',
      api: {},
      events: new EventEmitter(),
      log: createLogger({ debug() {}, info() {}, warn: keep, error: keep }, 'test'),
      exposeErrors: false,
      engine,
      limits,
      service: undefined as never,
      onmessage: undefined,
      oncall: undefined,
      onsubscribe: undefined,
      onunsubscribe: undefined,
      onopen: undefined,
      onclose: undefined,
      ondrain: undefined,
      onstop: undefined,
      debug() {},
      send,
      drained: id => {
        const wire = this.#wires.get(id)
        if (wire === undefined) return Promise.resolve(false)
        return isFull(wire) ? new Promise(resolve => wire.drained.push(resolve)) : Promise.resolve(true)
      },
      callClient: unsupported,
      callMany: unsupported,
      sendToSocketId: send,
      sendToSocketIds,
      sendToSession: (id, message, { except } = {}) =>
        sendToSocketIds(
          [...this.#wires.values()]
            .filter(({ connection }) => connection.session.id === id && connection.id !== except)
            .map(({ connection }) => connection.id),
          message,
        ),
      broadcast: (message, { except } = {}) => {
        sendToSocketIds(
          [...this.#wires.keys()].filter(id => id !== except),
          message,
        )
      },
      topic: name => {
        const wires = this.#topics.get(name) ?? new Set()
        return {
          name,
          size: wires.size,
          has: connection => [...wires].some(wire => wire.connection === connection),
          publish(value, { except, slow } = {}) {
            const copy = transfer(value)
            for (const wire of wires) {
              if (wire.connection.id !== except)
                offer(wire, { kind: 'topic', topic: name, value: copy }, slow)
            }
          },
        }
      },
      backlog: options => new WireBacklog(options),
      to: unsupported,
      except: unsupported,
      connectionsOf: whose =>
        [...this.#wires.values()]
          .map(({ connection }) => connection)
          .filter(({ id, session, userId }) => {
            if ('session' in whose) return session.id === whose.session
            return 'user' in whose ? userId === whose.user : id === whose.connection
          }),
      spawn: system.spawn,
      watch: system.root.watch.bind(system.root),
    }
    this.api = this.definition.server(this.server)
  }

  open(wire: Wire): void {
    this.#wires.set(wire.connection.id, wire)
    this.server.onopen?.(wire.connection)
  }

  closed(wire: Wire): void {
    this.#wires.delete(wire.connection.id)
    for (const topic of [...this.#topics.keys()]) this.#unsubscribe(wire, topic)
    this.server.onclose?.(wire.connection)
  }

  /** A client has lost its link. */
  detached({ connection }: Wire): void {
    this.server.ondetach?.(connection)
  }

  /** Sends it nothing any more. */
  forget({ connection }: Wire): void {
    this.#wires.delete(connection.id)
  }

  resumed({ connection }: Wire): void {
    this.server.onresume?.(connection)
  }

  /** Has another node go on with a connection whose client is away. */
  move(wire: Wire, to: ChannelsNode): void {
    if (!this.#wires.has(wire.connection.id)) this.detached(wire)
    const state = transfer(this.server.onmove!(wire.connection))
    this.#wires.delete(wire.connection.id)
    for (const backlog of wire.backlogs) backlog.fill(wire, Number.POSITIVE_INFINITY)
    wire.backlogs.clear()
    const topics = [...this.#topics.keys()].filter(name => this.#topics.get(name)!.has(wire))
    for (const topic of topics) this.#unsubscribe(wire, topic)
    to.#wires.set(wire.connection.id, wire)
    for (const topic of topics) to.#topics.set(topic, (to.#topics.get(topic) ?? new Set()).add(wire))
    wire.node = to
    void to.server.onarrive!(wire.connection, state)
    to.detached(wire)
    this.server.onmoved!(wire.connection)
  }

  /** Takes a frame of a client. */
  receive(wire: Wire, frame: Up): void {
    if (frame.kind === 'unsubscribe') return this.#unsubscribe(wire, frame.topic)
    const responder = new WireResponder(wire, frame.id)
    wire.responders.set(frame.id, responder)
    const request = {
      ...requestOf(wire.connection, frame.kind === 'call' ? frame.payload : null),
      onend: (listener: EndListener) => responder.onend(listener),
    } as Request
    const handle = (): unknown => {
      if (frame.kind === 'call') return this.server.oncall!(request, responder)
      const agree = (): void => {
        if (responder.ended || !wire.connection.open) return
        this.#topics.set(frame.topic, (this.#topics.get(frame.topic) ?? new Set()).add(wire))
        responder.reply(null)
      }
      const allowed = this.server.onsubscribe!(request, frame.topic)
      return allowed instanceof Promise ? allowed.then(agree) : agree()
    }
    try {
      const outcome = handle()
      if (outcome instanceof Promise) outcome.catch(error => responder.error(error))
    } catch (error) {
      responder.error(error)
    }
  }

  #unsubscribe(wire: Wire, topic: string): void {
    const wires = this.#topics.get(topic)
    if (!wires?.delete(wire)) return
    if (wires.size === 0) this.#topics.delete(topic)
    this.server.onunsubscribe?.(wire.connection, topic)
  }
}

/** What waits for wires that are full, as the broker has it wait for connections. */
class WireBacklog implements Backlog {
  readonly queues = new Map<Wire, SlowQueue<{ frame: Down; tag: unknown }>>()
  dropped = 0

  constructor(readonly options: BacklogOptions) {}

  get statistics() {
    const waiting = [...this.queues.values()].reduce((sum, { size }) => sum + size, 0)
    return { dropped: this.dropped, connections: this.queues.size, waiting }
  }

  clear(connectionId?: string): void {
    for (const wire of this.queues.keys()) {
      if (connectionId === undefined || wire.connection.id === connectionId) this.queues.delete(wire)
    }
  }

  withdraw(connectionId: string): { first: unknown; last: unknown } | undefined {
    for (const [wire, queue] of this.queues) {
      if (wire.connection.id !== connectionId) continue
      this.queues.delete(wire)
      return { first: queue.first?.tag, last: queue.last?.tag }
    }
    return undefined
  }

  fill(wire: Wire, capacity = wire.capacity): void {
    const queue = this.queues.get(wire)
    while (queue !== undefined && wire.down.length < capacity) {
      const taken = queue.take()
      if (taken === undefined) return void this.queues.delete(wire)
      const mark = taken.gap ? this.options.mark?.(taken.value.tag, taken.dropped) : undefined
      if (mark !== undefined) wire.down.push({ kind: 'message', value: mark })
      wire.down.push(taken.value.frame)
    }
  }
}

function offer(wire: Wire, frame: Down, slow: SlowSend | undefined): void {
  const backlog = slow?.backlog as WireBacklog | undefined
  let queue = backlog?.queues.get(wire)
  if (backlog === undefined || (queue === undefined && !isFull(wire))) {
    wire.down.push(frame)
    return
  }
  if (queue === undefined) {
    queue = new SlowQueue(backlog.options)
    backlog.queues.set(wire, queue)
    wire.backlogs.add(backlog)
  }
  const { key, light, tag } = slow!
  backlog.dropped += queue.push({ frame, tag }, JSON.stringify(frame).length, { key, light })
}

function isFull({ away, down, capacity }: Wire): boolean {
  return away || down.length >= capacity
}

function unsupported(): never {
  throw new Error('Rooms are tested with a real server')
}

type Up =
  | { kind: 'call'; id: number; payload: unknown }
  | { kind: 'subscribe'; id: number; topic: string }
  | { kind: 'unsubscribe'; topic: string }
type Down =
  | { kind: 'message'; value: unknown }
  | { kind: 'topic'; topic: string; value: unknown }
  | { kind: 'reply'; id: number; value: unknown }
  | { kind: 'error'; id: number; error: unknown }

interface Wire {
  node: ChannelsNode
  /** The client is away: nothing goes through. */
  away: boolean
  /** Who waits until it is full no more. */
  readonly drained: ((isThere: boolean) => void)[]
  readonly connection: { -readonly [K in keyof Connection]: Connection[K] }
  readonly up: Up[]
  readonly down: Down[]
  readonly responders: Map<number, WireResponder>
  /** Frames on the way down at which it is full. */
  readonly capacity: number
  readonly backlogs: Set<WireBacklog>
}

class WireResponder implements Responder {
  readonly signal = new AbortController().signal
  ended = false
  readonly #listeners: EndListener[] = []

  constructor(
    readonly wire: Wire,
    readonly id: number,
  ) {}

  onend(listener: EndListener): void {
    if (this.ended) listener('ok')
    else this.#listeners.push(listener)
  }

  reply(value: unknown): void {
    if (!this.ended) this.end({ kind: 'reply', id: this.id, value: transfer(value) })
  }

  error(error: unknown): void {
    this.end({ kind: 'error', id: this.id, error })
  }

  end(frame?: Down): void {
    if (this.ended) return
    this.ended = true
    if (frame) this.wire.down.push(frame)
    for (const listener of this.#listeners) listener('ok')
  }

  item(): void {}
  ready = () => Promise.resolve(false)
}

let connections = 0

/** A client with one half, over one connection after the other. */
export class Peer {
  readonly api: ChannelsClient<Said>
  /** Of its wires: frames on the way down at which they are full. */
  capacity = Number.POSITIVE_INFINITY
  readonly #service: ServiceClient
  readonly #calls = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>()
  readonly #handlers = new Map<string, (value: unknown) => void>()
  #wire: Wire | undefined
  #lastId = 0

  /** @param half default the one of the service */
  constructor(half: { client(service: ServiceClient): unknown }) {
    const ask = (frame: (id: number) => Up): Promise<unknown> => {
      const id = ++this.#lastId
      const answer = new Promise((resolve, reject) => this.#calls.set(id, { resolve, reject }))
      if (this.#wire === undefined) this.#lose(id, 'NOT_CONNECTED')
      else this.#wire.up.push(frame(id))
      return answer
    }
    this.#service = {
      id: 1,
      name: 'chat',
      use: {},
      onmessage: undefined,
      send: () => true,
      debug() {},
      call: payload => ask(id => ({ kind: 'call', id, payload: transfer(payload) })) as Call,
      subscribe: async (topic, handler) => {
        await ask(id => ({ kind: 'subscribe', id, topic }))
        this.#handlers.set(topic, handler)
      },
      unsubscribe: topic => {
        this.#handlers.delete(topic)
        this.#wire?.up.push({ kind: 'unsubscribe', topic })
      },
    }
    this.api = half.client(this.#service) as ChannelsClient<Said>
  }

  get id(): string | undefined {
    return this.#wire?.connection.id
  }

  get idle(): boolean {
    return this.#calls.size === 0 && !this.#wire?.up.length && !this.#wire?.down.length
  }

  /** How many frames are on the way to it. */
  get waiting(): number {
    return this.#wire?.down.length ?? 0
  }

  connect(node: ChannelsNode): void {
    this.drop()
    const connection = { ...connectionOf(`c${++connections}`), open: true, userId: 'ann' }
    this.#wire = {
      ...{ node, connection, up: [], down: [], responders: new Map(), away: false, drained: [] },
      capacity: this.capacity,
      backlogs: new Set(),
    }
    node.open(this.#wire)
  }

  /** Loses the connection, and all that is on its way. */
  drop(): void {
    const wire = this.#wire
    if (wire === undefined) return
    this.#wire = undefined
    wire.connection.open = false
    for (const responder of wire.responders.values()) responder.end()
    wire.node.closed(wire)
    for (const tell of wire.drained.splice(0)) tell(false)
    for (const id of [...this.#calls.keys()]) this.#lose(id, 'CONNECTION_LOST')
  }

  /** Loses the link, not the connection: what is on its way waits. */
  leave(): void {
    const wire = this.#wire
    if (wire === undefined || wire.away) return
    wire.away = true
    wire.node.detached(wire)
  }

  /** As `leave`, but its node has given it away before the service hears of that. */
  vanish(): void {
    const wire = this.#wire!
    wire.away = true
    wire.node.forget(wire)
  }

  /** Is back; with another node if the one before can give the connection away. */
  return(node?: ChannelsNode): void {
    const wire = this.#wire
    if (wire === undefined || !wire.away) return
    const isBound = [...wire.responders.values()].some(({ ended }) => !ended)
    if (node !== undefined && node !== wire.node && !isBound) wire.node.move(wire, node)
    wire.away = false
    wire.node.resumed(wire)
  }

  /** Lets so many frames through, in each direction; tells whether there were any. */
  pump(frames = Number.POSITIVE_INFINITY): boolean {
    const wire = this.#wire
    if (wire === undefined || wire.away) return false
    let moved = false
    for (let left = frames; left > 0 && wire.up.length > 0; left--, moved = true) {
      wire.node.receive(wire, wire.up.shift()!)
    }
    for (let left = frames; left > 0 && wire.down.length > 0; left--, moved = true) {
      this.#receive(wire.down.shift()!)
    }
    if (this.#wire === wire) for (const backlog of wire.backlogs) backlog.fill(wire)
    if (!isFull(wire)) for (const tell of wire.drained.splice(0)) tell(true)
    return moved
  }

  /** Lets everything through until a promise settles. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const end = (): void => {
      settled = true
    }
    promise.then(end, end)
    while (!settled) {
      this.pump()
      await new Promise(setImmediate)
    }
    return promise
  }

  #receive(frame: Down): void {
    switch (frame.kind) {
      case 'message':
        return this.#service.onmessage?.(frame.value)
      case 'topic':
        return this.#handlers.get(frame.topic)?.(frame.value)
    }
    const call = this.#calls.get(frame.id)
    this.#calls.delete(frame.id)
    if (frame.kind === 'reply') return call?.resolve(frame.value)
    const { error } = frame
    // As the broker does: what has no code is not shown.
    call?.reject(hasCode(error) ? error : new SocketStreamError('INTERNAL', 'Failed', { cause: error }))
  }

  #lose(id: number, code: 'NOT_CONNECTED' | 'CONNECTION_LOST'): void {
    this.#calls.get(id)?.reject(new SocketStreamError(code, 'No connection'))
    this.#calls.delete(id)
  }
}

function requestOf(connection: Connection, message: unknown) {
  return {
    kind: 'call',
    connection,
    connectionId: connection.id,
    clientIp: connection.clientIp,
    message,
    session: connection.session,
    user: undefined,
  }
}

/** An engine that takes so many turns for what may take time, deliveries included. */
export function slow(engine: Engine, turns: () => number): Engine {
  const log = engine.log!
  const wait = async (): Promise<void> => {
    for (let left = turns(); left > 0; left--) await new Promise(setImmediate)
  }
  return {
    ...engine,
    log: {
      publish: (...args) => log.publish(...args),
      remove: channel => log.remove(channel),
      async subscribe(channel, handler, options) {
        await wait()
        let closed = false
        let last = Promise.resolve()
        const later = (call: () => void): void => {
          last = last.then(wait).then(() => {
            if (!closed) call()
          })
        }
        const late = {
          entry: (entry: LogEntry) => later(() => handler.entry(entry)),
          gap: (reason: GapReason, position: Position) => later(() => handler.gap(reason, position)),
        }
        const subscription = await log.subscribe(channel, late, options)
        const close = (): void => {
          closed = true
          subscription.close()
        }
        return { ...subscription, close }
      },
      async history(...args) {
        await wait()
        const page = await log.history(...args)
        await wait()
        return page
      },
    },
  }
}
