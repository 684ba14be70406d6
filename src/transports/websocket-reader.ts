import { isUtf8 } from 'node:buffer'

/** What a reader tells of, while it reads. */
export interface WebSocketEvents {
  /** A whole message. The bytes belong to the listener; those of a text are UTF-8. */
  message(body: Buffer, binary: boolean): void
  ping(data: Buffer): void
  /** The peer has sent a close frame, 1005 for one without a code. Nothing is read after it. */
  concluded(code: number, reason: string): void
  /** What came breaks the rules; this is the close code for it. Nothing is read after it. */
  failed(code: number): void
}

/** Bounds of what a peer may send, 0 for none. */
export interface WebSocketBounds {
  /** Bytes of a message. */
  readonly maxPayload: number
  /** Fragments of a message. */
  readonly maxFragments: number
  /** Chunks that a frame may be received in. */
  readonly maxBufferedChunks: number
}

const FIN = 0x80
const RSV = 0x70
const MASKED = 0x80
const CONTINUATION = 0
const BINARY = 2
const CLOSE = 8
const PING = 9
const PONG = 10
/** Bytes in the longest body of a control frame. */
const MAX_CONTROL = 125
/** Bytes of the largest size that a number holds exactly, in the upper half of eight bytes. */
const MAX_UPPER = 0x1f_ffff

const PROTOCOL_ERROR = 1002
const NO_CODE = 1005
const INVALID_TEXT = 1007
const POLICY = 1008
const TOO_BIG = 1009

/**
 * Reads the frames that a client sends (RFC 6455, 5), without extensions, out of chunks cut anywhere.
 *
 * What lies whole in a chunk is unmasked there and handed on without a copy.
 */
export class WebSocketReader {
  readonly #events: WebSocketEvents
  readonly #bounds: WebSocketBounds
  #over = false
  /** Chunks of a frame that has not come whole, and how many bytes must be there to go on. */
  #chunks: Buffer[] | undefined
  #bytes = 0
  #needed = 0
  /** Kind, parts and bytes of a message that comes in fragments. */
  #opcode = CONTINUATION
  #fragments: Buffer[] | undefined
  #count = 0
  #size = 0

  constructor(events: WebSocketEvents, bounds: WebSocketBounds) {
    this.#events = events
    this.#bounds = bounds
  }

  /** Whether nothing is read any more. */
  get over(): boolean {
    return this.#over
  }

  /** Reads no more. */
  stop(): void {
    this.#over = true
    this.#chunks = undefined
    this.#fragments = undefined
  }

