/** What a count over all nodes needs of an engine: its `limiter`. */
export interface SharedLimiter {
  take(
    key: string,
    allowance: { readonly rate: number; readonly burst: number; readonly cost?: number },
  ): Promise<{ readonly allowed: boolean; readonly retryAfter: number; readonly remaining?: number }>
}

/** Whether a request may pass, or after how many milliseconds. */
export interface Verdict {
  readonly allowed: boolean
  readonly retryAfter: number
}

const PASSED: Verdict = { allowed: true, retryAfter: 0 }

/** What is known here of one key. */
export class SharedAccount {
  /** Requests that the engine has allowed already, and until when they count. */
  units = 0
  until = 0
  /** Until when the engine refuses, by what it has said. */
  refusedUntil = 0
  /** Requests that wait for the engine. */
  waiting = 0
  asking: Promise<void> | undefined
}

/**
 * A count over all nodes that does not ask the engine for every request.
 *
 * A node takes up to `batch` requests at once, and spends them by itself; what is left after the time in which as many come
 * back is given up. So at most `limit`, `batch` of each node, and what comes back in time is let through; a client that goes
 * to another node may find up to `batch` less one fewer. Who was refused is refused here until the time that the engine said.
 */
export class SharedCount {
  readonly #limiter: SharedLimiter
  readonly #limit: number
  /** Milliseconds in which one request comes back. */
  readonly #interval: number
  readonly #batch: number
  readonly #now: () => number

  constructor(limiter: SharedLimiter, limit: number, interval: number, batch: number, now: () => number) {
    this.#limiter = limiter
    this.#limit = limit
    this.#interval = interval
    this.#batch = batch
    this.#now = now
  }

  /** The verdict, at once where it is known here. Rejects as the engine does. */
  take(key: string, account: SharedAccount): Verdict | Promise<Verdict> {
    return this.#known(account) ?? this.#wait(key, account)
  }

  async #wait(key: string, account: SharedAccount): Promise<Verdict> {
    account.waiting++
    try {
      for (;;) {
        account.asking ??= this.#ask(key, account).finally(() => {
          account.asking = undefined
        })
        await account.asking
        const verdict = this.#known(account)
        if (verdict) return verdict
      }
    } finally {
      account.waiting--
    }
  }

  #known(account: SharedAccount): Verdict | undefined {
    const now = this.#now()
    if (account.units > 0 && now < account.until) {
      account.units--
      return PASSED
    }
    if (now < account.refusedUntil) {
      return { allowed: false, retryAfter: Math.ceil(account.refusedUntil - now) }
    }
    return undefined
  }

  /** Takes as many as wait, at least a batch, or what is left; else learns how long there is nothing. */
  async #ask(key: string, account: SharedAccount): Promise<void> {
    let cost = Math.min(this.#limit, Math.max(this.#batch, account.waiting))
    for (;;) {
      const allowance = { rate: 1000 / this.#interval, burst: this.#limit, cost }
      const { allowed, retryAfter, remaining = 0 } = await this.#limiter.take(key, allowance)
      const now = this.#now()
      if (allowed) {
        account.units = cost
        // One taken by itself is spent by who waits for it, however late the answer was.
        account.until = now + Math.max(cost * this.#interval, 1)
        return
      }
      if (remaining < 1 || cost === 1) {
        account.units = 0
        account.refusedUntil = now + Math.max(1, Math.ceil(retryAfter - (cost - 1) * this.#interval))
        return
      }
      cost = Math.min(remaining, cost - 1)
    }
  }
}
