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
export type { Action, ActionResult } from './actions.js'
export type {
  ActorDetail,
  ActorKind,
  ActorMemory,
  ActorPage,
  ActorQuery,
  ActorRow,
  ActorSort,
} from './actors.js'
export type { HttpFailure, InspectorApi, InspectorClient, InspectorServer } from './api.js'
export type { SnapshotFile, TraceFile } from './files.js'
export type { Json } from './json.js'
export type {
  ChannelRow,
  ConnectionRow,
  DeadLetterRow,
  ListQuery,
  LogLevelName,
  LogQuery,
  LogRow,
  Page,
  SessionRow,
} from './lists.js'
export type { Hello, Overview, OverviewPoint, Totals } from './overview.js'
export { BUCKETS, type MethodRow, type ServiceRow } from './services.js'
export type { Statechart, StateNode } from './statechart.js'
export type {
  LifecycleEvent,
  TraceEvent,
  TraceItem,
  TraceOptions,
  WatchItem,
  WatchOptions,
} from './streams.js'
export { PROTOCOL_VERSION } from './version.js'
