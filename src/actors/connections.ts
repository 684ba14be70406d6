import { randomBytes } from 'node:crypto'
import type { Server } from 'node:http'
import type { MovedConnection } from '../cluster/handover.js'
import type { Codec } from '../codec/codec.js'
import { unpack } from '../codec/packed.js'
import { CLOSE_CODES } from '../errors.js'
import { type Logger, Summary } from '../log.js'
import { SUBPROTOCOLS } from '../protocol/envelope.js'
import { randomText } from '../random.js'
import { isThenable } from '../thenable.js'
import type {
  Handshake,
  HttpRoute,
  Link,
  LinkHandler,
  TransportHost,
  TransportPeers,
  Verdict,
} from '../transports/transport.js'
import { Attachment } from './attachment.js'
import { type Authenticate, authenticated } from './authenticate.js'
import type { Broker } from './broker.js'
import { BrokerConnection, ConnectionBehaviour } from './connection.js'
import { type Discovered, discoveryOf, publicOptions } from './discovery.js'
import { HandshakeLimits, type TooMany } from './handshake-limits.js'
import { HandshakeSessions, type HandshakeSessionsInit, type NamedSession } from './handshake-sessions.js'
import type { JoiningInit } from './joining.js'
import { MemoryGuard, type MemorySettings } from './memory-guard.js'
import type { Moving } from './moving.js'
import { Resumables } from './resumables.js'
import type { ResumeSettings } from './resume-options.js'
import type { ActorRef } from './runtime/index.js'
import type { RefusalReason } from './statistics.js'

/** One line of the service table that a welcome carries. */
export interface PublicService {
  readonly id: number
  readonly name: string
  readonly type: string
  readonly version: number
  readonly use: { readonly json: boolean; readonly callbacks: boolean; readonly sessions: boolean }
  /** The service's options, if clients of 0.4 are taken: they are told them as well. */
  readonly options?: Readonly<Record<string, unknown>>
}

/** What connections need besides the broker. */
export interface ConnectionsInit extends Omit<HandshakeSessionsInit, 'broker'> {
  /** Decides who may connect. */
  readonly authenticate: Authenticate | undefined
  /** How lost connections are kept; undefined: not at all. */
  readonly resume: ResumeSettings | undefined
  /** When memory is short; undefined: never. */
  readonly memory: MemorySettings | undefined
  /** The transports' log. */
  readonly log: Logger
}

/** What is known of a client that was accepted. */
interface Grant extends Omit<NamedSession, 'headers'> {
  readonly user: unknown
}

/** Seconds after which a client may try again that is refused for want of memory. */
const MEMORY_RETRY = 5
/** Milliseconds between looks at heartbeats and deadlines. */
const SWEEP = 1000
/** Messages that may wait for one connection actor: publications of one turn of the event loop. */
const MAILBOX = 65_536
const CONNECTION_ACTOR = { capacity: MAILBOX }

/**
 * All connections of a server: spawns their actors, and is what transports talk to.
 *
 * The registry changes only when a connection actor says that it opened or closed.
 */
export class Connections implements TransportHost {
  readonly byId = new Map<string, BrokerConnection>()
  /** Those that their clients may come back to. */
  readonly resumables: Resumables
  /** How many there are, and how fast they come. */
  readonly limits: HandshakeLimits
  readonly memory: MemoryGuard
  server: Server | undefined
  routes: readonly HttpRoute[] = []
  peers: TransportPeers | undefined
  /** Goes on with connections of other servers, and leaves its own to them; undefined: neither. */
  moving: Moving | undefined
  readonly identity: ConnectionsInit['identity']
  readonly #sessions: HandshakeSessions
  readonly #authenticate: Authenticate | undefined
  readonly #broker: Broker
  readonly #parent: ActorRef<never>
  readonly #node = randomBytes(4).toString('hex')
  readonly #log: Logger
  /** Refusals, for the log. */
  readonly #refusals = new Summary()
  /** Every connection, those before their welcome included. */
  readonly #all = new Set<BrokerConnection>()
  /** Of these, whose coming and going the transport tells everybody itself. */
  readonly #announced = new WeakSet<BrokerConnection>()
  #inFlight = 0
  #idle: (() => void) | undefined
  #lastTopic = 0
  #sweep: NodeJS.Timeout | undefined
  #publicServices: readonly PublicService[] | undefined
  #discovery: readonly Discovered[] | undefined

