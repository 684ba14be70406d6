import { LRUCache } from 'lru-cache'
import { type Logger, Sparingly } from '../log.js'
import type { SessionIdentity } from '../sessions/identity.js'
import type { SessionRepository } from '../sessions/repository.js'
import { renewed, type StoredSession } from '../sessions/session.js'
import type { Handshake } from '../transports/transport.js'
import type { Broker } from './broker.js'

/** What handshakes need to name sessions. */
export interface HandshakeSessionsInit {
  readonly broker: Broker
  readonly identity: SessionIdentity
  readonly repository: SessionRepository
  /** Whether browsers are sent the cookie of a known session again. */
  readonly rolling: boolean
  readonly log: Logger
  /** What is kept of a session that is not in use. */
  cached(id: string): StoredSession | undefined
}

/** The session that a client shall have, and the headers that tell its browser. */
export interface NamedSession {
  readonly sessionId: string | undefined
  /** Whether the id was made here, and nothing is stored under it. */
  readonly freshSession: boolean
  readonly headers?: { readonly 'Set-Cookie': string }
}

/** New ids that are remembered, and for how many milliseconds: until their first connection has come. */
const ISSUED = { max: 10_000, ttl: 60_000 }

/** Finds the session that a handshake's cookie names, or begins one, while there is a response to tell it by. */
export class HandshakeSessions {
  readonly #init: HandshakeSessionsInit
  readonly #reads = new Map<string, Promise<StoredSession | null>>()
  /** Ids given to browsers, of which another tab may make use before the first. */
  readonly #issued = new LRUCache<string, true>(ISSUED)
  readonly #foreignCookies = new Sparingly()

  constructor(init: HandshakeSessionsInit) {
    this.#init = init
  }

  /** Reads the session that the cookie names; null when none is stored. Rejects with `SESSION_UNAVAILABLE`. */
  async read({ headers }: Handshake): Promise<StoredSession | null> {
    const id = this.#init.identity.fromCookie(headers.cookie)
    return id === undefined ? null : this.#load(id)
  }

  /** Decides on the session of a client that is accepted. */
  decide(handshake: Handshake): NamedSession | Promise<NamedSession> {
    const { identity, rolling } = this.#init
    const { cookie } = handshake.headers
    const id = identity.fromCookie(cookie)
    if (!handshake.cookies || !this.#init.broker.usesSessions) return known(id)
    if (id === undefined) {
      if (!identity.hasCookie(cookie)) return this.#begin(handshake)
      this.#tellOfForeignCookie(handshake)
      return known(undefined)
    }
    // Only browsers take cookies, and only for them the store is worth asking before there is a connection.
    if (!isBrowser(handshake)) return known(id)
    const again = (data: StoredSession) => (rolling ? this.#again(id, data, handshake) : known(id))
    const data = this.#inMemory(id)
    if (data !== undefined) return again(data)
    return this.#load(id).then(
      data => {
        if (data !== null) return again(data)
        return this.#issued.has(id) ? { sessionId: id, freshSession: true } : this.#begin(handshake)
      },
      // The connection will be told, in words that its client understands.
      () => known(id),
    )
  }

  #inMemory(id: string): StoredSession | undefined {
    const { broker, cached } = this.#init
    const live = broker.liveSessions.get(id)
    return live !== undefined && !live.unread && live.end === undefined ? live.data : cached(id)
  }

  /** A store is asked once, however many clients come at once. */
  #load(id: string): Promise<StoredSession | null> {
    const { repository, broker } = this.#init
    let read = this.#reads.get(id)
    if (read === undefined) {
      read = repository.load(id).finally(() => this.#reads.delete(id))
      this.#reads.set(id, read)
      read.then(
        data => data && broker.sessions.tell({ type: 'found', id, data }),
        () => undefined,
      )
    }
    return read
  }

  #begin(handshake: Handshake): NamedSession {
    const { repository } = this.#init
    const id = repository.newId()
    const headers = this.#headers(id, repository.empty(handshake.secure), handshake)
    if (headers === undefined) return known(undefined)
    this.#issued.set(id, true)
    return { sessionId: id, freshSession: true, headers }
  }

  #again(id: string, data: StoredSession, handshake: Handshake): NamedSession {
    const headers = this.#headers(id, renewed(data, Date.now()), handshake)
    return headers === undefined ? known(id) : { ...known(id), headers }
  }

  /** Undefined for a cookie that is for encrypted connections only, on one that is not. */
  #headers(id: string, session: StoredSession, { secure }: Handshake) {
    if (!secure && (session.cookie as { secure?: unknown }).secure) return undefined
    return { 'Set-Cookie': this.#init.identity.cookie(id, session) }
  }

  /** To replace it would log its user out of whoever has signed it. */
  #tellOfForeignCookie({ clientIp }: Handshake): void {
    const times = this.#foreignCookies.take()
    if (times === 0) return
    this.#init.log.warn('The signature of a session cookie is wrong', {
      times,
      clientIp,
      hint: 'give `sessions` the secret and the name that express-session has',
    })
  }
}

function known(sessionId: string | undefined): NamedSession {
  return { sessionId, freshSession: false }
}

function isBrowser({ headers }: Handshake): boolean {
  return headers.origin !== undefined || headers['sec-fetch-site'] !== undefined
}
