import { randomBytes } from 'node:crypto'

/** What a code stands for. */
export interface Redeemable {
  /** The sessions whose place is taken; the cookie names one of them. */
  readonly from: readonly string[]
  /** The session that the cookie shall name. */
  readonly to: string
}

/** Milliseconds for which a code can be redeemed. */
const VALID = 60_000
/** Codes that are kept; of more the oldest are void. */
const MAX_CODES = 10_000

/** Codes that give a page the cookie of a session, each once and within a minute. */
export class OneTimeCodes {
  readonly #codes = new Map<string, Redeemable & { readonly until: number }>()

  /** A code of 192 random bits. */
  issue(redeemable: Redeemable, now = Date.now()): string {
    const code = randomBytes(24).toString('base64url')
    this.#codes.set(code, { ...redeemable, until: now + VALID })
    // The oldest first, as all are valid for the same time.
    for (const [oldest, { until }] of this.#codes) {
      if (until > now && this.#codes.size <= MAX_CODES) break
      this.#codes.delete(oldest)
    }
    return code
  }

  /** What a code stands for, which it does no longer; undefined for one that is unknown or too old. */
  redeem(code: string, now = Date.now()): Redeemable | undefined {
    const found = this.#codes.get(code)
    this.#codes.delete(code)
    return found && found.until > now ? { from: found.from, to: found.to } : undefined
  }
}