  constructor(broker: Broker, parent: ActorRef<never>, init: ConnectionsInit) {
    this.#broker = broker
    this.#parent = parent
    this.identity = init.identity
    this.resumables = new Resumables(init.resume, this.byId)
    this.#sessions = new HandshakeSessions({ broker, ...init })
    this.#authenticate = init.authenticate
    this.#log = init.log
    this.limits = new HandshakeLimits(broker.limits)
    this.memory = new MemoryGuard(init.memory, () => this.resumables.evictAll(), broker.log)
  }

  // ---- for transports ---------------------------------------------------------------------------

  authorize(handshake: Handshake): Verdict | Promise<Verdict> {
    const offered = handshake.protocols
    if (this.#broker.draining) return this.#refuse('draining', 503, 'The server is stopping')
    if (this.memory.full) return this.#refuse('memory', 503, BUSY, MEMORY_RETRY)
    const tooMany = this.limits.take(handshake.clientIp)
    if (tooMany !== undefined) return this.#tooMany(tooMany, handshake)
    const protocol = Object.values(SUBPROTOCOLS).find(known => offered.includes(known))
    if (offered.length > 0 && protocol === undefined) {
      return this.#refuse('subprotocol', 400, `No subprotocol of these is spoken: ${offered.join(', ')}`)
    }
    if (this.#authenticate === undefined) return this.#accept(handshake, protocol, undefined)
    const session = () => {
      const read = this.#sessions.read(handshake)
      // Not everybody who asks waits for the answer.
      read.catch(() => undefined)
      return read
    }
    return authenticated(this.#authenticate, { ...handshake, session }, this.#log, this.#refusals).then(
      outcome => {
        if ('user' in outcome) return this.#accept(handshake, protocol, outcome.user)
        this.refused('authenticate')
        return outcome
      },
    )
  }

  refused(why: RefusalReason): void {
    this.#broker.counters.refused[why]++
  }

  #refuse(why: RefusalReason, status: number, message: string, retryAfter?: number): Verdict {
    this.refused(why)
    const headers = retryAfter === undefined ? undefined : { 'Retry-After': String(retryAfter) }
    return { accept: false, status, message, ...(headers && { headers }) }
  }

  #tooMany({ why, retryAfter }: TooMany, { clientIp }: Handshake): Verdict {
    this.#refusals.add(why, times =>
      this.#log.warn('clients were refused: a limit is reached', {
        times,
        limit: `limits.${why === 'handshakes' ? 'handshakesPerSecond' : why}`,
        clientIp,
        hint: 'clients behind a proxy count as one unless the transport has `trustProxy`',
      }),
    )
    const status = why.endsWith('PerAddress') ? 429 : 503
    return this.#refuse(why, status, BUSY, Math.ceil(retryAfter / 1000))
  }

  #accept(handshake: Handshake, protocol: string | undefined, user: unknown): Verdict | Promise<Verdict> {
    const accept = ({ headers, ...session }: NamedSession): Verdict => {
      const grant: Grant = { ...session, user }
      return { accept: true, protocol, grant, ...(headers && { headers }) }
    }
    const session = this.#sessions.decide(handshake)
    return session instanceof Promise ? session.then(accept) : accept(session)
  }

  connect(link: Link, handshake: Handshake, verdict: Verdict & { accept: true }): LinkHandler {
    const id = handshake.socket?.id ?? `${this.#node}.${randomText(12)}`
    const grant = verdict.grant as Grant
    const attachment = new Attachment(this.#broker.limits, {
      link,
      clientIp: handshake.clientIp,
      transport: handshake.transport,
      secure: handshake.secure,
      codec: this.#codecFor(verdict.protocol),
      now: Date.now(),
      places: this.limits,
    })
    const connection = new BrokerConnection(this.#broker, { id, ...grant, attachment })
    connection.ref = this.#parent.spawn(id, new ConnectionBehaviour(connection), CONNECTION_ACTOR)
    this.#all.add(connection)
    if (handshake.socket?.announced) this.#announced.add(connection)
    this.#sweep ??= setInterval(() => this.#tick(), SWEEP).unref()
    // Between the verdict and this others may have come.
    if (!this.limits.opened(handshake.clientIp)) connection.end(CLOSE_CODES.OVERLOADED, BUSY.trim())
    return attachment
  }

  /** Makes a connection anew that another server has left; it has no link yet. */
  restore({ id }: MovedConnection, user: unknown, by: JoiningInit, like: Origin): BrokerConnection {
    const { clientIp, transport, secure } = like
    const attachment = new Attachment(this.#broker.limits, {
      link: NO_LINK,
      clientIp,
      transport,
      secure,
      codec: this.#broker.primaryCodec,
      now: Date.now(),
    })
    const connection = new BrokerConnection(this.#broker, { id, user, ...by, attachment })
    connection.ref = this.#parent.spawn(id, new ConnectionBehaviour(connection), CONNECTION_ACTOR)
    this.#all.add(connection)
    return connection
  }

  knows(connectionId: string): boolean {
    return this.byId.has(connectionId)
  }

  log(level: 'debug' | 'info' | 'warn' | 'error', message: string, details?: object): void {
    this.#log[level](message, details)
  }

  #codecFor(protocol: string | undefined): Codec | undefined {
    for (const [name, subprotocol] of Object.entries(SUBPROTOCOLS)) {
      if (subprotocol === protocol) return this.#broker.codecs.get(name)?.open(this.#broker.shapes)
    }
    return undefined
  }

  // ---- for connection actors --------------------------------------------------------------------

  /** A connection has been welcomed. @param given what services have given at the server that had it, packed */
  opened(connection: BrokerConnection, given?: Readonly<Record<string, Uint8Array>>): void {
    this.byId.set(connection.id, connection)
    this.#broker.counters.welcomed++
    this.#broker.users.opened(connection)
    if (given === undefined) this.#tellServices('opened', connection)
    else this.#arrived(connection, given)
    if (!this.#announced.has(connection)) this.#emit('client:connect', connection)
  }

  /** A connection was only there to resume another one, which has its link. */
  handedOver(connection: BrokerConnection): void {
    this.#all.delete(connection)
    this.#broker.counters.resumed++
    // It has shown that it was here already: many of one address may come back at once.
    this.limits.exempt(connection.clientIp)
  }

  /** A connection has lost its link, and its client may come back. */
  detached(connection: BrokerConnection): void {
    this.#tellServices('detached', connection)
  }

  /** Its client is back. */
  resumed(connection: BrokerConnection): void {
    this.#tellServices('resumed', connection)
  }

  /** A connection goes on at another server: nothing that is sent from now on is for it. */
  departed(connection: BrokerConnection): void {
    this.resumables.back(connection)
    this.byId.delete(connection.id)
    this.#broker.users.closed(connection)
    this.#broker.rooms.closed(connection)
  }

  /** A connection is closed for good, here at least. */
  closed(connection: BrokerConnection, wasOpen: boolean, { code, reason, moved }: Closing): void {
    this.#all.delete(connection)
    const { counters } = this.#broker
    counters.closed.add(String(code))
    if (!wasOpen) return
    counters.messagesIn += connection.received
    counters.messagesOut += connection.sent
    // One that departed may be back already.
    if (this.byId.get(connection.id) === connection) this.byId.delete(connection.id)
    this.#broker.users.closed(connection)
    this.#broker.rooms.closed(connection)
    const what = moved === undefined ? 'connection closed' : 'connection goes on at another server'
    this.#broker.log.debug(what, { connection: connection.id, code, reason })
    this.#tellServices('closed', connection, moved)
    if (!this.#announced.has(connection)) this.#emit('client:disconnect', connection)
  }

  /** A call has been accepted. */
  callStarted(): void {
    this.#inFlight++
  }

  /** A call has ended, in whatever way. */
  callEnded(): void {
    this.#inFlight--
    if (this.#inFlight === 0) this.#idle?.()
  }

  /** Calls that have no answer yet. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** A topic id, never used before on this node. */
  nextTopicId(): number {
    return ++this.#lastTopic
  }

  /** The service table, without private services. */
  publicServices(): readonly PublicService[] {
    this.#publicServices ??= this.#broker.services.flatMap(service => {
      if (service === undefined || service.private) return []
      const { type = 'custom', version = 1, use = {} } = service.definition
      const { json = false, callbacks = false, sessions = false } = use
      const options = this.#broker.textCodec === undefined ? {} : publicOptions(service.server.options)
      return [
        {
          id: service.id,
          name: service.name,
          type,
          version,
          use: { json, callbacks, sessions },
          ...(Object.keys(options).length > 0 && { options }),
        },
      ]
    })
    return this.#publicServices
  }

  /** What clients of 0.4 are told of the services. */
  discovery(): readonly Discovered[] {
    this.#discovery ??= discoveryOf(this.#broker.services)
    return this.#discovery
  }

  // ---- for services and the server --------------------------------------------------------------

  /** The open connections of a session. */
  ofSession(sessionId: string): ReadonlySet<BrokerConnection> {
    return this.#broker.liveSessions.get(sessionId)?.connections ?? NOBODY
  }

  /** Resolves when no call is in flight. */
  idle(): Promise<void> {
    if (this.#inFlight === 0) return Promise.resolve()
    return new Promise(resolve => {
      this.#idle = resolve
    })
  }

  /** Closes every connection. */
  closeAll(code: number, reason: string): void {
    clearInterval(this.#sweep)
    this.#refusals.flush()
    for (const connection of [...this.#all]) connection.ref.tell({ type: 'close', code, reason })
  }

  #tick(): void {
    this.memory.look()
    const now = Date.now()
    for (const connection of [...this.#all]) connection.ref.tell({ type: 'tick', now })
  }

  /** The emitter is the application's: what its listeners throw must not stop a connection half-way. */
  #emit(event: string, connection: BrokerConnection): void {
    try {
      this.#broker.events.emit(event, connection.id, connection)
    } catch (error) {
      this.#broker.log.error(`a listener for ${event} failed`, { error })
    }
  }

  /** @param moved services that are told instead that it goes on elsewhere with what they have given */
  #tellServices(type: Told, connection: BrokerConnection, moved?: ReadonlySet<string>): void {
    for (const service of this.#broker.services) {
      if (service === undefined) continue
      const what = moved?.has(service.name) ? 'moved' : type
      if (service.server[HOOKS[what]] !== undefined) service.ref.tell({ type: what, connection })
    }
  }

  /** At once, not in the services' turns: what is sent next is for it as well. */
  #arrived(connection: BrokerConnection, given: Readonly<Record<string, Uint8Array>>): void {
    for (const service of this.#broker.services) {
      if (service === undefined) continue
      const { server, name, ref } = service
      const state = given[name]
      if (state === undefined || server.onarrive === undefined) {
        if (server.onopen !== undefined) ref.tell({ type: 'opened', connection })
        continue
      }
      const failed = (error: unknown) => server.log.error('onarrive failed', { error })
      try {
        const outcome = server.onarrive(connection, unpack(state))
        if (isThenable(outcome)) outcome.then(undefined, failed)
      } catch (error) {
        failed(error)
      }
    }
  }
}

/** Where a client has come from. */
export type Origin = Pick<Attachment, 'clientIp' | 'transport' | 'secure'>

/** The link of a connection whose client is to come. */
const NO_LINK: Link = {
  bufferedBytes: 0,
  send: () => false,
  pause() {},
  resume() {},
  close() {},
  terminate() {},
}

/** Says no more than that: which limit it was is for the log. */
const BUSY = 'No more clients are accepted now; try again later.\n'

/** How a connection has come to its end. */
export interface Closing {
  readonly code: number
  readonly reason: string
  /** It goes on at another server, with what these services have given. */
  readonly moved: ReadonlySet<string> | undefined
}

/** Who hears of what becomes of connections. */
const HOOKS = {
  opened: 'onopen',
  detached: 'ondetach',
  resumed: 'onresume',
  moved: 'onmoved',
  closed: 'onclose',
} as const

type Told = Exclude<keyof typeof HOOKS, 'moved'>

const NOBODY: ReadonlySet<BrokerConnection> = new Set()
