/** How much a key may do, and what this would take of it. */
export interface Allowance {
  /** Units per second, above 0. */
  readonly rate: number
  /** Units at once, after a pause; a whole number, at least 1. */
  readonly burst: number
  /** Units that are taken; a whole number, at most `burst`. Default 1; 0 takes none, and tells how things stand. */
  readonly cost?: number
}

/** Whether it was allowed. */
export interface Verdict {
  readonly allowed: boolean
  /** Milliseconds after which the same may be allowed, rounded up; 0 when it was. */
  readonly retryAfter: number
  /** Whole units left now. */
  readonly remaining: number
}

/**
 * A limit that nodes share, by the generic cell rate algorithm (GCRA).
 *
 * - What was refused MUST take nothing.
 * - At most `burst` plus `rate` times the seconds since the first MUST be allowed, whoever asks.
 * - Keys are names of 1 to 512 bytes of UTF-8. Others MUST be refused with `INVALID_ARGUMENTS`.
 */
export interface Limiter {
  take(key: string, allowance: Allowance): Promise<Verdict>
}
