import type { MovedConnection, MovedFrames } from '../cluster/handover.js'
import type { Codec, Frame } from '../codec/codec.js'
import { CLOSE_CODES, mayReconnect, SocketStreamError } from '../errors.js'
import { isCounted, KIND } from '../protocol/envelope.js'
import type { CallArgs, ClientAnswer, ClientCaller } from '../services/named-calls.js'
import type { Connection, Outcome } from '../services/service.js'
import type { SessionLike } from '../sessions/session.js'
import type { Attachment } from './attachment.js'
import type { Broker } from './broker.js'
import type { ClientCalls } from './client-calls.js'
import { errorEnvelope, toClientError } from './client-error.js'
import { type ConnectionEvent, type ConnectionState, FIRST_STATE, step } from './connection-lifecycle.js'
import { Inbound } from './inbound.js'
import { PAUSED } from './intake.js'
import { Joining, type JoiningInit } from './joining.js'
import type { LiveSession } from './live-session.js'
import type { Verdict } from './liveness.js'
import { movedFrames } from './moved-state.js'
import { Outbound } from './outbound.js'
import { Outgoing } from './outgoing.js'
import { Receiver } from './receiver.js'
import type { RequestEnd } from './request-end.js'
import type { CallResponder } from './responder.js'
import type { ResumeRefusal, ResumeRequest, Resumption } from './resumption.js'
import type { ActorRef, Behaviour } from './runtime/index.js'
import type { BrokerTopic } from './topic.js'
import type { Uploads } from './uploads.js'
import type { Waiter } from './waiter.js'

/** What a connection actor is told; `from` is the link that it comes from. */
export type ConnectionMessage =
  | { readonly type: 'frame'; readonly frame: Frame; readonly from: Attachment }
  | Outgoing
  | { readonly type: 'session'; readonly session: LiveSession | SocketStreamError }
  | { readonly type: 'pause'; readonly paused: boolean }
  | { readonly type: 'drained'; readonly from: Attachment }
  | { readonly type: 'tick'; readonly now: number }
  | { readonly type: 'attached' }
  | { readonly type: 'giveUp'; readonly why: ResumeRefusal }
  /** Its client has been told to go on with another server. */
  | { readonly type: 'letGo' }
  /** Another server wants to go on with it: `done` is told whether it is without a link and has nothing under way. */
  | { readonly type: 'free'; readonly done: (isFree: boolean) => void }
  /** What it has been sent before it departed is complete: gives it to who takes it along, and is over. */
  | { readonly type: 'pack'; readonly packing: Packing }
  | { readonly type: 'moved'; readonly outcome: BrokerConnection | ResumeRefusal }
  | { readonly type: 'close'; readonly code: number; readonly reason: string }
  | { readonly type: 'closed'; readonly code: number; readonly reason: string; readonly from: Attachment }

/** Takes a connection along to another server. */
export interface Packing {
  /** The services that have given what they need of it there. */
  readonly services: ReadonlySet<string>
  /** Is given its frames, or nothing when it has closed meanwhile; to whether it can be taken along. */
  take(frames: MovedFrames | undefined): boolean
}

/** What a link is closed with whose client is to go on with another server. */
const LEFT = 'go on with another server'
/** Messages in the mailbox at which the link is read no further until they are handled. */
const FRAMES_BEFORE_PAUSE = 1024
/** With these its session was taken from it, so that its client cannot resume with that. */
const OF_SESSION: ReadonlySet<number> = new Set([CLOSE_CODES.SESSION_ENDED, CLOSE_CODES.SESSION_CHANGED])

/** What is known of a client when its first link opens. */
export interface ConnectionInit extends JoiningInit {
  readonly id: string
  /** What `authenticate` has returned. */
  readonly user: unknown
  readonly attachment: Attachment
}

/**
 * One client: its session, calls and subscriptions, over one link or several, one after another.
 *
 * The public face is `Connection`; everything else is for the broker's own actors. State changes only
 * in `receive`, that is in the connection actor, and in `takeOver`.
 */
