/**
 * Validates msgpack bytes before a decoder sees them.
 *
 * Decoders trust lengths, recurse, and build what extensions tell them to. One linear pass over the
 * bytes, with a stack of fixed size, makes sure that there is nothing in them but the agreed types
 * within the limits; after it a decoder cannot be led astray.
 *
 * Layout: https://github.com/msgpack/msgpack/blob/master/spec.md
 */
import { LIMITS } from '../protocol/envelope.js'
import { badFrame } from './codec.js'

/** Flag: a `Set`, extension type 1, is inside. */
export const HAS_SET = 1
/** Flag: a text is inside that begins with U+FEFF and is so long that msgpackr would take it away. */
export const HAS_MARK = 2

/** The extension type of a `Set`: its data is the array of its elements. */
export const EXT_SET = 1
/** The extension type of a `Date`: the timestamp of the msgpack specification, -1. */
const EXT_TIMESTAMP = 0xff

const MAX_NANOSECONDS = 999_999_999
const MAX_DATE = 8.64e15

const PROTO = Uint8Array.from('__proto__', char => char.charCodeAt(0))

const FIXED = 0
const TEXT = 1
const BYTES = 2
const ARRAY = 3
const MAP = 4
const EXT = 5
const FIXEXT = 6
const NONE = 7

// the formats c0 to df: what each is, and how many bytes hold it or its length
const FAMILIES = Uint8Array.from('07002225550000000000666661113344', Number)
const WIDTHS = Uint8Array.of(
  ...[0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8],
  ...[1, 2, 4, 8, 1, 2, 4, 8, 16, 1, 2, 4, 2, 4, 2, 4],
)

// of the containers around the open one: what they still expect (a key and its value are two), whether
// they are maps, and where a Set has to end
const pending = new Int32Array(LIMITS.depth)
const inMap = new Uint8Array(LIMITS.depth)
const setEnds = new Float64Array(LIMITS.depth)

let flags = 0

/**
 * Checks that the bytes from `start` to `end` are exactly one agreed value.
 *
 * @returns `HAS_SET` and `HAS_MARK`, as found
 * @throws SocketStreamError `BAD_FRAME`
 */
export function scan(bytes: Uint8Array, start: number, end: number): number {
  if (skipValue(bytes, start, end) !== end) throw badFrame('Bytes behind the value')
  return flags
}

/**
 * Checks the value that begins at `start` and finds its end.
 *
 * @returns the index behind it
 * @throws SocketStreamError `BAD_FRAME`
 */
export function skipValue(bytes: Uint8Array, start: number, end: number): number {
  flags = 0
  let at = start
  let elements = 0
  let level = 0
  let left = 1
  let map = 0
  let until = 0
  for (;;) {
    while (left === 0) {
      if (until !== 0 && until !== at) throw badFrame('A Set longer or shorter than it says')
      if (level === 0) return at
      level--
      left = pending[level]!
      map = inMap[level]!
      until = setEnds[level]!
    }
    if (at >= end) throw short()
    const byte = bytes[at++]!
    left--
    if (map !== 0 && (left & 1) === 1) {
      at = skipKey(bytes, at, end, byte)
      continue
    }
    if (++elements > LIMITS.elements) throw badFrame(`More than ${LIMITS.elements} values`)
    if (byte < 0x80 || byte >= 0xe0) continue

    let family = byte < 0x90 ? MAP : byte < 0xa0 ? ARRAY : TEXT
    let size = family === TEXT ? byte & 0x1f : byte & 0x0f
    let stop = 0
    if (byte >= 0xc0) {
      family = FAMILIES[byte - 0xc0]!
      size = WIDTHS[byte - 0xc0]!
      if (family === NONE) throw badFrame('The byte c1')
      if (family !== FIXED && family !== FIXEXT) {
        const width = size
        size = readLength(bytes, at, end, width)
        at += width
      }
    }
    if (family <= BYTES) {
      if (size > 64 && family === TEXT && hasMark(bytes, at)) flags |= HAS_MARK
      at += size
      if (at > end) throw short()
      continue
    }
    if (family >= EXT) {
      stop = at + 1 + size
      if (stop > end) throw short()
      const type = bytes[at++]!
      if (type === EXT_TIMESTAMP) {
        checkTimestamp(bytes, at, size)
        at = stop
        continue
      }
      const head = at < stop ? bytes[at++]! : 0
      const width = head === 0xdc ? 2 : head === 0xdd ? 4 : 0
      if (type !== EXT_SET || (width === 0 && (head & 0xf0) !== 0x90)) throw badFrame(`The extension ${type}`)
      flags |= HAS_SET
      family = ARRAY
      size = width === 0 ? head & 0x0f : readLength(bytes, at, stop, width)
      at += width
    }
    if (level === LIMITS.depth) throw badFrame(`A value deeper than ${LIMITS.depth} levels`)
    pending[level] = left
    inMap[level] = map
    setEnds[level] = until
    level++
    map = family === MAP ? 1 : 0
    left = size << map
    until = stop
    // every key and value takes a byte at least; large sizes are compared before they are doubled
    if (size > end - at || left > end - at) throw short()
  }
}

/** Whether a text begins with U+FEFF. */
function hasMark(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0xef && bytes[at + 1] === 0xbb && bytes[at + 2] === 0xbf
}

function skipKey(bytes: Uint8Array, at: number, end: number, byte: number): number {
  let size = byte & 0x1f
  let start = at
  if (byte < 0xa0 || byte >= 0xc0) {
    if (byte < 0xd9 || byte > 0xdb) throw badFrame('A key that is no string')
    const width = 1 << (byte - 0xd9)
    size = readLength(bytes, at, end, width)
    start += width
  }
  if (start + size > end) throw short()
  if (size > 64 && hasMark(bytes, start)) flags |= HAS_MARK
  if (size === PROTO.length && PROTO.every((char, i) => bytes[start + i] === char))
    throw badFrame('The key __proto__')
  return start + size
}

function readLength(bytes: Uint8Array, at: number, end: number, width: number): number {
  if (at + width > end) throw short()
  let length = 0
  for (let i = at; i < at + width; i++) length = length * 256 + bytes[i]!
  return length
}

/** Seconds and nanoseconds in 4, 8 or 12 bytes; they must make a valid Date. */
function checkTimestamp(bytes: Uint8Array, at: number, size: number): void {
  if (size === 4) return
  if (size !== 8 && size !== 12) throw badFrame('A timestamp of a wrong size')
  const first = readLength(bytes, at, at + 4, 4)
  const nanoseconds = size === 8 ? Math.floor(first / 4) : first
  if (nanoseconds > MAX_NANOSECONDS) throw badFrame('A timestamp of more than a second of nanoseconds')
  if (size === 8) return
  const high = readLength(bytes, at + 4, at + 8, 4) | 0
  const seconds = high * 0x1_0000_0000 + readLength(bytes, at + 8, at + 12, 4)
  if (Math.abs(seconds * 1000 + nanoseconds / 1e6) > MAX_DATE) throw badFrame('A timestamp past all dates')
}

function short(): Error {
  return badFrame('A value cut short')
}
