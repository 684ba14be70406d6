/**
 * What the inspector's server half and its viewers say to each other: types only, all of it plain JSON.
 *
 * The same shapes go three ways. Viewers call `InspectorApi` as the RPC service `inspector` of a SocketStream server
 * of its own, at `<path>/socket`: `createClient<InspectorServer>({ url })`, then `client.api.inspector.overview()`.
 * Scripts ask `GET <path>/api/<name>` with the fields of the query as query parameters. Recordings are files of
 * `TraceFile` or `SnapshotFile`.
 *
 * Times are milliseconds since 1970, durations milliseconds, sizes bytes, unless a name says otherwise. What is not
 * known is left out; nothing is made up.
 */

/** Version of these shapes; a page of another one says so instead of guessing. */
export const PROTOCOL_VERSION = 1

/** Any JSON value, redacted and cut: see `Cut`. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json }

/**
 * A marker that stands for what was left out of a value; an object with the one key `…`.
 *
 * - `redacted`: a rule hides it
 * - `deep`, `long`, `bytes`, `circular`, `function`, `class`: why there is no more of it
 */
interface Cut {
  readonly '…': string
}

// ---- the service --------------------------------------------------------------------------------

/** The RPC service `inspector`; every method but `act` is also a `GET`. All may throw `FORBIDDEN` or `NOT_FOUND`. */
export interface InspectorApi {
  /** What is inspected, and what may be done. Ask first, and after every reconnect. */
  hello(): Hello
  /** The last five minutes, one point a second as long as somebody watched; the last one is now. */
  overview(): Overview
  /** One window of the actor tree. */
  actors(query: ActorQuery): ActorPage
  /** One actor in full. @throws `NOT_FOUND` */
  actor(path: string): ActorDetail
  /** Services with their methods. Methods are counted while a `watch` with `services: true` is open. */
  services(): readonly ServiceRow[]
  channels(query: ListQuery): Page<ChannelRow>
  connections(query: ListQuery): Page<ConnectionRow>
  sessions(query: ListQuery): Page<SessionRow>
  /** Newest first. Payloads are kept only of those that came while somebody watched. */
  deadLetters(query: ListQuery): Page<DeadLetterRow> & { readonly counts: Readonly<Record<string, number>> }
  /** Newest first; kept while somebody watches. */
  log(query: LogQuery): Page<LogRow>
  /** Everything at once, bounded; for a file. */
  snapshot(): SnapshotFile
  /**
   * A stream of what happens, as long as it is open: a viewer is somebody who has one open.
   *
   * The first item comes at once, then one each second, or sooner when there is something.
   */
  watch(options: WatchOptions): AsyncIterable<WatchItem>
  /**
   * A stream of the messages of one connection across actors, or of chosen actors. Items come at most every 100 ms.
   *
   * The actors are tapped as long as it is open. To pause, let it run and do not show it, or close it.
   */
  trace(options: TraceOptions): AsyncIterable<TraceItem>
  /** Does something. @throws `FORBIDDEN` when read-only, `NOT_FOUND`, `INVALID_ARGUMENTS` */
  act(action: Action): ActionResult
}

/** The same methods, as a client has them. */
export type InspectorClient = {
  readonly [Method in keyof InspectorApi]: InspectorApi[Method] extends (
    ...args: infer Args
  ) => AsyncIterable<infer Item>
    ? (...args: Args) => AsyncIterable<Item>
    : InspectorApi[Method] extends (...args: infer Args) => infer Result
      ? (...args: Args) => Promise<Result>
      : never
}

/** For `createClient<InspectorServer>()`. */
export interface InspectorServer {
  readonly '~services': { readonly inspector: { client(client: never): InspectorClient } }
}