export class BrokerConnection implements Connection {
  readonly id: string
  readonly user: unknown
  readonly broker: Broker
  /** The actor; set by whoever spawns it. */
  ref!: ActorRef<ConnectionMessage>
  /** What its client can come back by, if it may. */
  resumption: Resumption | undefined
  #state: ConnectionState = FIRST_STATE
  #attachment: Attachment
  #data: Record<string, unknown> | undefined
  readonly #joining: Joining
  readonly #inbound: Inbound
  readonly #receiver: Receiver
  readonly #outbound: Outbound
  /** Messages that are not over and whose end somebody waits for. */
  #watched: Set<RequestEnd> | undefined
  /** Whether reading stands still because too much is in the mailbox. */
  #busy = false
  /** The connection that its client went on with. */
  #heir: BrokerConnection | undefined
  /** Hears whether it can go on at another server, when what is under way has ended. */
  #freed: ((isFree: boolean) => void) | undefined

  constructor(broker: Broker, init: ConnectionInit) {
    this.broker = broker
    this.id = init.id
    this.user = init.user
    this.#attachment = init.attachment
    this.#attachment.owner = this
    this.#joining = new Joining(this, init)
    this.#inbound = new Inbound(this)
    this.#receiver = new Receiver(this, this.#joining, this.#inbound)
    this.#outbound = new Outbound(this)
  }

  // ---- the public face --------------------------------------------------------------------------

  get clientIp(): string {
    return this.#attachment.clientIp
  }

  get transport(): string {
    return this.#attachment.transport
  }

  /** Whether the way to the client is encrypted, by the transport's rules for proxies. */
  get secure(): boolean {
    return this.#attachment.secure
  }

  get open(): boolean {
    return this.attached || this.#state === 'detached'
  }

  get data(): Record<string, unknown> {
    this.#data ??= {}
    return this.#data
  }

  get session(): SessionLike {
    return this.liveSession.session
  }

