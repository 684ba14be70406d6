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

/** First bytes of control frames. */
export const CLOSE_FRAME = 0x88
export const PONG_FRAME = 0x8a
/** A ping that says nothing. */
export const PING_FRAME = Buffer.of(0x89, 0)

/** A control frame with a body of 125 bytes at most. */
export function controlFrame(first: number, body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(2 + body.length)
  frame[0] = first
  frame[1] = body.length
  frame.set(body, 2)
  return frame
}

/** Packs a frame with its WebSocket header, `total` bytes in all, into a new buffer. */
export function packFrame(frame: Frame, total: number): Buffer {
  const packed = Buffer.allocUnsafe(total)
  writeFrame(packed, 0, frame)
  return packed
}

/**
 * Packs frames, each with its WebSocket header, into one new buffer.
 *
 * @param from first frame
 * @param to the one after the last
 */
export function packFrames(frames: readonly Frame[], from: number, to: number): Buffer {
  let total = 0
  for (let i = from; i < to; i++) {
    const size = bodySize(frames[i]!)
    total += headerSize(size) + size
  }
  const packed = Buffer.allocUnsafe(total)
  let offset = 0
  for (let i = from; i < to; i++) offset = writeFrame(packed, offset, frames[i]!)
  return packed
}

/** Writes frames to a socket in one go, packing the small ones and copying none of the large. */
export function writeFrames(socket: Writable, frames: readonly Frame[]): void {
  socket.cork()
  let from = 0
  for (let i = 0; i < frames.length; i++) {
    const frame = frames[i]!
    if (typeof frame === 'string' || frame.length < LARGE_BODY) continue
    if (from < i) socket.write(packFrames(frames, from, i))
    const header = Buffer.allocUnsafe(headerSize(frame.length))
    writeHeader(header, 0, frame, frame.length)
    socket.write(header)
    socket.write(frame)
    from = i + 1
  }
  if (from < frames.length) socket.write(packFrames(frames, from, frames.length))
  socket.uncork()
}

/** Returns where the next one goes. */
function writeFrame(target: Buffer, at: number, frame: Frame): number {
  const size = bodySize(frame)
  const offset = writeHeader(target, at, frame, size)
  if (typeof frame === 'string') target.write(frame, offset, size, 'utf8')
  else target.set(frame, offset)
  return offset + size
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
