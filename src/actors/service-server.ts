import type { EventEmitter } from 'node:events'
import type { Engine } from '../engines/engine.js'
import { SocketStreamError } from '../errors.js'
import { createLogger, type Logger, type LogTarget } from '../log.js'
import { KIND } from '../protocol/envelope.js'
import { callMany } from '../services/call-many.js'
import { type ClassicService, classicService } from '../services/classic.js'
import type {
  Backlog,
  BacklogOptions,
  Call,
  CallOptions,
  Connection,
  Elsewhere,
  Request,
  Responder,
  ServiceAudience,
  ServiceCluster,
  ServiceServer,
  SlowSend,
  Topic,
  Whose,
} from '../services/service.js'
import { BrokerServiceAudience } from './audience.js'
import { BrokerBacklog } from './backlog.js'
import type { Broker } from './broker.js'
import { failedCall } from './client-calls.js'
import type { BrokerConnection } from './connection.js'
import { Outgoing } from './outgoing.js'
import type { ActorRef } from './runtime/index.js'
import type { ServiceMessage } from './service.js'
import { type BrokerTopic, TopicHandle } from './topic.js'
import { drained } from './waiter.js'

/** How the server half of a service is made. */
export interface ServiceServerInit {
  readonly broker: Broker
  readonly id: number
  readonly name: string
  readonly options: Readonly<Record<string, unknown>>
  readonly root: string
  readonly env: string | undefined
  readonly api: Readonly<Record<string, unknown>>
  readonly log: LogTarget | undefined
  readonly engine: Engine
}

/**
 * What a service's `server()` is given: the contract's `ServiceServer`, over the broker.
 *
 * Its functions may be taken out of it, as in `server({ send, log })`.
 */
export class BrokerServiceServer implements ServiceServer {
  readonly id: number
  readonly name: string
  readonly options: Readonly<Record<string, unknown>>
  readonly root: string
  readonly env: string | undefined
  readonly api: Readonly<Record<string, unknown>>
  readonly events: EventEmitter
  readonly log: Logger
  readonly service: ClassicService
  readonly exposeErrors: boolean
  readonly engine: Engine
  readonly limits: ServiceServer['limits']
  readonly cluster: ServiceCluster | undefined
  /** The service's actor; set by whoever spawns it. */
  ref!: ActorRef<ServiceMessage>
  /** Topics that have subscribers; the service actor's. */
  readonly topics = new Map<string, BrokerTopic>()
  readonly #broker: Broker

  onmessage: ((message: unknown, request: Request, reply: (value: unknown) => void) => unknown) | undefined
  oncall: ((request: Request, responder: Responder) => unknown) | undefined
  onsubscribe: ((request: Request, topic: string) => unknown) | undefined
  onunsubscribe: ((connection: Connection, topic: string) => unknown) | undefined
  onopen: ((connection: Connection) => unknown) | undefined
  ondetach: ((connection: Connection) => unknown) | undefined
  onresume: ((connection: Connection) => unknown) | undefined
  onclose: ((connection: Connection) => unknown) | undefined
  onmove: ServiceServer['onmove']
  onmoved: ServiceServer['onmoved']
  onarrive: ServiceServer['onarrive']
  onrelayed: ServiceServer['onrelayed']
  onchannels: ServiceServer['onchannels']
  ondrain: (() => unknown) | undefined
  onstop: (() => unknown) | undefined

  constructor(init: ServiceServerInit) {
    this.#broker = init.broker
    this.id = init.id
    this.name = init.name
    this.options = init.options
    this.root = init.root
    this.env = init.env
    this.api = init.api
    this.events = init.broker.events
    this.exposeErrors = init.broker.exposeErrors
    this.engine = init.engine
    this.limits = init.broker.limits
    this.cluster = init.broker.cluster?.service(init.name)
    this.log = createLogger(init.log, init.name)
    const { id, name, options, root, api, events, log } = this
    this.service = classicService({ id, name, options, root, api, events, log })
  }

  readonly debug = (...args: unknown[]): void => {
    if (this.options.debug) this.log.debug(args.map(String).join(' '))
  }

  readonly send = (connectionId: string, message: unknown): boolean => {
    const connection = this.#broker.connections.byId.get(connectionId)
    if (connection === undefined) return this.#gone(connectionId)
    const outgoing = new Outgoing(connection.codec, KIND.MESSAGE, this.id, 0, message)
    connection.deliver(outgoing)
    return connection.open && !connection.isFull(outgoing.size)
  }

