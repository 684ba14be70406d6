/**
 * Small msgpack payloads in one pass: checked while they are read, by hand.
 *
 * Most messages are a few words and numbers. Scanning them first and unpacking them then costs twice as
 * much as this, which knows the usual formats only and gives up on everything else: whatever has many parts, is
 * rare or malformed goes the careful way. Long texts are left to Node, which is what takes time in them anyway.
 */

/** What `readSmall` returns for payloads that it leaves to others. */
export const NOT_SMALL: unique symbol = Symbol('not small')

/** Levels it goes down; far fewer than the limit, so that nothing here counts them against it. */
const MAX_LEVELS = 8
/** Bytes besides long texts: what has more is likely to end in something that is not for here. */
const MAX_BYTES = 256
/** Up to this many bytes of ASCII a loop is faster than the decoder. */
const SHORT = 48
/** Strings kept for keys, by a hash of their bytes. */
const KEYS = 1024

const knownKeys: string[] = new Array(KEYS).fill('')

let bytes: Uint8Array = new Uint8Array(0)
let at = 0
let end = 0
/** Where it gives up. */
let limit = 0
let gaveUp = false

/**
 * Reads the value from `start` to `stop`.
 *
 * @returns the value, or `NOT_SMALL`
 */
export function readSmall(source: Uint8Array, start: number, stop: number): unknown {
  bytes = source
  at = start
  end = stop
  limit = start + MAX_BYTES
  gaveUp = false
  const value = read(0)
  return gaveUp || at !== end ? NOT_SMALL : value
}

function giveUp(): undefined {
  gaveUp = true
  return undefined
}

function read(level: number): unknown {
  if (gaveUp || at >= end || at > limit || level > MAX_LEVELS) return giveUp()
  const byte = bytes[at++]!
  if (byte < 0x80) return byte
  if (byte >= 0xe0) return byte - 0x100
  if (byte < 0x90) return readObject(byte & 0x0f, level)
  if (byte < 0xa0) return readArray(byte & 0x0f, level)
  if (byte < 0xc0) return readText(byte & 0x1f)
  switch (byte) {
    case 0xc0:
      return null
    case 0xc2:
      return false
    case 0xc3:
      return true
    case 0xcc:
      return readInteger(1)
    case 0xcd:
      return readInteger(2)
    case 0xce:
      return readInteger(4)
    case 0xd9:
      return at < end ? readText(bytes[at++]!) : giveUp()
    case 0xda:
      return at + 1 < end ? readText(bytes[at++]! * 256 + bytes[at++]!) : giveUp()
    default:
      return giveUp()
  }
}

function readInteger(size: number): number | undefined {
  if (at + size > end) return giveUp()
  let integer = 0
  for (let i = 0; i < size; i++) integer = integer * 256 + bytes[at++]!
  return integer
}

function readArray(size: number, level: number): unknown[] {
  const array = new Array<unknown>(size)
  for (let i = 0; i < size && !gaveUp; i++) array[i] = read(level + 1)
  return array
}

function readObject(size: number, level: number): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  for (let i = 0; i < size; i++) {
    const key = readKey()
    if (key === undefined || key === '__proto__') {
      giveUp()
      break
    }
    object[key] = read(level + 1)
    if (gaveUp) break
  }
  return object
}

/** A key is mostly one that was read before, and then the very same string. */
function readKey(): string | undefined {
  const head = at < end ? bytes[at]! : 0
  const size = head & 0x1f
  const start = at + 1
  if (head < 0xa0 || head > 0xbf || start + size > end) return undefined
  at = start + size
  let hash = size
  for (let i = start; i < at; i++) hash = (Math.imul(hash, 31) + bytes[i]!) | 0
  const slot = (hash ^ (hash >>> 10)) & (KEYS - 1)
  const known = knownKeys[slot]!
  if (known.length === size && matches(known, start)) return known
  const key = ascii(start, at)
  if (key !== undefined) knownKeys[slot] = key
  return key
}

function matches(text: string, start: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[start + i]) return false
  return true
}

function readText(size: number): string | undefined {
  const start = at
  at += size
  if (at > end) return giveUp()
  if (size <= SHORT) return ascii(start, at) ?? giveUp()
  if (!Buffer.isBuffer(bytes)) return giveUp()
  limit += size
  return bytes.toString('utf8', start, at)
}

/** Text of ASCII only, eight characters at a time: one call each would build a long chain of pieces. */
function ascii(from: number, to: number): string | undefined {
  const source = bytes
  let text = ''
  let i = from
  for (; i + 8 <= to; i += 8) {
    const a = source[i]!
    const b = source[i + 1]!
    const c = source[i + 2]!
    const d = source[i + 3]!
    const e = source[i + 4]!
    const f = source[i + 5]!
    const g = source[i + 6]!
    const h = source[i + 7]!
    if ((a | b | c | d | e | f | g | h) & 0x80) return undefined
    text += String.fromCharCode(a, b, c, d, e, f, g, h)
  }
  // The rest, up to seven characters, in as few calls as there are cases.
  const a = i < to ? source[i]! : 0
  const b = i + 1 < to ? source[i + 1]! : 0
  const c = i + 2 < to ? source[i + 2]! : 0
  const d = i + 3 < to ? source[i + 3]! : 0
  if ((a | b | c | d) & 0x80) return undefined
  switch (to - i) {
    case 0:
      return text
    case 1:
      return text + String.fromCharCode(a)
    case 2:
      return text + String.fromCharCode(a, b)
    case 3:
      return text + String.fromCharCode(a, b, c)
    case 4:
      return text + String.fromCharCode(a, b, c, d)
  }
  text += String.fromCharCode(a, b, c, d)
  for (i += 4; i < to; i++) {
    if (source[i]! & 0x80) return undefined
    text += String.fromCharCode(source[i]!)
  }
  return text
}
