import type { Socket } from 'node:net'
import type { Frame } from '../codec/codec.js'
import { checkCloseCode, truncateReason } from './closing.js'
import { PackedTurn } from './packed-turn.js'
import type { Link, LinkHandler } from './transport.js'
import {
  bodySize,
  CLOSE_FRAME,
  controlFrame,
  headerSize,
  LARGE_BODY,
  PING_FRAME,
  PONG_FRAME,
  packFrame,
  packFrames,
  writeFrames,
} from './websocket-frames.js'
import { type WebSocketBounds, type WebSocketEvents, WebSocketReader } from './websocket-reader.js'

/** Bounds of a link. */
export interface WsLinkBounds extends WebSocketBounds {
  /** Bytes waiting at which a link is full. */
  readonly highWaterMark: number
  /** Milliseconds to wait for the peer's answer to a close frame. */
  readonly closeTimeout: number
  /** Pongs that may wait for a client before it is dropped, 0 for any number. */
  readonly maxPendingAutoPongs: number
}

/** Who keeps the links, and is told when one is gone. */
export interface LinkOwner<L> {
  readonly bounds: WsLinkBounds
  forget(link: L): void
}

/** Where a socket has its link: its listeners are the same functions for all. */
const LINK = Symbol('link')

interface LinkedSocket extends Socket {
  [LINK]?: WsLink
}

/**
 * One client on a WebSocket without extensions: reads and writes its frames on the socket itself.
 *
 * No stream stands between the socket and the handler, which halves what a connection takes up; `WsDeflateLink` is
 * for those that compress.
 */
export class WsLink implements Link, WebSocketEvents {
  readonly #socket: LinkedSocket
  readonly #owner: LinkOwner<WsLink>
  readonly #reader: WebSocketReader
  #handler: LinkHandler | undefined
  /** What is to be sent: one frame mostly, which needs no list. */
  #first: Frame | undefined
  /** All frames, the first as well, when there are several. */
  #all: Frame[] | undefined
  #queuedBytes = 0
  #hasLarge = false
  #full = false
  #open = true
  #paused = false
  #code = 1006
  #reason = ''
  #closeSent = false
  #closeTimer: NodeJS.Timeout | undefined
  #bytesRead = -1
  #pinged = false
  #pongs = 0
  #ponged: (() => void) | undefined

  /**
   * @param socket the one that was upgraded; errors of it are listened for already
   * @param head what came after the upgrade's headers
   */
  constructor(socket: Socket, head: Buffer, owner: LinkOwner<WsLink>) {
    this.#socket = socket
    this.#owner = owner
    this.#reader = new WebSocketReader(this, owner.bounds)
    this.#socket[LINK] = this
    socket.setTimeout(0)
    socket.setNoDelay()
    if (head.length > 0) socket.unshift(head)
    socket.on('data', onData)
    socket.on('end', onEnd)
    socket.on('close', onClose)
    socket.on('drain', onDrain)
  }

  /** Takes the events of this link. */
  listen(handler: LinkHandler): void {
    this.#handler = handler
  }

