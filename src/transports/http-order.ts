import type { Frame } from '../codec/codec.js'
import { batchSize, type FrameBatch, readBatch } from './frame-batch.js'
import type { HttpLink } from './http-link.js'
import { bodySize } from './websocket-frames.js'

/** Bounds of a request with frames. */
export interface BatchLimits {
  /** Bytes in the largest frame. */
  readonly maxPayload: number
  /** Milliseconds in which a request must have come, and numbered frames must have been handed over. */
  readonly handshakeTimeout: number
}

/** What a request with frames is answered with. */
export interface BatchReply {
  readonly status: number
  /** Plain text; none with 204. */
  readonly text: string
}

/** Frames in one request: the smallest have four bytes there, and all are handed over in one go. */
const MAX_FRAMES = 10_000
/** Requests of one link at once: one, and some that repeat it or have overtaken it, but never only these. */
const MAX_REQUESTS = 4

/** The answer once all frames of a request are handed over. */
const TAKEN: BatchReply = { status: 204, text: '' }
/** The answer for a link that is not there. */
export const NO_LINK: BatchReply = { status: 404, text: 'There is no such link.\n' }
/** The answer for a request that has more bytes than the limit. */
export const TOO_LARGE: BatchReply = { status: 413, text: 'The frame is too large.\n' }
const MALFORMED = { status: 400, text: 'Send a JSON array of frames, as docs/transports.md has it.\n' }
const UNANSWERED = { status: 409, text: 'Wait for the answer before you send more.\n' }
const BUSY = { status: 503, text: 'The frames are not handed over yet; send the same again.\n' }

/**
 * Puts the requests of one link in order, and takes each frame once.
 *
 * A request may say how many frames of the link came before it. It can be repeated then, and overtake others. One that
 * does not say so has to wait until the one before it has been answered.
 */
export class HttpOrder {
  readonly #link: HttpLink
  readonly #limits: BatchLimits
  /** Frames taken so far. */
  #taken = 0
  /** Bytes of requests that are taken and not handed over yet. */
  #bytes = 0
  #requests = 0
  #handed: Promise<void> = Promise.resolve()
  /** Resolves when more frames have been taken, or the link is gone. */
  #advanced!: Promise<void>
  #advance!: () => void

  constructor(link: HttpLink, limits: BatchLimits) {
    this.#link = link
    this.#limits = limits
    this.#renew()
  }

  /**
   * Makes room for a request whose body has yet to come; `work` has the body taken.
   *
   * @param from frames before this request; undefined when it does not say so
   */
  async request(from: number | undefined, work: () => Promise<BatchReply>): Promise<BatchReply> {
    if (from === undefined && this.#requests > 0) return UNANSWERED
    const isEarly = from !== undefined && from > this.#taken
    if (this.#requests >= (isEarly ? MAX_REQUESTS - 1 : MAX_REQUESTS)) return BUSY
    this.#requests++
    try {
      return await work()
    } finally {
      this.#requests--
    }
  }

  /**
   * Takes a body: 204 once its frames are handed over, which a paused link puts off.
   *
   * 413 and 400, and an end of the link, for what is too large or malformed. With `from`: 409 when the frames before it have
   * not come in time, 503 when these have not been handed over in time.
   */
  async take(body: Uint8Array, from?: number): Promise<BatchReply> {
    const batch = readBatch(body)
    const { maxPayload, handshakeTimeout } = this.#limits
    const tooLarge = (frame: Frame) => bodySize(frame) > maxPayload
    if (batch && (batch.frames.length > MAX_FRAMES || batch.frames.some(tooLarge))) return this.tooLarge()
    if (!batch) {
      this.#link.close(1002, 'The batch is malformed')
      return MALFORMED
    }
    const time = from === undefined ? undefined : deadline(handshakeTimeout)
    try {
      return await this.#inOrder(batch, body.length, from, time?.over)
    } finally {
      time?.end()
    }
  }

  /** Ends the link for a request that is too large. */
  tooLarge(): BatchReply {
    this.#link.close(1009, 'The frame is too large')
    return TOO_LARGE
  }

  /** The link is gone: nothing waits any more. */
  closed(): void {
    this.#advance()
  }

  async #inOrder(
    { frames, close }: FrameBatch,
    size: number,
    from = this.#taken,
    over?: Promise<typeof OVER>,
  ): Promise<BatchReply> {
    while (from > this.#taken && this.#link.open) {
      if ((await Promise.race([this.#advanced, over])) !== OVER) continue
      return { status: 409, text: `Frame ${this.#taken} comes first.\n` }
    }
    if (!this.#link.open) return NO_LINK
    const fresh = frames.slice(this.#taken - from)
    if (fresh.length > 0) {
      if (this.#bytes > 0 && this.#bytes + size > batchSize(this.#limits.maxPayload)) return BUSY
      this.#taken += fresh.length
      this.#bytes += size
      this.#handed = this.#handed.then(async () => {
        await this.#link.receive(fresh)
        this.#bytes -= size
      })
      this.#advance()
      this.#renew()
    }
    if ((await Promise.race([this.#handed, over ?? this.#handed])) === OVER) return BUSY
    if (close) this.#link.closedByClient(close.code, close.reason)
    return TAKEN
  }

  #renew(): void {
    this.#advanced = new Promise(resolve => {
      this.#advance = resolve
    })
  }
}

const OVER = Symbol('the time is over')

function deadline(ms: number): { readonly over: Promise<typeof OVER>; end(): void } {
  let end = () => {}
  const over = new Promise<typeof OVER>(resolve => {
    const timer = setTimeout(() => resolve(OVER), ms)
    end = () => clearTimeout(timer)
  })
  return { over, end: () => end() }
}
