/**
 * Writes msgpack, in one pass into a buffer that is used again: for browsers, where a general library costs as much as
 * the whole rest of the client.
 *
 * It is given what `examine` has passed. Bytes of one value are those of `@msgpack/msgpack`, which tests compare.
 */
import { EXT_SET } from './msgpack-scan.js'
import { changed } from './values.js'

/** Bytes to begin with. */
const BUFFER = 0x800
/** A buffer of more bytes than this is given up. */
const MAX_KEPT = 0x1_0000
/** What `head` is told of the kinds of which it writes the length: the prefix of two bytes of it. */
const TEXT = 0xda
const BYTES = 0xc5
const EXTENSION = 0xc8
const ARRAY = 0xdc
const MAP = 0xde
const EXT_TIME = -1
const SHORT_TEXT = 0x20
const SHORT_LIST = 0x10

const encoder = new TextEncoder()
let bytes = new Uint8Array(BUFFER)
let at = 0

/**
 * Encodes a value that `examine` has passed.
 *
 * @throws SocketStreamError `UNENCODABLE` when the value is another by now
 */
export function encodeValue(value: unknown): Uint8Array {
  // A getter may encode something itself: that comes behind what is written so far, and is taken away again.
  const start = at
  try {
    write(value)
    return bytes.slice(start, at)
  } catch (cause) {
    throw changed(cause)
  } finally {
    at = start
    if (start === 0 && bytes.length > MAX_KEPT) bytes = new Uint8Array(BUFFER)
  }
}

function write(value: unknown): void {
  if (typeof value === 'string') writeText(value)
  else if (typeof value === 'number') writeNumber(value)
  else if (typeof value === 'boolean') byte(value ? 0xc3 : 0xc2)
  else if (value == null) byte(0xc0)
  else if (typeof value === 'bigint') {
    byte(value < 0 ? 0xd3 : 0xcf)
    integer(Number((value >> 32n) & 0xffffffffn), 4)
    integer(Number(value & 0xffffffffn), 4)
  } else if (Array.isArray(value)) writeList(value)
  else if (value instanceof Uint8Array) {
    head(value.length, BYTES, 0, 0)
    append(value)
  } else if (value instanceof Date) writeTime(value)
  else if (value instanceof Set) {
    const items = encodeValue([...value])
    const { length } = items
    // The lengths that have a prefix of their own: 1, 2, 4, 8 and 16.
    if (length <= 16 && (length & (length - 1)) === 0) byte(0xd4 + Math.log2(length))
    else head(length, EXTENSION, 0, 0)
    byte(EXT_SET)
    append(items)
  } else if (typeof value === 'object') writeMap(value)
  else throw new TypeError(typeof value)
}

function writeText(text: string): void {
  const { length } = text
  if (length < SHORT_TEXT) {
    room(length + 1)
    let to = at
    bytes[to++] = 0xa0 | length
    for (let from = 0; from < length; from++) {
      const char = text.charCodeAt(from)
      if (char > 0x7f) break
      bytes[to++] = char
    }
    if (to === at + length + 1) {
      at = to
      return
    }
  }
  const encoded = encoder.encode(text)
  head(encoded.length, TEXT, 0xa0, SHORT_TEXT)
  append(encoded)
}

function writeNumber(value: number): void {
  if (!Number.isInteger(value) || value > 0xffff_ffff || value < -0x8000_0000) {
    byte(0xcb)
    room(8)
    new DataView(bytes.buffer).setFloat64(at, value)
    at += 8
  } else if (value >= -0x20 && value < 0x80) byte(value)
  else {
    // By the bits that it takes: 8, 16 or 32 behind the prefix of the unsigned or of the signed ones.
    const bits = value < 0 ? -1 - value + (-1 - value) : value
    const size = bits > 0xffff ? 2 : bits > 0xff ? 1 : 0
    byte((value < 0 ? 0xd0 : 0xcc) + size)
    integer(value, 1 << size)
  }
}

function writeList(items: readonly unknown[]): void {
  head(items.length, ARRAY, 0x90, SHORT_LIST)
  // By index, as holes are sent as null.
  for (let index = 0; index < items.length; index++) write(items[index])
}

function writeMap(object: object): void {
  const entries = Object.entries(object).filter(([, member]) => member !== undefined)
  head(entries.length, MAP, 0x80, SHORT_LIST)
  for (const [key, member] of entries) {
    writeText(key)
    write(member)
  }
}

function writeTime(date: Date): void {
  const seconds = Math.floor(+date / 1000)
  const nanoseconds = (+date - seconds * 1000) * 1e6
  const high = Math.floor(seconds / 2 ** 32)
  const plain = nanoseconds === 0 && high === 0
  const short = high >= 0 && high < 4
  if (plain || short) byte(plain ? 0xd6 : 0xd7)
  else head(12, EXTENSION, 0, 0)
  byte(EXT_TIME)
  if (!plain) integer(short ? nanoseconds * 4 + high : nanoseconds, 4)
  if (!plain && !short) integer(high, 4)
  integer(seconds, 4)
}

/** The prefix of something with a length, which is in it if it is below `limit`. */
function head(length: number, prefix: number, fixed: number, limit: number): void {
  if (length < limit) byte(fixed | length)
  // Lists and maps have no length of one byte.
  else if (length < 0x100 && limit !== SHORT_LIST) {
    byte(prefix - 1)
    byte(length)
  } else {
    const size = length < 0x1_0000 ? 2 : 4
    byte(prefix + (size >> 2))
    integer(length, size)
  }
}

function byte(value: number): void {
  room(1)
  bytes[at++] = value
}

/** The lowest bytes of an integer, the highest of them first. */
function integer(value: number, size: number): void {
  // What does not fit into 32 bits is taken modulo those.
  const low = (value % 2 ** 32) | 0
  for (let shift = size * 8 - 8; shift >= 0; shift -= 8) byte(low >>> shift)
}

function append(more: Uint8Array): void {
  room(more.length)
  bytes.set(more, at)
  at += more.length
}

function room(size: number): void {
  if (at + size <= bytes.length) return
  const larger = new Uint8Array(Math.max(bytes.length * 2, at + size))
  larger.set(bytes.subarray(0, at))
  bytes = larger
}
