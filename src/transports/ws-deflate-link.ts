import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import type { Frame } from '../codec/codec.js'
import { checkCloseCode, truncateReason } from './closing.js'
import type { Link, LinkHandler } from './transport.js'
import type { LinkOwner } from './ws-link.js'

/** The `WebSocket` of a link, which tells it of every ending but a lost socket. */
export class DeflateSocket extends WebSocket {
  link: WsDeflateLink | undefined

  override close(code?: number, reason?: string | Buffer): void {
    if (this.readyState === WebSocket.OPEN) this.link?.closing(code, reason?.toString() ?? '')
    super.close(code, reason)
  }
}

/** One client on a WebSocket that compresses, which `ws` does: it takes each message by itself. */
export class WsDeflateLink implements Link {
  readonly #ws: DeflateSocket
  readonly #socket: Socket
  readonly #owner: LinkOwner<WsDeflateLink>
  readonly #sent = (): void => this.#left()
  #handler: LinkHandler | undefined
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
  constructor(ws: DeflateSocket, socket: Socket, owner: LinkOwner<WsDeflateLink>) {
    this.#ws = ws
    this.#socket = socket
    this.#owner = owner
    ws.link = this
    ws.on('message', (data, binary) => this.#receive(data as Buffer, binary))
    // A failed link always closes as well; the close says why.
    ws.on('error', () => undefined)
    ws.on('close', (code, reason) => this.#closed(code, reason.toString()))
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
    return this.#ws.bufferedAmount
  }

  send(frame: Frame): boolean {
    if (!this.#open) return false
    this.#compressing++
    this.#ws.send(frame, this.#sent)
    if (this.bufferedBytes > this.#owner.bounds.highWaterMark) this.#full = true
    return !this.#full
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
    this.#open = false
    if (code === undefined) return
    this.#code = code
    this.#reason = reason
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

  #receive(body: Buffer, binary: boolean): void {
    if (this.#open) this.#handler?.frame(binary ? body : body.toString('utf8'))
  }

  #closed(code: number, reason: string): void {
    this.#open = false
    this.#owner.forget(this)
    if (this.#code === 0) this.#handler?.closed(code, reason)
    else this.#handler?.closed(this.#code, this.#reason)
  }

  #left(): void {
    this.#compressing--
    if (this.#compressing === 0) this.#drained()
  }

  #drained(): void {
    // With frames in compression this is called again when those have left.
    if (!this.#full || !this.#open || this.#compressing > 0) return
    this.#full = false
    this.#handler?.drained()
  }
}
