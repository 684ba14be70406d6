/**
 * A broker in miniature: both halves of one service, joined in this process.
 *
 * It keeps to the contract of `src/services/service.ts`: values are copied on their way, streams
 * wait for credit, errors become coded ones. Everything that happens is recorded.
 */
import { EventEmitter } from 'node:events'
import { ActorSystem } from '../../src/actors/runtime/index.js'
import type { Engine } from '../../src/engines/engine.js'
import { memory } from '../../src/engines/memory.js'
import { SocketStreamError } from '../../src/errors.js'
import { createLogger, type LogLevel } from '../../src/log.js'
import { classicService } from '../../src/services/classic.js'
import type {
  Call,
  CallOptions,
  Connection,
  Request,
  ServiceClient,
  ServiceDefinition,
  ServiceServer,
  Topic,
  Whose,
} from '../../src/services/service.js'
import { RecordingResponder, transfer } from './recording-responder.js'

/** The arguments of a message: `undefined` in an array arrives as null. */
function transferPayload(value: unknown): unknown {
  const copy = transfer(value)
  return Array.isArray(copy) ? copy.map(item => (item === undefined ? null : item)) : copy
}

/** A line of the log. */
export interface LogLine {
  readonly level: LogLevel
  readonly message: string
  readonly details: unknown
}

/** One running service with its connected clients. */
export class TestBroker implements ServiceServer {
  readonly id = 1
  readonly options = {}
  readonly events = new EventEmitter()
  readonly exposeErrors = false
  readonly engine: Engine = memory()
  readonly limits = { maxFrame: 2 ** 20, topics: 1000 }
  readonly api: Record<string, unknown> = {}
  readonly lines: LogLine[] = []
  readonly log = createLogger(
    {
      debug: (details, message) => this.lines.push({ level: 'debug', message, details }),
      info: (details, message) => this.lines.push({ level: 'info', message, details }),
      warn: (details, message) => this.lines.push({ level: 'warn', message, details }),
      error: (details, message) => this.lines.push({ level: 'error', message, details }),
    },
    'test',
  )
  readonly clients: TestClient[] = []
  readonly #system = new ActorSystem()
  readonly spawn = this.#system.spawn
  readonly watch = this.#system.root.watch.bind(this.#system.root)
  /** Nobody is slow here. */
  readonly backlog: ServiceServer['backlog'] = () => ({
    statistics: { dropped: 0, connections: 0, waiting: 0 },
    clear() {},
    withdraw: () => undefined,
  })
  readonly topics = new Map<string, Map<TestClient, (value: unknown) => void>>()
  readonly definition: ServiceDefinition

  onmessage: ServiceServer['onmessage']
  oncall: ServiceServer['oncall']
  onsubscribe: ServiceServer['onsubscribe']
  onunsubscribe: ServiceServer['onunsubscribe']
  onopen: ServiceServer['onopen']
  onclose: ServiceServer['onclose']
  ondrain: ServiceServer['ondrain']
  onstop: ServiceServer['onstop']

  constructor(
    definition: ServiceDefinition,
    readonly name = 'rpc',
    readonly root = import.meta.dirname,
    readonly env: string | undefined = 'test',
  ) {
    this.definition = definition
    this.api[name] = definition.server?.(this)
  }

  get service() {
    const { id, name, options, root, api, events, log } = this
    return classicService({ id, name, options, root, api, events, log })
  }

  debug(): void {}

  /** Connects a client; its API is what the client half made. */
  connect(id = `c${this.clients.length + 1}`): TestClient {
    const client = new TestClient(this, id)
    this.clients.push(client)
    return client
  }

  /** A call with this payload, as the server half gets it. */
  request(message: unknown): Request {
    return requestOf('call', connectionOf('c0'), this.name, message)
  }

  /** Calls the server half with a payload as it would come over the wire. */
  call(message: unknown, credit?: number): RecordingResponder {
    return this.dispatch(this.request(message), credit)
  }

  /** Gives a request to the server half. */
  dispatch(request: Request, credit?: number): RecordingResponder {
    const responder = new RecordingResponder(credit)
    try {
      const result = this.oncall?.(request, responder)
      if (result instanceof Promise) result.catch(error => responder.error(error))
    } catch (error) {
      responder.error(error)
    }
    return responder
  }

  readonly callClient: ServiceServer['callClient'] = () => {
    throw new SocketStreamError('INVALID_STATE', 'These clients take no calls')
  }

  readonly callMany: ServiceServer['callMany'] = () => {
    throw new SocketStreamError('INVALID_STATE', 'These clients take no calls')
  }

  drained(): Promise<boolean> {
    return Promise.resolve(true)
  }

  send(connectionId: string, message: unknown): boolean {
    const client = this.clients.find(({ connection }) => connection.id === connectionId)
    client?.onmessage?.(transferPayload(message))
    return client !== undefined
  }

  sendToSocketId(connectionId: string, message: unknown): boolean {
    return this.send(connectionId, message)
  }

  sendToSocketIds(connectionIds: string | readonly string[], message: unknown): number {
    return [connectionIds].flat().filter(id => this.send(id, message)).length
  }

  sendToSession(sessionId: string, message: unknown): number {
    const clients = this.clients.filter(({ connection }) => connection.session.id === sessionId)
    for (const client of clients) client.onmessage?.(transferPayload(message))
    return clients.length
  }