/** The inspected server. */
export interface Hello {
  readonly protocol: number
  /** New with each start of the server: when it differs from before, throw all you have away. */
  readonly incarnation: string
  readonly startedAt: number
  readonly now: number
  readonly readOnly: boolean
  readonly env?: string
  readonly node: string
  readonly pid: number
  readonly transports: readonly string[]
  readonly services: readonly string[]
  /** Milliseconds between two samples. */
  readonly every: number
  /** Viewers there are, this one not counted unless it watches. */
  readonly viewers: number
  /** Most rows of one page. */
  readonly maxRows: number
}

// ---- overview -----------------------------------------------------------------------------------

/** One sample; rates are per second, over the time since the sample before. */
export interface OverviewPoint {
  readonly at: number
  readonly connections: number
  /** Of these, whose clients are away and may resume. */
  readonly detached: number
  readonly sessions: number
  readonly actors: number
  /** Messages from and to clients, per second. Left out in the first sample. */
  readonly messagesIn?: number
  readonly messagesOut?: number
  /** Bytes on the sockets, per second; of the transports that know them, such as `ws`. */
  readonly bytesIn?: number
  readonly bytesOut?: number
  /** Longest that the event loop stood still. */
  readonly lag: number
  readonly heap: number
  readonly rss: number
  /** Messages waiting in mailboxes: of all actors, or of the sampled ones, see `depthOf`. */
  readonly depth: number
  /** The deepest mailbox, and whose. */
  readonly deepest?: { readonly path: string; readonly depth: number }
  /** Bytes waiting to be sent to clients. */
  readonly queued: number
  /** Since the start of the server. */
  readonly crashes: number
  readonly deadLetters: number
  /** Log lines of level `error` while watched, since the start. */
  readonly errors: number
}

/** Counted since watching began; exact, against which rates can be checked. */
export interface Totals {
  readonly since: number
  readonly messagesIn: number
  readonly messagesOut: number
  readonly opened: number
  readonly closed: number
}

export interface Overview {
  /** Oldest first, at most 300. */
  readonly points: readonly OverviewPoint[]
  readonly totals: Totals
  /** How `depth` is sampled: actors looked at, of how many. */
  readonly depthOf: { readonly looked: number; readonly actors: number }
}

// ---- actors -------------------------------------------------------------------------------------

/**
 * - `root`, `router`, `sessions`, `supervisor`: the server's own
 * - `connection`, `session`, `service`: as they say
 * - `machine`: runs XState logic
 * - `behaviour`: any other
 */
export type ActorKind =
  | 'root'
  | 'router'
  | 'sessions'
  | 'supervisor'
  | 'connection'
  | 'session'
  | 'service'
  | 'machine'
  | 'behaviour'

export type ActorSort = 'name' | 'depth' | 'rate' | 'handled' | 'restarts' | 'kind' | 'p99'

/** A window of actors: the children of one, or with `deep` or a filter all below it as a flat list. */
export interface ActorQuery {
  /** Default `/`. */
  readonly parent?: string
  /** All below it, flat; implied by `search`. Default false. */
  readonly deep?: boolean
  /** Part of a path, session id, user or address, any case. */
  readonly search?: string
  readonly kind?: ActorKind
  /** Only those with at least this many waiting messages. */
  readonly minDepth?: number
  /** Default `name`: the order of their beginning. */
  readonly sort?: ActorSort
  /** Default false; numbers descend with true. */
  readonly descending?: boolean
  readonly offset?: number
  /** Default 100, at most `Hello.maxRows`. */
  readonly limit?: number
}

export interface ActorPage {
  readonly rows: readonly ActorRow[]
  /** Rows there are in all, of which this is a window. */
  readonly total: number
  readonly offset: number
  /** When the rates were taken; they are taken anew at most once in `every` milliseconds. */
  readonly sampledAt: number
  readonly every: number
}

