import type { Codec, CodecFactory, Envelope, Frame } from '../codec/codec.js'
import { mayReconnect, SocketStreamError } from '../errors.js'
import { KIND, PROTOCOL_VERSION, SUBPROTOCOLS } from '../protocol/envelope.js'
import type { Call, CallOptions, ServiceUse } from '../services/service.js'
import { type Answerable, CallbackCall, type CallHost, PromisedCall } from './call.js'
import type { ClientLink, ClientTransport } from './transport.js'

/** One line of the welcome's service table. */
export interface ServiceLine {
  readonly id: number
  readonly name: string
  readonly type: string
  readonly version: number
  readonly use: ServiceUse
}

/** What a welcome tells. */
export interface Welcome {
  readonly cid: string
  readonly services: readonly ServiceLine[]
  readonly session?: string
  readonly ping: number
  readonly calls: number
  readonly credit: number
}

/** What happens on a connection, for whoever keeps it. */
export interface ConnectionEvents {
  welcomed(welcome: Welcome): void
  message(service: number, payload: unknown): void
  publication(topic: number, payload: unknown): void
  /** An error that answers no call. */
  failed(error: Error): void
  /** The link is gone; all calls have failed. */
  closed(code: number, reason: string, reconnect: boolean): void
}

/** How a connection is made. */
export interface ConnectionInit {
  readonly url: string
  readonly codec: CodecFactory
  readonly transport: ClientTransport
  readonly auth: unknown
  readonly session: string | undefined
  /** Milliseconds until a call fails, unless it says otherwise. */
  readonly timeout: number
}

/** Milliseconds per tick, the grain of call timeouts. */
const TICK = 1000
/** Frames that wait for room in the call window. */
const MAX_WAITING = 10_000

/** One connection of a client: from the link's opening to its end. */
export class ClientConnection implements CallHost {
  readonly #init: ConnectionInit
  readonly #events: ConnectionEvents
  readonly #codec: Codec
  readonly #link: ClientLink
  readonly #calls = new Map<number, Answerable>()
  #waiting: { readonly frame: Frame; readonly id: number }[] = []
  #inFlight = 0
  #lastId = -1
  #welcome: Welcome | undefined
  #heard = true
  #tick = 0
  #ticker: ReturnType<typeof setInterval> | undefined
  #watchdog: ReturnType<typeof setInterval> | undefined
  #goodbye: { readonly code: number; readonly reason: string; readonly reconnect: boolean } | undefined
  #over = false

