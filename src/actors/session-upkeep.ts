import type { LiveSession } from './live-session.js'

/**
 * What a session in use needs now: to be ended, read again, kept alive in the store, or left by connections
 * that did not say good-bye.
 */
export type UpkeepTask = 'expire' | 'refresh' | 'renew' | 'touch' | 'clear'

/** Milliseconds between two renewals of a session's time in the store, unless that is short. */
const TOUCH_EVERY = 60_000

/** Looks after one session, every second; so it is to cost next to nothing. */
export class SessionUpkeep {
  readonly #live: LiveSession
  #touchedAt = Date.now()
  /** Messages received on all connections when last looked. */
  #received = 0
  #active = false

  constructor(live: LiveSession) {
    this.#live = live
  }

  /**
   * What is to be done; undefined mostly.
   *
   * @param recheck milliseconds after which the store is asked again; 0: never
   */
  next(now: number, recheck: number): UpkeepTask | undefined {
    const live = this.#live
    if (live.busy || live.end !== undefined) return undefined
    if (this.#look()) return 'clear'
    const { expiry, stored } = live
    // The web side may have prolonged what is stored.
    if (expiry !== undefined && expiry <= now) return stored ? this.#renewal() : 'expire'
    if (this.#active && now - this.#touchedAt >= this.#touchEvery()) {
      this.#touchedAt = now
      this.#active = false
      return 'touch'
    }
    return stored && recheck > 0 && now - live.checkedAt >= recheck ? 'refresh' : undefined
  }

  /** The store could not be told that the session is used. */
  touchFailed(): void {
    this.#active = true
  }

  /** A touch would not tell whether it is there. */
  #renewal(): UpkeepTask {
    const active = this.#active
    this.#active = false
    return active ? 'renew' : 'refresh'
  }

  /** Notes activity; says whether connections are there that have ended. */
  #look(): boolean {
    let received = 0
    for (const connection of this.#live.connections) {
      if (!connection.ref.live) return true
      received += connection.received
    }
    if (received !== this.#received) this.#active = true
    this.#received = received
    return false
  }

  #touchEvery(): number {
    const { originalMaxAge } = this.#live.data.cookie as { originalMaxAge?: number | null }
    return typeof originalMaxAge === 'number' ? Math.min(originalMaxAge / 4, TOUCH_EVERY) : TOUCH_EVERY
  }
}