  broadcast(message: unknown): void {
    for (const client of this.clients) client.onmessage?.(transferPayload(message))
  }

  to(): never {
    throw new Error('Rooms are tested with a real server')
  }

  readonly except = this.to

  connectionsOf(whose: Whose): Connection[] {
    return this.clients
      .map(({ connection }) => connection)
      .filter(({ id, session, userId }) => {
        if ('session' in whose) return session.id === whose.session
        return 'user' in whose ? userId === whose.user : id === whose.connection
      })
  }

  topic(name: string): Topic {
    const subscribers = this.topics.get(name) ?? new Map()
    return {
      name,
      size: subscribers.size,
      has: connection => [...subscribers.keys()].some(client => client.connection === connection),
      publish(value) {
        for (const handler of subscribers.values()) handler(transferPayload(value))
      },
    }
  }
}

/** A client of a `TestBroker`: what the client half is given. */
export class TestClient implements ServiceClient {
  readonly id = 1
  readonly connection: Connection
  readonly api: unknown
  /** Payloads of calls, as the client half gave them. */
  readonly sent: unknown[] = []
  readonly unsubscribed: string[] = []
  /** Topics asked for, in order. */
  readonly asked: string[] = []
  onmessage: ((message: unknown) => void) | undefined

  constructor(
    readonly broker: TestBroker,
    id: string,
  ) {
    this.connection = connectionOf(id)
    this.api = broker.definition.client?.(this)
  }

  get name(): string {
    return this.broker.name
  }

  get use() {
    return this.broker.definition.use ?? {}
  }

  debug(): void {}

  send(): never {
    throw new Error('The built-in services send no plain messages')
  }

  call(payload: unknown, options: CallOptions = {}): Call {
    this.sent.push(payload)
    const request = requestOf('call', this.connection, this.name, transferPayload(payload))
    const responder = this.broker.dispatch(request, 0)
    options.signal?.addEventListener('abort', () => responder.cancel())
    const value = responder.done.then(outcome => {
      if (outcome.kind === 'reply') return outcome.value
      throw outcome.kind === 'error' ? outcome.error : new Error(`The call is over: ${outcome.kind}`)
    })
    value.catch(() => undefined)
    return Object.assign(value, { [Symbol.asyncIterator]: () => itemsOf(responder) })
  }

  /** Subscriptions that stand or are asked for. */
  readonly #subscriptions = new Map<string, { handler: unknown; ready: Promise<void> }>()

  subscribe(topic: string, handler: (value: unknown) => void): Promise<void> {
    const known = this.#subscriptions.get(topic)
    if (known?.handler === handler) return known.ready
    const entry = { handler, ready: this.#ask(topic, handler) }
    this.#subscriptions.set(topic, entry)
    entry.ready.catch(() => {
      if (this.#subscriptions.get(topic) === entry) this.#subscriptions.delete(topic)
    })
    return entry.ready
  }

  async #ask(topic: string, handler: (value: unknown) => void): Promise<void> {
    this.asked.push(topic)
    const { onsubscribe, topics } = this.broker
    if (onsubscribe === undefined) throw new SocketStreamError('FORBIDDEN', 'No topics here')
    await onsubscribe(requestOf('subscribe', this.connection, this.broker.name, null), topic)
    topics.set(topic, (topics.get(topic) ?? new Map()).set(this, handler))
  }

  unsubscribe(topic: string): void {
    this.unsubscribed.push(topic)
    this.#subscriptions.delete(topic)
    this.broker.topics.get(topic)?.delete(this)
  }
}

async function* itemsOf(responder: RecordingResponder): AsyncGenerator<unknown> {
  try {
    for (let index = 0; ; index++) {
      responder.grant(1)
      while (responder.items.length <= index && !responder.ended) await responder.progress()
      if (responder.items.length > index) yield responder.items[index]
      else if (responder.outcome?.kind === 'error') throw responder.outcome.error
      else return
    }
  } finally {
    responder.cancel()
  }
}

/** A connection of this id with a session of its own. */
export function connectionOf(id: string): Connection {
  return {
    id,
    clientIp: '127.0.0.1',
    transport: 'memory',
    open: true,
    data: {},
    user: undefined,
    userId: undefined,
    rooms: new Set(),
    join: () => true,
    leave() {},
    call: (service, name, ...args) => service.call(id, name as never, ...(args as never)) as never,
    session: { id: `session-of-${id}`, save() {}, reload() {}, destroy() {}, regenerate() {} },
    close() {},
  }
}

function requestOf(
  kind: Request['kind'],
  connection: Connection,
  service: string,
  message: unknown,
): Request {
  return {
    kind,
    connection,
    connectionId: connection.id,
    socketId: connection.id,
    clientIp: connection.clientIp,
    transport: connection.transport,
    service,
    message,
    size: 10,
    session: connection.session,
    openSession: () => ({ session: connection.session, commit: () => undefined, release() {} }),
    user: connection.user,
    attributes: { callbackId: kind === 'call' ? 1 : undefined },
    server: { events: new EventEmitter(), log: createLogger(undefined, 'test') },
    answered: false,
    onend() {},
    abort: () => false,
  }
}
