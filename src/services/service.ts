import type { EventEmitter } from 'node:events'
import type { ActorRef } from '../actors/runtime/index.js'
import type { Engine } from '../engines/engine.js'
import type { Logger } from '../log.js'
import type { SessionLike } from '../sessions/session.js'
import type { ClassicService } from './classic.js'

/**
 * The Realtime Service contract: what a service is, and what each of its halves is given.
 *
 * Built-in services follow it like everybody else's. Types only: nothing here is loaded at run time.
 */

// ---- the definition ---------------------------------------------------------------------------

/** A Realtime Service: `server` runs once in the server, `client` once in each client. */
export interface ServiceDefinition {
  /** Names the client half in the welcome's service table. Default `custom`. */
  readonly type?: string
  /** Version of the protocol between the two halves. Default 1. */
  readonly version?: number
  readonly use?: ServiceUse
  /** Not offered to clients: absent from the service table, its id is answered `UNKNOWN_SERVICE`. */
  readonly private?: boolean
  /** Files that a browser needs for this service. */
  readonly browserAssets?: readonly BrowserAsset[]
  /** The file of the client half, for `buildClient()`. The built-in halves of `rpc` and `pubsub` need none. */
  readonly clientModule?: ClientModule
  /** Called once at `start()`, in the order of registration. What it returns or resolves to becomes `app.api[name]`. */
  server?(server: ServiceServer): unknown
  /** Called once per client. What it returns becomes `client.api[name]`. */
  client?(client: ServiceClient): unknown
  /**
   * The client half for clients of SocketStream 0.4, where they cannot use `client`: a function that names
   * nothing outside itself, as its source is sent to them. See docs/migrating-from-0.4.md.
   */
  textClient?(client: TextClient): unknown
}

/** What the client half is given by clients of SocketStream 0.4. */
export interface TextClient {
  onmessage: ((message: unknown) => void) | undefined
  send(message: unknown, callback?: (value: unknown) => void): void
}

/** What a service wants of the broker. */
export interface ServiceUse {
  /** Payloads are values; without it they are strings on the text wire. Other wires carry both. */
  readonly json?: boolean
  /** Messages may carry a callback. */
  readonly callbacks?: boolean
  /** `request.session` is loaded before a message arrives. */
  readonly sessions?: boolean
}

/** Where the client half of a service is, for bundling: its file must run in browsers. */
export interface ClientModule {
  /** A file, as in `new URL('./my-client.js', import.meta.url)`; or its absolute path. */
  readonly url: URL | string
  /** Name of the export that is the `ClientHalf`. Default `default`. */
  readonly export?: string
}

/** A file for browsers. */
export interface BrowserAsset {
  /** Path under the place where the application serves assets, such as `client.js`. */
  readonly path: string
  readonly type: 'js' | 'css' | 'map'
  contents(): string | Promise<string>
}

// ---- the server half --------------------------------------------------------------------------

/** A connected client, as services and middleware see it. */
export interface Connection {
  /** Unique in the cluster and over restarts. */
  readonly id: string
  readonly clientIp: string
  /** Name of the transport, such as `ws`. */
  readonly transport: string
  /** False once it is closed for good. */
  readonly open: boolean
  /** The application's own data; kept as long as the connection. */
  readonly data: Record<string, unknown>
  /** The session object that all connections of the session share; `save()` writes what was changed. */
  readonly session: SessionLike
  /** What the server's `authenticate` has returned; undefined without one. */
  readonly user: unknown
  /** Closes it; the client does not reconnect by itself. */
  close(reason?: string): void
}

/** The server that a request came to: the `Server` itself. */
export interface RequestServer {
  /** Emits `client:connect` and `client:disconnect` with a connection id. */
  readonly events: EventEmitter
  readonly log: Logger
}

/**
 * How a request ended.
 *
 * - `ok`: answered, or its stream or the handler of a message has ended
 * - `error`: answered with an error, or the handler of a message failed
 * - `dropped`: a middleware neither passed it on nor answered it
 * - `cancelled`: its caller gave it up
 * - `closed`: its connection has gone
 */
export type Outcome = 'ok' | 'error' | 'dropped' | 'cancelled' | 'closed'

/** Hears how a request ended; of an `error` also what it was. */
export type EndListener = (outcome: Outcome, error?: unknown) => void

/**
 * A request on its way to a service; middleware may replace `message`.
 *
 * Made for one message and open to be written on: what a middleware sets is there for the service.
 */
