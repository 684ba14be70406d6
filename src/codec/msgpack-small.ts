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
const ROOM = 160
const MAX_TEXT = 64
/** Levels that are tried; what is deeper is seldom small. */
const MAX_DEPTH = 2

let slab = Buffer.allocUnsafeSlow(SLAB)
let used = 0

/**
 * Encodes a frame when its payload is small.
 *
 * @returns a view that nothing writes to any more; undefined when the payload is something else
 */
export function encodeSmall(kind: number, service: number, id: number, payload: unknown): Buffer | undefined {
  if (used + ROOM > SLAB) {
    slab = Buffer.allocUnsafeSlow(SLAB)
    used = 0
  }
  // all the room is taken first: a getter in the payload may encode something of its own
  const target = slab
  const start = used
  const reserved = start + ROOM
  used = reserved
  let at = writeHeader(target, start, kind, service, id, false)
  try {
    at = write(target, at, reserved, payload, 1)
  } catch {
    // a getter threw; the general way finds that out again and says so
    at = -1
  }
  if (target === slab && used === reserved) used = at < 0 ? start : at
  return at < 0 ? undefined : target.subarray(start, at)
}

/** Writes one value; returns the index behind it, or -1 when it is not for here. */
function write(target: Buffer, at: number, end: number, value: unknown, depth: number): number {
  if (at + 9 > end) return -1
  if (typeof value === 'string') return writeText(target, at, end, value)
  if (typeof value === 'number') return writeNumber(target, at, value)
  if (typeof value === 'boolean') target[at] = value ? 0xc3 : 0xc2
  else if (value == null) target[at] = 0xc0
  else if (typeof value !== 'object' || depth > MAX_DEPTH) return -1
  else if (Array.isArray(value)) return writeArray(target, at, end, value, depth)
  else return writeObject(target, at, end, value as Record<string, unknown>, depth)
  return at + 1
}

function writeArray(target: Buffer, start: number, end: number, items: unknown[], depth: number): number {
  const length = items.length
  if (length > 15) return -1
  target[start] = 0x90 | length
  let at = start + 1
  for (let i = 0; i < length && at > 0; i++) at = write(target, at, end, items[i], depth + 1)
  return at
}

function writeObject(
  target: Buffer,
  start: number,
  end: number,
  object: Record<string, unknown>,
  depth: number,
): number {
  if (Object.getPrototypeOf(object) !== Object.prototype) return -1
  let size = 0
  let at = start + 1
  for (const key in object) {
    const value = object[key]
    if (value === undefined) continue
    if (++size > 15 || key === '__proto__' || !Object.hasOwn(object, key)) return -1
    at = writeText(target, at, end, key)
    if (at > 0) at = write(target, at, end, value, depth + 1)
    if (at < 0) return -1
  }
  target[start] = 0x80 | size
  return at
}

function writeText(target: Buffer, start: number, end: number, text: string): number {
  const length = text.length
  let at = start
  if (length > MAX_TEXT || at + 2 + length > end) return -1
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
