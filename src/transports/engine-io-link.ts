import type { ServerResponse } from 'node:http'
import type { Socket } from 'engine.io'
import type { WebSocket } from 'ws'
import type { Frame } from '../codec/codec.js'
import { checkCloseCode, truncateReason } from './closing.js'
import type { Link, LinkHandler } from './transport.js'
import { bodySize } from './websocket-frames.js'

/** Who keeps the links, and is told when one is gone. */
export interface EngineIoLinkOwner {
  readonly highWaterMark: number
  /** Bytes in the largest frame taken. */
  readonly maxFrame: number
  forget(link: EngineIoLink): void
}

/** A packet, as engine.io's `flush` event has them. */
interface Packet {
  readonly type: 'message'
  readonly data?: Frame
  readonly options: { readonly compress: boolean }
}

/**
 * One client of Engine.IO, over polling or a WebSocket or on its way from one to the other.
 *
 * engine.io writes a packet at once where it can. To leave in one write, frames wait here: the first of
 * them is handed to engine.io at the end of a round of I/O, the others join it in the `flush` event.
 */
export class EngineIoLink implements Link {
  readonly #engine: Socket
  readonly #owner: EngineIoLinkOwner
  readonly #responses = new Set<ServerResponse>()
  readonly #sockets = new Set<WebSocket>()
  #handler: LinkHandler | undefined
  /** Frames that wait; while `#primed`, the first of them is with engine.io already. */
  #frames: Frame[] = []
  #queuedBytes = 0
  #primed = false
  #dirty = false
  #full = false
  #open = true
  /** Whether engine.io, or a termination, has ended the link. */
  #over = false
  #told = false
  #code = 0
  #reason = ''
  /** The code that the WebSocket last closed gave. */
  #socketCode = 1005

  constructor(engine: Socket, owner: EngineIoLinkOwner) {
    this.#engine = engine
    this.#owner = owner
    engine.on('message', (data: Frame | undefined) => this.#receive(data ?? ''))
    engine.on('flush', (buffer: Packet[]) => this.#join(buffer))
    engine.on('close', (why: string) => this.#closed(why))
  }

  /** Takes the events of this link. */
  listen(handler: LinkHandler): void {
    this.#handler = handler
  }

  get bufferedBytes(): number {
    if (this.#over) return 0
    let bytes = this.#queuedBytes
    for (const response of this.#responses) bytes += response.writableLength
    for (const socket of this.#sockets) bytes += socket.bufferedAmount
    return bytes
  }

  send(frame: Frame): boolean {
    if (!this.#open) return false
    this.#frames.push(frame)
    this.#queuedBytes += bodySize(frame)
    if (!this.#dirty) {
      this.#dirty = true
      setImmediate(() => this.#flush())
    }
    if (this.bufferedBytes > this.#owner.highWaterMark) this.#full = true
    return !this.#full
  }

  /** Does nothing: polling cannot be paused, and the capability says so. */
  pause(): void {}

  resume(): void {}

  close(code: number, reason: string): void {
    if (!this.#open) return
    checkCloseCode(code)
    this.#flush()
    this.#end(code, truncateReason(reason))
    this.#engine.close()
  }

  terminate(): void {
    if (this.#told) return
    this.#end(1006, '')
    this.#over = true
    this.#engine.close(true)
    for (const socket of this.#sockets) socket.terminate()
    // An answer just written is left to leave; one that the client does not read is not.
    setImmediate(() => {
      for (const response of this.#responses) if (!response.writableFinished) response.destroy()
    })
    this.#tell()
  }

  /** Takes note of a request of this client that is being answered. */
  answering(response: ServerResponse): void {
    this.#responses.add(response)
    response.once('close', () => {
      this.#responses.delete(response)
      if (response.statusCode === 413) this.#tooBig()
      this.#drained()
    })
  }

  /** Takes note of a WebSocket of this client, which may still be on trial. */
  upgraded(socket: WebSocket): void {
    this.#sockets.add(socket)
    socket.on('error', (error: Error & { code?: string }) => {
      if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') this.#tooBig()
    })
    socket.once('close', code => {
      this.#sockets.delete(socket)
      this.#socketCode = code
      this.#tell()
    })
  }

  #receive(frame: Frame): void {
    if (!this.#open) return
    if (bodySize(frame) > this.#owner.maxFrame) this.#tooBig()
    else this.#handler?.frame(frame)
  }

  #tooBig(): void {
    if (!this.#open) return
    this.#end(1009, 'The frame is too big')
    this.terminate()
  }

  /** Hands the first frame to engine.io, which takes the others along when it can write. */
  #flush(): void {
    this.#dirty = false
    const [first] = this.#frames
    if (first === undefined || this.#primed || this.#over) return
    this.#primed = true
    this.#engine.send(first as Buffer | string, {}, () => this.#drained())
  }

  #join(buffer: Packet[]): void {
    if (!this.#primed) return
    this.#primed = false
    const rest = this.#frames.slice(1)
    this.#clearQueue()
    for (const data of rest) {
      buffer.push({ type: 'message', options: { compress: true }, ...(data !== '' && { data }) })
    }
  }

  #drained(): void {
    if (!this.#full || !this.#open || this.bufferedBytes > 0) return
    this.#full = false
    // Not from within the method of the link that made engine.io write.
    process.nextTick(() => {
      if (this.#open) this.#handler?.drained()
    })
  }

  #closed(why: string): void {
    this.#over = true
    if (why !== 'transport close') this.#end(why === 'parse error' ? 1002 : 1006, '')
    // The code is that of the WebSocket, whose own event comes after engine.io's.
    else this.#end(this.#engine.transport.name === 'websocket' ? 0 : 1005, '')
    // Without an answer to its end a WebSocket would stay for a while; one on trial too.
    if (why !== 'forced close') for (const socket of this.#sockets) socket.terminate()
    this.#tell()
  }

  /** No frames any more, in either direction; the first code is the one reported. */
  #end(code: number, reason: string): void {
    if (!this.#open) return
    this.#open = false
    this.#code = code
    this.#reason = reason
  }

  /** Says that the link is gone, once it is. */
  #tell(): void {
    if (this.#told || !this.#over || this.#sockets.size > 0) return
    this.#told = true
    this.#clearQueue()
    process.nextTick(() => {
      this.#owner.forget(this)
      this.#handler?.closed(this.#code || this.#socketCode, this.#reason)
    })
  }

  #clearQueue(): void {
    this.#frames = []
    this.#queuedBytes = 0
  }
}
