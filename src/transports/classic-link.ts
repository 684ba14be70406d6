import type { Frame } from '../codec/codec.js'
import type { Summary } from '../log.js'
import type { Handshake, Link, LinkHandler, TransportHost, Verdict } from './transport.js'

/** How the link of one socket is made. */
export interface ClassicLinkInit {
  readonly host: TransportHost
  readonly socketId: string
  readonly transport: string
  readonly clientIp: string
  /** Whether the module tells of its coming and going itself. */
  readonly announced: boolean
  /** Refusals, for the log. */
  readonly refusals: Summary
  send(frame: string): unknown
  /** It is over: the socket's next message begins another. */
  forget(): void
}

/** One socket of a transport module of 0.4. */
export class ClassicLink implements Link {
  readonly bufferedBytes = 0
  readonly #init: ClassicLinkInit
  #handler: LinkHandler | undefined
  /** What comes while the socket is decided on. */
  #waiting: Frame[] = []
  #over = false

  constructor(init: ClassicLinkInit) {
    this.#init = init
  }

  /** Asks whether the socket may connect. */
  open(): void {
    const { host, socketId, transport, clientIp, announced } = this.#init
    const handshake: Handshake = {
      transport,
      url: '/',
      headers: {},
      clientIp,
      secure: false,
      cookies: false,
      protocols: [],
      socket: { id: socketId, announced },
    }
    const verdict = host.authorize(handshake)
    if (verdict instanceof Promise) verdict.then(settled => this.#decided(handshake, settled))
    else this.#decided(handshake, verdict)
  }

  #decided(handshake: Handshake, verdict: Verdict): void {
    const { host, socketId, refusals } = this.#init
    if (this.#over) return
    if (!verdict.accept) {
      const { status, message } = verdict
      refusals.add(String(status), times =>
        host.log('info', `a socket was refused: ${message}`, { times, socketId, status }),
      )
      return this.gone(1008, message)
    }
    try {
      this.#handler = host.connect(this, handshake, verdict)
    } catch (error) {
      // Its last connection may not have ended yet.
      host.log('warn', 'a socket could not be taken over', { socketId, error })
      return this.gone(1011, '')
    }
    for (const frame of this.#waiting.splice(0)) this.#handler.frame(frame)
  }

  /** Takes a message of the socket. */
  receive(frame: Frame): void {
    if (this.#over) return
    if (this.#handler === undefined) this.#waiting.push(frame)
    else this.#handler.frame(frame)
  }

  /** The socket is there no more, or of no use. */
  gone(code: number, reason: string): void {
    if (this.#over) return
    this.#over = true
    this.#init.forget()
    this.#handler?.closed(code, reason)
  }

  send(frame: Frame): boolean {
    if (this.#over) return false
    try {
      this.#init.send(frame as string)
      return true
    } catch (error) {
      const { host, socketId } = this.#init
      host.log('debug', 'a message is for a socket that has gone', { socketId, error })
      this.close(1006, '')
      return false
    }
  }

  /** Cannot be told when it is read: 0.4 has no words for it. */
  pause(): void {}

  resume(): void {}

  close(code: number, reason: string): void {
    if (this.#over) return
    this.#over = true
    this.#init.forget()
    // Not from within: the handler is the one that closes.
    queueMicrotask(() => this.#handler?.closed(code, reason))
  }

  terminate(): void {
    this.close(1006, '')
  }
}