export interface Request {
  readonly kind: 'message' | 'call' | 'subscribe'
  readonly connection: Connection
  readonly connectionId: string
  /** The connection id, under its classic name. */
  readonly socketId: string
  readonly clientIp: string
  readonly transport: string
  /** The name of the service. */
  readonly service: string
  /**
   * The payload, decoded when first read.
   *
   * @throws SocketStreamError `BAD_FRAME` when it is malformed
   */
  message: unknown
  /** Bytes of the encoded payload (characters on a text wire). */
  readonly size: number
  /** The session object that all connections of the session share; `save()` writes what was changed. */
  readonly session: SessionLike
  /** The session as a draft of this request's own, to be committed when it has been handled. */
  openSession(): RequestSession
  /** What the server's `authenticate` has returned; undefined without one. */
  readonly user: unknown
  /** The server that it came to. */
  readonly server: RequestServer
  /** Correlation of the message: `callbackId` is set on a call. */
  readonly attributes: { readonly callbackId: number | undefined }
  /** Whether a call has its answer, or the first item of it; never so for a message. */
  readonly answered: boolean
  /**
   * Calls back once, when the request is over, however it ends; at once when it is over already.
   *
   * What a listener throws is logged. Requests that nobody listens to pay nothing.
   */
  onend(listener: EndListener): void
  /**
   * Answers a call in its handler's place, wherever it is, and aborts the handler's signal.
   *
   * False, and nothing happens, when it is over already, and for messages.
   */
  abort(error: Error): boolean
}

/** A session as one request works on it; costs nothing until it is asked for. */
export interface RequestSession {
  /** Changes are seen by nobody else until they are committed. */
  readonly session: SessionLike
  /**
   * Merges what was changed into the session and saves it; undefined when nothing was.
   *
   * Rejects with `SESSION_UNAVAILABLE` or `SESSION_ENDED`; nothing is known to be saved then.
   */
  commit(): Promise<void> | undefined
  /** To be called when the request has been answered: a destroyed session closes its connection now. */
  release(): void
}

/** The answer to a call. Exactly one of `reply`, `error` and `end` ends it; more is logged and dropped. */
export interface Responder {
  /** True once it has ended, also when the caller cancelled or went away. */
  readonly ended: boolean
  /** Aborted when the caller cancels, its connection closes for good, or a middleware answers instead. */
  readonly signal: AbortSignal
  /**
   * Answers with one value.
   *
   * @throws SocketStreamError `UNENCODABLE`; the call is still unanswered then
   */
  reply(value: unknown): void
  /** Answers with an error; what of it reaches the caller depends on the environment. */
  error(error: unknown): void
  /**
   * Sends one item of a stream. Wait for `ready()` before each, or the caller's buffer overflows and
   * the stream ends with `OVERLOADED`.
   *
   * @throws SocketStreamError `UNENCODABLE`
   */
  item(value: unknown): void
  /** Ends a stream. */
  end(): void
  /** Resolves when the caller takes another item, to false when it takes no more. */
  ready(): Promise<boolean>
}

/** A named set of subscribers, owned by the broker. */
export interface Topic {
  readonly name: string
  /** Subscribed connections. */
  readonly size: number
  /**
   * Sends a value to every subscriber; encoded once per codec.
   *
   * @throws SocketStreamError `UNENCODABLE`
   */
  publish(value: unknown, options?: { except?: string }): void
}

/** What the server half is given: assign the `on…` handlers, call the rest. */
export interface ServiceServer {
  readonly id: number
  readonly name: string
  /** Third argument of `app.service()`. */
  readonly options: Readonly<Record<string, unknown>>
  /** The `root` option of the server. */
  readonly root: string
  /** The `env` option of the server, such as `production`; undefined when there is none. */
  readonly env: string | undefined
  /** The server-side API of all services, filled as they start. */
  readonly api: Readonly<Record<string, unknown>>
  /** Emits `client:connect` and `client:disconnect` with a connection id. */
  readonly events: EventEmitter
  /** Logs with the service's name; `log(...)` at `info`. */
  readonly log: Logger
  /** Whether failures are shown to clients in full. */
  readonly exposeErrors: boolean
  /** The `engine` option of the server, or one in memory. Not to be closed by services. */
  readonly engine: Engine
  /** Bounds of one connection that services heed: bytes of a frame, topics and channels subscribed. */
  readonly limits: { readonly maxFrame: number; readonly topics: number }
  /** Logs at `debug`, if the option `debug` is set. */
  debug(...args: unknown[]): void
  /** What it was assigned, as services of SocketStream 0.4 read it. */
  readonly service: ClassicService

