import type { Codec, CodecFactory, Frame } from '../codec/codec.js'
import { mayReconnect, SocketStreamError } from '../errors.js'
import { type Extensions, KIND, PROTOCOL_VERSION, SUBPROTOCOL } from '../protocol/envelope.js'
import type { CallOptions, InboundCalls, ServiceUse } from '../services/service.js'
import type { Answerable, CallHost } from './call.js'
import type { Accepted, ClientLink, ClientTransport } from './transport.js'

/** One line of the welcome's service table. */
export interface ServiceLine {
  readonly id: number
  readonly name: string
  readonly type: string
  readonly version: number
  readonly use: ServiceUse
  /** Told by servers that take clients of 0.4. */
  readonly options?: Readonly<Record<string, unknown>>
}

/** What a welcome tells. */
export interface Welcome {
  readonly cid: string
  readonly services: readonly ServiceLine[]
  readonly session?: string
  readonly ping: number
  readonly calls: number
  readonly credit: number
  readonly maxFrame: number
}

/** Whoever keeps a connection, and hears what happens on it. */
export interface ConnectionOwner {
  welcomed(welcome: Welcome): void
  message(service: number, payload: unknown): void
  publication(topic: number, payload: unknown): void
  /** Calls of the server, and what belongs to them. */
  inbound?: InboundCalls['inbound']
  /** An error that answers no call. */
  failed(error: Error): void
  /** The link was lost, and is to be resumed; nothing when it is back. */
  resuming(lost?: Ending): void
  /** The link is gone; all calls have failed. */
  closed(why: Ending, reconnect: boolean): void
}

/** How a connection ended. */
export interface Ending {
  readonly code: number
  readonly reason: string
}

/** How a connection is made. */
export interface ConnectionInit {
  readonly url: string
  readonly codec: CodecFactory
  readonly transport: ClientTransport
  readonly auth?: unknown
  readonly session?: string | undefined
  /** Milliseconds until a call fails, unless it says otherwise. */
  readonly timeout?: number
}

/** An enum, because bundlers then write the numbers themselves into the code. */
enum BOUND {
  /** Milliseconds until a call fails, unless an option says otherwise. */
  TIMEOUT = 30_000,
  /** Milliseconds per tick, the grain of call timeouts. */
  TICK = 100,
  /** Frames that wait for room in the call window, or for the link to come back. */
  WAITING = 10_000,
}

/** One connection of a client: from the link's opening to its end. */
export class ClientConnection implements CallHost {
  /** Resolves with the welcome; rejects with `NOT_CONNECTED` when it ends before. */
  declare readonly ready: Promise<void>
  #resolve!: () => void
  #reject!: (error: Error) => void
  readonly #init: ConnectionInit
  readonly #owner: ConnectionOwner
  readonly #codec: Codec
  readonly #link: ClientLink
  readonly #calls = new Map<number, Answerable>()
  /** Frames behind a full window of calls, in order; those that call with their ids, others with 0. */
  readonly #waiting: { readonly frame: Frame; readonly id: number }[] = []
  /** Calls that are sent and not answered. */
  #inFlight = 0
  #lastId = -1
  declare welcome: Welcome | undefined
  #heard = true
  #tick = 0
  #ticker: ReturnType<typeof setInterval> | undefined
  #watchdog: ReturnType<typeof setInterval> | undefined
  #over = false

