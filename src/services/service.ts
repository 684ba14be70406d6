import type { EventEmitter } from 'node:events'
import type { ActorRef } from '../actors/runtime/index.js'
import type { AnswerContext } from '../cluster/answering.js'
import type { CallOfOptions } from '../cluster/calls.js'
import type { KeyedBehaviour, KeyedHandle } from '../cluster/keyed.js'
import type { Engine } from '../engines/engine.js'
import type { Logger } from '../log.js'
import type { SessionLike } from '../sessions/session.js'
import type { Answers } from './call-many.js'
import type { ClassicService } from './classic.js'
import type { CallArgs, ClientAnswer, ClientCaller } from './named-calls.js'

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
  /**
   * The id of its user: what `authenticate` has returned, or its `id`; else the user of the session, by the
   * option `sessions.userOf`, from when that is saved.
   */
  readonly userId: string | undefined
  /** Rooms that it is in; once it is closed, those that it was in at its end. */
  readonly rooms: ReadonlySet<string>
  /**
   * Joins rooms: names that `to` sends to, known on this node. All of them, or none when it throws.
   *
   * @returns false when it has gone
   * @throws SocketStreamError `INVALID_ARGUMENTS` unless a name has 1 to 256 characters, none a control
   * character; `OVERLOADED` past `limits.topics` rooms
   */
  join(rooms: string | readonly string[]): boolean
  /** Leaves rooms; those that it is not in as well. @throws SocketStreamError `INVALID_ARGUMENTS` */
  leave(rooms: string | readonly string[]): void
  /**
   * Calls a handler of this client, on this node: a promise of its answer, or an async iterable of its items.
   *
   * Rejects as the service's own `call` does: with what the handler throws, `UNKNOWN_METHOD` at once when the client
   * has none, `NOT_CONNECTED`, `CONNECTION_LOST`, `TIMEOUT`, `CANCELLED`, `OVERLOADED` past `limits.calls`.
   *
   * @example await connection.call(app.api.chat.with({ timeout: 5000 }), 'confirm', 'Delete it?')
   * @param service whose client half answers, with the timeout and signal of its `with`
   * @throws SocketStreamError `INVALID_ARGUMENTS` for a service without calls, or for the name
   */
  call<C, K extends keyof C & string>(
    service: ClientCaller<C>,
    name: K,
    ...args: CallArgs<C, K>
  ): ClientAnswer<C, K>
  /** Closes it; the client does not reconnect by itself. */
  close(reason?: string): void
}

/** Whose connections are meant. */
export type Whose = { readonly session: string } | { readonly user: string } | { readonly connection: string }

/**
 * Connections of this node, by the rooms that they are in or by their ids; looked up anew at each use.
 *
 * Each counts once, however many names fit. A name that is the id of an open connection means that one only.
 */
export interface Audience {
  /** These too: of the rooms or connections of these names. An empty list adds nobody. */
  to(names: string | readonly string[]): this
  /** Without those of these names. */
  except(names: string | readonly string[]): this
  /** How many there are. */
  readonly size: number
  connections(): readonly Connection[]
  /** Has all of them join rooms, or none when it throws; returns how many. @throws `INVALID_ARGUMENTS`, `OVERLOADED` */
  join(rooms: string | readonly string[]): number
  leave(rooms: string | readonly string[]): void
  /** Closes all of them, which do not reconnect by themselves; returns how many. */
  disconnect(reason?: string): number
}

/** An audience that a service sends to. */
export interface ServiceAudience extends Audience {
  /** Sends to all of them, encoded once per codec; returns how many. @throws SocketStreamError `UNENCODABLE` */
  send(message: unknown): number
  /** Has the other servers of the cluster send to theirs, at most once. @throws SocketStreamError `UNENCODABLE` */
  relay?(message: unknown): void
}

