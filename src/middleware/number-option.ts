import { SocketStreamError } from '../errors.js'

/** The longest time that a timer can be set to, in milliseconds. */
export const MAX_TIMER = 2 ** 31 - 1

/**
 * Checks an option that is a whole number.
 *
 * @param where names the option in the error, such as ``quota: `limit` ``
 * @param fix shows how it is given
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function wholeNumber(
  where: string,
  value: unknown,
  fix: string,
  min = 1,
  max = Number.MAX_SAFE_INTEGER,
): void {
  if (isWholeNumber(value, min, max)) return
  const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
  throw new SocketStreamError('INVALID_OPTION', `${where} must be a whole number ${range}; give ${fix}`)
}

/** Whether a value is a whole number in a range. */
export function isWholeNumber(value: unknown, min = 1, max = Number.MAX_SAFE_INTEGER): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
}
