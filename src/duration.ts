import { SocketStreamError } from './errors.js'

/** Milliseconds, or a text such as `'500ms'`, `'30s'`, `'2m'` or `'1h'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h'}`

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
/** Milliseconds that a timer of Node's can wait. */
export const LONGEST = 2 ** 31 - 1

/**
 * Reads a duration, in whole milliseconds from 0.
 *
 * @param name of the option, for the message
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function milliseconds(duration: Duration, name: string): number {
  const [, count, unit] = typeof duration === 'string' ? (/^(\d+)(ms|s|m|h)$/.exec(duration) ?? []) : []
  const value = typeof duration === 'number' ? duration : Number(count) * (UNITS[unit ?? ''] ?? Number.NaN)
  if (Number.isSafeInteger(value) && value >= 0 && value <= LONGEST) return value
  throw new SocketStreamError(
    'INVALID_OPTION',
    `\`${name}\` must be milliseconds up to ${LONGEST}, or a text such as '30s' or '2m'`,
  )
}
