import { randomBytes } from 'node:crypto'
import session from 'express-session'
import { SocketStreamError } from '../errors.js'
import type { SessionLike, StoredSession } from './session.js'

/** A Connect session store, by shape: what express-session stores have in common. */
export interface SessionStore {
  get(id: string, callback: (error: unknown, data?: StoredSession | null) => void): void
  set(id: string, data: StoredSession, callback?: (error?: unknown) => void): void
  destroy(id: string, callback?: (error?: unknown) => void): void
  touch?(id: string, data: StoredSession, callback?: () => void): void
}

/** Hears of what handlers do to their sessions. */
export interface SessionObserver {
  saved(id: string, data: StoredSession): void
  destroyed(id: string): void
}

type ExpressStore = session.Store

/** Milliseconds a store may take to answer. */
const STORE_DEADLINE = 10_000

/**
 * Sessions in a Connect store: real express-session `Session` objects, promises and a deadline.
 *
 * Handlers' `session.save()` and `session.destroy()` go through here, so that the cache hears of them.
 */
export class SessionRepository {
  readonly #store: SessionStore
  readonly #facade: ExpressStore
  /** The session cache, once there is one. */
  observer: SessionObserver | undefined

  constructor(store: SessionStore = new session.MemoryStore()) {
    this.#store = store
    this.#facade = this.#observed(store)
  }

  /** A new session id: 24 random bytes, as express-session makes them. */
  newId(): string {
    return randomBytes(24).toString('base64url')
  }

  /** The session object over stored data, or a new one. */
  make(id: string, data: StoredSession | undefined): SessionLike {
    const request = { sessionID: id, sessionStore: this.#facade }
    const made = this.#facade.createSession(
      request as unknown as Parameters<ExpressStore['createSession']>[0],
      data === undefined ? { cookie: new session.Cookie() } : (throughJson(data) as session.SessionData),
    )
    return made as unknown as SessionLike
  }

  /**
   * Reads a session; null when the store has none.
   *
   * @throws SocketStreamError `SESSION_UNAVAILABLE` when the store fails or does not answer in 10 s
   */
  load(id: string): Promise<StoredSession | null> {
    return new Promise((resolve, reject) => {
      const fail = (why: string, cause?: unknown): void => {
        clearTimeout(timer)
        reject(
          new SocketStreamError('SESSION_UNAVAILABLE', `the session store ${why}`, {
            cause,
            retryAfter: 1000,
          }),
        )
      }
      const timer = setTimeout(() => fail('did not answer'), STORE_DEADLINE)
      try {
        this.#store.get(id, (error, data) => {
          if (error && (error as { code?: unknown }).code !== 'ENOENT') return fail('failed', error)
          clearTimeout(timer)
          resolve(data ?? null)
        })
      } catch (error) {
        fail('failed', error)
      }
    })
  }

  /** The store with `set` and `destroy` observed, and the parts of `Store` that a shape may lack. */
  #observed(store: SessionStore): ExpressStore {
    const facade = Object.create(session.Store.prototype) as ExpressStore
    facade.get = (id, callback) => store.get(id, callback as Parameters<SessionStore['get']>[1])
    facade.set = (id, data, callback) => {
      const plain = throughJson(data) as StoredSession
      store.set(id, plain, error => {
        if (!error) this.observer?.saved(id, plain)
        callback?.(error)
      })
    }
    // Over a connection there is no response that could carry the new id's cookie.
    facade.regenerate = (_request, callback) =>
      callback(new SocketStreamError('SESSION_NEEDS_HTTP', 'regenerate() must be called in an HTTP request'))
    facade.destroy = (id, callback) => {
      store.destroy(id, error => {
        if (!error) this.observer?.destroyed(id)
        callback?.(error)
      })
    }
    return facade
  }
}

/** A copy by way of JSON, which is how Connect stores keep sessions. */
function throughJson(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}