  readonly drained = (connectionId: string): Promise<boolean> => {
    const connection = this.#broker.connections.byId.get(connectionId)
    return connection === undefined ? Promise.resolve(false) : drained(connection)
  }

  readonly callClient = (connectionId: string, payload: unknown, options?: CallOptions): Call => {
    const connection = this.#broker.connections.byId.get(connectionId)
    if (connection?.open) return connection.ownCalls.start(this.id, payload, options)
    return failedCall(new SocketStreamError('NOT_CONNECTED', `No connection has the id ${connectionId}`))
  }

  readonly callMany: ServiceServer['callMany'] = (connectionIds, payload, options) =>
    callMany(this.callClient, connectionIds, payload, options)

  readonly sendToSocketId = (connectionId: string, message: unknown): boolean => {
    return this.send(connectionId, message)
  }

  readonly sendToSocketIds = (
    connectionIds: string | readonly string[],
    message: unknown,
    slow?: SlowSend,
  ): number => {
    const { only } = this.#broker
    const all = typeof connectionIds === 'string' ? [connectionIds] : connectionIds
    const ids = only === undefined ? all : all.filter(id => id === only.id)
    const outgoing = this.#message(message)
    let there = 0
    for (const id of ids) {
      const connection = this.#broker.connections.byId.get(id)
      if (connection === undefined) {
        this.#gone(id)
        continue
      }
      if (slow === undefined) connection.deliver(outgoing)
      else (slow.backlog as BrokerBacklog).offer(connection, outgoing, slow)
      there++
    }
    return there
  }

  readonly sendToSession = (
    sessionId: string,
    message: unknown,
    options: { except?: string } = {},
  ): number => {
    const outgoing = this.#message(message)
    let there = 0
    const { connections, only } = this.#broker
    for (const connection of connections.ofSession(sessionId)) {
      if (connection.id === options.except || isSpared(connection, only)) continue
      connection.deliver(outgoing)
      there++
    }
    return there
  }

  readonly broadcast = (message: unknown, options: { except?: string } = {}): void => {
    const outgoing = this.#message(message)
    const { connections, only } = this.#broker
    for (const connection of only === undefined ? connections.byId.values() : [only]) {
      if (connection.id !== options.except) connection.deliver(outgoing)
    }
  }

  readonly relay = (whom: Elsewhere, message: unknown, options: { except?: string } = {}): boolean => {
    return this.#broker.cluster?.relay(this.name, whom, message, options.except) === true
  }

  readonly topic = (name: string): Topic => {
    return new TopicHandle(this.#broker, this.id, this.topics, name)
  }

  readonly backlog = (options: BacklogOptions): Backlog => {
    return new BrokerBacklog(this.#broker, this.id, options)
  }

  readonly to = (names: string | readonly string[]): ServiceAudience => {
    return new BrokerServiceAudience(this.#broker, this).to(names)
  }

  readonly except = (names: string | readonly string[]): ServiceAudience => {
    return new BrokerServiceAudience(this.#broker, this).except(names)
  }

  readonly connectionsOf = (whose: Whose): readonly Connection[] => {
    const { connections, users } = this.#broker
    if ('session' in whose) return [...connections.ofSession(whose.session)]
    if ('user' in whose) return users.connectionsOf(whose.user)
    const connection = connections.byId.get(whose.connection)
    return connection === undefined ? [] : [connection]
  }

  get spawn(): ActorRef<never>['spawn'] {
    return this.ref.spawn.bind(this.ref) as ActorRef<never>['spawn']
  }

  get watch(): ActorRef<never>['watch'] {
    return this.ref.watch.bind(this.ref) as ActorRef<never>['watch']
  }

  #gone(connectionId: string): false {
    this.log.debug('a message is for a connection that has gone', { connection: connectionId })
    return false
  }

  #message(message: unknown): Outgoing {
    return new Outgoing(this.#broker.primaryCodec, KIND.MESSAGE, this.id, 0, message)
  }
}

/** One that goes on at another server is sent to from there; one that comes from there is sent what was missed only. */
function isSpared(connection: BrokerConnection, only: BrokerConnection | undefined): boolean {
  return !connection.open || (only !== undefined && connection !== only)
}