  /** Messages, and calls when there is no `oncall`; `reply` does nothing on a plain message. */
  onmessage: ((message: unknown, request: Request, reply: (value: unknown) => void) => unknown) | undefined
  /** Calls. What it throws or rejects with becomes the error. */
  oncall: ((request: Request, responder: Responder) => unknown) | undefined
  /** Asks whether a client may subscribe; refuses by throwing. Without it nobody may. */
  onsubscribe: ((request: Request, topic: string) => unknown) | undefined
  onunsubscribe: ((connection: Connection, topic: string) => unknown) | undefined
  /** A connection is open: its welcome has been sent. */
  onopen: ((connection: Connection) => unknown) | undefined
  /** A connection is closed for good. */
  onclose: ((connection: Connection) => unknown) | undefined
  /** The server stops: finish what is accepted. Awaited within the drain time. */
  ondrain: (() => unknown) | undefined
  /** The server has stopped serving: release everything. */
  onstop: (() => unknown) | undefined

  /** Sends to one connection. False when it has gone. */
  send(connectionId: string, message: unknown): boolean
  /** `send`, under its classic name. */
  sendToSocketId(connectionId: string, message: unknown): boolean
  /** Sends to several; returns how many are there. */
  sendToSocketIds(connectionIds: string | readonly string[], message: unknown): number
  /** Sends to every connection of a session; returns how many there are. */
  sendToSession(sessionId: string, message: unknown, options?: { except?: string }): number
  /** Sends to every connection; encoded once per codec. */
  broadcast(message: unknown, options?: { except?: string }): void
  /** The topic of this name, of this service. */
  topic(name: string): Topic
  /** Starts an actor below the service's own: a behaviour, or an XState machine; see docs/actors.md. */
  readonly spawn: ActorRef<never>['spawn']
  /** Calls back when an actor crashes, restarts and stops, in the service's turn; returns what ends it. */
  readonly watch: ActorRef<never>['watch']
}

// ---- the client half --------------------------------------------------------------------------

/** A client half: given to `createClient({ services })`, or brought by the client itself. */
export interface ClientHalf<Api = unknown> {
  /** It keeps nothing: `client.with(options)` makes another one with those call options. */
  readonly stateless?: boolean
  /** It acts by itself: clients that are built make it as soon as they are connected. */
  readonly eager?: boolean
  client?(client: ServiceClient): Api
}

/** Options of one call. */
export interface CallOptions {
  /** Cancels the call at both ends. */
  readonly signal?: AbortSignal | undefined
  /** Milliseconds until the call fails with `TIMEOUT` and is cancelled. 0: none. Default 30,000. */
  readonly timeout?: number | undefined
}

/** The answer to a call: a promise of its value, and an iterable of its items if it streams. */
export type Call<T = unknown> = Promise<T> & AsyncIterable<T>

/** What the client half is given. */
export interface ServiceClient {
  readonly id: number
  readonly name: string
  readonly use: ServiceUse
  /** The options of `app.service()`, if the server takes clients of 0.4; halves of 0.4 get an empty object else. */
  readonly options?: Readonly<Record<string, unknown>>
  /** For halves of 0.4: false, as clients are told of public services only. */
  readonly private?: boolean
  /** Handles messages from the server half. */
  onmessage: ((message: unknown) => void) | undefined
  /** Sends a message; with a callback it is a call whose value goes there. */
  send(message: unknown, callback?: (value: unknown) => void): void
  /** Calls the server half, with the options of `client.with()` beneath the given ones. */
  call(payload: unknown, options?: CallOptions): Call
  /**
   * Subscribes to a topic of the service, again after every reconnect.
   *
   * Resolves when the server has agreed, and rejects when it refuses. With the handler of a
   * subscription that stands it gives that one's promise; another handler takes its place.
   */
  subscribe(topic: string, handler: (value: unknown) => void): Promise<void>
  /** Ends a subscription. */
  unsubscribe(topic: string): void
  /** For halves of 0.4: logs to the console, if `options.debug` is set. */
  debug(...args: unknown[]): void
}

// ---- inference --------------------------------------------------------------------------------

type IsAny<T> = 0 extends 1 & T ? true : false

type ClientOf<D> =
  IsAny<D> extends true ? D : D extends { client(client: never): infer Api } ? Api : undefined
type ServerOf<D> =
  IsAny<D> extends true ? D : D extends { server(server: never): infer Api } ? Awaited<Api> : undefined
type IsPrivate<D> = IsAny<D> extends true ? false : D extends { readonly private: true } ? true : false

/** The client's view of a table of services. */
export type ClientApi<Services> = {
  readonly [Name in keyof Services as IsPrivate<Services[Name]> extends true ? never : Name]: ClientOf<
    Services[Name]
  >
}

/** The server's view of a table of services. */
export type ServerApi<Services> = { readonly [Name in keyof Services]: ServerOf<Services[Name]> }