export interface ActorRow {
  /** Its address, such as `/connections/ab12.xyz`. The root is `/`. */
  readonly path: string
  readonly name: string
  readonly kind: ActorKind
  /** Of a machine its state value, of a connection its state, in one line; else left out. */
  readonly state?: string
  /** Messages that wait. */
  readonly depth: number
  /** Messages handled since it began. */
  readonly handled: number
  /** Per second, since the sample before; left out where there is none. */
  readonly rate?: number
  /** 99 of 100 messages were handled in this many milliseconds; only while it is tapped. */
  readonly p99?: number
  readonly restarts: number
  /** When it began, if that was seen. */
  readonly since?: number
  /** Children it has. */
  readonly children: number
  /** For connections and sessions. */
  readonly user?: string
  readonly address?: string
  /** Whether it takes no messages just now: starts, or waits for its restart. */
  readonly waiting?: boolean
  /** What may be done with it; empty when read-only. */
  readonly actions: readonly ('close' | 'stop' | 'restart' | 'send')[]
}

export interface ActorDetail extends ActorRow {
  readonly parent?: string
  /** Who watches it. Counted only: watchers are functions. */
  readonly watchers: number
  readonly subscribers: number
  /** First ones, by path; all of them by `actors({ parent })`. */
  readonly childPaths: readonly string[]
  /** What it shows of its state, redacted and cut; left out where it shows nothing. */
  readonly snapshot?: Json
  readonly statechart?: Statechart
  readonly connection?: ConnectionRow
  /** Newest first, at most 200: what it was told, while a `trace` taps it. */
  readonly events: readonly TraceEvent[]
  /** Newest first, at most 50: crashes, restarts and the end, while somebody watched. */
  readonly lifecycle: readonly LifecycleEvent[]
  /** Bytes waiting in its mailbox, where it measures them. */
  readonly mailboxBytes?: number
  readonly capacity: number
}

/** A machine: its states as a tree, with what is active. */
export interface Statechart {
  readonly id: string
  readonly root: StateNode
  /** Ids of the active states, parents among them. */
  readonly active: readonly string[]
  readonly context: Json
  readonly status: 'active' | 'done' | 'error' | 'stopped'
  /** The last change that was seen; only while a `trace` taps it. */
  readonly last?: {
    readonly at: number
    readonly event: string
    readonly from: readonly string[]
    readonly to: readonly string[]
  }
}

export interface StateNode {
  /** Unique in the machine, such as `order.paying.card`. */
  readonly id: string
  readonly key: string
  readonly type: 'atomic' | 'compound' | 'parallel' | 'final' | 'history'
  /** Id of the child that it begins with. */
  readonly initial?: string
  readonly description?: string
  readonly tags: readonly string[]
  readonly entry: readonly string[]
  readonly exit: readonly string[]
  readonly invoke: readonly string[]
  readonly states: readonly StateNode[]
  readonly transitions: readonly {
    /** Such as `PAY`, `after 1000`, `always`, `done` or `error`. */
    readonly event: string
    /** Ids; empty: it stays where it is. */
    readonly targets: readonly string[]
    readonly guard?: string
    readonly actions: readonly string[]
  }[]
}

// ---- rows ---------------------------------------------------------------------------------------

export interface ListQuery {
  /** Part of what the rows show, any case. */
  readonly search?: string
  /** Of one service, for channels. */
  readonly service?: string
  readonly offset?: number
  readonly limit?: number
}

export interface LogQuery extends ListQuery {
  /** At least this. Default `debug`. */
  readonly level?: LogLevelName
}

export interface Page<Row> {
  readonly rows: readonly Row[]
  readonly total: number
  readonly offset: number
}

export type LogLevelName = 'debug' | 'info' | 'warn' | 'error'

