import type { Codec, CodecFactory, Frame } from '../codec/codec.js'
import { mayReconnect, SocketStreamError } from '../errors.js'
import { isCounted, KIND, KIND_MASK } from '../protocol/envelope.js'
import type { ReconnectOptions } from './client.js'
import type { Accepted, ClientLink, ClientLinkHandler, ClientTransport } from './transport.js'

/** What a client keeps to resume lost connections. */
export interface ResumeOptions {
  /** Bytes sent and not acknowledged that are kept. Default 1 MiB. */
  readonly bytes?: number
}

/** How links are made and frames are read, and how soon to come back. */
export interface ResumableInit extends ResumeOptions {
  readonly transport: ClientTransport
  readonly codec: CodecFactory
  readonly reconnect?: ReconnectOptions
}

/** What a welcome says of resuming. */
interface Welcome {
  readonly token?: string
  readonly session?: string
  readonly window: number
  readonly ping: number
  readonly resumed: boolean
  readonly recv: number
  readonly reason?: string
}

const DEFAULT_BYTES = 2 ** 20
/** Messages received after which they are acknowledged, bytes, and milliseconds. */
const ACK_MESSAGES = 64
const ACK_BYTES = 2 ** 15
const ACK_DELAY = 1000
/** Frames kept of a connection that the server has made anew. */
const MAX_EARLY = 10_000
/** Milliseconds in which a link has to bring its welcome. */
const PATIENCE = 20_000

/**
 * A transport whose links are resumed when they are lost, with nothing lost and nothing twice.
 *
 * Its link lasts as long as the server's connection does. It counts what goes over it, keeps what the server has not
 * acknowledged, dials again, and sends again what had not arrived. When the server has given the connection up, the
 * link is closed; the one that is opened next is the new connection that the server has made instead.
 */
export class ResumableLinks implements ClientTransport {
  readonly #init: ResumableInit
  #dial!: () => void
  #handler: ClientLinkHandler | undefined
  #link: ClientLink | undefined
  #codec!: Codec
  /** What the client says of itself; undefined before it has. */
  #hello: object | undefined
  #token: string | undefined
  #session: string | undefined
  #window = 0
  #try = 0
  /** Whether frames can be written. */
  #up = false
  #lostAt = 0
  /** Until when silence says nothing. */
  #quietUntil = 0
  #attempts = 0
  #retry: ReturnType<typeof setTimeout> | undefined
  #patience: ReturnType<typeof setTimeout> | undefined
  /** Counted frames that the server has not acknowledged, in order. */
  #kept: { readonly frame: Frame; readonly id: number }[] = []
  #bytes = 0
  /** How many came before these. */
  #before = 0
  #received = 0
  /** Id of the latest call sent: those after it wait. */
  #lastCall = 0
  /** Of the latest call that is kept no longer, and of the latest that the server has said it has. */
  #passedCall = 0
  #hadCall = 0
  #unacknowledged = 0
  #unacknowledgedBytes = 0
  #acknowledging: ReturnType<typeof setTimeout> | undefined
  /** Whoever waits for the attempt under way. */
  #asking: ((failure?: Error) => void)[] = []
  /** What has come on a new connection that nobody has asked for yet. */
  #early: Frame[] | undefined

  constructor(init: ResumableInit) {
    this.#init = init
  }