  get traffic(): { readonly received: number; readonly written: number } {
    return { received: this.#socket.bytesRead, written: this.#socket.bytesWritten }
  }

  get bufferedBytes(): number {
    return this.#queuedBytes + this.#socket.writableLength
  }

  send(frame: Frame): boolean {
    if (!this.#open) return false
    const size = bodySize(frame)
    if (this.#first === undefined) {
      this.#first = frame
      flushSoon(this)
    } else if (this.#all === undefined) this.#all = [this.#first, frame]
    else this.#all.push(frame)
    this.#queuedBytes += headerSize(size) + size
    if (size >= LARGE_BODY) this.#hasLarge = true
    if (this.bufferedBytes > this.#owner.bounds.highWaterMark) this.#full = true
    return !this.#full
  }

  /**
   * Writes what is queued.
   *
   * @param packed what others have written in the same round
   */
  flush(packed?: PackedTurn): void {
    const first = this.#first
    if (first === undefined) return
    const all = this.#all
    const bytes = this.#queuedBytes
    const large = this.#hasLarge
    this.#clearQueue()
    if (large) writeFrames(this.#socket, all ?? [first])
    else if (packed !== undefined) this.#socket.write(packed.pack(first, all, bytes))
    else this.#socket.write(all === undefined ? packFrame(first, bytes) : packFrames(all, 0, all.length))
    // The socket's own mark may lie above the link's; it then says nothing when it has drained.
    if (this.#full && !this.#socket.writableNeedDrain) process.nextTick(() => this.drained())
  }

  pause(): void {
    if (!this.#open) return
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    this.#paused = false
    this.#socket.resume()
  }

  close(code: number, reason: string): void {
    if (!this.#open) return
    checkCloseCode(code)
    const cut = truncateReason(reason)
    this.#closing(code, cut)
    this.#goodbye(code, cut)
    // A paused socket would never read the peer's answer to the close frame.
    if (this.#paused) this.resume()
  }

  terminate(): void {
    this.#open = false
    this.#reader.stop()
    this.#socket.destroy()
  }

  // ---- what comes from the client ---------------------------------------------------------------

  message(body: Buffer, binary: boolean): void {
    if (this.#open) this.#handler?.frame(binary ? body : body.toString('utf8'))
  }

  /** Answers behind what was sent before; a client that reads no answers may not pile them up. */
  ping(data: Buffer): void {
    if (!this.#open) return
    const { maxPendingAutoPongs } = this.#owner.bounds
    if (maxPendingAutoPongs > 0 && this.#pongs >= maxPendingAutoPongs) return this.terminate()
    this.flush()
    this.#pongs++
    this.#ponged ??= () => void this.#pongs--
    this.#socket.write(controlFrame(PONG_FRAME, data), this.#ponged)
  }

  concluded(code: number, reason: string): void {
    if (this.#open) this.#closing(code, reason)
    this.#goodbye(code === 1005 ? undefined : code, reason)
    this.resume()
  }

  failed(code: number): void {
    if (this.#open) this.#closing(code, '')
    this.#goodbye(code, '')
    this.resume()
  }

  // ---- what comes from the socket ---------------------------------------------------------------

  /** Bytes have come. */
  received(chunk: Buffer): void {
    this.#reader.read(chunk)
  }

  /** The client will send no more. */
  ended(): void {
    this.#open = false
    this.#clearQueue()
    if (!this.#socket.writableEnded) this.#socket.end()
  }

  /** The socket is gone. */
  closed(): void {
    clearTimeout(this.#closeTimer)
    const socket = this.#socket
    // It may have been paused: what it has read may hold the client's close frame.
    if (socket.readableLength > 0 && !this.#reader.over) {
      const rest = socket.off('data', onData).read(socket.readableLength)
      if (rest !== null) this.#reader.read(rest)
    }
    this.#open = false
    this.#reader.stop()
    this.#clearQueue()
    this.#owner.forget(this)
    this.#handler?.closed(this.#code, this.#reason)
  }

  /** What was sent has left. */
  drained(): void {
    // With frames queued this is called again when those have left.
    if (!this.#full || !this.#open || this.#queuedBytes > 0) return
    this.#full = false
    this.#handler?.drained()
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
      this.#socket.write(PING_FRAME)
    }
  }

  // -----------------------------------------------------------------------------------------------

  /** The link closes, whoever caused it: the first code is the one reported. */
  #closing(code: number, reason: string): void {
    this.flush()
    this.#open = false
    this.#code = code
    this.#reason = reason
  }

  /** Sends a close frame, once, and ends the socket when nothing is expected of the client. */
  #goodbye(code: number | undefined, reason: string): void {
    const socket = this.#socket
    const last = this.#reader.over
    if (socket.destroyed || socket.writableEnded) return
    if (!this.#closeSent) {
      this.#closeSent = true
      const frame = controlFrame(CLOSE_FRAME, closeBody(code, reason))
      if (last) socket.end(frame)
      else socket.write(frame)
      const { closeTimeout } = this.#owner.bounds
      this.#closeTimer = setTimeout(destroy, closeTimeout, socket)
    } else if (last) socket.end()
  }

  #clearQueue(): void {
    this.#first = undefined
    this.#all = undefined
    this.#queuedBytes = 0
    this.#hasLarge = false
  }
}

function closeBody(code: number | undefined, reason: string): Buffer {
  if (code === undefined) return Buffer.alloc(0)
  const body = Buffer.allocUnsafe(2 + Buffer.byteLength(reason))
  body.writeUInt16BE(code)
  body.write(reason, 2)
  return body
}

function destroy(socket: Socket): void {
  socket.destroy()
}

function onData(this: LinkedSocket, chunk: Buffer): void {
  this[LINK]!.received(chunk)
}

function onEnd(this: LinkedSocket): void {
  this[LINK]!.ended()
}

function onClose(this: LinkedSocket): void {
  this[LINK]!.closed()
}

function onDrain(this: LinkedSocket): void {
  this[LINK]!.drained()
}

let dirty: WsLink[] = []
let spare: WsLink[] = []
const packed = new PackedTurn()

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
  for (const link of links) link.flush(packed)
  packed.clear()
  links.length = 0
  spare = links
}
