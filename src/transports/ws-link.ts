import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import type { Frame } from '../codec/codec.js'
import { checkCloseCode, truncateReason } from './closing.js'
import type { Link, LinkHandler } from './transport.js'
import { bodySize, headerSize, LARGE_BODY, packFrames, writeFrames } from './websocket-frames.js'

/**
 * The `WebSocket` of a link: control frames stay behind the data frames sent before them.
 *
 * The link writes data frames to the socket itself, once per tick; `ws` does the rest. `ws` answers
 * a close frame or a ping while the replies to messages from the same chunk still wait in the link.
 */
export class LinkSocket extends WebSocket {
  link: WsLink | undefined

  override close(code?: number, reason?: string | Buffer): void {
    // Reached for every ending but a lost socket: by the link, by the peer's close frame, by a bad frame.
    if (this.readyState === WebSocket.OPEN) this.link?.closing(code, reason?.toString() ?? '')
    super.close(code, reason)
  }

  override pong(data?: unknown, mask?: boolean, sent?: (error: Error) => void): void {
    this.link?.flush()
    super.pong(data, mask, sent)
  }
}

/** Who keeps the links, and is told when one is gone. */
export interface LinkOwner {
  readonly highWaterMark: number
  forget(link: WsLink): void
}

/** One client on a WebSocket. */
export class WsLink implements Link {
  readonly #ws: LinkSocket
  readonly #socket: Socket
  readonly #owner: LinkOwner
  /** Called by `ws` for each message sent; there only when `ws` compresses and so must send. */
  readonly #compressed: (() => void) | undefined
  #handler: LinkHandler | undefined
  #frames: Frame[] = []
  #sizes: number[] = []
  #queuedBytes = 0
  #hasLarge = false
  #dirty = false
  #compressing = 0
  #full = false
  #open = true
  #paused = false
  #code = 0
  #reason = ''
  #bytesRead = -1
  #pinged = false

  /**
   * @param ws fresh from `handleUpgrade`
   * @param socket the one that was upgraded
   */
  constructor(ws: LinkSocket, socket: Socket, owner: LinkOwner) {
    this.#ws = ws
    this.#socket = socket
    this.#owner = owner
    this.#compressed = ws.extensions === '' ? undefined : () => this.#sent()
    ws.link = this
    ws.on('message', onMessage)
    ws.on('error', onError)
    ws.on('close', onClose)
    socket.on('drain', () => this.#drained())
  }

  /** Takes the events of this link. */
  listen(handler: LinkHandler): void {
    this.#handler = handler
  }

  get traffic(): { readonly received: number; readonly written: number } {
    return { received: this.#socket.bytesRead, written: this.#socket.bytesWritten }
  }

  get bufferedBytes(): number {
    return this.#compressed ? this.#ws.bufferedAmount : this.#queuedBytes + this.#socket.writableLength
  }

  send(frame: Frame): boolean {
    if (!this.#open) return false
    if (this.#compressed) {
      this.#compressing++
      this.#ws.send(frame, this.#compressed)
    } else {
      const size = bodySize(frame)
      this.#frames.push(frame)
      this.#sizes.push(size)
      this.#queuedBytes += headerSize(size) + size
      if (size >= LARGE_BODY) this.#hasLarge = true
      if (!this.#dirty) {
        this.#dirty = true
        flushSoon(this)
      }
    }
    if (this.bufferedBytes > this.#owner.highWaterMark) this.#full = true
    return !this.#full
  }

  /** Writes what is queued. */
  flush(): void {
    this.#dirty = false
    const frames = this.#frames
    const sizes = this.#sizes
    if (frames.length === 0) return
    const large = this.#hasLarge
    this.#clearQueue()
    if (this.#ws.readyState !== WebSocket.OPEN) return
    if (large) writeFrames(this.#socket, frames, sizes)
    else this.#socket.write(packFrames(frames, sizes, 0, frames.length))
    // The socket's own mark may lie above the link's; it then says nothing when it has drained.
    if (this.#full && !this.#socket.writableNeedDrain) process.nextTick(() => this.#drained())
  }

  pause(): void {
    if (!this.#open) return
    this.#paused = true
    this.#ws.pause()
  }

  resume(): void {
    this.#paused = false
    this.#ws.resume()
  }

  close(code: number, reason: string): void {
    if (!this.#open) return
    checkCloseCode(code)
    this.#ws.close(code, truncateReason(reason))
    // A paused socket would never read the peer's answer to the close frame.
    if (this.#paused) this.resume()
  }

  terminate(): void {
    this.#open = false
    this.#ws.terminate()
  }

  /** Called before a close frame is written, whoever caused it: the first code is the one reported. */
  closing(code: number | undefined, reason: string): void {
    this.flush()
    this.#open = false
    if (code !== undefined) {
      this.#code = code
      this.#reason = reason
    }
  }

  /** Called once, when the socket is gone. */
  closed(code: number, reason: string): void {
    this.#open = false
    this.#clearQueue()
    this.#owner.forget(this)
    if (this.#code === 0) this.#handler?.closed(code, reason)
    else this.#handler?.closed(this.#code, this.#reason)
  }

  /** Hands a message from `ws` to the handler. */
  receive(body: Buffer, binary: boolean): void {
    if (this.#open) this.#handler?.frame(binary ? body : body.toString('utf8'))
  }

  /** One beat: pings a silent peer, drops one that has been silent since the last ping. */
  beat(): void {
    if (!this.#open || this.#paused) return
    const { bytesRead } = this.#socket
    if (bytesRead !== this.#bytesRead) {
      this.#bytesRead = bytesRead
      this.#pinged = false
    } else if (this.#pinged) {
      this.terminate()
    } else {
      this.#pinged = true
      this.#ws.ping()
    }
  }

  #sent(): void {
    this.#compressing--
    if (this.#compressing === 0) this.#drained()
  }

  #drained(): void {
    // With frames queued or in compression, this is called again when those have left.
    if (!this.#full || !this.#open || this.#queuedBytes > 0 || this.#compressing > 0) return
    this.#full = false
    this.#handler?.drained()
  }

  #clearQueue(): void {
    this.#frames = []
    this.#sizes = []
    this.#queuedBytes = 0
    this.#hasLarge = false
  }
}

function onMessage(this: WebSocket, data: WebSocket.RawData, binary: boolean): void {
  // Without a `binaryType` of another kind, `ws` gives Buffers only.
  if (this instanceof LinkSocket) this.link?.receive(data as Buffer, binary)
}

function onClose(this: WebSocket, code: number, reason: Buffer): void {
  if (this instanceof LinkSocket) this.link?.closed(code, reason.toString())
}

/** A failed link always closes as well; the close says why. */
function onError(): void {}

let dirty: WsLink[] = []
let spare: WsLink[] = []

/**
 * Flushes a link after the current round of I/O, together with all others that have sent.
 *
 * Not by `process.nextTick`, which comes after each single callback: what promises resolve meanwhile, and
 * answers to other clients of the same round, would then cost writes of their own.
 */
function flushSoon(link: WsLink): void {
  if (dirty.push(link) === 1) setImmediate(flushDirty)
}

function flushDirty(): void {
  const links = dirty
  dirty = spare
  for (const link of links) link.flush()
  links.length = 0
  spare = links
}