  constructor(init: ConnectionInit, owner: ConnectionOwner) {
    this.#init = init
    this.#owner = owner
    this.#codec = init.codec.open(new Map())
    this.ready = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.ready.catch(() => {})
    this.#link = init.transport.open(init.url, [SUBPROTOCOL + init.codec.name], {
      opened: () =>
        this.#send(KIND.HELLO, 0, { v: PROTOCOL_VERSION, auth: init.auth, session: init.session }),
      frame: frame => this.#frame(frame),
      closed: (code, reason, accepted) => this.#end(code, reason, mayReconnect(code), accepted),
      resuming: lost => {
        owner.resuming(lost)
        this.#writeWaiting()
      },
    })
  }

  /** Sends a message; with a callback it is a call, whose errors go to the owner. */
  send(service: number, payload: unknown, callback?: (value: unknown) => void): void {
    if (!callback) this.#write(KIND.MESSAGE, service, 0, payload)
    else
      this.start(KIND.CALL, service, payload, { reply: callback, fail: error => this.#owner.failed(error) })
  }

  start(
    kind: number,
    service: number,
    payload: unknown,
    call: Answerable,
    { timeout = this.#init.timeout ?? BOUND.TIMEOUT, idempotencyKey, extensions }: CallOptions = {},
  ): number {
    this.#lastId = (this.#lastId + 2) % 2 ** 31
    const id = this.#lastId
    this.#write(
      kind,
      service,
      id,
      payload,
      extensions?.(id, idempotencyKey) ?? (idempotencyKey ? { idempotencyKey } : undefined),
    )
    // One more, as the tick under way is no whole one.
    call.expires = this.#tick + 1 + (timeout || Infinity) / BOUND.TICK
    this.#calls.set(id, call)
    this.#ticker ??= setInterval(() => this.#expireDue(), BOUND.TICK)
    return id
  }

  /** Ends a subscription. */
  unsubscribe(topic: number): void {
    this.#write(KIND.UNSUBSCRIBE, 0, 0, topic)
  }

  cancel(id: number, error: SocketStreamError): void {
    if (!this.#calls.has(id)) return
    const place = this.#waiting.findIndex(entry => entry.id === id)
    if (place < 0) this.#send(KIND.CANCEL, id, error.code)
    else {
      this.#waiting.splice(place, 1)
      this.#inFlight++
    }
    this.#take(id)?.fail(error)
  }

  grant(id: number, items: number): number {
    if (items * 2 < this.welcome!.credit) return items
    if (this.#calls.has(id)) this.#send(KIND.CREDIT, id, items)
    return 0
  }

  /** Says goodbye and closes. */
  close(): void {
    if (this.welcome) this.#send(KIND.CLOSE, 1000, { reason: '', reconnect: false })
    this.#end(1000, '', false)
  }

  // ---- outbound -----------------------------------------------------------------------------------

  /** Sends at once, past the calls that wait. */
  #send(kind: number, id: number, payload: unknown): void {
    this.#link.send(this.#codec.encode(kind, 0, id, payload))
  }

  /** Sends, unless the window of calls is full: then it waits, and all that follows behind it. */
  #write(kind: number, service: number, id: number, payload: unknown, extensions?: Extensions): void {
    const frame = this.#codec.encode(kind, service, id, payload, extensions)
    const tooBig = frame.length > this.welcome!.maxFrame
    if (tooBig || this.#waiting.length >= BOUND.WAITING) {
      throw new SocketStreamError(tooBig ? 'FRAME_TOO_BIG' : 'OVERLOADED', 'No room')
    }
    this.#waiting.push({ frame, id })
    this.#writeWaiting()
  }

  #writeWaiting(): void {
    const waiting = this.#waiting
    while (waiting.length && !this.#link.full) {
      const { frame, id } = waiting[0]!
      if (id) {
        if (this.#inFlight >= this.welcome!.calls) return
        this.#inFlight++
      }
      waiting.shift()
      this.#link.send(frame, id)
    }
  }

  /** Takes the call with this id out: it is answered, or nobody waits for it any more. */
  #take(id: number): Answerable | undefined {
    const call = this.#calls.get(id)
    if (this.#calls.delete(id)) {
      this.#inFlight--
      this.#writeWaiting()
    }
    return call
  }

  // ---- timeouts -----------------------------------------------------------------------------------

  #expireDue(): void {
    this.#tick++
    for (const [id, call] of this.#calls) {
      if (call.expires! <= this.#tick) this.cancel(id, new SocketStreamError('TIMEOUT', 'No answer'))
    }
    if (!this.#calls.size) {
      clearInterval(this.#ticker)
      this.#ticker = undefined
    }
  }

  // ---- inbound ------------------------------------------------------------------------------------

  #frame(frame: Frame): void {
    if (this.#over) return
    this.#heard = true
    try {
      const { kind, service, id, payload } = this.#codec.decode(frame)
      switch (kind) {
        case KIND.MESSAGE:
          return this.#owner.message(service, payload)
        case KIND.PUBLICATION:
          return this.#owner.publication(id, payload)
        case KIND.REPLY:
          return this.#take(id)?.reply(payload)
        case KIND.ITEM:
          return this.#calls.get(id)?.item?.(payload)
        case KIND.END:
          return this.#take(id)?.end?.()
        case KIND.ERROR: {
          const { code, message, ...details } = payload as { code: string; message: string }
          const error = Object.assign(new SocketStreamError(code, message), details)
          if (!id) throw error
          return this.#take(id)?.fail(error)
        }
        case KIND.PING:
          return this.#send(KIND.PONG, 0, 0)
        case KIND.WELCOME:
          return this.#welcomed(payload as Welcome)
        case KIND.CLOSE:
          return this.#end(id, (payload as Ending).reason, (payload as { reconnect: boolean }).reconnect)
        default:
          this.#owner.inbound?.(frame, this.#link, this.#codec)
      }
    } catch (error) {
      // What answers no call, a listener's mistake, a broken frame: none may stop the frames behind it.
      this.#owner.failed(error as Error)
    }
  }

  #welcomed(welcome: Welcome): void {
    this.welcome = welcome
    // The server pings; half an interval of grace, and the link is taken for dead.
    this.#watchdog = setInterval(() => {
      if (!this.#heard) this.#link.lost ? this.#link.lost() : this.#end(1006, 'no ping', true)
      this.#heard = false
    }, welcome.ping * 1.5)
    this.#resolve()
    this.#owner.welcomed(welcome)
  }

  #end(code: number, reason: string, reconnect: boolean, accepted?: Accepted): void {
    if (this.#over) return
    this.#over = true
    this.#link.close(1000, '')
    clearInterval(this.#watchdog)
    clearInterval(this.#ticker)
    const message = `${this.#init.url} closed (${code} ${reason})`
    const calls = [...this.#calls]
    this.#calls.clear()
    for (const [id, call] of calls) {
      const data = accepted && { accepted: accepted(id) }
      call.fail(new SocketStreamError('CONNECTION_LOST', message, { data }))
    }
    const why = { code, reason }
    this.#reject(new SocketStreamError('NOT_CONNECTED', message, { data: why }))
    this.#owner.closed(why, reconnect)
  }
}