export interface ConnectionRow {
  readonly id: string
  /** The path of its actor. */
  readonly path: string
  readonly state: string
  readonly transport: string
  readonly codec?: string
  readonly address: string
  readonly secure: boolean
  readonly session?: string
  readonly user?: string
  readonly rooms: readonly string[]
  /** Counted messages, in and out: the resume positions. */
  readonly received: number
  readonly sent: number
  /** On its socket, where the transport knows. */
  readonly bytesIn?: number
  readonly bytesOut?: number
  /** Messages waiting in its mailbox. */
  readonly depth: number
  /** Bytes that wait in the link because the client does not read. */
  readonly queued: number
  /** Whether the client does not read, or is not read from because too much waits. */
  readonly slow: boolean
  readonly paused: boolean
  /** Round-trip time of the last ping, if one was measured. */
  readonly rtt?: number
  /** Left out when it cannot be resumed. */
  readonly resume?: {
    /** Bytes kept for the client. */
    readonly bytes: number
    readonly acknowledged: number
    /** Since when the client is away. */
    readonly awaySince?: number
  }
}

export interface SessionRow {
  readonly id: string
  readonly path: string
  readonly user?: string
  readonly connections: readonly string[]
  readonly stored: boolean
  readonly expires?: number
  readonly data: Json
}

export interface ServiceRow {
  readonly id: number
  readonly name: string
  readonly type: string
  readonly private: boolean
  readonly path: string
  readonly depth: number
  readonly handled: number
  readonly channels: number
  /** Since when methods are counted; left out: nobody watches services, and `methods` is empty. */
  readonly countedSince?: number
  /** The share of its messages that was counted since then: 1 up to 10,000 a second over all services, less past that. */
  readonly sampling?: number
  /** At most 256; what is past that is under `(other)`. */
  readonly methods: readonly MethodRow[]
}

export interface MethodRow {
  /** Of calls the method; `(message)`, `(subscribe)`, `(publish)` and `(other)` as they say. */
  readonly name: string
  readonly calls: number
  readonly errors: number
  /** Cancelled, dropped, or their connection went. */
  readonly unfinished: number
  readonly inFlight: number
  /** Milliseconds, read off the histogram. */
  readonly p50?: number
  readonly p99?: number
  readonly max?: number
  /** How many took up to `BUCKETS[i]` milliseconds; one more for what took longer than the last. */
  readonly histogram: readonly number[]
}

/** Upper bounds of the histograms, in milliseconds. */
export const BUCKETS: readonly number[] = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
]

export interface ChannelRow {
  readonly service: string
  readonly name: string
  /** Connections subscribed on this server. */
  readonly subscribers: number
  /** Of a channel with a history. */
  readonly history?: { readonly epoch: string; readonly offset: number }
  /** Messages waiting for slow subscribers, and dropped for them. */
  readonly waiting?: number
  readonly dropped?: number
}

export interface DeadLetterRow {
  /** Left out of those from before somebody watched. */
  readonly at?: number
  readonly to: string
  readonly from?: string
  readonly type: string
  readonly reason: string
  readonly payload?: Json
}

export interface LogRow {
  readonly at: number
  readonly level: LogLevelName
  /** Who says it: `socketstream`, `transport`, or the name of a service. */
  readonly name: string
  readonly message: string
  readonly details?: Json
}

export interface LifecycleEvent {
  readonly at: number
  readonly type: 'appeared' | 'crashed' | 'restarted' | 'disappeared'
  readonly path: string
  /** Of a crash: what it leads to, the error, and the message in hand. */
  readonly action?: string
  readonly error?: string
  readonly messageType?: string
}

// ---- streams ------------------------------------------------------------------------------------

export interface WatchOptions {
  /** Counts methods as long as it is open. Default false. */
  readonly services?: boolean
}

/** What came since the item before. Rings are bounded: `dropped` counts what did not fit. */
export interface WatchItem {
  readonly point: OverviewPoint
  readonly totals: Totals
  readonly lifecycle: readonly LifecycleEvent[]
  readonly deadLetters: readonly DeadLetterRow[]
  readonly log: readonly LogRow[]
  readonly dropped: { readonly lifecycle: number; readonly deadLetters: number; readonly log: number }
}

/** One of the two: a connection's messages everywhere, or all messages of some actors (at most 32). */
export interface TraceOptions {
  readonly connection?: string
  readonly actors?: readonly string[]
}

