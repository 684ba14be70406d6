import type { Codec, Envelope, Frame } from '../codec/codec.js'
import { CLOSE_CODES, mayReconnect, SocketStreamError } from '../errors.js'
import { isCounted, KIND } from '../protocol/envelope.js'
import type { Connection, Outcome } from '../services/service.js'
import type { SessionLike } from '../sessions/session.js'
import type { Link } from '../transports/transport.js'
import type { BrokerBacklog } from './backlog.js'
import type { Broker } from './broker.js'
import { ClientCalls } from './client-calls.js'
import { errorEnvelope, toClientError } from './client-error.js'
import { type Hello, openCodec, readHello, welcome } from './handshake.js'
import { Intake, PAUSED } from './intake.js'
import type { LiveSession } from './live-session.js'
import { Liveness, type Verdict } from './liveness.js'
import { OpenCalls } from './open-calls.js'
import { Outgoing } from './outgoing.js'
import { BrokerRequest } from './request.js'
import type { RequestEnd } from './request-end.js'
import type { CallResponder } from './responder.js'
import type { ActorRef, Behaviour } from './runtime/index.js'
import type { BrokerTopic } from './topic.js'

/** What a connection actor is told. */
export type ConnectionMessage =
  | { readonly type: 'frame'; readonly frame: Frame }
  | Outgoing
  | { readonly type: 'session'; readonly session: LiveSession | SocketStreamError }
  | { readonly type: 'pause'; readonly paused: boolean }
  | { readonly type: 'drained' }
  | { readonly type: 'tick'; readonly now: number }
  | { readonly type: 'close'; readonly code: number; readonly reason: string }
  | { readonly type: 'closed'; readonly code: number; readonly reason: string }

/** Messages in the mailbox at which the link is read no further until they are handled. */
const FRAMES_BEFORE_PAUSE = 1024
/** Bytes in the mailbox at which what may wait elsewhere does. */
const MAILBOX_BYTES = 1024 * 1024

/** What is known of a client when its link opens. */
export interface ConnectionInit {
  readonly id: string
  readonly clientIp: string
  readonly transport: string
  /** Whether the way to the client is encrypted, by the transport's rules for proxies. */
  readonly secure: boolean
  /** The session that a signed cookie named. */
  readonly sessionId: string | undefined
  /** Whether that id was made for this client and sent to it as its cookie. */
  readonly freshSession: boolean
  /** What `authenticate` has returned. */
  readonly user: unknown
  /** The codec agreed as subprotocol; otherwise the first frame tells. */
  readonly codec: Codec | undefined
  readonly link: Link
  readonly now: number
}

/**
 * One client: its link, codec, counters, calls and subscriptions.
 *
 * The public face is `Connection`; everything else is for the broker's own actors. State changes only
 * in `receive`, that is in the connection actor.
 */
export class BrokerConnection implements Connection {
  readonly id: string
  readonly clientIp: string
  readonly transport: string
  readonly secure: boolean
  readonly user: unknown
  readonly broker: Broker
  /** The actor; set by whoever spawns it. */
  ref!: ActorRef<ConnectionMessage>
  /** Messages of counted kinds, in and out: the resume positions. */
  received = 0
  sent = 0
  #status: 'handshake' | 'joining' | 'open' | 'closed' = 'handshake'
  readonly #link: Link
  #codec: Codec | undefined
  readonly #sessionId: string | undefined
  readonly #freshSession: boolean
  #session: LiveSession | undefined
  #data: Record<string, unknown> | undefined
  readonly #calls: OpenCalls
  #ownCalls: ClientCalls | undefined
  readonly #intake: Intake
  #topics: Map<number, BrokerTopic> | undefined
  readonly #liveness: Liveness
  /** Messages that are not over and whose end somebody waits for. */
  #watched: Set<RequestEnd> | undefined
  /** Whether a client of 0.4 has not said yet who it is. */
  #nameless = false
  /** Whether it waits for another session than it had. */
  #renaming = false
  /** Whether reading stands still because too much is in the mailbox. */
  #busy = false
  /** Where messages wait until it has drained. */
  #backlogs: Set<BrokerBacklog> | undefined