  open(url: string, protocols: readonly string[], handler: ClientLinkHandler): ClientLink {
    const { transport, codec } = this.#init
    this.#handler = handler
    this.#dial = () => {
      this.#codec = codec.open(new Map())
      const current = (): boolean => this.#link === link
      const link: ClientLink = transport.open(url, protocols, {
        opened: () => current() && this.#opened(),
        frame: frame => current() && this.#frame(frame),
        closed: (code, reason) => current() && this.#lost(code, reason),
      })
      this.#link = link
      const left = this.#token ? this.#lostAt + this.#window - Date.now() : PATIENCE
      this.#patience = setTimeout(() => this.#abandon('no welcome'), Math.min(PATIENCE, left))
    }
    if (this.#early) queueMicrotask(() => this.#handler === handler && handler.opened())
    else {
      this.#forget()
      this.#hello = undefined
      this.#dial()
    }
    const full = (): boolean => !this.#up
    const own =
      <Args extends unknown[]>(work: (...args: Args) => void) =>
      (...args: Args): void => {
        if (this.#handler === handler) work(...args)
      }
    return {
      get full() {
        return full()
      },
      send: own((frame: Frame, id?: number) => this.#send(frame, id)),
      close: own((code, reason) => {
        this.#drop(code, reason)
        queueMicrotask(() => handler.closed(code, reason))
      }),
      lost: own(() => {
        // Whoever watches has not heard of anything since before it was back.
        if (this.#up && Date.now() >= this.#quietUntil) this.#abandon('no ping')
      }),
    }
  }

  /** Resolves when a link that was lost is back, or is none any more; tries at once, and rejects when that fails. */
  back(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#up || !this.#token) return resolve()
      this.#asking.push(failure => (failure ? reject(failure) : resolve()))
      if (!this.#retry) return
      clearTimeout(this.#retry)
      this.#retry = undefined
      this.#dial()
    })
  }

  #answer(failure?: Error): void {
    for (const answer of this.#asking.splice(0)) answer(failure)
  }

  // ---- out ----------------------------------------------------------------------------------------

  #send(frame: Frame, id = 0): void {
    const kind = kindOf(frame)
    if (kind === KIND.HELLO) {
      this.#hello = this.#codec.decode(frame).payload as object
      const early = this.#early
      this.#early = undefined
      if (!early) return this.#greet()
      for (const one of early) this.#handler?.frame(one)
    } else if (!this.#token || !isCounted(kind)) {
      if (this.#up) this.#write(frame)
    } else {
      if (id) this.#lastCall = id
      this.#kept.push({ frame, id })
      this.#bytes += frame.length
      if (this.#up) this.#write(frame)
      const { bytes = DEFAULT_BYTES } = this.#init
      while (this.#bytes > bytes) {
        // Without a link it can never be made good; with one, only if the server has not got it when that is lost.
        if (!this.#up) return this.#end(1006, 'more waits than is kept')
        this.#letGo(this.#before + 1)
      }
    }
  }

  #greet(): void {
    const resume = this.#token && { token: this.#token, try: ++this.#try, recv: this.#received }
    // Only who has the session, too, may go on.
    this.#put(KIND.HELLO, {
      ...this.#hello,
      caps: ['resume'],
      ...(resume && { resume, session: this.#session }),
    })
  }

  #put(kind: number, payload: unknown): void {
    this.#link?.send(this.#codec.encode(kind, 0, 0, payload))
  }

  #write(frame: Frame): void {
    const codec = this.#codec
    if ((typeof frame === 'string') === codec.binary) {
      // The way back is of another kind than the one that it was encoded for.
      const { kind, flags, service, id, payload, extensions } = codec.decode(frame)
      frame = codec.encode(kind | flags, service, id, payload, extensions)
    }
    this.#link?.send(frame)
  }

  // ---- in -----------------------------------------------------------------------------------------

  #opened(): void {
    if (this.#hello) this.#greet()
    else this.#handler?.opened()
  }

  #frame(frame: Frame): void {
    const kind = kindOf(frame)
    if (kind === KIND.WELCOME) return this.#welcomed(frame)
    if (this.#token) {
      if (kind >= KIND.ACK && kind <= KIND.PONG) this.#acknowledged(this.#payload(frame) as number)
      else if (isCounted(kind)) this.#count(frame.length)
      if (kind === KIND.ACK) return
    }
    if (this.#early) {
      // Whoever wants to go on does so soon.
      if (this.#early.push(frame) > MAX_EARLY) this.#drop(4000, 'not asked for')
    } else this.#handler?.frame(frame)
  }

  #count(bytes: number): void {
    this.#received++
    this.#unacknowledgedBytes += bytes
    if (++this.#unacknowledged >= ACK_MESSAGES || this.#unacknowledgedBytes >= ACK_BYTES) this.#acknowledge()
    else this.#acknowledging ??= setTimeout(() => this.#acknowledge(), ACK_DELAY)
  }

  #acknowledge(): void {
    clearTimeout(this.#acknowledging)
    this.#acknowledging = undefined
    this.#unacknowledged = this.#unacknowledgedBytes = 0
    if (this.#up) this.#put(KIND.ACK, this.#received)
  }

  /** The server has all up to this number. */
  #acknowledged(number: number): void {
    if (number > this.#before) this.#letGo(number)
    // Of those let go of before it has said so, it may lack the last.
    if (number === this.#before) this.#hadCall = this.#passedCall
  }

  #letGo(number: number): void {
    for (const { frame, id } of this.#kept.splice(0, number - this.#before)) {
      this.#bytes -= frame.length
      if (id) this.#passedCall = id
    }
    this.#before = number
  }

  #welcomed(frame: Frame): void {
    const welcome = this.#payload(frame) as Welcome
    const { token, resumed, recv, reason } = welcome
    const lost = this.#token
    clearTimeout(this.#patience)
    this.#up = true
    this.#attempts = 0
    this.#answer()
    // It names the server that has the connection now.
    this.#token = token
    if (lost && resumed && recv >= this.#before) {
      this.#quietUntil = Date.now() + welcome.ping
      this.#acknowledged(recv)
      this.#acknowledge()
      for (const { frame: kept } of this.#kept) this.#write(kept)
      return this.#handler?.resuming?.()
    }
    if (lost && resumed) return this.#end(1006, 'more was sent than is kept')
    // A connection of its own: numbers begin anew.
    const accepted = this.#accepted()
    this.#forget()
    this.#up = true
    this.#token = token
    this.#window = welcome.window
    this.#session = welcome.session
    if (!lost) return this.#handler?.frame(frame)
    this.#early = [frame]
    const handler = this.#handler
    this.#handler = undefined
    handler?.closed(1006, `not resumed: ${reason}`, accepted)
  }

  // ---- the link's end -----------------------------------------------------------------------------

  #abandon(reason: string): void {
    const link = this.#link
    this.#link = undefined
    // A code by which the server goes on waiting, if it hears of it at all.
    link?.close(4503, reason)
    this.#lost(1006, reason)
  }

  #lost(code: number, reason: string): void {
    clearTimeout(this.#patience)
    this.#link = undefined
    this.#early = undefined
    if (!this.#token || !mayReconnect(code)) return this.#end(code, reason)
    const data = { code, reason }
    this.#answer(new SocketStreamError('NOT_CONNECTED', `closed (${code} ${reason})`, { data }))
    if (this.#up) {
      this.#up = false
      this.#lostAt = Date.now()
      this.#handler?.resuming?.(data)
    }
    const { minDelay = 250, maxDelay = 30_000 } = this.#init.reconnect ?? {}
    const delay = Math.min(minDelay * 2 ** this.#attempts++, maxDelay) * (0.5 + Math.random() / 2)
    if (Date.now() + delay > this.#lostAt + this.#window) return this.#end(code, reason)
    this.#retry = setTimeout(() => {
      this.#retry = undefined
      this.#dial()
    }, delay)
  }

  /** It is over, and the other end knows or will never hear of it. */
  #end(code: number, reason: string): void {
    const handler = this.#handler
    const accepted = this.#token ? this.#accepted() : undefined
    this.#drop(1000, '')
    handler?.closed(code, reason, accepted)
  }

  #drop(code: number, reason: string): void {
    const link = this.#link
    this.#handler = this.#link = this.#early = undefined
    this.#forget()
    link?.close(code, reason)
  }

  #forget(): void {
    this.#answer()
    for (const timer of [this.#retry, this.#patience, this.#acknowledging]) clearTimeout(timer)
    this.#retry = this.#acknowledging = this.#token = undefined
    this.#kept = []
    this.#up = false
    this.#attempts = this.#try = this.#before = this.#bytes = this.#received = 0
    this.#lastCall = this.#passedCall = this.#hadCall = 0
    this.#unacknowledged = this.#unacknowledgedBytes = 0
  }

  /** Of what was not acknowledged nobody knows whether the server has it; later calls were never sent. */
  #accepted(): Accepted {
    const [had, last] = [this.#hadCall, this.#lastCall]
    return id => id <= had || (id <= last ? 'unknown' : false)
  }

  #payload(frame: Frame): unknown {
    return this.#codec.decode(frame).payload
  }
}

/** The kind, without the rest of the frame being read: the second byte, or the first number. */
function kindOf(frame: Frame): number {
  return (typeof frame === 'string' ? Number.parseInt(frame.slice(1), 10) : frame[1]!) & KIND_MASK
}