  get userId(): string | undefined {
    return this.#joining.session && this.broker.users.of(this)
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

  call<C, K extends keyof C & string>(
    service: ClientCaller<C>,
    name: K,
    ...args: CallArgs<C, K>
  ): ClientAnswer<C, K> {
    if (typeof service?.call !== 'function') {
      const message = "name the service by its API: connection.call(app.api.chat, 'name', ...args)"
      throw new SocketStreamError('INVALID_ARGUMENTS', message)
    }
    return service.call(this.id, name as never, ...(args as never)) as never
  }

  /** Whether anything is under way that is of this server alone. */
  get isBound(): boolean {
    return this.#inbound.isBound
  }

  /** Whether calls of it are in flight. */
  get calling(): boolean {
    return this.#inbound.calls.any
  }

  close(reason = 'closed by the server'): void {
    this.end(CLOSE_CODES.CLOSED_BY_SERVER, String(reason))
  }

  /** Messages of counted kinds that came. */
  get received(): number {
    return this.#receiver.received
  }

  /** Messages of counted kinds that were sent. */
  get sent(): number {
    return this.#outbound.sent
  }

  // ---- for the broker's actors ------------------------------------------------------------------

  /** The link in use; of one that is away the one that it had. */
  get attachment(): Attachment {
    return this.#attachment
  }

  /** What it is at. */
  get state(): ConnectionState {
    return this.#state
  }

  /** The codec in use. Only to be asked for once the first frame has been read. */
  get codec(): Codec {
    const { codec } = this.#attachment
    if (codec === undefined) throw new SocketStreamError('INVALID_STATE', 'No codec is agreed yet')
    return codec
  }

  /** Whether the client speaks the text wire of 0.4. */
  get isClassic(): boolean {
    return this.#attachment.codec?.name === 'text'
  }

  /** How it comes to its session. */
  get joining(): Joining {
    return this.#joining
  }

  /** The session actor's shared state. */
  get liveSession(): LiveSession {
    const { session } = this.#joining
    if (session === undefined) throw new SocketStreamError('INVALID_STATE', 'The connection is not open yet')
    return session
  }

  /** Whether a client of 0.4 has not said yet who it is. */
  get nameless(): boolean {
    return this.#joining.nameless
  }

  /** Closes it with a code. */
  end(code: number, reason: string): void {
    this.ref.tell({ type: 'close', code, reason })
  }

  /** Closes it for good, as its client cannot resume it. */
  giveUp(why: ResumeRefusal): void {
    this.ref.tell({ type: 'giveUp', why })
  }

  /** Sends an encoded envelope. */
  deliver(outgoing: Outgoing): void {
    this.ref.tell(outgoing)
  }

  /**
   * Notes a topic that it has been added to. Called by the service actor itself, because a message could come
   * after the connection's last one, and the subscription then stay for good.
   */
  subscribed(topic: BrokerTopic, number?: number): number {
    return this.#inbound.subscribed(topic, number)
  }

  /** What it is subscribed to, by the numbers that its client knows. */
  get topics(): ReadonlyMap<number, BrokerTopic> {
    return this.#inbound.topics
  }

  /** Forgets a call that was cancelled, or that a middleware dropped without an answer. */
  drop(responder: CallResponder, outcome: Outcome): void {
    this.#inbound.drop(responder, outcome)
  }

  /** The server's calls to this client. */
  get ownCalls(): ClientCalls {
    return this.#inbound.ownCalls
  }

  /** What the client sends along with its calls. */
  get uploads(): Uploads {
    return this.#inbound.uploads
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

  /** Takes a frame from a link; reads no further when too many wait. */
  frame(frame: Frame, from: Attachment): void {
    this.broker.counters.bytesIn += frame.length
    this.ref.tell({ type: 'frame', frame, from })
    if (this.#busy || this.ref.depth <= FRAMES_BEFORE_PAUSE) return
    this.#busy = true
    from.intake.pause(PAUSED.BUSY)
  }

  /** Whether a frame should wait: the client does not read or is away, or much is in the mailbox already. */
  isFull(bytes: number): boolean {
    return this.#outbound.isFull(bytes)
  }

  /** Has it take from whatever waits when it is full no more. */
  wait(waiter: Waiter): void {
    this.#outbound.wait(waiter)
  }

  /** Handles one message of the actor. */
  receive(message: ConnectionMessage): void {
    if (this.#heir !== undefined) return this.#passOn(this.#heir, message)
    this.#receive(message)
    this.#outbound.takeWaiting()
    if (this.#freed !== undefined) this.#lookFree(this.#freed)
  }

  #receive(message: ConnectionMessage): void {
    if (this.#busy && this.ref.depth === 0) this.#catchUp()
    switch (message.type) {
      case 'frame':
        return this.#receiver.arrived(message.frame, message.from)
      case 'outgoing':
        return this.write(message)
      case 'session':
        return this.#joining.joined(message.session)
      case 'pause':
        return message.paused ? this.#attachment.intake.pause(PAUSED.ROUTER) : this.goOn(PAUSED.ROUTER)
      case 'drained':
        message.from.waiting = 0
        return this.goOn(PAUSED.OUTBOUND, message.from)
      case 'tick':
        return this.#tick(message.now)
      case 'attached':
        return
      case 'giveUp':
        return this.#giveUp(message.why)
      case 'letGo':
        return this.#letGo()
      case 'free':
        return this.#free(message.done)
      case 'pack':
        return this.#pack(message.packing)
      case 'moved':
        return this.#joining.moved(message.outcome)
      case 'close':
        return this.shut(message.code, message.reason)
      case 'closed':
        // A link that was left says nothing about the one in use.
        if (message.from !== this.#attachment || this.#state === 'detached' || this.#state === 'left') return
        return this.#lost(message.code, message.reason)
    }
  }

  // ---- coming back ------------------------------------------------------------------------------

  /** Its client has come to go on with another connection, which gets the link and all that it brings. */
  handOver(heir: BrokerConnection, asked: ResumeRequest): void {
    this.step('handOver')
    this.#heir = heir
    heir.takeOver(this.#attachment, asked)
    this.broker.connections.handedOver(this)
    this.#passOn(heir, undefined)
  }

  /** Frames that came behind the hello go before those that the link still brings. */
  #passOn(heir: BrokerConnection, message: ConnectionMessage | undefined): void {
    if (message !== undefined && 'from' in message) heir.ref.tell(message)
    if (this.ref.depth > 0 || this.#attachment.owner === heir) return
    this.#attachment.owner = heir
    this.ref.stop()
  }

  /**
   * Goes on over another link: welcomes the client there, sends what it lacks, then what came meanwhile.
   *
   * Called in the turn of the connection that the client came by: between the check and this nothing may come.
   */
  takeOver(attachment: Attachment, asked: ResumeRequest): void {
    const resumption = this.resumption!
    const left = this.#attachment
    const wasAway = this.#state === 'detached'
    this.step('takeOver')
    this.#attachment = attachment
    attachment.inherit(left)
    // What it still brings is not taken any more, and comes again.
    left.link.terminate()
    left.intake.drop()
    this.broker.connections.resumables.back(this)
    this.broker.log.debug('connection resumed', { connection: this.id, transport: attachment.transport })
    resumption.retained.acknowledge(asked.recv)
    this.#joining.welcome(true)
    const { counters } = this.broker
    const before = counters.bytesOut
    for (const outgoing of resumption.retained.all()) this.#outbound.repeat(outgoing)
    for (const outgoing of resumption.release()) this.#outbound.send(outgoing)
    counters.bytesReplayed += counters.bytesOut - before
    if (wasAway) this.broker.connections.resumed(this)
    // Whatever waits for it is taken in its own turn.
    this.ref.tell({ type: 'attached' })
  }

  /** The link is gone; its client may come back on another one. */
  #lost(code: number, reason: string): void {
    const { resumption } = this
    const { resumables } = this.broker.connections
    // 1001 is said by a page that is left: what it has kept is gone with it.
    const returns = mayReconnect(code) && code !== CLOSE_CODES.GOING_AWAY
    if (resumption === undefined || !this.attached || !returns || !resumables.keeping) {
      return this.#closed(code, reason)
    }
    this.step('lose')
    resumption.detach({ code, reason, at: Date.now(), user: this.userId })
    this.#attachment.intake.drop()
    this.broker.log.debug('connection lost', { connection: this.id, code, reason })
    this.broker.connections.detached(this)
    resumables.kept(this, resumption.bytes)
  }

  /** The server stops: its client is to come to another one, which goes on with it. */
  #letGo(): void {
    if (!this.attached || this.#inbound.isBound) return
    const { link } = this.#attachment
    this.#lost(CLOSE_CODES.SERVER_STOPPING, LEFT)
    // Without an envelope that says so: with that its client would begin anew.
    link.close(CLOSE_CODES.SERVER_STOPPING, LEFT)
  }

  /** Its client has come to another server: the link here is none any more. */
  #free(done: (isFree: boolean) => void): void {
    this.#freed?.(false)
    this.#freed = done
    if (!this.attached || this.resumption === undefined) return
    const { link } = this.#attachment
    this.#lost(1006, 'its client has come to another server')
    link.terminate()
  }

  #lookFree(done: (isFree: boolean) => void): void {
    const isAway = this.#state === 'detached'
    if (isAway && this.#inbound.isBound) return
    this.#freed = undefined
    done(isAway)
  }

  /** From here on nothing reaches it but what is in its mailbox: the rest is for the server that goes on with it. */
  depart(): void {
    this.step('depart')
    this.broker.connections.departed(this)
    this.#inbound.leaveTopics()
  }

  #pack({ services, take }: Packing): void {
    const { resumption } = this
    if (this.#state === 'left') this.#outbound.flush()
    if (this.#state !== 'left' || resumption === undefined) return void take(undefined)
    const { lost } = resumption
    if (take(movedFrames(this, resumption))) this.#closed(lost.code, lost.reason, services)
    else this.#closed(lost.code, lost.reason, 'overflow')
  }

  /** Goes on with what another server has left, without a link yet. */
  begin(state: MovedConnection, resumption: Resumption): void {
    this.resumption = resumption
    this.#receiver.received = state.received
    this.#outbound.sent = resumption.retained.sent
    Object.assign(this.data, state.data)
  }

  /** Has its session; its client can have it now. */
  restored({ given, rooms }: MovedConnection): void {
    this.step('welcome')
    this.step('lose')
    if (rooms.length > 0) this.join(rooms)
    const { connections } = this.broker
    connections.opened(this, given)
    const reason = 'another server has left it'
    this.resumption!.detach({ code: 1006, reason, at: Date.now(), user: this.userId })
    connections.detached(this)
    connections.resumables.kept(this, this.resumption!.bytes)
  }

  #hold(outgoing: Outgoing): void {
    const resumption = this.resumption!
    // Pings and the like are of the link that they were meant for.
    if (!isCounted(outgoing.kind)) return
    if (!resumption.hold(outgoing)) return this.#giveUp('overflow')
    if (this.#state === 'detached') this.broker.connections.resumables.kept(this, resumption.bytes)
  }

  #giveUp(why: ResumeRefusal): void {
    if (this.#state === 'detached' || this.#state === 'left') {
      const { code, reason } = this.resumption!.lost
      return this.#closed(code, reason, why)
    }
    // It is here again; unless the client has said itself that it cannot go on.
    if (why === 'overflow' || why === 'counts') this.#lostFor(why)
  }

  #lostFor(why: ResumeRefusal): void {
    if (this.#state === 'closed') return
    this.#attachment.link.terminate()
    this.#closed(1006, 'its client has begun anew', why)
  }

  // ---- outbound ---------------------------------------------------------------------------------

  /** Sends an envelope, in its turn; one that is for a client that is away waits. */
  write(outgoing: Outgoing): void {
    if (!this.open) return this.#state === 'left' ? this.#hold(outgoing) : undefined
    const { kind, responder } = outgoing
    if (responder !== undefined) {
      const { calls } = this.#inbound
      // It has been answered while this waited: nothing may follow a final answer.
      if (calls.get(outgoing.id) !== responder) return
      if (kind !== KIND.ITEM) calls.end(responder)
    }
    if (this.#state === 'detached') return this.#hold(outgoing)
    if (kind === KIND.GO_AWAY) this.step('goAway')
    this.#outbound.send(outgoing)
  }

  /** Sends an error: the answer to a call, or of none with the id 0. */
  fail(id: number, error: SocketStreamError): void {
    const { broker, codec } = this
    this.write(errorEnvelope(broker, codec, toClientError(error, broker, 'a connection'), { id }))
  }

  // ---- flow -------------------------------------------------------------------------------------

  /** A link is read again, if this was all that held it up. */
  goOn(reason: number, { intake, liveness } = this.#attachment): void {
    if (!intake.resume(reason)) return
    liveness.heard()
    intake.release(frame => this.#receiver.frame(frame))
  }

  /** The mailbox is empty again. */
  #catchUp(): void {
    this.#busy = false
    this.goOn(PAUSED.BUSY)
  }

  #tick(now: number): void {
    if (this.#state === 'closed' || this.#state === 'left') return
    const { intake, liveness, link } = this.#attachment
    if (this.#state === 'detached') {
      const { settings } = this.broker.connections.resumables
      if (now - this.resumption!.lost.at >= settings!.window) this.#giveUp('window')
      return
    }
    if (!this.attached) return this.#judge(liveness.checkHandshake(now))
    this.#receiver.acknowledge()
    const state = {
      holds: intake.holds,
      full: intake.pausedFor(PAUSED.OUTBOUND),
      waiting: link.bufferedBytes,
    }
    this.#judge(liveness.check(now, state, !this.isClassic))
  }

  #judge(verdict: Verdict): void {
    if (verdict === 'wait') return
    if (verdict === 'ping') {
      this.#attachment.liveness.leaves()
      return this.write(new Outgoing(this.codec, KIND.PING, 0, 0, this.received))
    }
    const { code, reason } = verdict
    const { link } = this.#attachment
    if (!this.attached) return this.shut(code, reason)
    // Whoever answers no ping or reads nothing would not answer a close frame either, but may come back.
    this.#sayGoodbye(code, reason)
    this.#lost(code, reason)
    link.terminate()
  }

  // ---- the end ----------------------------------------------------------------------------------

  /** Closes it with a code, in its turn. */
  shut(code: number, reason: string): void {
    if (this.#state === 'closed') return
    if (this.attached) {
      if (code === CLOSE_CODES.SERVER_STOPPING) this.#inbound.failCalls()
      this.#sayGoodbye(code, reason)
    } else this.#attachment.link.close(code, reason)
    this.#closed(code, reason, OF_SESSION.has(code) ? 'session' : 'closed')
  }

  #sayGoodbye(code: number, reason: string): void {
    const payload = { reason, reconnect: mayReconnect(code) }
    this.write(new Outgoing(this.codec, KIND.CLOSE, 0, code, payload))
    this.#attachment.link.close(code, reason)
  }

  /** @param why it cannot be resumed; or it is elsewhere, with what these services have given */
  #closed(code: number, reason: string, why: ResumeRefusal | ReadonlySet<string> = 'closed'): void {
    if (this.#state === 'closed') return
    const wasOpen = this.open || this.#state === 'left'
    const { waits } = this.#joining
    this.step('close')
    this.#inbound.closed()
    for (const end of this.#watched ?? []) end.settle('closed')
    this.#watched = undefined
    this.#outbound.closed()
    this.#joining.leave()
    const { connections, router } = this.broker
    router.tell({ type: 'closed', connection: this })
    const moved = typeof why === 'object' ? why : undefined
    if (wasOpen && this.resumption !== undefined && typeof why !== 'object') {
      connections.resumables.ended(this, why)
    }
    this.resumption = undefined
    connections.closed(this, wasOpen, { code, reason, moved })
    this.#freed?.(false)
    this.#freed = undefined
    if (!waits) this.ref.stop()
  }

  /** Whether there is a link and the client has been welcomed. */
  get attached(): boolean {
    return this.#state === 'open' || this.#state === 'draining'
  }

  /** Moves it on. */
  step(event: ConnectionEvent): void {
    this.#state = step(this.#state, event)
  }
}

/** The connection actor: a mailbox in front of a `BrokerConnection`. */
export class ConnectionBehaviour implements Behaviour<ConnectionMessage, BrokerConnection> {
  readonly #connection: BrokerConnection

  constructor(connection: BrokerConnection) {
    this.#connection = connection
  }

  initial(): BrokerConnection {
    return this.#connection
  }

  receive(state: BrokerConnection, message: ConnectionMessage): void {
    state.receive(message)
  }

  overflowed(state: BrokerConnection, message: ConnectionMessage): void {
    const code = message.type === 'frame' ? CLOSE_CODES.OVERLOADED : CLOSE_CODES.SLOW_CONSUMER
    state.broker.log.warn('connection closed: its mailbox is full', { connection: state.id, code })
    state.receive({ type: 'close', code, reason: 'more arrives than can be handled' })
  }

  stopped(state: BrokerConnection): void {
    state.receive({ type: 'close', code: CLOSE_CODES.SERVER_STOPPING, reason: 'the server stops' })
  }
}
