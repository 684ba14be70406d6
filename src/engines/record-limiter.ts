import { checkName, invalid, isWhole } from './checks.js'
import type { Allowance, Limiter, Verdict } from './limiter.js'
import type { Records } from './records.js'

/** Milliseconds that a burst may take to come back; past it times lose their precision. */
const MAX_REFILL = 1000 * 365 * 24 * 3_600_000

/**
 * A limiter on the records of an engine, by the generic cell rate algorithm.
 *
 * What is kept of a key is the time at which it is whole again, and nothing once it is.
 */
export class RecordLimiter implements Limiter {
  readonly #records: Records

  constructor(records: Records) {
    this.#records = records
  }

  async take(key: string, allowance: Allowance): Promise<Verdict> {
    const bytes = checkName('key', key)
    const { rate, burst, cost } = checkAllowance(allowance)
    const interval = 1000 / rate
    return this.#records.change(bytes, ({ record, now }) => {
      const whole = Math.max(record?.number ?? now, now)
      const then = whole + cost * interval
      const late = then - now - burst * interval
      // What is added up in fractions of a millisecond misses a whole one by a little.
      const allowed = late <= 1e-6
      const left = burst - ((allowed ? then : whole) - now) / interval
      const remaining = Math.max(0, Math.floor(left + 1e-6))
      const result = { allowed, retryAfter: allowed ? 0 : Math.ceil(late - 1e-6), remaining }
      return allowed && cost > 0 ? { result, record: { number: then, text: '', expires: then } } : { result }
    })
  }
}

/** The allowance, whole. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function checkAllowance({ rate, burst, cost = 1 }: Allowance): Required<Allowance> {
  if (!Number.isFinite(rate) || rate <= 0)
    throw invalid('`rate` must be a number of units per second, above 0')
  if (!isWhole(burst, 1)) throw invalid('`burst` must be a whole number, at least 1')
  if ((1000 * burst) / rate > MAX_REFILL) throw invalid('`burst` at this `rate` takes more than 1,000 years')
  if (!isWhole(cost, 0, burst)) throw invalid('`cost` must be a whole number, at most `burst`')
  return { rate, burst, cost }
}
