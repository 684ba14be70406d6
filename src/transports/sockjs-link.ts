import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Frame } from '../codec/codec.js'
import { SocketStreamError } from '../errors.js'
import { checkCloseCode, truncateReason } from './closing.js'
import type { Link, LinkHandler } from './transport.js'

/** A connection of the `sockjs` package, as far as it is used here. */
export interface SockJsConnection {
  readonly url: string
  readonly pathname: string
  write(text: string): boolean
  close(code: number, reason: string): boolean
  on(event: 'data', listener: (message: unknown) => void): unknown
  on(event: 'close', listener: () => void): unknown
}

/** What a link needs of the transport that made it. */
export interface SockJsLinkOwner {
  readonly highWaterMark: number
  readonly maxPayload: number
  forget(link: SockJsLink): void
  /** Ends a session of the package that has no open response. */
  abandon(link: SockJsLink): void
}

/**
 * One client over any of SockJS's ways.
 *
 * What waits is counted exactly: between two responses the package keeps the frames, and all of them go
 * into the next response; otherwise they are in the socket that the client's response, or WebSocket, has.
 */
export class SockJsLink implements Link {
  /** Names the session in the URLs that the package is given. */
  readonly token: string
  readonly #connection: SockJsConnection
  readonly #owner: SockJsLinkOwner
  readonly #raw: boolean
  #handler: LinkHandler | undefined
  #socket: Socket | undefined
  #response: ServerResponse | undefined
  #waiting = 0
  #full = false
  #open = true
  #corked: Socket | undefined
  #ending: { readonly code: number; readonly reason: string } | undefined
  #over = false
  #gone = false

  readonly #onDrain = (): void => this.#drained()

  /** @param raw whether it is a bare WebSocket, without SockJS's frames */
  constructor(token: string, connection: SockJsConnection, owner: SockJsLinkOwner, raw: boolean) {
    this.token = token
    this.#connection = connection
    this.#owner = owner
    this.#raw = raw
    connection.on('data', message => this.#receive(message))
    connection.on('close', () => {
      this.#gone = true
      this.#finish()
    })
  }

  /** Takes the events of this link. */
  listen(handler: LinkHandler): void {
    this.#handler = handler
  }

  /** Whether the package has let go of the session. */
  get gone(): boolean {
    return this.#gone
  }

  get bufferedBytes(): number {
    return this.#over ? 0 : this.#waiting + (this.#socket?.writableLength ?? 0)
  }

  /** Takes the WebSocket's socket, or a request whose response may now carry frames. */
  attach(socket: Socket, response?: ServerResponse): void {
    // Of two responses at once the package has ended the second.
    if (this.receiving && response?.writableEnded) return
    this.#socket?.off('drain', this.#onDrain)
    socket.on('drain', this.#onDrain)
    if (socket !== this.#socket && !response) this.#uncorkAtEnd(socket)
    // The socket may carry requests of many sessions, one after another.
    response?.once('close', () => {
      if (this.#response === response) socket.off('drain', this.#onDrain)
    })
    this.#socket = socket
    this.#response = response
    this.#waiting = 0
    if (this.#ending) this.#finish()
    else setImmediate(() => this.#drained())
  }

  /** Whether what is sent goes out at once. */
  get receiving(): boolean {
    if (!this.#socket || this.#socket.destroyed) return false
    return this.#response === undefined || !this.#response.writableEnded
  }

  send(frame: Frame): boolean {
    if (typeof frame !== 'string') {
      throw new SocketStreamError('INVALID_OPTION', 'sockjs: the link carries text only; send a string')
    }
    if (!this.#open) return false
    if (this.receiving) this.#cork()
    else this.#waiting += Buffer.byteLength(frame)
    this.#connection.write(frame)
    if (this.bufferedBytes > this.#owner.highWaterMark) this.#full = true
    return !this.#full
  }

  pause(): void {}

  resume(): void {}

  close(code: number, reason: string): void {
    if (!this.#open) return
    checkCloseCode(code)
    this.#open = false
    this.#ending = { code, reason: truncateReason(reason) }
    const receiving = this.receiving
    // A bare WebSocket's package takes no other codes.
    const sent = this.#raw && code < 3000 ? 1000 : code
    this.#connection.close(sent, this.#ending.reason)
    // Otherwise the next response has the rest, or the package finds that there is none in time.
    if (receiving) this.#finish()
  }

  terminate(): void {
    this.#open = false
    if (this.#over) return
    this.#ending ??= { code: 1006, reason: '' }
    if (this.receiving) this.#socket?.destroy()
    else this.#owner.abandon(this)
    this.#finish()
  }

  #receive(message: unknown): void {
    if (!this.#open) return
    if (typeof message !== 'string') {
      this.close(1003, 'Text only')
    } else if (Buffer.byteLength(message) > this.#owner.maxPayload) {
      this.close(1009, 'The frame is too large')
    } else {
      this.#handler?.frame(message)
    }
  }

  /** What a tick sends leaves in one write. */
  #cork(): void {
    const socket = this.#socket
    if (!socket || this.#corked === socket) return
    this.#corked = socket
    socket.cork()
    setImmediate(() => {
      if (this.#corked === socket) this.#corked = undefined
      socket.uncork()
      this.#drained()
    })
  }

  /** faye-websocket destroys its socket at once when it has answered the client's close frame. */
  #uncorkAtEnd(socket: Socket): void {
    const { destroy } = socket
    socket.destroy = error => {
      if (this.#corked === socket) socket.uncork()
      return destroy.call(socket, error)
    }
  }

  #drained(): void {
    if (!this.#full || !this.#open || this.#waiting > 0 || this.#corked) return
    // The socket's own mark may lie above the link's; it then says nothing when it has drained.
    if (!this.#socket || this.#socket.writableNeedDrain) return
    this.#full = false
    this.#handler?.drained()
  }

  /** Tells of the end, once, and never from within a method. */
  #finish(): void {
    this.#open = false
    if (this.#over) return
    this.#over = true
    this.#socket?.off('drain', this.#onDrain)
    const { code, reason } = this.#ending ?? { code: 1006, reason: '' }
    setImmediate(() => {
      this.#owner.forget(this)
      this.#handler?.closed(code, reason)
    })
  }
}
