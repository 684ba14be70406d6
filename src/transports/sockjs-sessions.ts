import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Admission } from './admission.js'
import type { SockJsLink } from './sockjs-link.js'
import type { SockJsSettings } from './sockjs-options.js'
import type { SockJsRequest } from './sockjs-requests.js'
import type { Handshake, TransportHost, Verdict } from './transport.js'

type Refusal = Verdict & { accept: false }

const refusal = (status: number, message: string): Refusal => ({ accept: false, status, message })
/** The verdict when something of ours failed. */
export const FAILED = refusal(500, 'The server failed; its log says why.\n')
/** The verdict on clients that are too many, or too late. */
export const NO_MORE = refusal(503, 'No more clients are accepted now; try again later.\n')
const TOO_LATE = refusal(408, 'The handshake took too long; try again.\n')
/** The answer to too large a request. */
export const TOO_LARGE = refusal(413, 'The request is too large.\n')

/** A session from its first request on. */
export interface Session {
  readonly token: string
  readonly handshake: Handshake
  readonly verdict: Promise<Verdict>
  /** What clients call it; a WebSocket's name is of no use. */
  readonly name: string | undefined
  readonly bare: boolean
  /** The WebSocket's. */
  readonly socket: Socket | undefined
  accepted?: Verdict & { accept: true }
  link?: SockJsLink
  /** Requests that wait for the verdict. */
  waiting: number
}

/** The sessions of a transport: each is decided on once, by its first request. */
export class SockJsSessions {
  /** Whether new ones are taken. */
  accepting = false
  readonly #settings: SockJsSettings
  readonly #admission: Admission
  /** By the names that clients chose. */
  readonly #byName = new Map<string, Session>()
  readonly #byToken = new Map<string, Session>()
  #host: TransportHost | undefined
  #pending = 0

  constructor(settings: SockJsSettings, admission: Admission) {
    this.#settings = settings
    this.#admission = admission
  }

  /** Begins to take sessions, and to ask this host. */
  open(host: TransportHost): void {
    this.#host = host
    this.accepting = true
  }

  /** The one that a client calls so, by HTTP. */
  get(name: string): Session | undefined {
    return this.#byName.get(name)
  }

  /** The one that the package knows by this token. */
  byToken(token: string): Session | undefined {
    return this.#byToken.get(token)
  }

  /** Forgets one. */
  delete(session: Session): void {
    this.#byToken.delete(session.token)
    if (session.name !== undefined && this.#byName.get(session.name) === session)
      this.#byName.delete(session.name)
  }

  /** Forgets all. */
  clear(): void {
    this.#host = undefined
    this.#byName.clear()
    this.#byToken.clear()
  }

  /** Begins a session, to be decided on. */
  admit(request: IncomingMessage, handshake: Handshake, { session: name, way }: SockJsRequest): Session {
    const socket = way === 'websocket' ? request.socket : undefined
    const session: Session = {
      token: randomUUID(),
      handshake,
      verdict: this.#judge(request, handshake),
      name: socket ? undefined : name,
      bare: name === undefined,
      socket,
      waiting: 0,
    }
    this.#byToken.set(session.token, session)
    if (session.name !== undefined) this.#byName.set(session.name, session)
    return session
  }

  /** The verdict on a session, for one more request of it. */
  async decided(session: Session): Promise<Verdict> {
    session.waiting++
    try {
      const verdict = await session.verdict
      if (!verdict.accept) return verdict
      if (!session.link && !this.accepting) return NO_MORE
      session.accepted = verdict
      return verdict
    } finally {
      session.waiting--
    }
  }

  async #judge(request: IncomingMessage, handshake: Handshake): Promise<Verdict> {
    const { maxPendingHandshakes, handshakeTimeout } = this.#settings
    if (!this.accepting) return NO_MORE
    if (this.#pending >= maxPendingHandshakes) {
      this.#host?.refused?.('pending')
      return NO_MORE
    }
    this.#pending++
    let deadline: NodeJS.Timeout | undefined
    const late = new Promise<Verdict>(resolve => {
      deadline = setTimeout(() => resolve(TOO_LATE), handshakeTimeout)
    })
    try {
      return await Promise.race([this.#admission.judge(request, handshake, this.#host), late])
    } catch (error) {
      this.#host?.log('error', 'A SockJS handshake failed', { error, url: handshake.url })
      return FAILED
    } finally {
      clearTimeout(deadline)
      this.#pending--
    }
  }

  /** Drops a session that none of its requests has opened. */
  sweep(name: string | undefined): void {
    const session = name === undefined ? undefined : this.#byName.get(name)
    if (!name || !session || session.waiting > 0 || (session.link && !session.link.gone)) return
    this.delete(session)
  }
}
