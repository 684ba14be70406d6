import { SocketStreamError } from '../../errors.js'

/** Objects within each other: what codecs take, less what messages wrap around a record. */
const MAX_DEPTH = 64

/** A record: an object of JSON. */
export type Plain = Readonly<Record<string, unknown>>

/**
 * What JSON makes of a record: a copy that nobody else holds.
 *
 * @throws SocketStreamError `INVALID_ARGUMENTS` for what is no object, cannot be JSON, is more than
 * 64 levels deep, or has a key `__proto__`
 */
export function plain(value: unknown): Plain {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    throw new SocketStreamError('INVALID_ARGUMENTS', 'The record cannot be JSON; leave out what is not', {
      cause,
    })
  }
  if (text === undefined || !text.startsWith('{')) {
    throw new SocketStreamError('INVALID_ARGUMENTS', 'A record is an object, such as { text: "tea" }')
  }
  const copy: Plain = JSON.parse(text)
  check(copy, 1)
  return copy
}

function check(value: unknown, depth: number): void {
  if (typeof value !== 'object' || value === null) return
  if (depth > MAX_DEPTH) {
    throw new SocketStreamError(
      'INVALID_ARGUMENTS',
      `A record may be ${MAX_DEPTH} levels deep; make it flatter`,
    )
  }
  // Patches could not put it there.
  if (Object.hasOwn(value, '__proto__')) {
    throw new SocketStreamError(
      'INVALID_ARGUMENTS',
      'A record must not have a key `__proto__`; name it otherwise',
    )
  }
  for (const part of Object.values(value)) check(part, depth + 1)
}