  constructor(broker: Broker, init: ConnectionInit) {
    this.broker = broker
    this.id = init.id
    this.clientIp = init.clientIp
    this.transport = init.transport
    this.secure = init.secure
    this.user = init.user
    this.#sessionId = init.sessionId
    this.#freshSession = init.freshSession
    this.#codec = init.codec
    this.#link = init.link
    this.#calls = new OpenCalls(broker)
    this.#intake = new Intake(init.link, broker.limits.inboundBytes)
    this.#liveness = new Liveness(broker.limits, init.now)
  }

  // ---- the public face --------------------------------------------------------------------------

  get open(): boolean {
    return this.#status === 'open'
  }

  get data(): Record<string, unknown> {
    this.#data ??= {}
    return this.#data
  }

  get session(): SessionLike {
    return this.liveSession.session
  }

  get userId(): string | undefined {
    return this.#session && this.broker.users.of(this)
  }

  get rooms(): ReadonlySet<string> {
    return this.broker.rooms.of(this)
  }

  join(rooms: string | readonly string[]): boolean {
    return this.broker.rooms.join([this], rooms) === 1
  }

  leave(rooms: string | readonly string[]): void {
    this.broker.rooms.leave([this], rooms)
  }

  /** Whether calls of it are in flight. */
  get calling(): boolean {
    return this.#calls.any
  }

  close(reason = 'closed by the server'): void {
    this.end(CLOSE_CODES.CLOSED_BY_SERVER, String(reason))
  }

  // ---- for the broker's actors ------------------------------------------------------------------

