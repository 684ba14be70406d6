/**
 * Reads msgpack that `scan` has passed.
 *
 * As nothing can be wrong any more, it checks nothing. Bytes become copies of their own, a text may
 * begin with U+FEFF (which `TextDecoder` takes away unless told), malformed UTF-8 becomes U+FFFD.
 */
import { EXT_SET } from './msgpack-scan.js'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
/** Up to this many bytes a loop is faster than the decoder. */
const SHORT = 40

const EMPTY = new Uint8Array(0)
let bytes: Uint8Array = EMPTY
let at = 0

/** Reads the value that begins at `start`. */
export function readValue(source: Uint8Array, start: number): unknown {
  bytes = source
  at = start
  try {
    return value()
  } finally {
    // a module must not keep a frame alive
    bytes = EMPTY
  }
}

function value(): unknown {
  const byte = bytes[at++]!
  if (byte < 0x80) return byte
  if (byte < 0x90) return object(byte & 0x0f)
  if (byte < 0xa0) return array(byte & 0x0f)
  if (byte < 0xc0) return text(byte & 0x1f)
  if (byte >= 0xe0) return byte - 0x100
  switch (byte) {
    case 0xc2:
      return false
    case 0xc3:
      return true
    case 0xc4:
      return binary(unsigned(1))
    case 0xc5:
      return binary(unsigned(2))
    case 0xc6:
      return binary(unsigned(4))
    case 0xca:
      return number(4).getFloat32(0)
    case 0xcb:
      return number(8).getFloat64(0)
    case 0xcc:
      return unsigned(1)
    case 0xcd:
      return unsigned(2)
    case 0xce:
      return unsigned(4)
    case 0xcf:
      return number(8).getBigUint64(0)
    case 0xd0:
      return (unsigned(1) << 24) >> 24
    case 0xd1:
      return (unsigned(2) << 16) >> 16
    case 0xd2:
      return unsigned(4) | 0
    case 0xd3:
      return number(8).getBigInt64(0)
    case 0xd9:
      return text(unsigned(1))
    case 0xda:
      return text(unsigned(2))
    case 0xdb:
      return text(unsigned(4))
    case 0xdc:
      return array(unsigned(2))
    case 0xdd:
      return array(unsigned(4))
    case 0xde:
      return object(unsigned(2))
    case 0xdf:
      return object(unsigned(4))
    case 0xc7:
    case 0xc8:
    case 0xc9:
      return extension(unsigned(1 << (byte - 0xc7)))
    case 0xc0:
      return null
    default:
      return extension(1 << (byte - 0xd4))
  }
}

function unsigned(width: number): number {
  let result = 0
  for (const end = at + width; at < end; at++) result = result * 256 + bytes[at]!
  return result
}

const scratch = new DataView(new ArrayBuffer(8))

function number(width: number): DataView {
  for (let i = 0; i < width; i++) scratch.setUint8(i, bytes[at++]!)
  return scratch
}

function text(size: number): string {
  const start = at
  at += size
  if (size > SHORT) return decoder.decode(bytes.subarray(start, at))
  let result = ''
  for (let i = start; i < at; i++) {
    const byte = bytes[i]!
    if (byte >= 0x80) return decoder.decode(bytes.subarray(start, at))
    result += String.fromCharCode(byte)
  }
  return result
}

function binary(size: number): Uint8Array {
  at += size
  return new Uint8Array(bytes.subarray(at - size, at))
}

function array(size: number): unknown[] {
  const result = new Array<unknown>(size)
  for (let i = 0; i < size; i++) result[i] = value()
  return result
}

function object(size: number): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (let i = 0; i < size; i++) {
    const key = value() as string
    result[key] = value()
  }
  return result
}

function extension(size: number): unknown {
  const type = bytes[at++]!
  if (type === EXT_SET) return new Set(value() as unknown[])
  // a timestamp: seconds, or nanoseconds and seconds in 30 and 34 bits, or in 32 and 64
  if (size === 4) return new Date(unsigned(4) * 1000)
  const first = unsigned(4)
  if (size === 8)
    return new Date(((first & 3) * 0x1_0000_0000 + unsigned(4)) * 1000 + Math.floor((first >>> 2) / 1e6))
  const seconds = (unsigned(4) | 0) * 0x1_0000_0000
  return new Date((seconds + unsigned(4)) * 1000 + Math.floor(first / 1e6))
}
