import type { Writable } from 'node:stream'
import type { Frame } from '../codec/codec.js'

/** Bodies of this many bytes are written where they lie: above it a copy costs more than a write. */
export const LARGE_BODY = 16 * 1024

const FIN_TEXT = 0x81
const FIN_BINARY = 0x82

/** Bytes in the header of an unmasked WebSocket frame with a body of `size` bytes (RFC 6455, 5.2). */
export function headerSize(size: number): number {
  return size < 126 ? 2 : size < 65536 ? 4 : 10
}

/** Bytes that a frame's body has on a WebSocket. */
export function bodySize(frame: Frame): number {
  return typeof frame === 'string' ? Buffer.byteLength(frame) : frame.length
}

/**
 * Packs frames, each with its WebSocket header, into one new buffer.
 *
 * @param sizes `bodySize` of each frame
 * @param from first frame
 * @param to the one after the last
 */
export function packFrames(frames: readonly Frame[], sizes: readonly number[], from: number, to: number) {
  let total = 0
  for (let i = from; i < to; i++) total += headerSize(sizes[i]!) + sizes[i]!
  const packed = Buffer.allocUnsafe(total)
  let offset = 0
  for (let i = from; i < to; i++) {
    const frame = frames[i]!
    const size = sizes[i]!
    offset = writeHeader(packed, offset, frame, size)
    if (typeof frame === 'string') packed.write(frame, offset, size, 'utf8')
    else packed.set(frame, offset)
    offset += size
  }
  return packed
}

/** Writes frames to a socket in one go, packing the small ones and copying none of the large. */
export function writeFrames(socket: Writable, frames: readonly Frame[], sizes: readonly number[]): void {
  socket.cork()
  let from = 0
  for (let i = 0; i < frames.length; i++) {
    const frame = frames[i]!
    const size = sizes[i]!
    if (typeof frame === 'string' || size < LARGE_BODY) continue
    if (from < i) socket.write(packFrames(frames, sizes, from, i))
    const header = Buffer.allocUnsafe(headerSize(size))
    writeHeader(header, 0, frame, size)
    socket.write(header)
    socket.write(frame)
    from = i + 1
  }
  if (from < frames.length) socket.write(packFrames(frames, sizes, from, frames.length))
  socket.uncork()
}

function writeHeader(target: Buffer, offset: number, frame: Frame, size: number): number {
  target[offset] = typeof frame === 'string' ? FIN_TEXT : FIN_BINARY
  if (size < 126) {
    target[offset + 1] = size
    return offset + 2
  }
  if (size < 65536) {
    target[offset + 1] = 126
    target[offset + 2] = size >> 8
    target[offset + 3] = size & 0xff
    return offset + 4
  }
  target[offset + 1] = 127
  target.writeUInt32BE(Math.floor(size / 2 ** 32), offset + 2)
  target.writeUInt32BE(size % 2 ** 32, offset + 6)
  return offset + 10
}