  /** The codec in use. Only to be asked for once the first frame has been read. */
  get codec(): Codec {
    if (this.#codec === undefined) throw new SocketStreamError('INVALID_STATE', 'No codec is agreed yet')
    return this.#codec
  }

  /** Whether the client speaks the text wire of 0.4. */
  get isClassic(): boolean {
    return this.#codec?.name === 'text'
  }

  /** The session actor's shared state. */
  get liveSession(): LiveSession {
    if (this.#session === undefined)
      throw new SocketStreamError('INVALID_STATE', 'The connection is not open yet')
    return this.#session
  }

  /** Closes it with a code. */
  end(code: number, reason: string): void {
    this.ref.tell({ type: 'close', code, reason })
  }

  /** Sends an encoded envelope. */
  deliver(outgoing: Outgoing): void {
    this.ref.tell(outgoing)
  }

  /**
   * Notes a topic that it has been added to. Called by the service actor itself, because a message could come
   * after the connection's last one, and the subscription then stay for good.
   */
  subscribed(topic: BrokerTopic): void {
    this.#topics ??= new Map()
    this.#topics.set(topic.id, topic)
  }

  /** Forgets a call that was cancelled, or that a middleware dropped without an answer. */
  drop(responder: CallResponder, outcome: Outcome): void {
    responder.cancel(outcome)
    this.#calls.end(responder)
  }

  /** The server's calls to this client. */
  get ownCalls(): ClientCalls {
    this.#ownCalls ??= new ClientCalls(this)
    return this.#ownCalls
  }

  /** Ends a message when the connection closes, unless it is over by then. */
  watch(end: RequestEnd): void {
    if (!this.open) return end.settle('closed')
    this.#watched ??= new Set()
    this.#watched.add(end)
  }

  /** A message that was watched is over. */
  unwatch(end: RequestEnd): void {
    this.#watched?.delete(end)
  }

  /** Takes a frame from the link; reads no further when too many wait. */
  frame(frame: Frame): void {
    this.ref.tell({ type: 'frame', frame })
    if (this.#busy || this.ref.depth <= FRAMES_BEFORE_PAUSE) return
    this.#busy = true
    this.#intake.pause(PAUSED.BUSY)
  }

  /** Whether a frame should wait: the client does not read, or much is in the mailbox already. */
  isFull(bytes: number): boolean {
    const { depth } = this.ref
    if (this.#intake.pausedFor(PAUSED.OUTBOUND) || depth > FRAMES_BEFORE_PAUSE / 8) return true
    // As if all had its size: what gets past this, of any sizes, is less than six times as much.
    return depth * bytes > MAILBOX_BYTES
  }

  /** Has it take from a backlog whenever it is full no more. */
  wait(backlog: BrokerBacklog): void {
    this.#backlogs ??= new Set()
    this.#backlogs.add(backlog)
  }

  /** Handles one message of the actor. */
  receive(message: ConnectionMessage): void {
    this.#receive(message)
    // After what was sent before and is in the mailbox still.
    if (this.#backlogs !== undefined && this.ref.depth === 0) this.#takeBacklogs(this.#backlogs)
  }

  #receive(message: ConnectionMessage): void {
    if (this.#busy && this.ref.depth === 0) this.#catchUp()
    switch (message.type) {
      case 'frame':
        this.#liveness.heard()
        if (!this.#intake.holds) this.#frame(message.frame)
        else if (this.#status !== 'closed' && !this.#intake.hold(message.frame)) {
          this.#close(CLOSE_CODES.OVERLOADED, 'more was sent than is taken while the server is busy')
        }
        return
      case 'outgoing':
        return this.#send(message)
      case 'session':
        return this.#joined(message.session)
      case 'pause':
        return message.paused ? this.#intake.pause(PAUSED.ROUTER) : this.#resume(PAUSED.ROUTER)
      case 'drained':
        return this.#resume(PAUSED.OUTBOUND)
      case 'tick':
        return this.#tick(message.now)
      case 'close':
        return this.#close(message.code, message.reason)
      case 'closed':
        return this.#closed(message.code, message.reason)
    }
  }

  // ---- inbound ----------------------------------------------------------------------------------

  #frame(frame: Frame): void {
    if (this.#status === 'closed') return
    try {
      if (isLarger(frame, this.broker.limits.maxFrame)) {
        return this.#close(CLOSE_CODES.TOO_BIG, `a frame may have ${this.broker.limits.maxFrame} bytes`)
      }
      this.#codec ??= openCodec(this.broker, frame)
      const envelope = this.#codec.decode(frame)
      if (this.#status === 'handshake' && envelope.kind !== KIND.HELLO && this.isClassic) this.#early(frame)
      else this.#envelope(envelope)
    } catch (error) {
      if (!(error instanceof SocketStreamError)) {
        this.#close(CLOSE_CODES.INTERNAL, 'the server failed')
        throw error
      }
      this.broker.log.warn(`connection closed: ${error.message}`, { connection: this.id, code: error.code })
      this.#close(
        error.code === 'UNSUPPORTED_VERSION' ? CLOSE_CODES.UNSUPPORTED_VERSION : CLOSE_CODES.BAD_FRAME,
        error.message,
      )
    }
  }

  #envelope(envelope: Envelope): void {
    const kind = envelope.kind
    if (this.#status !== 'open') {
      if (kind !== KIND.HELLO) throw new SocketStreamError('BAD_FRAME', 'the first frame must be a hello')
      return this.#hello(readHello(envelope.payload))
    }
    if (isCounted(kind)) this.received++
    switch (kind) {
      case KIND.MESSAGE:
      case KIND.CALL:
      case KIND.SUBSCRIBE:
        return this.#request(envelope)
      case KIND.CANCEL: {
        const responder = this.#calls.get(envelope.id)
        if (responder !== undefined && !responder.ended) {
          this.drop(responder, 'cancelled')
          this.#sendError(envelope.id, new SocketStreamError('CANCELLED', 'cancelled by the caller'))
        }
        return
      }
      case KIND.CREDIT:
        return this.#credit(envelope)
      case KIND.UNSUBSCRIBE:
        return this.#unsubscribe(envelope.payload)
      case KIND.PING:
        return this.#send(new Outgoing(this.codec, KIND.PONG, 0, 0, this.received))
      case KIND.PONG:
      case KIND.ACK:
      case KIND.NEXT:
        return
      case KIND.CLOSE:
        return this.#close(CLOSE_CODES.NORMAL, 'closed by the client')
      case KIND.HELLO:
        if (this.isClassic) return this.#rename(readHello(envelope.payload))
        throw new SocketStreamError('BAD_FRAME', 'a second hello')
      default:
        if (kind >= KIND.REPLY && kind <= KIND.END && isOurs(envelope.id)) return this.ownCalls.take(envelope)
        throw new SocketStreamError('BAD_FRAME', `kind ${kind} is not one that a client sends`)
    }
  }

  #request(envelope: Envelope): void {
    const { kind, id } = envelope
    const target = this.broker.services[envelope.service]
    const isCall = kind !== KIND.MESSAGE
    if (isCall && id % 2 === 0) throw new SocketStreamError('BAD_FRAME', 'ids of clients are odd numbers')
    if (target === undefined || target.private) {
      if (envelope.service === 0 && this.isClassic && isDiscover(envelope.payload)) {
        if (!isCall) return
        return this.#send(new Outgoing(this.codec, KIND.REPLY, 0, id, this.broker.connections.discovery()))
      }
      return this.#sendError(
        isCall ? id : 0,
        new SocketStreamError('UNKNOWN_SERVICE', `no service has the id ${envelope.service}`),
      )
    }
    if (this.#nameless && target.definition.use?.sessions === true) {
      this.broker.log.debug(`a message to service ${target.name} was dropped: it came before connect`, {
        connection: this.id,
      })
      return
    }
    if (!isCall) {
      const taken = this.broker.router.tell(new BrokerRequest(this, target, envelope, undefined))
      if (!taken) this.#sendError(0, new SocketStreamError('OVERLOADED', 'the server has too much to do'))
      return
    }
    const subscribes = kind === KIND.SUBSCRIBE
    let responder: CallResponder
    try {
      if (subscribes) this.#checkTopics()
      const loose = this.isClassic && target.server.oncall === undefined
      responder = this.#calls.start(this, target.id, id, subscribes, loose)
    } catch (error) {
      return this.#sendError(id, error as SocketStreamError)
    }
    const taken = this.broker.router.tell(new BrokerRequest(this, target, envelope, responder))
    if (!taken) responder.error(new SocketStreamError('OVERLOADED', 'the server has too much to do'))
  }

  #checkTopics(): void {
    const { topics } = this.broker.limits
    if ((this.#topics?.size ?? 0) + this.#calls.subscribes < topics) return
    throw new SocketStreamError('OVERLOADED', `${topics} topics are subscribed`)
  }

  #credit(envelope: Envelope): void {
    const items = envelope.payload
    if (typeof items !== 'number' || !Number.isSafeInteger(items) || items < 1) {
      throw new SocketStreamError('BAD_FRAME', 'credit must be a positive integer')
    }
    this.#calls.get(envelope.id)?.addCredit(items)
  }

  #unsubscribe(topicId: unknown): void {
    if (typeof topicId !== 'number') throw new SocketStreamError('BAD_FRAME', 'unsubscribe names a topic id')
    const topic = this.#topics?.get(topicId)
    if (topic === undefined) return
    this.#topics?.delete(topicId)
    topic.owner.tell({ type: 'unsubscribe', connection: this, topic })
  }

  // ---- handshake --------------------------------------------------------------------------------

  #hello(hello: Hello): void {
    if (this.#status !== 'handshake') throw new SocketStreamError('BAD_FRAME', 'a second hello')
    this.#status = 'joining'
    this.#intake.pause(PAUSED.JOINING)
    const named = this.broker.connections.identity.fromHello(hello)
    // An id of our making gives way to a session that the client knows.
    const id = this.#freshSession ? (named ?? this.#sessionId) : (this.#sessionId ?? named)
    const fresh = this.#freshSession && named === undefined
    this.broker.sessions.tell({ type: 'join', id, fresh, connection: this })
  }

  /** A client of 0.4 may use services without sessions before it says who it is. */
  #early(frame: Frame): void {
    this.#nameless = true
    this.#hello({ auth: undefined, caps: [], session: undefined })
    this.#intake.hold(frame)
  }

  /** A client of 0.4 that is here already says who it is, or says so again. */
  #rename(hello: Hello): void {
    this.#nameless = false
    const id = this.broker.connections.identity.fromHello(hello)
    if (id === undefined || id === this.liveSession.id) return this.#welcome(this.liveSession)
    this.#renaming = true
    this.#intake.pause(PAUSED.JOINING)
    this.#leave(this.liveSession)
    this.broker.sessions.tell({ type: 'join', id, fresh: false, connection: this })
  }

