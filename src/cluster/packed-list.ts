import { skipValue } from '../codec/msgpack-scan.js'
import { pack, unpackAt } from '../codec/packed.js'

/** Items of the longest list that is written here. */
const MOST_ITEMS = 15
const FIXED_LIST = 0x90
const FIXED_TEXT = 0xa0
/** Characters of the longest text whose length is in its head. */
const SHORT_TEXT = 31
const NULL = 0xc0
/** The heads of bytes whose length takes 1, 2 and 4 bytes, and of a whole number of 4. */
const BYTES_8 = 0xc4
const BYTES_16 = 0xc5
const BYTES_32 = 0xc6
const WHOLE_32 = 0xce
/** Bytes of the longest of these heads. */
const LONGEST_HEAD = 5

/**
 * Packs a list so that `unpack` reads it, its bytes copied as they are: what was packed before is not gone through again.
 *
 * @throws SocketStreamError `UNENCODABLE`
 */
export function packList(items: readonly unknown[]): Uint8Array {
  if (items.length > MOST_ITEMS) return pack(items)
  let size = 1
  const parts = items.map(item => {
    const part = item instanceof Uint8Array || isPlain(item) ? item : pack(item)
    size += LONGEST_HEAD
    if (part !== null && typeof part !== 'number') size += part.length
    return part
  })
  const packed = Buffer.allocUnsafe(size)
  packed[0] = FIXED_LIST | items.length
  let at = 1
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index] as Plain | Uint8Array
    if (part === null) packed[at++] = NULL
    else if (typeof part === 'number') {
      packed[at] = WHOLE_32
      at = packed.writeUInt32BE(part, at + 1)
    } else if (typeof part === 'string') {
      packed[at++] = FIXED_TEXT | part.length
      for (let i = 0; i < part.length; i++) packed[at++] = part.charCodeAt(i)
    } else {
      if (part === items[index]) at = writeHead(packed, at, part.length)
      packed.set(part, at)
      at += part.length
    }
  }
  return packed.subarray(0, at)
}

type Plain = string | number | null

/** Whether it is written by hand: null, a whole number of 32 bits, or a short text of ASCII. */
function isPlain(item: unknown): item is Plain {
  if (typeof item === 'number') return item >>> 0 === item
  if (typeof item !== 'string' || item.length > SHORT_TEXT) return item === null
  for (let i = 0; i < item.length; i++) if (item.charCodeAt(i) >= 0x80) return false
  return true
}

function writeHead(packed: Buffer, at: number, length: number): number {
  if (length < 0x100) {
    packed[at] = BYTES_8
    return packed.writeUInt8(length, at + 1)
  }
  if (length < 0x1_0000) {
    packed[at] = BYTES_16
    return packed.writeUInt16BE(length, at + 1)
  }
  packed[at] = BYTES_32
  return packed.writeUInt32BE(length, at + 1)
}

/**
 * Reads a packed list, its bytes as views of those that are given; undefined for another value.
 *
 * @throws SocketStreamError `BAD_FRAME` for other bytes
 */
export function unpackList(bytes: Uint8Array): unknown[] | undefined {
  const head = bytes[0] ?? 0
  if ((head & 0xf0) !== FIXED_LIST) return undefined
  const items = new Array<unknown>(head & 0x0f)
  let at = 1
  for (let index = 0; index < items.length; index++) {
    const start = at
    // Checks the item, so that nothing below is past the end.
    at = skipValue(bytes, start, bytes.length)
    const kind = bytes[start]!
    if (kind < 0x80) items[index] = kind
    else if (kind >= BYTES_8 && kind <= BYTES_32) {
      items[index] = bytes.subarray(start + 1 + (1 << (kind - BYTES_8)), at)
    } else items[index] = unpackAt(bytes, start, at)
  }
  if (at !== bytes.length) return undefined
  return items
}
