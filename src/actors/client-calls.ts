import type { Envelope } from '../codec/codec.js'
import { SocketStreamError } from '../errors.js'
import { KIND } from '../protocol/envelope.js'
import type { Call, CallOptions } from '../services/service.js'
import type { BrokerConnection } from './connection.js'
import { Outgoing } from './outgoing.js'

/** Milliseconds until a call fails, unless it says otherwise. */
const DEFAULT_TIMEOUT = 30_000
/** The longest delay of a timer. */
const MAX_DELAY = 2 ** 31 - 1

/** A call to a client that has no final answer yet. */
interface Pending {
  reply(value: unknown): void
  fail(error: Error): void
  /** False when it is more than the credit. */
  item(value: unknown): boolean
  end(): void
}

/** The server's own calls to one connection: even ids, answered by the client. */
export class ClientCalls {
  readonly #connection: BrokerConnection
  readonly #pending = new Map<number, Pending>()
  #lastId = 0

  constructor(connection: BrokerConnection) {
    this.#connection = connection
  }

  /** Calls without a final answer. */
  get size(): number {
    return this.#pending.size
  }

  /** Calls the client half of a service. What keeps it from being sent rejects it. */
  start(service: number, payload: unknown, options: CallOptions = {}): Call {
    const { signal, timeout = DEFAULT_TIMEOUT } = options
    const { limits } = this.#connection.broker
    const items: unknown[] = []
    let credit = limits.credit
    /** Items taken and not yet granted anew. */
    let taken = 0
    let over = false
    let failure: Error | undefined
    let wake: (() => void)[] = []
    let timer: ReturnType<typeof setTimeout> | undefined
    const { promise, resolve, reject } = withResolvers()
    const id = this.#nextId()

    const finish = (error?: Error): void => {
      over = true
      failure = error
      this.#pending.delete(id)
      clearTimeout(timer)
      signal?.removeEventListener('abort', oncancel)
      notify()
    }
    const notify = (): void => {
      const waiting = wake
      wake = []
      for (const next of waiting) next()
    }
    const giveUp = (error: SocketStreamError): void => {
      if (over) return
      this.#send(KIND.CANCEL, 0, id, error.code)
      call.fail(error)
    }
    const oncancel = (): void => giveUp(cancelled(signal?.reason))
    const stream = {
      [Symbol.asyncIterator]: (): AsyncIterator<unknown> => {
        // Whoever iterates sees the error there.
        promise.catch(() => {})
        return {
          next: async () => {
            while (items.length === 0) {
              if (failure !== undefined) throw failure
              if (over) return { done: true, value: undefined }
              await new Promise<void>(next => wake.push(next))
            }
            const value = items.shift()
            taken++
            if (!over && taken * 2 >= limits.credit) {
              this.#send(KIND.CREDIT, 0, id, taken)
              credit += taken
              taken = 0
            }
            return { done: false, value }
          },
          return: async () => {
            giveUp(cancelled(undefined))
            failure = undefined
            items.length = 0
            return { done: true, value: undefined }
          },
        }
      },
    }
    const call: Pending = {
      reply(value) {
        resolve(value)
        finish(new SocketStreamError('STREAM_EXPECTED', 'The answer is no stream: await the call instead'))
      },
      fail(error) {
        reject(error)
        finish(error)
      },
      item(value) {
        if (--credit < 0) return false
        // A timeout is for the answer to begin: a stream may take as long as it takes.
        clearTimeout(timer)
        items.push(value)
        resolve(stream)
        notify()
        return true
      },
      end() {
        resolve(stream)
        finish()
      },
    }
    try {
      if (signal?.aborted) throw cancelled(signal.reason)
      if (this.#connection.isClassic) {
        throw new SocketStreamError('UNKNOWN_METHOD', 'Clients of SocketStream 0.4 take no calls')
      }
      if (this.#pending.size >= limits.calls) {
        throw new SocketStreamError('OVERLOADED', `${limits.calls} calls to this client are in flight`)
      }
      // Before it is sent: that may be what closes the connection, which fails all that are here.
      this.#pending.set(id, call)
      this.#send(KIND.CALL, service, id, payload)
      if (over) return Object.assign(promise, stream)
      signal?.addEventListener('abort', oncancel)
      if (timeout > 0 && timeout <= MAX_DELAY) {
        const late = (): void => giveUp(new SocketStreamError('TIMEOUT', 'No answer in time'))
        timer = setTimeout(late, timeout)
        timer.unref()
      }
    } catch (error) {
      call.fail(error as Error)
    }
    return Object.assign(promise, stream)
  }

  /**
   * Takes an answer of the client; those to nothing are late, and ignored.
   *
   * @throws SocketStreamError `BAD_FRAME` for an item beyond the credit, or an error that is none
   */
  take({ kind, id, payload }: Envelope): void {
    const call = this.#pending.get(id)
    if (call === undefined) {
      this.#connection.broker.log.debug('an answer to no call', { connection: this.#connection.id, id })
    } else if (kind === KIND.REPLY) call.reply(payload)
    else if (kind === KIND.END) call.end()
    else if (kind === KIND.ERROR) call.fail(readError(payload))
    else if (!call.item(payload)) throw new SocketStreamError('BAD_FRAME', 'more items than the credit')
  }

  /** The connection has gone. */
  lost(): void {
    for (const call of [...this.#pending.values()]) {
      call.fail(new SocketStreamError('CONNECTION_LOST', 'The client has gone before it answered'))
    }
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 2) % 2 ** 31
    while (this.#lastId === 0 || this.#pending.has(this.#lastId))
    return this.#lastId
  }

  #send(kind: number, service: number, id: number, payload: unknown): void {
    this.#connection.deliver(new Outgoing(this.#connection.codec, kind, service, id, payload))
  }
}

/** A call that fails before it is sent. */
export function failedCall(error: Error): Call {
  const promise = Promise.reject(error)
  const iterate = (): AsyncIterator<never> => {
    promise.catch(() => {})
    return { next: () => promise }
  }
  return Object.assign(promise, { [Symbol.asyncIterator]: iterate })
}

/** Reads an error that a client sends. @throws SocketStreamError `BAD_FRAME` */
export function readError(payload: unknown): SocketStreamError {
  const { code, message, data } = (payload ?? {}) as Record<string, unknown>
  if (typeof code !== 'string' || typeof message !== 'string') {
    throw new SocketStreamError('BAD_FRAME', 'an error is { code, message }')
  }
  return new SocketStreamError(code, message, { data }) as SocketStreamError
}

function cancelled(cause: unknown): SocketStreamError {
  return new SocketStreamError('CANCELLED', 'Cancelled', { cause })
}

function withResolvers(): {
  promise: Promise<unknown>
  resolve(value: unknown): void
  reject(error: Error): void
} {
  let resolve!: (value: unknown) => void
  let reject!: (error: Error) => void
  const promise = new Promise<unknown>((onvalue, onerror) => {
    resolve = onvalue
    reject = onerror
  })
  return { promise, resolve, reject }
}
