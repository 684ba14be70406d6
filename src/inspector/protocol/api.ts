import type { Action, ActionResult } from './actions.js'
import type { ActorDetail, ActorPage, ActorQuery } from './actors.js'
import type { SnapshotFile } from './files.js'
import type {
  ChannelRow,
  ConnectionRow,
  DeadLetterRow,
  ListQuery,
  LogQuery,
  LogRow,
  Page,
  SessionRow,
} from './lists.js'
import type { Hello, Overview } from './overview.js'
import type { ServiceRow } from './services.js'
import type { TraceItem, TraceOptions, WatchItem, WatchOptions } from './streams.js'

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
 * What else is served: `GET <path>/` the page (401 with the login form when a token is wanted), `GET <path>/page.js`,
 * `charts.js` and `page.css`, `POST <path>/login` (form field `token`), `POST <path>/logout`, the WebSocket
 * `<path>/socket`. The page finds its own path by `document.baseURI`; `createClient({ url: new URL('socket',
 * document.baseURI) })` with ws.
 */
