import { randomBytes } from 'node:crypto'

/** Opcodes of WebSocket frames, with the FIN bit (RFC 6455, 5.2). */
export const TEXT = 0x81
export const BINARY = 0x82
const CLOSE = 0x88
const PING = 0x89
const PONG = 0x8a

/**
 * A client's frame, masked with a random key.
 *
 * @param {number} opcode
 * @param {Buffer} body
 */
export function maskedFrame(opcode, body) {
  const key = randomBytes(4)
  const masked = Buffer.from(body)
  for (let i = 0; i < masked.length; i++) masked[i] ^= key[i & 3]
  return Buffer.concat([Buffer.from([opcode, ...lengthBytes(body.length), ...key]), masked])
}

/** The frame by which a client ends a connection in order, with the code 1000. */
export function closeFrame() {
  return maskedFrame(CLOSE, Buffer.from([0x03, 0xe8]))
}

/** @param {number} length */
function lengthBytes(length) {
  if (length < 126) return [0x80 | length]
  if (length < 0x10000) return [0x80 | 126, length >> 8, length & 0xff]
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(length))
  return [0x80 | 127, ...bytes]
}

/** Takes frames from a server out of the chunks of a socket. */
export class FrameReader {
  /** @type {Buffer | undefined} */
  #rest

  /**
   * Calls `body` with each whole text or binary frame; returns a ping's answer, if one came.
   *
   * @param {Buffer} chunk
   * @param {(body: Buffer) => void} body with a view, good for the moment
   * @returns {Buffer | undefined}
   */
  read(chunk, body) {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk])
    let pong
    let at = 0
    for (;;) {
      const start = at + headerSize(bytes, at)
      if (start > bytes.length) break
      const end = start + bodySize(bytes, at)
      if (end > bytes.length) break
      if (bytes[at] === PING) pong = maskedFrame(PONG, bytes.subarray(start, end))
      else if (bytes[at] === TEXT || bytes[at] === BINARY) body(bytes.subarray(start, end))
      // After a close frame the socket ends, which is noticed there.
      else if (bytes[at] !== PONG && bytes[at] !== CLOSE) {
        throw new Error(`The server sent a frame of type ${bytes[at]}`)
      }
      at = end
    }
    this.#rest = at < bytes.length ? bytes.subarray(at) : undefined
    return pong
  }
}

/**
 * @param {Buffer} bytes
 * @param {number} at
 * @returns {number} Infinity while it cannot be told
 */
function headerSize(bytes, at) {
  if (at + 2 > bytes.length) return Number.POSITIVE_INFINITY
  const length = bytes[at + 1]
  return length < 126 ? 2 : length === 126 ? 4 : 10
}

/**
 * @param {Buffer} bytes
 * @param {number} at
 */
function bodySize(bytes, at) {
  const length = bytes[at + 1]
  if (length < 126) return length
  return length === 126 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2))
}
