/**
 * JSON without tags, as SocketStream 0.4 had it.
 *
 * What JSON lacks goes out in the nearest form, from which nobody makes it again: a `Date` as ISO text, a
 * `Set` as a list, bytes as base64, a bigint as its digits, NaN and the infinities as null. To refuse them
 * would fail a broadcast for the sake of one old client.
 */
import { LIMITS } from '../protocol/envelope.js'
import { badFrame } from './codec.js'
import { skipText } from './json-text.js'
import { changed, examine } from './values.js'

/**
 * Writes a value as JSON without tags; undefined as null.
 *
 * @throws SocketStreamError `UNENCODABLE` for what other codecs refuse as well
 */
export function writePlain(value: unknown): string {
  const flags = examine(value)
  if (value === undefined) return 'null'
  try {
    return flags === 0 ? JSON.stringify(value) : JSON.stringify(value, plain)
  } catch (cause) {
    throw changed(cause)
  }
}

/**
 * Reads a value from JSON, whose tags mean nothing.
 *
 * @throws SocketStreamError `BAD_FRAME` on anything but one value within the limits
 */
export function readPlain(text: string): unknown {
  // A shorter one cannot be past either limit.
  if (text.length > LIMITS.depth) skipText(text, 0, 1, LIMITS.depth)
  // An escape can spell any key.
  const mayHaveProto = text.includes('__proto__') || text.includes('\\u')
  let hasProto = false
  let value: unknown
  try {
    value = mayHaveProto
      ? JSON.parse(text, (key, member: unknown) => {
          if (key === '__proto__') hasProto = true
          return member
        })
      : JSON.parse(text)
  } catch (cause) {
    throw badFrame('The payload is not JSON', { cause })
  }
  if (hasProto) throw badFrame('The key __proto__')
  return value
}

/** A replacer; the value that it is given has been through `toJSON`, which buffers have. */
function plain(this: unknown, key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return `${value}`
  const own = (this as Record<string, unknown>)[key]
  if (own instanceof Set) return [...own]
  if (own instanceof Uint8Array) return Buffer.from(own.buffer, own.byteOffset, own.length).toString('base64')
  return value
}
