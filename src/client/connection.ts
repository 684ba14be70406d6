import type { CodecFactory, Frame } from '../codec/codec.js'
import { mayReconnect, SocketStreamError } from '../errors.js'
import { KIND, PROTOCOL_VERSION, SUBPROTOCOL } from '../protocol/envelope.js'
import type { CallOptions, InboundCalls, ServiceUse } from '../services/service.js'
import type { Answerable, CallHost } from './call.js'
import type { Accepted, ClientTransport } from './transport.js'

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
  closed(why: Ending, reconnect?: boolean): void
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
  /** Bytes that may wait, see `ClientOptions`. */
  readonly queueBytes?: number
}

/** An enum, because bundlers then write the numbers themselves into the code. */
enum BOUND {
  /** Milliseconds until a call fails, unless an option says otherwise. */
  TIMEOUT = 30_000,
  /** Milliseconds per tick, the grain of call timeouts. */
  TICK = 100,
  /** Frames that wait for room in the call window, or for the link to come back; and bytes of them. */
  MESSAGES = 10_000,
  BYTES = 2 ** 23,
}

/** One connection of a client: from the link's opening to its end. */
export interface ClientConnection extends CallHost {
  /** Resolves with the welcome; rejects with `NOT_CONNECTED` when it ends before. */
  readonly ready: Promise<void>
  readonly welcome: Welcome | undefined
  /**
   * Sends a message; with a callback it is a call, whose errors go to the owner.
   *
   * @returns false when it was volatile and dropped
   */
  send(
    service: number,
    payload: unknown,
    callback: ((value: unknown) => void) | undefined,
    options: CallOptions,
  ): boolean
  /** Ends a subscription. */
  unsubscribe(topic: number): void
  /** Says goodbye and closes. */
  close(): void
}

