/**
 * Writes frames whose payload is small, straight into a slab of bytes, examining it on the way.
 *
 * Short ASCII texts, numbers, and small arrays and objects of them are what most calls and events
 * carry; for these one pass takes half the time of examining and setting up a general encoder. The bytes
 * are those that msgpackr writes.
 */
import { writeHeader } from './msgpack-header.js'

const SLAB = 0x4000
/** Most bytes that a frame may take here. */
const ROOM = 1024
/** Most of them besides long texts. */
const ROOM_OF_OTHERS = 160
/** Characters up to which a loop is faster than Node's own writing, and past which the general way is as fast. */
const SHORT_TEXT = 48
const MAX_TEXT = 512
/** Levels that are tried; what is deeper is seldom small. */
const MAX_DEPTH = 2
const NO_HEADER = -1

let slab = Buffer.allocUnsafeSlow(SLAB)
let used = 0
/** Where the frame that is being written has to end; further on for each long text. */
let limit = 0
/** Where its room ends. */
let most = 0

/**
 * Encodes a frame when its payload is small.
 *
 * @returns a view that nothing writes to any more; undefined when the payload is something else
 */
export function encodeSmall(kind: number, service: number, id: number, payload: unknown): Buffer | undefined {
  return encode(kind, service, id, payload)
}

/** The same of a value alone, without a header. */
export function packSmall(value: unknown): Buffer | undefined {
  return encode(NO_HEADER, 0, 0, value)
}

function encode(kind: number, service: number, id: number, payload: unknown): Buffer | undefined {
  if (used + ROOM > SLAB) {
    slab = Buffer.allocUnsafeSlow(SLAB)
    used = 0
  }
  // all the room is taken first: a getter in the payload may encode something of its own
  const target = slab
  const start = used
  const reserved = start + ROOM
  used = reserved
  const limitBefore = limit
  const mostBefore = most
  most = reserved
  limit = start + ROOM_OF_OTHERS
  let at = kind === NO_HEADER ? start : writeHeader(target, start, kind, service, id, false)
  try {
    at = write(target, at, payload, 1)
  } catch {
    // a getter threw; the general way finds that out again and says so
    at = -1
  }
  limit = limitBefore
  most = mostBefore
  if (target === slab && used === reserved) used = at < 0 ? start : at
  return at < 0 ? undefined : target.subarray(start, at)
}

/** Writes one value; returns the index behind it, or -1 when it is not for here. */
function write(target: Buffer, at: number, value: unknown, depth: number): number {
  if (at + 9 > limit) return -1
  if (typeof value === 'string') return writeText(target, at, value)
  if (typeof value === 'number') return writeNumber(target, at, value)
  if (typeof value === 'boolean') target[at] = value ? 0xc3 : 0xc2
  else if (value == null) target[at] = 0xc0
  else if (typeof value !== 'object' || depth > MAX_DEPTH) return -1
  else if (Array.isArray(value)) return writeArray(target, at, value, depth)
  else return writeObject(target, at, value as Record<string, unknown>, depth)
  return at + 1
}

function writeArray(target: Buffer, start: number, items: unknown[], depth: number): number {
  const length = items.length
  if (length > 15) return -1
  target[start] = 0x90 | length
  let at = start + 1
  for (let i = 0; i < length && at > 0; i++) at = write(target, at, items[i], depth + 1)
  return at
}

function writeObject(target: Buffer, start: number, object: Record<string, unknown>, depth: number): number {
  if (Object.getPrototypeOf(object) !== Object.prototype) return -1
  let size = 0
  let at = start + 1
  for (const key in object) {
    const value = object[key]
    if (value === undefined) continue
    if (++size > 15 || key === '__proto__' || !Object.hasOwn(object, key)) return -1
    at = writeText(target, at, key)
    if (at > 0) at = write(target, at, value, depth + 1)
    if (at < 0) return -1
  }
  target[start] = 0x80 | size
  return at
}

function writeText(target: Buffer, start: number, text: string): number {
  const length = text.length
  let at = start
  if (length > SHORT_TEXT) return writeLong(target, at, text)
  if (at + 2 + length > limit) return -1
  if (length < 0x20) target[at++] = 0xa0 | length
  else {
    target[at++] = 0xd9
    target[at++] = length
  }
  for (let i = 0; i < length; i++) {
    const char = text.charCodeAt(i)
    if (char >= 0x80) return -1
    target[at++] = char
  }
  return at
}

function writeLong(target: Buffer, start: number, text: string): number {
  if (text.length > MAX_TEXT) return -1
  const size = Buffer.byteLength(text)
  if (size > MAX_TEXT || limit + size > most) return -1
  let at = start
  if (size < 0x100) {
    target[at++] = 0xd9
    target[at++] = size
  } else {
    target[at++] = 0xda
    target[at++] = size >>> 8
    target[at++] = size & 0xff
  }
  limit += size
  return at + target.write(text, at, size, size === text.length ? 'latin1' : 'utf8')
}

function writeNumber(target: Buffer, start: number, value: number): number {
  let at = start
  if (value >>> 0 === value) {
    if (value < 0x80) {
      target[at++] = value
      return at
    }
    if (value < 0x100) {
      target[at++] = 0xcc
      target[at++] = value
      return at
    }
    if (value < 0x1_0000) {
      target[at++] = 0xcd
      return target.writeUInt16BE(value, at)
    }
    target[at++] = 0xce
    return target.writeUInt32BE(value, at)
  }
  if (value >> 0 === value) {
    if (value >= -0x20) {
      target[at++] = value
      return at
    }
    if (value >= -0x80) {
      target[at++] = 0xd0
      target[at++] = value
      return at
    }
    if (value >= -0x8000) {
      target[at++] = 0xd1
      return target.writeInt16BE(value, at)
    }
    target[at++] = 0xd2
    return target.writeInt32BE(value, at)
  }
  target[at++] = 0xcb
  return target.writeDoubleBE(value, at)
}
