import type { Frame } from '../codec/codec.js'
import { CLOSE_CODES, SocketStreamError } from '../errors.js'
import { KIND } from '../protocol/envelope.js'
import type { BrokerConnection } from './connection.js'
import { type Hello, type WelcomeResume, welcome } from './handshake.js'
import { PAUSED } from './intake.js'
import type { LiveSession } from './live-session.js'
import { Outgoing } from './outgoing.js'
import { type ResumeRefusal, type ResumeRequest, Resumption } from './resumption.js'

/** What is known of a client's session when its first link opens. */
export interface JoiningInit {
  /** The session that a signed cookie named. */
  readonly sessionId: string | undefined
  /** Whether that id was made for this client and sent to it as its cookie. */
  readonly freshSession: boolean
}

/** How a connection comes to its session: from the hello to the welcome. */
export class Joining {
  /** Whether a client of 0.4 has not said yet who it is. */
  nameless = false
  session: LiveSession | undefined
  readonly #connection: BrokerConnection
  readonly #sessionId: string | undefined
  readonly #freshSession: boolean
  /** Whether it waits for another session than it had. */
  #renaming = false
  /** Hears whether a connection that another server has left is there, or why not. */
  #restoring: ((refusal: ResumeRefusal | undefined) => void) | undefined
  /** What is to be done when it is known that no other server has left its connection. */
  #anew: ((refusal: ResumeRefusal) => void) | undefined
  /** What it has asked to go on with. */
  #asked: ResumeRequest | undefined
  /** Why it does not go on with the connection that its client wanted to resume. */
  #refusal: ResumeRefusal | undefined

  constructor(connection: BrokerConnection, { sessionId, freshSession }: JoiningInit) {
    this.#connection = connection
    this.#sessionId = sessionId
    this.#freshSession = freshSession
  }

  /** Whether a session is being read for it: its actor must stay until that comes. */
  get waits(): boolean {
    return this.#connection.state === 'authenticating' || this.#renaming
  }

  /** @throws SocketStreamError `BAD_FRAME` for a second one */
  hello(hello: Hello): void {
    const connection = this.#connection
    if (connection.state !== 'connecting') throw new SocketStreamError('BAD_FRAME', 'a second hello')
    const { connections } = connection.broker
    const named = connections.identity.fromHello(hello)
    // An id of our making gives way to a session that the client knows.
    const id = this.#freshSession ? (named ?? this.#sessionId) : (this.#sessionId ?? named)
    const fresh = this.#freshSession && named === undefined
    const { resumables } = connections
    if (hello.resume !== undefined) {
      const who = { session: id, user: connection.user }
      const found = resumables.find(hello.resume, who)
      if (typeof found === 'object') return connection.handOver(found, hello.resume)
      if (found === 'unknown' && connections.moving !== undefined) {
        connection.attachment.intake.pause(PAUSED.JOINING)
        this.#asked = hello.resume
        this.#anew = refusal => this.#join(hello, id, fresh, refusal)
        const by = { sessionId: this.#sessionId, freshSession: this.#freshSession }
        return connections.moving.claim(connection, hello.resume, who, by)
      }
      this.#refusal = found
    }
    this.#join(hello, id, fresh)
  }

  /** Another server had left its connection, or not. */
  moved(outcome: BrokerConnection | ResumeRefusal): void {
    const connection = this.#connection
    const anew = this.#anew
    this.#anew = undefined
    if (connection.state !== 'connecting') return
    if (typeof outcome === 'string') return anew?.(outcome)
    connection.handOver(outcome, this.#asked!)
    // What came behind the hello.
    outcome.goOn(PAUSED.JOINING)
  }

  /** Begins with the session of a connection that another server has left. */
  restore(id: string, fresh: boolean, done: (refusal: ResumeRefusal | undefined) => void): void {
    const connection = this.#connection
    this.#restoring = done
    connection.step('hello')
    connection.broker.sessions.tell({ type: 'join', id, fresh, connection })
  }

  #join(hello: Hello, id: string | undefined, fresh: boolean, refusal = this.#refusal): void {
    const connection = this.#connection
    const { sessions, connections } = connection.broker
    const { resumables } = connections
    this.#refusal = refusal
    if (resumables.keeping && !connection.isClassic && hello.caps.includes('resume')) {
      connection.resumption = new Resumption(connection.id, resumables.settings!.bytes)
    }
    connection.step('hello')
    connection.attachment.intake.pause(PAUSED.JOINING)
    sessions.tell({ type: 'join', id, fresh, connection })
  }

  /** A client of 0.4 may use services without sessions before it says who it is. */
  early(frame: Frame): void {
    this.nameless = true
    this.hello({ auth: undefined, caps: [], session: undefined, resume: undefined })
    this.#connection.attachment.intake.hold(frame)
  }

  /** A client of 0.4 that is here already says who it is, or says so again. */
  rename(hello: Hello): void {
    this.nameless = false
    const connection = this.#connection
    const { connections, sessions } = connection.broker
    const id = connections.identity.fromHello(hello)
    if (id === undefined || id === connection.liveSession.id) return this.welcome()
    this.#renaming = true
    connection.attachment.intake.pause(PAUSED.JOINING)
    this.leave()
    sessions.tell({ type: 'join', id, fresh: false, connection })
  }

  /** The session has come, or cannot be read. */
  joined(session: LiveSession | SocketStreamError): void {
    const connection = this.#connection
    if (connection.state === 'closed') {
      // It had to stay until the session came, which would otherwise count it as there for good.
      if (!(session instanceof SocketStreamError)) this.leave(session)
      return connection.ref.stop()
    }
    const renamed = this.#renaming
    this.#renaming = false
    if (session instanceof SocketStreamError) {
      this.#restoring?.('unknown')
      connection.shut(CLOSE_CODES.INTERNAL, `${session.code}: ${session.message}`)
      // Nothing is waited for any more.
      return connection.ref.stop()
    }
    // It got another id by the request of this connection.
    this.session = session
    if (connection.open) {
      if (!renamed) return
      this.welcome()
      return connection.goOn(PAUSED.JOINING)
    }
    if (this.#restoring !== undefined) return this.#restoring(undefined)
    connection.step('welcome')
    if (!this.nameless) this.welcome()
    connection.broker.connections.opened(connection)
    connection.goOn(PAUSED.JOINING)
  }

  /** Welcomes the client, to a new connection or back. */
  welcome(resumed = false): void {
    const connection = this.#connection
    const session = connection.liveSession
    const byCookie = session.id === this.#sessionId && !this.#freshSession
    const reason = resumed ? undefined : this.#refusal
    const resume: WelcomeResume = { resumed, recv: connection.received, reason }
    connection.resumption?.settled()
    const payload = welcome(connection, session, byCookie, resume)
    connection.write(new Outgoing(connection.codec, KIND.WELCOME, 0, 0, payload))
  }

  /** Leaves its session, if it has one. */
  leave(session: LiveSession | undefined = this.session): void {
    if (session === undefined) return
    this.#connection.broker.sessions.tell({ type: 'leave', session, connection: this.#connection })
  }
}
