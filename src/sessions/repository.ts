import { LRUCache } from 'lru-cache'
import { SocketStreamError } from '../errors.js'
import { randomText } from '../random.js'
import { type CookieSettings, newCookie } from './cookie.js'
import { expiryOf, renewed, type StoreData, type StoredSession } from './session.js'

/** A Connect session store, by shape: what express-session stores have in common. */
export interface SessionStore {
  get(id: string, callback: (error: unknown, data?: StoreData | null) => void): void
  set(id: string, data: StoreData, callback?: (error?: unknown) => void): void
  destroy(id: string, callback?: (error?: unknown) => void): void
  touch?(id: string, data: StoreData, callback?: (error?: unknown) => void): void
}

/** How new sessions are made, and how long stores may take. */
export interface RepositoryOptions {
  /** The cookie of new sessions, as express-session takes it. */
  readonly cookie?: CookieSettings
  /** Milliseconds that a store may take to answer. Default 10,000. */
  readonly timeout?: number
}

const DEFAULT_TIMEOUT = 10_000
/** Ids that are remembered as destroyed, for writes that take effect after their deadline. */
const TOMBSTONES = { max: 10_000, ttl: 10 * 60_000 }

/** Sessions in a Connect store: promises, and a deadline for every call. */
export class SessionRepository {
  readonly #store: SessionStore
  readonly #options: RepositoryOptions
  readonly #destroyed = new LRUCache<string, true>(TOMBSTONES)
  /** Cookies of new sessions on connections that are secure, and that are not; those without an end are all alike. */
  readonly #endless = new Map<boolean, StoredSession['cookie']>()

  constructor(store: SessionStore, options: RepositoryOptions = {}) {
    this.#store = store
    this.#options = options
  }

  /** A new session id: 24 random bytes, as express-session makes them. */
  newId(): string {
    return randomText(24)
  }

  /**
   * A new session, with nothing in it but its cookie.
   *
   * @param secure whether the client's connection is, for cookies that go by that
   */
  empty(secure: boolean): StoredSession {
    const endless = this.#endless.get(secure)
    if (endless !== undefined) return { cookie: { ...endless } }
    const { secure: wanted, ...options } = this.#options.cookie ?? {}
    const cookie = newCookie({
      ...options,
      ...(wanted !== undefined && { secure: wanted === 'auto' ? secure : wanted }),
    })
    const made = throughJson({ cookie })
    if (expiryOf(made) === undefined) this.#endless.set(secure, { ...made.cookie })
    return made
  }

  /**
   * Reads a session; null when the store has none, or one that has expired.
   *
   * @throws SocketStreamError `SESSION_UNAVAILABLE` when the store fails, is too slow or gives what is no session
   */
  async load(id: string): Promise<StoredSession | null> {
    const data = await this.#ask<StoreData | null>('read', done =>
      this.#store.get(id, (error, found) => {
        if (error && (error as { code?: unknown }).code !== 'ENOENT') done(error)
        else done(undefined, error ? null : found)
      }),
    )
    if (!data) return null
    const stored = sessionIn(data)
    if (!isExpired(stored)) return stored
    if (this.#store.touch === undefined) return null
    // Some stores, such as connect-redis, keep a touched session's expiry beside its data: who still gives it has it.
    const renewedNow = renewed(stored, Date.now())
    return isExpired(renewedNow) ? null : renewedNow
  }

  /**
   * Writes a session, its time to live begun anew.
   *
   * @returns what was written
   * @throws SocketStreamError `SESSION_UNAVAILABLE`; whether it was written is then unknown
   */
  async save(id: string, data: StoredSession): Promise<StoredSession> {
    const written = renewed(data, Date.now())
    this.#destroyed.delete(id)
    await this.#ask(
      'write',
      done => this.#store.set(id, throughJson(written), done),
      () => this.#writtenLate(id),
    )
    return written
  }

  /**
   * Begins the time to live of a session anew.
   *
   * @returns the session with its new time; undefined when the store cannot do this without writing
   * @throws SocketStreamError `SESSION_UNAVAILABLE`
   */
  async touch(id: string, data: StoredSession): Promise<StoredSession | undefined> {
    if (this.#store.touch === undefined) return undefined
    const touched = renewed(data, Date.now())
    await this.#ask('touch', done => this.#store.touch?.(id, throughJson(touched), done))
    return touched
  }

  /** @throws SocketStreamError `SESSION_UNAVAILABLE` */
  async destroy(id: string): Promise<void> {
    this.#destroyed.set(id, true)
    await this.#ask('destroy', done => this.#store.destroy(id, done))
  }

  /** A write has taken effect that nobody waits for any more. */
  #writtenLate(id: string): void {
    if (this.#destroyed.has(id)) this.destroy(id).catch(() => undefined)
  }

  /** @param late called when the store has done after the deadline what it was asked for */
  #ask<T>(
    what: string,
    call: (done: (error?: unknown, value?: T) => void) => unknown,
    late?: () => void,
  ): Promise<T | undefined> {
    const { timeout = DEFAULT_TIMEOUT } = this.#options
    return new Promise((resolve, reject) => {
      let timedOut = false
      const settle = (error?: unknown, value?: T): void => {
        clearTimeout(timer)
        if (error) return reject(unavailable(`failed to ${what} a session`, error))
        if (timedOut) late?.()
        resolve(value)
      }
      const fail = (error: unknown): void => settle(error ?? new Error('It failed with nothing'))
      const timer = setTimeout(() => {
        timedOut = true
        reject(unavailable(`did not answer within ${timeout} ms, asked to ${what} a session`))
      }, timeout)
      try {
        // Many stores are async functions, whose rejection nobody else would handle.
        const returned = call(settle)
        if (returned instanceof Promise) returned.catch(fail)
      } catch (error) {
        fail(error)
      }
    })
  }
}

function isExpired(session: StoredSession): boolean {
  const expiry = expiryOf(session)
  return expiry !== undefined && expiry <= Date.now()
}

/** A copy of what a store gave. @throws SocketStreamError `SESSION_UNAVAILABLE` for what is no session */
function sessionIn(data: unknown): StoredSession {
  try {
    const stored = throughJson(data as StoreData)
    if (isObject(stored) && isObject(stored.cookie) && !Number.isNaN(expiryOf(stored))) return stored
  } catch (error) {
    throw unavailable('gave what is no session', error)
  }
  throw unavailable('gave what is no session')
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function unavailable(why: string, cause?: unknown): SocketStreamError {
  return new SocketStreamError('SESSION_UNAVAILABLE', `the session store ${why}`, { cause, retryAfter: 1000 })
}

/** A copy by way of JSON, which is how Connect stores keep sessions. */
function throughJson(value: StoreData): StoredSession {
  return JSON.parse(JSON.stringify(value)) as StoredSession
}
