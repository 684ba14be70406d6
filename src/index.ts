import { CLOSE_CODES, ERROR_CODES, hasCode, mayReconnect, SocketStreamError } from './errors.js'
import { Server as ServerClass } from './server.js'

/**
 * The root of the package.
 *
 * `require('socketstream-server')` gives the `Server` class itself, by way of the export named
 * `module.exports`. So that nothing is out of reach there, every other export is also a static of the
 * class; a test compares the two.
 */
const exported = { SocketStreamError, ERROR_CODES, CLOSE_CODES, hasCode, mayReconnect }

/** The class, with all that the package exports. */
export type ServerConstructor = typeof ServerClass &
  Readonly<typeof exported> & { readonly Server: ServerConstructor; readonly default: ServerConstructor }

/** A realtime server; see the class in `server.ts`. */
export type Server<Services = Record<never, never>> = ServerClass<Services>
export const Server: ServerConstructor = Object.assign(ServerClass as ServerConstructor, exported, {
  Server: ServerClass as ServerConstructor,
  default: ServerClass as ServerConstructor,
})

export type { Authenticate, AuthenticateRequest } from './actors/authenticate.js'
export type { Limits } from './actors/broker.js'
export type { PublicService } from './actors/connections.js'
export type { MemoryOptions } from './actors/memory-guard.js'
export type { LiveSessionInfo, SessionControl, SessionStatistics } from './actors/session-control.js'
export type { RefusalReason, Statistics } from './actors/statistics.js'
export type { ServedAsset } from './browser/assets.js'
export type { ClientBundle } from './browser/build-client.js'
export type { ClientHandler, ClientHandlerOptions } from './browser/client-handler.js'
export type { ClientBuildOptions } from './browser/plan.js'
export type { AnswerContext } from './cluster/answering.js'
export type { CallOfOptions } from './cluster/calls.js'
export type {
  Answered,
  Answerer,
  ChannelCounts,
  Cluster,
  ClusterCallOptions,
  QueryOptions,
} from './cluster/cluster.js'
export type {
  KeyedBehaviour,
  KeyedCallOptions,
  KeyedHandle,
  KeyedInstance,
  KeyedStart,
} from './cluster/keyed.js'
export type { ClusterNode } from './cluster/nodes.js'
export type { ClusterOptions } from './cluster/options.js'
export type { ConnectionFilter, ConnectionInfo, FromNodes, ServerStatistics } from './cluster/queries.js'
export type { Codec, CodecFactory, Envelope, Frame } from './codec/codec.js'
export type { Duration } from './duration.js'
export type { Bus } from './engines/bus.js'
export type { Engine, EngineEvents } from './engines/engine.js'
export type { KeyValue, KeyValueEntry, WriteOptions } from './engines/key-value.js'
export type { Lease, Leases } from './engines/lease.js'
export type { Limiter } from './engines/limiter.js'
export type {
  GapReason,
  HistoryOptions,
  HistoryPage,
  Log,
  LogEntry,
  LogHandler,
  LogSubscription,
  Position,
  Published,
  PublishOptions,
  RecoveryFailure,
  SubscribeOptions,
} from './engines/log.js'
export type { Presence } from './engines/presence.js'
export type { CloseCode, ErrorCode, ErrorDetails } from './errors.js'
export type { Health, HealthHandler, HealthOptions } from './health.js'
export type { InspectorAuth, InspectorOptions } from './inspector/options.js'
export type { LevelLogger, Logger, LogTarget } from './log.js'
export type { Middleware, MiddlewareFactory, MiddlewareHost, Next, Respond } from './middleware/middleware.js'
export type { ServerOptions, SignalOptions, StopOptions } from './options.js'
export type { Assigned, ClassicService } from './services/classic.js'
export type { ClientCaller } from './services/named-calls.js'
export type {
  Audience,
  BrowserAsset,
  Call,
  CallOptions,
  ClientApi,
  ClientHalf,
  ClientModule,
  Connection,
  EndListener,
  Outcome,
  Request,
  RequestServer,
  RequestSession,
  Responder,
  ServerApi,
  ServiceAudience,
  ServiceClient,
  ServiceCluster,
  ServiceDefinition,
  ServiceServer,
  ServiceUse,
  TextClient,
  Topic,
  Whose,
} from './services/service.js'
export type { CacheBounds, SessionOptions } from './sessions/options.js'
export type { SessionStore } from './sessions/repository.js'
export type { SessionLike, StoreData, StoredSession } from './sessions/session.js'
export type { WebStore } from './sessions/web-store.js'
export type { ClassicMessage, ClassicSender, ClassicTransportModule } from './transports/classic.js'
export type {
  Handshake,
  Link,
  LinkHandler,
  Transport,
  TransportAddress,
  TransportCapabilities,
  TransportHost,
  Verdict,
} from './transports/transport.js'
export {
  CLOSE_CODES,
  ERROR_CODES,
  hasCode,
  mayReconnect,
  Server as 'module.exports',
  Server as default,
  SocketStreamError,
}
