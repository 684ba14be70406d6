import type { EventEmitter } from 'node:events'
import type { Cluster } from '../cluster/cluster.js'
import type { Codec, CodecFactory, ServiceShape } from '../codec/codec.js'
import type { Logger } from '../log.js'
import type { RequestServer } from '../services/service.js'
import type { BrokerConnection } from './connection.js'
import type { Connections } from './connections.js'
import type { LiveSession } from './live-session.js'
import { Rooms } from './rooms.js'
import type { RouterMessage } from './router.js'
import type { ActorRef, ActorSystem } from './runtime/index.js'
import type { ServiceEntry } from './service.js'
import type { SessionCacheMessage } from './session-cache.js'
import { type SessionUsers, Users } from './session-users.js'
import { Counters } from './statistics.js'

/** What a broker is made of. */
export interface BrokerInit {
  readonly system: ActorSystem
  readonly log: Logger
  readonly events: EventEmitter
  /** Whether clients see messages and stacks of failures. */
  readonly exposeErrors: boolean
  readonly limits: Limits
  /** Codecs offered, in order of preference; broadcasts are first encoded with the first. */
  readonly codecs: readonly CodecFactory[]
  /** The codec of the 0.4 text wire; undefined when it is switched off. */
  readonly textCodec: CodecFactory | undefined
  readonly sessions: ActorRef<SessionCacheMessage>
  /** Sessions in use, by id. */
  readonly liveSessions: ReadonlyMap<string, LiveSession>
  /** Whose they are. */
  readonly sessionUsers: SessionUsers
  /** Whether any service says that it uses sessions; otherwise no cookies are given. */
  readonly usesSessions: boolean
  /** The server itself, as requests have it. */
  readonly host: RequestServer
}

/** What every actor of one server shares: wired once by the composition root, read by all. */
export class Broker {
  readonly system: ActorSystem
  readonly log: Logger
  readonly events: EventEmitter
  readonly exposeErrors: boolean
  readonly limits: Limits
  readonly codecs: ReadonlyMap<string, CodecFactory>
  readonly textCodec: CodecFactory | undefined
  readonly primaryCodec: Codec
  readonly sessions: ActorRef<SessionCacheMessage>
  readonly liveSessions: ReadonlyMap<string, LiveSession>
  readonly users: Users
  readonly rooms: Rooms
  readonly usesSessions: boolean
  readonly host: RequestServer
  readonly counters = new Counters()
  /** Services by id; 0 stays empty. */
  readonly services: (ServiceEntry | undefined)[] = [undefined]
  /** The service table, as codecs need it. */
  readonly shapes = new Map<number, ServiceShape>()
  // These two hold the broker, as it holds them: set right after it is made.
  router!: ActorRef<RouterMessage>
  connections!: Connections
  /** The other servers; undefined when there can be none. */
  cluster: Cluster | undefined
  /** What services send meanwhile is for this one alone: it has come from another server, and lacks what was sent to all. */
  only: BrokerConnection | undefined
  /** True from the beginning of `stop()`: new calls are refused. */
  draining = false

  constructor(init: BrokerInit) {
    this.system = init.system
    this.log = init.log
    this.events = init.events
    this.exposeErrors = init.exposeErrors
    this.limits = init.limits
    this.codecs = new Map(init.codecs.map(codec => [codec.name, codec]))
    this.textCodec = init.textCodec
    this.primaryCodec = init.codecs[0]!.open(this.shapes)
    this.sessions = init.sessions
    this.liveSessions = init.liveSessions
    this.users = new Users(init.sessionUsers)
    this.rooms = new Rooms({ most: init.limits.topics, events: init.events, log: init.log })
    this.usesSessions = init.usesSessions
    this.host = init.host
  }
}

/** Bounds of one connection, and of how many there are; each is an option of the server. */
export interface Limits {
  /** Links open at once, in all. Default 100,000. */
  readonly connections: number
  /** Links open at once from one address, or one /64 of IPv6. Default 20,000: many may share one. */
  readonly connectionsPerAddress: number
  /** Handshakes a second, in all; ten seconds' worth may come at once. Default 5,000. */
  readonly handshakesPerSecond: number
  /** The same for one address, or one /64 of IPv6; resuming is not counted. Default 2,000. */
  readonly handshakesPerAddress: number
  /** Bytes of the largest frame. Default 1 MiB. */
  readonly maxFrame: number
  /** Calls in flight. Default 1,024. */
  readonly calls: number
  /** Items a stream may send before the receiver asks for more. Default 64. */
  readonly credit: number
  /** Topics subscribed; channels and rooms count apart, up to as many each. Default 1,000. */
  readonly topics: number
  /** Bytes that may wait to be sent before the connection is closed as too slow. Default 8 MiB. */
  readonly outboundBytes: number
  /** Messages that may be sent to a connection that does not read before it is closed as too slow. Default 65,536. */
  readonly outboundMessages: number
  /** Bytes received but not yet routed while reading is paused; at least one frame. Default 2 MiB. */
  readonly inboundBytes: number
  /** Milliseconds between pings. Default 25,000. */
  readonly ping: number
  /** Milliseconds from link to hello. Default 10,000. */
  readonly handshake: number
}

/** The limits unless said otherwise. */
export const DEFAULT_LIMITS: Limits = {
  connections: 100_000,
  connectionsPerAddress: 20_000,
  handshakesPerSecond: 5000,
  handshakesPerAddress: 2000,
  maxFrame: 1024 * 1024,
  calls: 1024,
  credit: 64,
  topics: 1000,
  outboundBytes: 8 * 1024 * 1024,
  outboundMessages: 65_536,
  inboundBytes: 2 * 1024 * 1024,
  ping: 25_000,
  handshake: 10_000,
}