  #welcome(session: LiveSession): void {
    const byCookie = session.id === this.#sessionId && !this.#freshSession
    this.#send(new Outgoing(this.codec, KIND.WELCOME, 0, 0, welcome(this, session, byCookie)))
  }

  #joined(session: LiveSession | SocketStreamError): void {
    if (this.#status === 'closed') {
      // It had to stay until the session came, which would otherwise count it as there for good.
      if (!(session instanceof SocketStreamError)) this.#leave(session)
      return this.ref.stop()
    }
    const renamed = this.#renaming
    this.#renaming = false
    if (session instanceof SocketStreamError) {
      if (!renamed) this.#status = 'handshake'
      return this.#close(CLOSE_CODES.INTERNAL, `${session.code}: ${session.message}`)
    }
    // It got another id by the request of this connection.
    this.#session = session
    if (this.#status === 'open') {
      if (!renamed) return
      this.#welcome(session)
      return this.#resume(PAUSED.JOINING)
    }
    this.#status = 'open'
    if (!this.#nameless) this.#welcome(session)
    this.broker.connections.opened(this)
    this.#resume(PAUSED.JOINING)
  }

  // ---- outbound ---------------------------------------------------------------------------------

  #send(outgoing: Outgoing): void {
    if (this.#status !== 'open') return
    const kind = outgoing.kind
    const { responder } = outgoing
    if (responder !== undefined) {
      // It has been answered while this waited: nothing may follow a final answer.
      if (this.#calls.get(outgoing.id) !== responder) return
      if (kind !== KIND.ITEM) this.#calls.end(responder)
    }
    let frame: Frame
    try {
      frame = outgoing.frameFor(this.codec)
    } catch (error) {
      this.broker.log.error('a message cannot be sent over this codec', { connection: this.id, error })
      return
    }
    if (frame.length === 0) return
    if (isCounted(kind)) this.sent++
    if (this.#link.send(frame) || kind === KIND.CLOSE) return
    const waiting = this.#link.bufferedBytes
    // Not full but closed: there will be no `drained`, and the end must not wait for it.
    if (waiting === 0) return
    // Without this frame, which may be larger by itself: one large answer is no sign of a slow reader.
    if (waiting - frame.length > this.broker.limits.outboundBytes) {
      this.broker.log.warn('connection closed: it does not read', { connection: this.id })
      this.#close(CLOSE_CODES.SLOW_CONSUMER, 'more is waiting than this connection may buffer')
      this.#link.terminate()
      return
    }
    this.#intake.pause(PAUSED.OUTBOUND)
  }

  #sendError(id: number, error: SocketStreamError): void {
    const { broker, codec } = this
    this.#send(errorEnvelope(broker, codec, toClientError(error, broker, 'a connection'), { id }))
  }

  #takeBacklogs(backlogs: Set<BrokerBacklog>): void {
    for (const backlog of backlogs) {
      while (this.#status === 'open' && !this.#intake.pausedFor(PAUSED.OUTBOUND)) {
        const next = backlog.next(this)
        if (next !== undefined) for (const outgoing of next) this.#send(outgoing)
        else {
          backlogs.delete(backlog)
          break
        }
      }
    }
    if (backlogs.size === 0) this.#backlogs = undefined
  }

  // ---- flow -------------------------------------------------------------------------------------

  #resume(reason: number): void {
    if (!this.#intake.resume(reason)) return
    this.#liveness.heard()
    this.#intake.release(frame => this.#frame(frame))
  }

  /** The mailbox is empty again. */
  #catchUp(): void {
    this.#busy = false
    this.#resume(PAUSED.BUSY)
  }

  #tick(now: number): void {
    if (this.#status === 'closed') return
    if (this.#status !== 'open') return this.#judge(this.#liveness.checkHandshake(now))
    const intake = this.#intake
    const link = {
      holds: intake.holds,
      full: intake.pausedFor(PAUSED.OUTBOUND),
      waiting: this.#link.bufferedBytes,
    }
    this.#judge(this.#liveness.check(now, link, !this.isClassic))
  }

  #judge(verdict: Verdict): void {
    if (verdict === 'wait') return
    if (verdict === 'ping') return this.#send(new Outgoing(this.codec, KIND.PING, 0, 0, this.received))
    const wasOpen = this.#status === 'open'
    this.#close(verdict.code, verdict.reason)
    // Whoever answers no ping or reads nothing would not answer a close frame either.
    if (wasOpen) this.#link.terminate()
  }

  // ---- the end ----------------------------------------------------------------------------------

  #close(code: number, reason: string): void {
    if (this.#status === 'closed') return
    if (this.#status === 'open') {
      if (code === CLOSE_CODES.SERVER_STOPPING) this.#failCalls()
      const payload = { reason, reconnect: mayReconnect(code) }
      this.#send(new Outgoing(this.codec, KIND.CLOSE, 0, code, payload))
    }
    this.#link.close(code, reason)
    this.#closed(code, reason)
  }

  /** No accepted call stays unanswered, also when it did not finish while draining. */
  #failCalls(): void {
    for (const { id } of this.#calls.all) {
      this.#sendError(
        id,
        new SocketStreamError('DRAIN_TIMEOUT', 'the server stopped before the call had finished'),
      )
    }
  }

  #closed(code: number, reason: string): void {
    if (this.#status === 'closed') return
    const before = this.#status
    this.#status = 'closed'
    this.#calls.cancelAll()
    this.#ownCalls?.lost()
    for (const end of this.#watched ?? []) end.settle('closed')
    this.#watched = undefined
    for (const backlog of this.#backlogs ?? []) backlog.closed(this)
    this.#backlogs = undefined
    if (this.#topics !== undefined) {
      for (const topic of this.#topics.values()) {
        topic.owner.tell({ type: 'unsubscribe', connection: this, topic })
      }
      this.#topics = undefined
    }
    if (this.#session !== undefined) this.#leave(this.#session)
    this.broker.router.tell({ type: 'closed', connection: this })
    this.broker.connections.closed(this, before === 'open', code, reason)
    if (before !== 'joining' && !this.#renaming) this.ref.stop()
  }

  #leave(session: LiveSession): void {
    this.broker.sessions.tell({ type: 'leave', session, connection: this })
  }
}

/** The connection actor: a mailbox in front of a `BrokerConnection`. */
export const connectionBehaviour = (
  connection: BrokerConnection,
): Behaviour<ConnectionMessage, BrokerConnection> => ({
  initial: () => connection,
  receive: (state, message) => state.receive(message),
  overflowed: (state, message) => {
    const code = message.type === 'frame' ? CLOSE_CODES.OVERLOADED : CLOSE_CODES.SLOW_CONSUMER
    state.broker.log.warn('connection closed: its mailbox is full', { connection: state.id, code })
    state.receive({ type: 'close', code, reason: 'more arrives than can be handled' })
  },
  stopped: state =>
    state.receive({ type: 'close', code: CLOSE_CODES.SERVER_STOPPING, reason: 'the server stops' }),
})

/** Whether an id is one of the server's own calls. */
function isOurs(id: number): boolean {
  return id > 0 && id % 2 === 0
}

function isDiscover(command: unknown): boolean {
  return (command as { c?: unknown } | null)?.c === 'discover'
}

/** Whether a frame has more bytes than this; a character of text has up to three. */
function isLarger(frame: Frame, bytes: number): boolean {
  if (frame.length > bytes) return true
  return typeof frame === 'string' && frame.length * 3 > bytes && Buffer.byteLength(frame) > bytes
}
