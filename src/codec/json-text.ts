/**
 * Values as JSON text, for servers: tags only where there is something to tag, and reading that
 * bounds what a stranger's text may cost before it is parsed.
 */
import { LIMITS } from '../protocol/envelope.js'
import { badFrame } from './codec.js'
import { fits64 } from './shape.js'
import { fromBase64, toTagged } from './tagged-json.js'
import { changed, examine, TAGGED } from './values.js'

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
  if (flags & TAGGED) return JSON.stringify(toTagged(value))
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw changed(cause)
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
    throw badFrame('The payload is not JSON', { cause })
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
      throw badFrame('A value past the limits')
    }
  }
  return text.length
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

/** Puts values in the place of their tags, in what `JSON.parse` just built. */
function untag(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value) || !Object.hasOwn(value, '$t')) return untagMembers(value, depth)
  const { $t: pair, ...rest } = value as { $t: unknown }
  if (!Array.isArray(pair) || pair.length !== 2 || Object.keys(rest).length > 0)
    throw badFrame('A malformed tag')
  const [name, content] = pair as [unknown, unknown]
  if (name === 's' && Array.isArray(content)) return new Set(untagMembers(content, depth) as unknown[])
  if (name === 'o' && typeof content === 'object' && content !== null && !Array.isArray(content)) {
    return untagMembers(content, depth)
  }
  if (name === 'd' && Number.isInteger(content) && Math.abs(content as number) <= MAX_DATE) {
    return new Date(content as number)
  }
  if (typeof content === 'string') {
    if (name === 'u8') return bytes(content)
    if (name === 'n' && /^(NaN|-?Infinity)$/.test(content)) return Number(content)
    if (name === 'b' && INTEGER.test(content)) {
      const integer = BigInt(content)
      if (fits64(integer)) return integer
    }
  }
  throw badFrame('An unknown or malformed tag')
}

function untagMembers(container: object, depth: number): object {
  const members = container as Record<string, unknown>
  const keys = Object.keys(container)
  count += keys.length
  if (depth > LIMITS.depth || count > LIMITS.elements) throw badFrame('A value past the limits')
  for (const key of keys) {
    if (key === '__proto__') throw badFrame('The key __proto__')
    const member = members[key]
    if (typeof member === 'object') members[key] = untag(member, depth + 1)
  }
  return container
}

function bytes(base64: string): Uint8Array {
  try {
    return fromBase64(base64)
  } catch (cause) {
    throw badFrame('A tag with malformed base64', { cause })
  }
}