/** Opens a link and keeps the connection that is made over it. */
export function clientConnection(init: ConnectionInit, owner: ConnectionOwner): ClientConnection {
  const codec = init.codec.open(new Map())
  const calls = new Map<number, Answerable>()
  /** Frames behind a full window of calls, in order; those that call with their ids, others with 0. */
  const waiting: { readonly frame: Frame; readonly id: number }[] = []
  /** Bytes of the frames that wait. */
  let waitingBytes = 0
  /** Calls that are sent and not answered. */
  let inFlight = 0
  let lastId = -1
  let welcome: Welcome | undefined
  let heard = true
  let tick = 0
  let ticker: ReturnType<typeof setInterval> | undefined
  let watchdog: ReturnType<typeof setInterval> | undefined
  let over = false
  let resolve!: () => void
  let reject!: (error: Error) => void
  const ready = new Promise<void>((onvalue, onerror) => {
    resolve = onvalue
    reject = onerror
  })
  ready.catch(() => {})
  const link = init.transport.open(init.url, [SUBPROTOCOL.PREFIX + init.codec.name], {
    opened: () => send(KIND.HELLO, 0, { v: PROTOCOL_VERSION, auth: init.auth, session: init.session }),
    frame: take,
    closed: (code, reason, accepted) => end(code, reason, mayReconnect(code), accepted),
    resuming(lost) {
      owner.resuming(lost)
      writeWaiting()
    },
  })
  return {
    ready,
    get welcome() {
      return welcome
    },
    send(service, payload, reply, options) {
      return reply
        ? !!start(KIND.CALL, service, payload, { reply, fail: owner.failed }, options)
        : write(KIND.MESSAGE, service, 0, payload, options)
    },
    start,
    unsubscribe(topic) {
      write(KIND.UNSUBSCRIBE, 0, 0, topic, {})
    },
    cancel,
    grant(id, items) {
      if (items * 2 < welcome!.credit) return items
      if (calls.has(id)) send(KIND.CREDIT, id, items)
      return 0
    },
    close() {
      if (welcome) send(KIND.CLOSE, 1000, { reason: '', reconnect: false })
      end(1000, '')
    },
  }

  function start(
    kind: number,
    service: number,
    payload: unknown,
    call: Answerable,
    options: CallOptions,
  ): number {
    lastId = (lastId + 2) % 2 ** 31
    const id = lastId
    write(kind, service, id, payload, options)
    // One more, as the tick under way is no whole one.
    call.expires = tick + 1 + ((options.timeout ?? init.timeout ?? BOUND.TIMEOUT) || Infinity) / BOUND.TICK
    calls.set(id, call)
    ticker ??= setInterval(expireDue, BOUND.TICK)
    return id
  }

  function cancel(id: number, error: SocketStreamError): void {
    if (!calls.has(id)) return
    const place = waiting.findIndex(entry => entry.id === id)
    if (place < 0) send(KIND.CANCEL, id, error.code)
    else {
      unqueue(place)
      inFlight++
    }
    settle(id)?.fail(error)
  }

  // ---- outbound -----------------------------------------------------------------------------------

  /** Sends at once, past the calls that wait. */
  function send(kind: number, id: number, payload: unknown): void {
    link.send(codec.encode(kind, 0, id, payload))
  }

  /**
   * Sends, unless the window of calls is full: then it waits, and all that follows behind it.
   *
   * @returns false when it was volatile and dropped
   */
  function write(
    kind: number,
    service: number,
    id: number,
    payload: unknown,
    {
      volatile,
      idempotencyKey,
      extensions = () => (idempotencyKey ? { idempotencyKey } : undefined),
    }: CallOptions,
  ): boolean {
    const frame = codec.encode(kind, service, id, payload, extensions(id, idempotencyKey))
    if (frame.length > welcome!.maxFrame) throw new SocketStreamError('FRAME_TOO_BIG', 'No room')
    waitingBytes += frame.length
    waiting.push({ frame, id })
    writeWaiting()
    // What waits ends with this frame, or nothing waits.
    const fits = waiting.length <= BOUND.MESSAGES && waitingBytes <= (init.queueBytes ?? BOUND.BYTES)
    if (!waiting.length || (!volatile && fits)) return true
    unqueue(-1)
    if (volatile && !id) return false
    throw new SocketStreamError(volatile && link.full ? 'NOT_CONNECTED' : 'OVERLOADED', 'No room')
  }

  function unqueue(place: number): void {
    waitingBytes -= waiting.splice(place, 1)[0]!.frame.length
  }

  function writeWaiting(): void {
    while (waiting.length && !link.full) {
      const { frame, id } = waiting[0]!
      if (id) {
        if (inFlight >= welcome!.calls) return
        inFlight++
      }
      unqueue(0)
      link.send(frame, id)
    }
  }

  /** Takes the call with this id out: it is answered, or nobody waits for it any more. */
  function settle(id: number): Answerable | undefined {
    const call = calls.get(id)
    if (calls.delete(id)) {
      inFlight--
      writeWaiting()
    }
    return call
  }

  // ---- timeouts -----------------------------------------------------------------------------------

  function expireDue(): void {
    tick++
    for (const [id, call] of calls) {
      if (call.expires! <= tick) cancel(id, new SocketStreamError('TIMEOUT', 'No answer'))
    }
    if (!calls.size) {
      ticker = clearInterval(ticker) as undefined
    }
  }

  // ---- inbound ------------------------------------------------------------------------------------

  function take(frame: Frame): void {
    if (over) return
    heard = true
    try {
      const { kind, service, id, payload } = codec.decode(frame)
      switch (kind) {
        case KIND.MESSAGE:
          return owner.message(service, payload)
        case KIND.PUBLICATION:
          return owner.publication(id, payload)
        case KIND.REPLY:
          return settle(id)?.reply(payload)
        case KIND.ITEM:
          return calls.get(id)?.item?.(payload)
        case KIND.END:
          return settle(id)?.end?.()
        case KIND.ERROR: {
          const { code, message, ...details } = payload as { code: string; message: string }
          const error = Object.assign(new SocketStreamError(code, message), details)
          if (!id) throw error
          return settle(id)?.fail(error)
        }
        case KIND.PING:
          return send(KIND.PONG, 0, 0)
        case KIND.WELCOME:
          return welcomed(payload as Welcome)
        case KIND.CLOSE:
          return end(id, (payload as Ending).reason, (payload as { reconnect: boolean }).reconnect)
        default:
          // The server must not wait for an answer that nobody gives.
          if (!owner.inbound?.(frame, link, codec) && kind === KIND.CALL) {
            send(KIND.ERROR, id, { code: 'UNKNOWN_METHOD', message: 'No answer' })
          }
      }
    } catch (error) {
      // What answers no call, a listener's mistake, a broken frame: none may stop the frames behind it.
      owner.failed(error as Error)
    }
  }

  function welcomed(told: Welcome): void {
    welcome = told
    // The server pings; half an interval of grace, and the link is taken for dead.
    watchdog = setInterval(() => {
      if (!heard) link.lost ? link.lost() : end(1006, 'no ping', true)
      heard = false
    }, told.ping * 1.5)
    resolve()
    owner.welcomed(told)
  }

  function end(code: number, reason: string, reconnect?: boolean, accepted?: Accepted): void {
    if (over) return
    over = true
    link.close(1000, '')
    clearInterval(watchdog)
    clearInterval(ticker)
    const message = `${init.url} closed (${code} ${reason})`
    const left = [...calls]
    calls.clear()
    for (const [id, call] of left) {
      const data = { accepted: accepted ? accepted(id) : 'unknown' }
      call.fail(new SocketStreamError('CONNECTION_LOST', message, { data }))
    }
    const why = { code, reason }
    reject(new SocketStreamError('NOT_CONNECTED', message, { data: why }))
    owner.closed(why, reconnect)
  }
}
