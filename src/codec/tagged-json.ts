/**
 * Values as JSON text: tags for what JSON lacks, and reading that trusts nothing.
 *
 * | value | text |
 * |---|---|
 * | `Uint8Array` | `{"$t":["u8","<base64>"]}` |
 * | `Date` | `{"$t":["d",<milliseconds since the epoch>]}` |
 * | NaN, Infinity, -Infinity | `{"$t":["n","NaN"]}` and so on |
 * | bigint | `{"$t":["b","<decimal digits>"]}` |
 * | `Set` | `{"$t":["s",[<elements>]]}` |
 * | object with a key `$t` of its own | `{"$t":["o",{<the object>}]}` |
 */
import { SocketStreamError } from '../errors.js'
import { LIMITS } from '../protocol/envelope.js'
import { examine, fits64, SHAPE, shapeOf, TAGGED } from './values.js'

/** Longest run of bytes turned into base64 at once: a multiple of 3, few enough to pass as arguments. */
const CHUNK = 0x6000
const MAX_DATE = 8.64e15
const INTEGER = /^(0|-?[1-9]\d{0,19})$/

let count = 0

/**
 * Writes a value as JSON text.
 *
 * @throws SocketStreamError `UNENCODABLE`
 */
export function toText(value: unknown): string {
  const flags = examine(value)
  if (value === undefined) return 'null'
  try {
    return JSON.stringify(flags & TAGGED ? tag(value) : value)
  } catch (cause) {
    throw new SocketStreamError('UNENCODABLE', 'The value changed while it was encoded', { cause })
  }
}

/**
 * Reads a value from JSON text, in linear time.
 *
 * @throws SocketStreamError `BAD_FRAME` on anything but one agreed value within the limits
 */
export function fromText(text: string): unknown {
  // an escape can spell any key, so such texts are looked through like those with tags
  const tagged = text.includes('$t') || text.includes('\\u')
  if (mayExceed(text)) {
    // a tag takes up to four values and three levels for one, and two more levels for the innermost
    skipText(text, 0, tagged ? 4 : 1, tagged ? 3 * LIMITS.depth + 2 : LIMITS.depth)
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new SocketStreamError('BAD_FRAME', 'The payload is not JSON', { cause })
  }
  if (!tagged && !text.includes('__proto__')) return value
  count = 1
  return untag(value, 1)
}

/**
 * Finds the end of the container that begins at `start`, without building it.
 *
 * @param values how many values of the text may make one
 * @param levels how deep it may go
 * @returns the index behind it, or the text's length where it does not end
 * @throws SocketStreamError `BAD_FRAME` past the limits
 */
export function skipText(text: string, start: number, values: number, levels: number): number {
  let depth = 0
  let elements = 1
  let opened = false
  for (let i = start; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char <= 0x20) continue
    if (char === 0x5d || char === 0x7d) {
      if (opened) elements--
      if (--depth <= 0) return i + 1
    } else if (char === 0x2c) elements++
    else if (char === 0x22) {
      for (i++; i < text.length && text.charCodeAt(i) !== 0x22; i++) if (text.charCodeAt(i) === 0x5c) i++
    }
    opened = char === 0x5b || char === 0x7b
    if (opened) {
      elements++
      depth++
    }
    // a bracket counts for a first member, until the next character says that there is none
    if (depth > levels || elements - Number(opened) > values * LIMITS.elements) {
      throw bad('A value past the limits')
    }
  }
  return text.length
}

function bad(message: string): SocketStreamError {
  return new SocketStreamError('BAD_FRAME', message)
}

/** Whether a text could be past the limits: long enough for the values, brackets enough for the depth. */
function mayExceed(text: string): boolean {
  if (text.length > 2 * LIMITS.elements) return true
  let brackets = 0
  for (const bracket of '[{') {
    for (
      let i = text.indexOf(bracket);
      i >= 0 && brackets <= LIMITS.depth;
      i = text.indexOf(bracket, i + 1)
    ) {
      brackets++
    }
  }
  return brackets > LIMITS.depth
}

/** Copies a value that was examined, with tags in it. */
function tag(value: unknown): unknown {
  if (typeof value === 'bigint') return { $t: ['b', String(value)] }
  if (typeof value === 'number' && !Number.isFinite(value)) return { $t: ['n', String(value)] }
  if (typeof value !== 'object' || value === null) return value
  switch (shapeOf(value)) {
    case SHAPE.ARRAY:
      return Array.from(value as unknown[], tag)
    case SHAPE.SET:
      return { $t: ['s', Array.from(value as Set<unknown>, tag)] }
    case SHAPE.DATE:
      return { $t: ['d', (value as Date).getTime()] }
    case SHAPE.BYTES:
      return { $t: ['u8', toBase64(value as Uint8Array)] }
  }
  const object = Object.fromEntries(Object.entries(value).map(([key, member]) => [key, tag(member)]))
  return Object.hasOwn(object, '$t') ? { $t: ['o', object] } : object
}

/** Puts values in the place of their tags, in what JSON.parse just built. */
function untag(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value) || !Object.hasOwn(value, '$t')) return untagMembers(value, depth)
  const { $t: pair, ...rest } = value as { $t: unknown }
  if (!Array.isArray(pair) || pair.length !== 2 || Object.keys(rest).length > 0) throw bad('A malformed tag')
  const [name, content] = pair as [unknown, unknown]
  if (name === 's' && Array.isArray(content)) return new Set(untagMembers(content, depth) as unknown[])
  if (name === 'o' && typeof content === 'object' && content !== null && !Array.isArray(content)) {
    return untagMembers(content, depth)
  }
  if (name === 'd' && Number.isInteger(content) && Math.abs(content as number) <= MAX_DATE) {
    return new Date(content as number)
  }
  if (typeof content === 'string') {
    if (name === 'u8') return fromBase64(content)
    if (name === 'n' && /^(NaN|-?Infinity)$/.test(content)) return Number(content)
    if (name === 'b' && INTEGER.test(content)) {
      const integer = BigInt(content)
      if (fits64(integer)) return integer
    }
  }
  throw bad('An unknown or malformed tag')
}

function untagMembers(container: object, depth: number): object {
  const members = container as Record<string, unknown>
  const keys = Object.keys(container)
  count += keys.length
  if (depth > LIMITS.depth || count > LIMITS.elements) throw bad('A value past the limits')
  for (const key of keys) {
    if (key === '__proto__') throw bad('The key __proto__')
    const member = members[key]
    if (typeof member === 'object') members[key] = untag(member, depth + 1)
  }
  return container
}

function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += CHUNK) {
    text += btoa(String.fromCharCode.apply(null, bytes.subarray(i, i + CHUNK) as unknown as number[]))
  }
  return text
}

function fromBase64(text: string): Uint8Array {
  let binary: string
  try {
    binary = atob(text)
  } catch (cause) {
    throw new SocketStreamError('BAD_FRAME', 'A tag with malformed base64', { cause })
  }
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}
