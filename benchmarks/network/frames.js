import { randomBytes } from 'node:crypto'

/** Opcodes of WebSocket frames, with the FIN bit (RFC 6455, 5.2). */
export const TEXT = 0x81
export const BINARY = 0x82
const PING = 0x89
const PONG = 0x8a

/**
 * A client's frame, masked with a random key.
 *
 * @param {number} opcode
 * @param {Buffer} body under 64 kB
 */
export function maskedFrame(opcode, body) {
  const key = randomBytes(4)
  const length = body.length < 126 ? [0x80 | body.length] : [0xfe, body.length >> 8, body.length & 0xff]
  return Buffer.from([opcode, ...length, ...key, ...body.map((byte, i) => byte ^ key[i & 3])])
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
      else if (bytes[at] !== PONG) throw new Error(`The server sent a frame of type ${bytes[at]}`)
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