  constructor(init: ConnectionInit, events: ConnectionEvents) {
    this.#init = init
    this.#events = events
    this.#codec = init.codec.open(new Map())
    const protocol = SUBPROTOCOLS[init.codec.name as keyof typeof SUBPROTOCOLS]
    this.#link = init.transport.open(init.url, [protocol], {
      opened: () => this.#hello(),
      frame: frame => this.#frame(frame),
      closed: (code, reason) => this.#closed(code, reason),
    })
  }

  /** Sends a message. */
  send(service: number, payload: unknown): void {
    this.#write(this.#codec.encode(KIND.MESSAGE, service, 0, payload), 0)
  }

  /** Sends a call whose value goes to a callback. */
  callback(service: number, payload: unknown, callback: (value: unknown) => void): void {
    const call = new CallbackCall(this.#expiry(this.#init.timeout), callback, error =>
      this.#events.failed(error),
    )
    this.#start(KIND.CALL, service, payload, call)
  }

  /**
   * Sends a call or a subscribe.
   *
   * @param onreply called with the value before any frame behind it is handled
   */
  call(
    kind: number,
    service: number,
    payload: unknown,
    options: CallOptions,
    onreply?: (value: unknown) => void,
  ): Call {
    const { signal, timeout = this.#init.timeout } = options
    const own = timeout !== this.#init.timeout
    const call = new PromisedCall(
      this,
      this.#welcome?.credit ?? 1,
      own ? Infinity : this.#expiry(timeout),
      onreply,
    )
    if (signal?.aborted) {
      call.fail(cancelled(signal))
      return call.call
    }
    call.id = this.#start(kind, service, payload, call)
    const timer = own && timeout > 0 ? setTimeout(() => this.#expire(call.id, timeout), timeout) : undefined
    const abort = (): void => {
      this.cancel(call.id, 'CANCELLED')
      call.fail(cancelled(signal!))
    }
    signal?.addEventListener('abort', abort)
    call.onover = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }
    return call.call
  }

  /** Ends a subscription. */
  unsubscribe(topic: number): void {
    this.#write(this.#codec.encode(KIND.UNSUBSCRIBE, 0, 0, topic), 0)
  }

  cancel(id: number, code: string): void {
    if (!this.#calls.has(id)) return
    const waiting = this.#waiting.findIndex(entry => entry.id === id)
    if (waiting >= 0) {
      this.#waiting.splice(waiting, 1)
      this.#inFlight++
    } else this.#link.send(this.#codec.encode(KIND.CANCEL, 0, id, code))
    this.#forget(id)
  }

  grant(id: number, items: number): void {
    if (!this.#over) this.#link.send(this.#codec.encode(KIND.CREDIT, 0, id, items))
  }

  /** Says goodbye and closes. */
  close(): void {
    if (this.#over) return
    if (this.#welcome !== undefined) {
      this.#link.send(this.#codec.encode(KIND.CLOSE, 0, 1000, { reason: '', reconnect: false }))
    }
    this.#link.close(1000, '')
    this.#goodbye = { code: 1000, reason: '', reconnect: false }
    this.#closed(1000, '')
  }

  // ---- outbound -----------------------------------------------------------------------------------

  #start(kind: number, service: number, payload: unknown, call: Answerable): number {
    this.#lastId = (this.#lastId + 2) % 0x8000_0000
    const id = this.#lastId
    const frame = this.#codec.encode(kind, service, id, payload)
    if (this.#waiting.length >= MAX_WAITING) {
      throw new SocketStreamError('OVERLOADED', `${MAX_WAITING} messages wait for answers to earlier calls`)
    }
    this.#calls.set(id, call)
    this.#ticker ??= setInterval(() => this.#expireDue(), TICK)
    this.#write(frame, id)
    return id
  }

  /** Sends, unless the window of calls is full: then it waits, and all that follows behind it. */
  #write(frame: Frame, id: number): void {
    if (this.#waiting.length > 0 || (id > 0 && this.#inFlight >= this.#welcome!.calls)) {
      this.#waiting.push({ frame, id })
      return
    }
    if (id > 0) this.#inFlight++
    this.#link.send(frame)
  }

  #writeWaiting(): void {
    const waiting = this.#waiting
    let sent = 0
    for (; sent < waiting.length; sent++) {
      const { frame, id } = waiting[sent]!
      if (id > 0 && this.#inFlight >= this.#welcome!.calls) break
      if (id > 0) this.#inFlight++
      this.#link.send(frame)
    }
    if (sent > 0) this.#waiting = waiting.slice(sent)
  }

  /** The call with this id is answered, or nobody waits for it any more. */
  #forget(id: number): void {
    this.#calls.delete(id)
    this.#inFlight--
    if (this.#waiting.length > 0) this.#writeWaiting()
    if (this.#calls.size === 0) {
      clearInterval(this.#ticker)
      this.#ticker = undefined
    }
  }

  // ---- timeouts -----------------------------------------------------------------------------------

  #expiry(timeout: number): number {
    return timeout > 0 ? this.#tick + Math.ceil(timeout / TICK) + 1 : Infinity
  }

  #expireDue(): void {
    this.#tick++
    for (const [id, call] of this.#calls) {
      if (call.expires <= this.#tick) this.#expire(id, this.#init.timeout)
    }
  }

  #expire(id: number, timeout: number): void {
    const call = this.#calls.get(id)
    this.cancel(id, 'TIMEOUT')
    call?.fail(new SocketStreamError('TIMEOUT', `No answer in ${timeout} ms`))
  }

  // ---- inbound ------------------------------------------------------------------------------------

  #hello(): void {
    const { auth, session } = this.#init
    this.#link.send(this.#codec.encode(KIND.HELLO, 0, 0, { v: PROTOCOL_VERSION, auth, caps: [], session }))
  }

  #frame(frame: Frame): void {
    if (this.#over) return
    this.#heard = true
    try {
      this.#envelope(this.#codec.decode(frame))
    } catch (error) {
      // A listener's mistake or a broken frame: neither may stop the frames behind it.
      this.#events.failed(error as Error)
    }
  }

  #envelope(envelope: Envelope): void {
    const { kind, id } = envelope
    switch (kind) {
      case KIND.MESSAGE:
        return this.#events.message(envelope.service, envelope.payload)
      case KIND.PUBLICATION:
        return this.#events.publication(id, envelope.payload)
      case KIND.ITEM:
        return this.#calls.get(id)?.item(envelope.payload)
      case KIND.REPLY:
      case KIND.ERROR:
      case KIND.END:
        return this.#answer(kind, id, envelope.payload)
      case KIND.PING:
        return this.#link.send(this.#codec.encode(KIND.PONG, 0, 0, 0))
      case KIND.WELCOME:
        return this.#welcomed(envelope.payload as Welcome)
      case KIND.CLOSE:
        this.#goodbye = { code: id, ...(envelope.payload as { reason: string; reconnect: boolean }) }
    }
  }

  #answer(kind: number, id: number, payload: unknown): void {
    const call = this.#calls.get(id)
    if (call === undefined) {
      if (kind === KIND.ERROR && id === 0) this.#events.failed(toError(payload))
      return
    }
    this.#forget(id)
    if (kind === KIND.REPLY) call.reply(payload)
    else if (kind === KIND.END) call.end()
    else call.fail(toError(payload))
  }

  #welcomed(welcome: Welcome): void {
    this.#welcome = welcome
    // The server pings; half an interval of grace, and the link is taken for dead.
    this.#watchdog = setInterval(() => {
      if (!this.#heard) {
        this.#link.close(1000, 'no ping')
        this.#closed(1006, 'nothing was heard of the server')
      }
      this.#heard = false
    }, welcome.ping * 1.5)
    this.#events.welcomed(welcome)
  }

  #closed(code: number, reason: string): void {
    if (this.#over) return
    this.#over = true
    clearInterval(this.#watchdog)
    clearInterval(this.#ticker)
    const end = this.#goodbye ?? { code, reason, reconnect: mayReconnect(code) }
    const calls = [...this.#calls.values()]
    this.#calls.clear()
    const lost = new SocketStreamError('CONNECTION_LOST', `The connection closed (${end.code} ${end.reason})`)
    for (const call of calls) call.fail(lost)
    this.#events.closed(end.code, end.reason, end.reconnect)
  }
}

function cancelled(signal: AbortSignal): Error {
  return new SocketStreamError('CANCELLED', 'The call was cancelled', { cause: signal.reason })
}

/** The error that an error envelope carries. */
function toError(payload: unknown): Error {
  const { code, message, stack, errorId, ...details } = payload as {
    code: string
    message: string
    stack?: string
    errorId?: string
  }
  const error = new SocketStreamError(code, message, details)
  if (stack !== undefined) error.stack = stack
  return errorId === undefined ? error : Object.assign(error, { errorId })
}