/** A message that was handled. */
export interface TraceEvent {
  /** Ascends within one trace. */
  readonly seq: number
  readonly at: number
  /** Path of the actor that told it; `client` for what came in on the link; left out when it was none. */
  readonly from?: string
  /** Path of the actor that handled it; `client` for what was sent out on the link. */
  readonly to: string
  /** Its type, or its kind on the wire: `call rpc.add`, `reply`, `publication`, … */
  readonly label: string
  /** Milliseconds that its handler held the event loop; 0 for what was sent out. */
  readonly took: number
  /** Messages that waited behind it. */
  readonly depth: number
  /** The number of the call, to join what belongs together. */
  readonly call?: number
  readonly payload?: Json
  /** The handler threw. */
  readonly failed?: boolean
}

export interface TraceItem {
  readonly events: readonly TraceEvent[]
  /** Events that did not fit, since the item before. */
  readonly dropped: number
  /** Of so many messages one is shown; 1: all. */
  readonly sampling: number
  /** Columns: the actors that are tapped now, with `client` first where a connection is traced. */
  readonly actors: readonly string[]
  /** Its connection or all its actors have gone: no more will come. */
  readonly ended?: boolean
}

// ---- actions ------------------------------------------------------------------------------------

export type Action =
  | { readonly type: 'closeConnection'; readonly id: string; readonly reason?: string }
  | { readonly type: 'stopActor'; readonly path: string }
  | { readonly type: 'restartActor'; readonly path: string }
  /** `message` is an object with a text as `type`. */
  | { readonly type: 'send'; readonly path: string; readonly message: Json }
  | {
      readonly type: 'publish'
      readonly service: string
      readonly channel: string
      readonly event: string
      readonly args: readonly Json[]
    }
  /** What goes to the application's log from now on is of this level at least; the tail shows all. */
  | { readonly type: 'logLevel'; readonly level: LogLevelName }

export interface ActionResult {
  readonly done: true
  /** What was done, for people. */
  readonly message: string
}

// ---- files --------------------------------------------------------------------------------------

/** A recording of a trace: made by the page of what it got, opened by it without a server. */
export interface TraceFile {
  readonly kind: 'socketstream-trace'
  readonly protocol: number
  readonly recordedAt: number
  readonly hello: Hello
  readonly options: TraceOptions
  readonly actors: readonly string[]
  readonly events: readonly TraceEvent[]
  readonly dropped: number
  /** What the actors were like at the end, as far as was asked. */
  readonly details: readonly ActorDetail[]
}

export interface SnapshotFile {
  readonly kind: 'socketstream-snapshot'
  readonly protocol: number
  readonly takenAt: number
  readonly hello: Hello
  readonly overview: Overview
  /** At most 10,000. */
  readonly actors: ActorPage
  readonly services: readonly ServiceRow[]
  readonly channels: Page<ChannelRow>
  readonly connections: Page<ConnectionRow>
  readonly sessions: Page<SessionRow>
  readonly deadLetters: Page<DeadLetterRow>
  readonly log: Page<LogRow>
}

// ---- http ---------------------------------------------------------------------------------------

/**
 * Over HTTP: `GET <path>/api/<method>` with the query as parameters (`actor?path=/app/x`), `POST <path>/api/act` with
 * the action as JSON. `trace` is `GET <path>/api/trace?connection=ID&seconds=5`: a `TraceFile` after that time.
 *
 * Answers are JSON; failures have this shape and a status of 400, 401, 403, 404, 405, 413 or 500.
 */
export interface HttpFailure {
  readonly error: { readonly code: string; readonly message: string }
}

/*
 * What else is served: `GET <path>/` the page (401 with the login form when a token is wanted), `GET <path>/page.js`
 * and `page.css`, `POST <path>/login` (form field `token`), `POST <path>/logout`, the WebSocket `<path>/socket`.
 * The page finds its own path by `document.baseURI`; `createClient({ url: new URL('socket', document.baseURI) })` with ws.
 */
