import type { ServerResponse } from 'node:http'
import type { Frame } from '../codec/codec.js'
import { checkCloseCode, truncateReason } from './closing.js'
import type { FrameBatch } from './frame-batch.js'
import type { Link, LinkHandler } from './transport.js'
import { bodySize } from './websocket-frames.js'

/** How a transport has its links write. */
export interface HttpLinkOptions {
  /** Bytes waiting at which `send` returns false. */
  readonly highWaterMark: number
  /** Milliseconds between beats, 0 for none. */
  readonly heartbeat: number
  /** What keeps proxies from closing an idle response, and means nothing to the client. */
  readonly beat: string
  /** What goes on the response for frames that leave together, and for a close. */
  write(batch: FrameBatch): string
  /** Called when the link is gone. */
  gone(link: HttpLink): void
}

/** Milliseconds in which a client must have read what is there when its link is closed. */
const CLOSE_TIMEOUT = 30_000

/** A link whose frames leave on one response that stays open, and come by whatever other requests. */
export class HttpLink implements Link {
  readonly #response: ServerResponse
  readonly #options: HttpLinkOptions
  #handler: LinkHandler | undefined
  #frames: Frame[] = []
  #queuedBytes = 0
  #dirty = false
  #full = false
  #open = true
  #over = false
  #paused = false
  /** Frames that came and are not handed over yet, and whom to tell once they are. */
  #arrived: readonly Frame[] = []
  #next = 0
  #taken: () => void = () => undefined
  #ending = { code: 1006, reason: '' }
  readonly #heart: NodeJS.Timeout | undefined
  #deadline: NodeJS.Timeout | undefined

  /** @param response on its socket already, and with its headers */
  constructor(response: ServerResponse, options: HttpLinkOptions) {
    this.#response = response
    this.#options = options
    response.on('drain', () => this.#drained())
    // An error is always followed by a close.
    response.on('error', () => undefined)
    response.once('close', () => this.#closed())
    const { heartbeat } = options
    this.#heart = heartbeat > 0 ? setInterval(() => this.#beat(), heartbeat).unref() : undefined
  }

  /** Takes the events of this link. */
  listen(handler: LinkHandler): void {
    this.#handler = handler
  }

  /** Whether frames may still come and go. */
  get open(): boolean {
    return this.#open
  }

  /**
   * Hands frames of the client over, in order; resolves once all are, which a paused link puts off.
   *
   * MUST NOT be called again before it has resolved: a client that is answered only then sends no more than that.
   */
  receive(frames: readonly Frame[]): Promise<void> {
    this.#arrived = frames
    this.#next = 0
    return new Promise(resolve => {
      this.#taken = resolve
      this.#deliver()
    })
  }

  /** Ends the link because its client has closed it. */
  closedByClient(code: number, reason: string): void {
    if (this.#open) this.#end(code, reason, '')
  }

  get bufferedBytes(): number {
    return this.#over ? 0 : this.#queuedBytes + this.#response.writableLength
  }

  send(frame: Frame): boolean {
    if (!this.#open) return false
    this.#frames.push(frame)
    this.#queuedBytes += bodySize(frame)
    if (!this.#dirty) {
      this.#dirty = true
      setImmediate(() => this.#flush())
    }
    if (this.bufferedBytes > this.#options.highWaterMark) this.#full = true
    return !this.#full
  }

  pause(): void {
    this.#paused = this.#open
  }

  resume(): void {
    this.#paused = false
    process.nextTick(() => this.#deliver())
  }

  close(code: number, reason: string): void {
    if (!this.#open) return
    checkCloseCode(code)
    const close = { code, reason: truncateReason(reason) }
    this.#end(code, close.reason, this.#options.write({ frames: [], close }))
  }

  terminate(): void {
    if (this.#over) return
    this.#open = false
    this.#response.destroy()
  }

  #flush(): void {
    this.#dirty = false
    const frames = this.#frames
    if (frames.length === 0) return
    this.#frames = []
    this.#queuedBytes = 0
    if (this.#over) return
    // As bytes: of text the socket would count the characters.
    this.#response.write(Buffer.from(this.#options.write({ frames })))
    // The socket's own mark may lie above the link's; it then says nothing when it has drained.
    if (this.#full && !this.#response.writableNeedDrain) process.nextTick(() => this.#drained())
  }

  #drained(): void {
    if (!this.#full || !this.#open || this.#queuedBytes > 0) return
    this.#full = false
    this.#handler?.drained()
  }

  #deliver(): void {
    while (this.#open && !this.#paused && this.#next < this.#arrived.length) {
      this.#handler?.frame(this.#arrived[this.#next++]!)
    }
    if (this.#open && this.#next < this.#arrived.length) return
    this.#arrived = []
    this.#taken()
  }

  /** No frames any more, in either direction. */
  #end(code: number, reason: string, lastWords: string): void {
    this.#flush()
    this.#open = false
    this.#ending = { code, reason }
    this.#response.end(lastWords)
    this.#deadline = setTimeout(() => this.terminate(), CLOSE_TIMEOUT)
    process.nextTick(() => this.#deliver())
  }

  #beat(): void {
    if (this.#open && this.bufferedBytes === 0) this.#response.write(this.#options.beat)
  }

  #closed(): void {
    clearTimeout(this.#deadline)
    clearInterval(this.#heart)
    this.#open = false
    this.#over = true
    this.#frames = []
    this.#queuedBytes = 0
    this.#deliver()
    this.#options.gone(this)
    this.#handler?.closed(this.#ending.code, this.#ending.reason)
  }
}
