/**
 * Stored sessions for the benchmark: their store, what is in them, and the cookies that name them.
 */
import { sign } from 'cookie-signature'
import session from 'express-session'

/** Signs the cookies. */
export const SECRET = 'benchmark'

/** What a stored session has: 176 characters of JSON. */
export const DATA = {
  cookie: { originalMaxAge: null, expires: null, httpOnly: true, path: '/' },
  user: 'ada',
  profile: { id: 1815, name: 'Ada Lovelace', roles: ['reader', 'writer'], theme: 'dark' },
}

/** express-session's store in memory, which counts reads and may take its time for them. */
export class CountingStore extends session.MemoryStore {
  reads = 0
  #delay
  #last = 0

  /** @param {number} [delay] milliseconds that a read takes */
  constructor(delay = 0) {
    super()
    this.#delay = delay
  }

  /**
   * @param {string} id
   * @param {(error: unknown, data?: session.SessionData | null) => void} done
   */
  get(id, done) {
    this.reads++
    if (this.#delay === 0) return super.get(id, done)
    setTimeout(() => super.get(id, done), this.#delay)
  }

  /**
   * Stores sessions that nobody has had before.
   *
   * @param {number} count
   * @returns {string[]} their ids, as long as those of express-session
   */
  fill(count) {
    return Array.from({ length: count }, () => {
      const id = `benchmark${this.#last++}`.padEnd(32, '-')
      super.set(id, /** @type {session.SessionData} */ (/** @type {unknown} */ (DATA)))
      return id
    })
  }
}

/**
 * The `Cookie` header that names a session.
 *
 * @param {string} id
 */
export function cookieOf(id) {
  return `connect.sid=${encodeURIComponent(`s:${sign(id, SECRET)}`)}`
}