/** The server that a request came to: the `Server` itself. */
export interface RequestServer {
  /** Emits `client:connect` and `client:disconnect` with a connection id and the `Connection`. */
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
  /** What the caller gave its call as `idempotencyKey`, unchecked; see `runOnce`. */
  readonly idempotencyKey?: unknown
  /** What the caller sends along with a call; undefined when nothing. */
  readonly upload?: RequestUpload | undefined
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

/** What a caller sends along with its call. */
export interface RequestUpload {
  /** Where it belongs, as the caller has it, unchecked; of rpc the index of the argument. */
  readonly place: unknown
  /**
   * To be read once. The caller sends from when it is read, at most the limit `credit` ahead. It throws what the
   * caller has failed with, `CONNECTION_LOST`, and `CANCELLED` when the call is over. Returning early ends it.
   */
  readonly items: AsyncIterable<unknown>
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
  /** Whether a connection is subscribed. */
  has(connection: Connection): boolean
  /**
   * Sends a value to every subscriber; encoded once per codec.
   *
   * @throws SocketStreamError `UNENCODABLE`
   */
  publish(value: unknown, options?: { except?: string; slow?: SlowSend }): void
}

/** How much may wait for one connection that reads slower than it is sent to, and what is dropped past that. */
export interface SlowOptions {
  /** `latest-by-key` keeps the newest message of each key, and where they are too many drops the oldest. */
  readonly overflow: 'drop-oldest' | 'latest-by-key'
  /** Most messages that wait. */
  readonly messages: number
  /** Most bytes that wait; one message may have more. */
  readonly bytes: number
}

/** Options of a `Backlog`. */
export interface BacklogOptions extends SlowOptions {
  /** A message to send before the first one after a gap; `dropped` counts what was dropped since the last one. */
  mark?(tag: unknown, dropped: number): unknown
  /** Something was dropped for a connection; told once until nothing waits for it any more. */
  ondrop?(connection: Connection): void
}

/** What waits for slow connections at the moment. */
export interface BacklogStatistics {
  /** Messages dropped since the start. */
  readonly dropped: number
  /** Connections for which messages wait. */
  readonly connections: number
  /** Messages that wait. */
  readonly waiting: number
}

/**
 * A bounded queue for each slow connection, which is not closed for what waits here.
 *
 * Messages wait while the link of their connection is full, and follow when it has drained. Nothing that was
 * sent by the same backlog overtakes them.
 */
export interface Backlog {
  readonly statistics: BacklogStatistics
  /** Drops what waits for a connection, or for all; uncounted. */
  clear(connectionId?: string): void
  /**
   * Drops what waits for a connection, uncounted, and gives the tag of what has waited first, and of what was sent last
   * of all that has waited; undefined when nothing waits.
   */
  withdraw(connectionId: string): { readonly first: unknown; readonly last: unknown } | undefined
}

/** How a message may wait. */
export interface SlowSend {
  readonly backlog: Backlog
  /** For `latest-by-key`. Messages without one are kept like those of different keys. */
  readonly key?: string | undefined
  /** Given to `mark`. */
  readonly tag?: unknown
  /** It carries nothing that anybody would miss: dropped uncounted. */
  readonly light?: boolean
}

/** Whose connections on the other servers of a cluster are meant; of a channel, its subscribers. */
export type Elsewhere =
  | Whose
  | { readonly all: true }
  | { readonly channel: string; readonly tags?: Readonly<Record<string, string>> }

/** A service on the servers of its cluster: each of them has this, and reaches the others by their ids. */
export interface ServiceCluster {
  /** The id of this server. */
  readonly id: string
  /** Milliseconds for which a server that has died is taken for alive. */
  readonly lease: number
  /** Ids of the other servers, as far as this one has heard. */
  readonly others: ReadonlySet<string>
  /** Calls back when another server has come, or gone; gives what ends it. */
  on(event: 'joined' | 'left', listener: (id: string) => void): () => void
  /** Has things of this service with keys live once in the cluster; to be called once, on every server. */
  keyed<Payload = unknown, Answer = unknown>(
    behaviour: KeyedBehaviour<Payload, Answer>,
  ): KeyedHandle<Payload, Answer> & {
    /** Gives all that lives here to whoever wants it. */
    drain(): Promise<void>
  }
  /** Answers `ask` of the same service on other servers. */
  onask: ((payload: unknown, context: AnswerContext) => unknown) | undefined
  /** Asks the service on one server; rejects as `call` of the cluster does. */
  ask(node: string, payload: unknown, options?: Omit<CallOfOptions, 'idempotencyKey'>): Promise<unknown>
  /** Hears `tell` of the same service on other servers. */
  ontold: ((payload: unknown, from: string) => void) | undefined
  /** Tells the service on one server, at most once and in order. @throws SocketStreamError `UNENCODABLE` */
  tell(node: string, payload: unknown): void
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
  /** Emits `client:connect` and `client:disconnect` with a connection id and the `Connection`. */
  readonly events: EventEmitter
  /** Logs with the service's name; `log(...)` at `info`. */
  readonly log: Logger
  /** Whether failures are shown to clients in full. */
  readonly exposeErrors: boolean
  /** The `engine` option of the server, or one in memory. Not to be closed by services. */
  readonly engine: Engine
  /** The same service on other servers; undefined where there can be none, or the engine has no leases. */
  readonly cluster?: ServiceCluster | undefined
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
  /** A connection has lost its link; its client may come back, and what is sent to it waits. */
  ondetach?: ((connection: Connection) => unknown) | undefined
  /** The client of a connection that was told to `ondetach` is back. */
  onresume?: ((connection: Connection) => unknown) | undefined
  /** A connection is closed for good, whether it was there or away. */
  onclose: ((connection: Connection) => unknown) | undefined
  /**
   * A connection is to go on at another server of the cluster: gives what this service needs of it there, of what messages
   * may be. Its client is away, and it may still come back here. Without this it is `onclose` here and `onopen` there.
   */
  onmove?: ((connection: Connection) => unknown) | undefined
  /** It has gone on there, in place of `onclose`: what `onmove` gave is taken over, nobody has to be told. */
  onmoved?: ((connection: Connection) => unknown) | undefined
  /** A connection goes on here, in place of `onopen`: `state` is what `onmove` gave at the other server. */
  onarrive?: ((connection: Connection, state: unknown) => unknown) | undefined
  /**
   * Another server of the cluster has published to a channel: tells who is subscribed here. Without it, a topic.
   *
   * `repeated`: a connection has come from another server that has not heard it. What is sent in this call is for that one alone;
   * nobody else is to be told.
   */
  onrelayed?:
    | ((
        channel: string,
        message: unknown,
        options: { except?: string; tags?: Readonly<Record<string, string>>; repeated?: boolean },
      ) => unknown)
    | undefined
  /** Says which channels are occupied here, with the number of subscribers. Without it, the topics. */
  onchannels?: (() => Readonly<Record<string, number>>) | undefined
  /** The server stops: finish what is accepted. Awaited within the drain time. */
  ondrain: (() => unknown) | undefined
  /** The server has stopped serving: release everything. */
  onstop: (() => unknown) | undefined

