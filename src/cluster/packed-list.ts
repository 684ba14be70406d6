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

/**
 * Packs a list so that `unpack` reads it, its bytes copied as they are: what was packed before is not gone through again.
 *
 * @throws SocketStreamError `UNENCODABLE`
 */
export function packList(items: readonly unknown[]): Uint8Array {
  if (items.length > MOST_ITEMS) return pack(items)
  let size = 1
  /** What is packed by itself, in order. */
  let others: Uint8Array[] | undefined
  for (const item of items) {
    if (item === null) size += 1
    else if (isWhole(item)) size += 1 + 4
    else if (isShort(item)) size += 1 + item.length
    else if (item instanceof Uint8Array) size += headOf(item.length) + item.length
    else {
      const other = pack(item)
      others ??= []
      others.push(other)
      size += other.length
    }
  }
  const packed = Buffer.allocUnsafe(size)
  packed[0] = FIXED_LIST | items.length
  let at = 1
  let next = 0
  for (const item of items) {
    if (item === null) packed[at++] = NULL
    else if (isWhole(item)) {
      packed[at] = WHOLE_32
      at = packed.writeUInt32BE(item, at + 1)
    } else if (isShort(item)) {
      packed[at++] = FIXED_TEXT | item.length
      for (let i = 0; i < item.length; i++) packed[at++] = item.charCodeAt(i)
    } else {
      const isBytes = item instanceof Uint8Array
      if (isBytes) at = writeHead(packed, at, item.length)
      const part = isBytes ? item : others![next++]!
      packed.set(part, at)
      at += part.length
    }
  }
  return packed
}

/** Whether it is a whole number of 32 bits. */
function isWhole(item: unknown): item is number {
  return typeof item === 'number' && item >>> 0 === item
}

/** Whether it is a short text of ASCII. */
function isShort(item: unknown): item is string {
  if (typeof item !== 'string' || item.length > SHORT_TEXT) return false
  for (let i = 0; i < item.length; i++) if (item.charCodeAt(i) >= 0x80) return false
  return true
}

/** Bytes of the head of bytes. */
function headOf(length: number): number {
  return length < 0x100 ? 2 : length < 0x1_0000 ? 3 : 5
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