  /** Takes a chunk, which is written to. */
  read(chunk: Buffer): void {
    if (this.#over) return
    const chunks = this.#chunks
    if (chunks === undefined) return this.#frames(chunk)
    const { maxBufferedChunks } = this.#bounds
    if (maxBufferedChunks > 0 && chunks.length >= maxBufferedChunks) return this.#fail(POLICY)
    chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes < this.#needed) return
    this.#chunks = undefined
    this.#frames(Buffer.concat(chunks, this.#bytes))
  }

  #frames(chunk: Buffer): void {
    const end = chunk.length
    let at = 0
    let needed = 2
    while (end - at >= 2) {
      const first = chunk[at]!
      const second = chunk[at + 1]!
      if (this.#isWrong(first, second)) return this.#fail(PROTOCOL_ERROR)
      let body = at + 6
      let size = second & 0x7f
      if (size === 126) {
        needed = 4
        if (end - at < needed) break
        size = chunk.readUInt16BE(at + 2)
        body = at + 8
      } else if (size === 127) {
        needed = 10
        if (end - at < needed) break
        const upper = chunk.readUInt32BE(at + 2)
        if (upper > MAX_UPPER) return this.#fail(TOO_BIG)
        size = upper * 2 ** 32 + chunk.readUInt32BE(at + 6)
        body = at + 14
      }
      const { maxPayload } = this.#bounds
      if ((first & 0x0f) < CLOSE && maxPayload > 0 && this.#size + size > maxPayload)
        return this.#fail(TOO_BIG)
      needed = body - at + size
      if (end - at < needed) break
      unmask(chunk, body, size)
      at = body + size
      this.#frame(first, chunk.subarray(body, at))
      if (this.#over) return
      needed = 2
    }
    if (at === end) return
    this.#chunks = [at === 0 ? chunk : chunk.subarray(at)]
    this.#bytes = end - at
    this.#needed = needed
  }

  /** Whether the two bytes that a frame begins with break a rule. */
  #isWrong(first: number, second: number): boolean {
    if ((first & RSV) !== 0 || (second & MASKED) === 0) return true
    const opcode = first & 0x0f
    if (opcode > BINARY) {
      const size = second & 0x7f
      if (opcode < CLOSE || opcode > PONG) return true
      return (first & FIN) === 0 || size > MAX_CONTROL || (opcode === CLOSE && size === 1)
    }
    return (opcode === CONTINUATION) !== (this.#opcode !== CONTINUATION)
  }

  #frame(first: number, body: Buffer): void {
    const opcode = first & 0x0f
    if (opcode >= CLOSE) return this.#control(opcode, body)
    if (first & FIN && opcode !== CONTINUATION) return this.#message(opcode, body)
    if (opcode !== CONTINUATION) this.#opcode = opcode
    const { maxFragments } = this.#bounds
    if (maxFragments > 0 && ++this.#count > maxFragments) return this.#fail(POLICY)
    // Copied, as a small view would keep the whole chunk until the message is complete.
    this.#fragments ??= []
    const fragments = this.#fragments
    if (body.length > 0) fragments.push(Buffer.from(body))
    this.#size += body.length
    if ((first & FIN) === 0) return
    const whole = Buffer.concat(fragments, this.#size)
    const kind = this.#opcode
    this.#opcode = CONTINUATION
    this.#fragments = undefined
    this.#count = this.#size = 0
    this.#message(kind, whole)
  }

  #message(opcode: number, body: Buffer): void {
    if (opcode === BINARY) this.#events.message(body, true)
    else if (isUtf8(body)) this.#events.message(body, false)
    else this.#fail(INVALID_TEXT)
  }

  #control(opcode: number, body: Buffer): void {
    if (opcode === PING) return this.#events.ping(body)
    if (opcode === PONG) return
    if (body.length === 0) return this.#conclude(NO_CODE, '')
    const code = body.readUInt16BE(0)
    if (!isCloseCode(code)) return this.#fail(PROTOCOL_ERROR)
    const reason = body.subarray(2)
    if (!isUtf8(reason)) return this.#fail(INVALID_TEXT)
    this.#conclude(code, reason.toString())
  }

  #conclude(code: number, reason: string): void {
    this.stop()
    this.#events.concluded(code, reason)
  }

  #fail(code: number): void {
    this.stop()
    this.#events.failed(code)
  }
}

/** Whether a close frame may carry a code (RFC 6455, 7.4). */
export function isCloseCode(code: number): boolean {
  const standard = code >= 1000 && code <= 1014 && (code < 1004 || code > 1006)
  return standard || (code >= 3000 && code <= 4999)
}

/** Bytes from which taking four at a time as a number pays for the view that it needs. */
const WORDS_FROM = 1024

/** Unmasks a body in place; its mask lies in front of it (RFC 6455, 5.3). */
export function unmask(bytes: Buffer, body: number, size: number): void {
  const end = body + size
  let at = size < WORDS_FROM ? body : unmaskWords(bytes, body, size)
  const shift = at - body
  const a = bytes[body - 4 + (shift & 3)]!
  const b = bytes[body - 4 + ((shift + 1) & 3)]!
  const c = bytes[body - 4 + ((shift + 2) & 3)]!
  const d = bytes[body - 4 + ((shift + 3) & 3)]!
  for (; at + 3 < end; at += 4) {
    bytes[at] = bytes[at]! ^ a
    bytes[at + 1] = bytes[at + 1]! ^ b
    bytes[at + 2] = bytes[at + 2]! ^ c
    bytes[at + 3] = bytes[at + 3]! ^ d
  }
  if (at < end) bytes[at] = bytes[at]! ^ a
  if (at + 1 < end) bytes[at + 1] = bytes[at + 1]! ^ b
  if (at + 2 < end) bytes[at + 2] = bytes[at + 2]! ^ c
}

/** Unmasks all that can be taken as words of four bytes; returns where the rest begins. */
function unmaskWords(bytes: Buffer, body: number, size: number): number {
  const begin = body + (-(bytes.byteOffset + body) & 3)
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + begin, (body + size - begin) >> 2)
  // The mask as the words have it: turned to where the first begins, in the machine's order of bytes.
  const turned = new Uint8Array(4)
  for (let i = 0; i < 4; i++) turned[i] = bytes[body - 4 + ((begin - body + i) & 3)]!
  const mask = new Int32Array(turned.buffer)[0]!
  for (let i = 0; i < words.length; i++) words[i] = words[i]! ^ mask
  for (let i = body; i < begin; i++) bytes[i] = bytes[i]! ^ bytes[body - 4 + ((i - body) & 3)]!
  return begin + words.length * 4
}