  /** Sends to one connection. False when it has gone, or is full: then wait for `drained`, the message is on its way. */
  send(connectionId: string, message: unknown): boolean
  /** Resolves to true when a connection may be sent to again, or at once; to false when it has gone. */
  drained(connectionId: string): Promise<boolean>
  /**
   * Calls the client half at one connection of this node, which must answer calls.
   *
   * Rejects with `NOT_CONNECTED` when it is not there, `CONNECTION_LOST` when it goes, `TIMEOUT`, `OVERLOADED`
   * past `limits.calls`, `UNENCODABLE`, or with what the client has thrown: `UNKNOWN_METHOD` at once when it takes no calls.
   */
  callClient(connectionId: string, payload: unknown, options?: CallOptions): Call
  /** Calls several, each once; tells who has answered what and who has not. Never rejects. */
  callMany(
    connectionIds: readonly string[],
    payload: unknown,
    options?: Pick<CallOptions, 'signal' | 'timeout'>,
  ): Promise<Answers>
  /** `send`, under its classic name. */
  sendToSocketId(connectionId: string, message: unknown): boolean
  /** Sends to several; returns how many are there. */
  sendToSocketIds(connectionIds: string | readonly string[], message: unknown, slow?: SlowSend): number
  /** Sends to every connection of a session; returns how many there are. */
  sendToSession(sessionId: string, message: unknown, options?: { except?: string }): number
  /** Sends to every connection; encoded once per codec. */
  broadcast(message: unknown, options?: { except?: string }): void
  /**
   * Has the other servers of the cluster send to connections of theirs, at most once; false when there are none.
   *
   * @throws SocketStreamError `UNENCODABLE`
   */
  relay?(whom: Elsewhere, message: unknown, options?: { except?: string }): boolean
  /** The topic of this name, of this service. */
  topic(name: string): Topic
  /** Makes queues for connections that are slow, to be given to `sendToSocketIds` and `Topic.publish`. */
  backlog(options: BacklogOptions): Backlog
  /** The connections in rooms, or of ids; of any service. @throws SocketStreamError `INVALID_ARGUMENTS` */
  to(names: string | readonly string[]): ServiceAudience
  /** Everybody but these. @throws SocketStreamError `INVALID_ARGUMENTS` */
  except(names: string | readonly string[]): ServiceAudience
  /** The open connections of a session, of a user, or of an id. */
  connectionsOf(whose: Whose): readonly Connection[]
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
  /**
   * Has the server run the call once, however often it is made with this key: 1 to 255 characters, for each user and
   * method, for a day. Only calls of rpc heed it.
   */
  readonly idempotencyKey?: string | undefined
  /** Fails rather than wait: `NOT_CONNECTED` while the link is lost, `OVERLOADED` behind a full window of calls. */
  readonly volatile?: boolean | undefined
  /** For client halves: makes the extensions of the frame, with the call's id and its key. */
  readonly extensions?:
    | ((id: number, idempotencyKey: string | undefined) => Readonly<Record<string, unknown>> | undefined)
    | undefined
}

/** The answer to a call: a promise of its value, and an iterable of its items if it streams. */
export type Call<T = unknown> = Promise<T> & AsyncIterable<T>

/** A client as `answerCalls` needs it, which hears there of the server's calls. */
export interface InboundCalls {
  readonly welcome?: { readonly credit: number; readonly maxFrame: number } | undefined
  /** The connection, the same as long as it lasts. Throws when there is none. */
  readonly connected: unknown
  /** Takes a frame that is no answer. @returns true for a call: others are refused */
  inbound?:
    | ((
        frame: Uint8Array | string,
        link: { send(frame: Uint8Array | string): void },
        codec: {
          encode(kind: number, service: number, id: number, payload: unknown): Uint8Array | string
          decode(frame: Uint8Array | string): { kind: number; service: number; id: number; payload: unknown }
        },
      ) => true | undefined)
    | undefined
  on(event: 'status', listener: () => void): () => void
}

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
  /**
   * Sends a message; with a callback it is a call whose value goes there.
   *
   * @param options `volatile`: a message that cannot be sent at once is dropped
   * @returns false when it was dropped
   * @throws SocketStreamError `NOT_CONNECTED`, `OVERLOADED`, `FRAME_TOO_BIG`, `UNENCODABLE`
   */
  send(
    message: unknown,
    callback?: ((value: unknown) => void) | undefined,
    options?: Pick<CallOptions, 'volatile'>,
  ): boolean
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
  /** For `answerCalls`. */
  readonly host?: InboundCalls
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
