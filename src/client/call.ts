import { SocketStreamError } from '../errors.js'
import type { Call, CallOptions } from '../services/service.js'

/** What a call needs of the connection it runs on. */
export interface CallHost {
  /**
   * Sends a call or a subscribe.
   *
   * @param options the timeout is the connection's own if undefined, 0 for none
   * @returns the id of the call
   * @throws SocketStreamError `UNENCODABLE`, `OVERLOADED`
   */
  start(kind: number, service: number, payload: unknown, call: Answerable, options: CallOptions): number
  /** Gives a call up: tells the server, and fails it with this error. Nothing if it is over. */
  cancel(id: number, error: SocketStreamError): void
  /**
   * Lets the server send this many more items. Nothing if the call is over.
   *
   * In halves of the credit, so that a long stream costs few frames.
   *
   * @returns how many are still to be granted: all or none
   */
  grant(id: number, items: number): number
}

/** Something that waits for the answer to a call. */
export interface Answerable {
  /** The tick at which it times out; set when it is sent. */
  expires?: number
  reply(value: unknown): void
  fail(error: Error): void
  /** Without it, items are left unread. */
  item?(value: unknown): void
  end?(): void
}

/**
 * Sends a call: a promise of its value and an iterable of its items, whichever the server sends.
 *
 * Awaiting a call that streams gives its iterable. What keeps it from being sent rejects it.
 *
 * @param core where there is a connection, or where asking for it throws
 * @param onreply called with the value before any frame behind it is handled
 */
export function sendCall(
  core: { readonly connected: CallHost },
  kind: number,
  service: number,
  payload: unknown,
  options: CallOptions = {},
  onreply?: (value: unknown) => void,
): Call {
  const { signal } = options
  let host: CallHost | undefined
  let id = 0
  let over = false
  /** Makes what an iterator throws behind the items; most calls have none, and a stack trace is dear. */
  let failure: (() => Error) | undefined
  const items: unknown[] = []
  /** Items taken and not yet granted anew. */
  let taken = 0
  /** Whoever waits for an item, or the end. */
  const waiting: (() => void)[] = []

  let resolve!: (value: unknown) => void
  let reject!: (error: Error) => void
  const stream = { [Symbol.asyncIterator]: iterate }
  const promise = new Promise<unknown>((onvalue, onerror) => {
    resolve = onvalue
    reject = onerror
  })
  const call: Answerable = {
    reply(value) {
      onreply?.(value)
      resolve(value)
      finish(() => new SocketStreamError('STREAM_EXPECTED', 'No stream'))
    },
    fail(error) {
      reject(error)
      finish(() => error)
    },
    item(value) {
      // A timeout is for the answer to begin: a stream may take as long as it takes.
      call.expires = Infinity
      items.push(value)
      resolve(stream)
      wake()
    },
    end() {
      resolve(stream)
      finish()
    },
  }
  try {
    if (signal?.aborted) throw cancelled()
    host = core.connected
    id = host.start(kind, service, payload, call, options)
    signal?.addEventListener('abort', cancel)
  } catch (error) {
    call.fail(error as Error)
  }
  return Object.assign(promise, stream)

  function finish(error?: () => Error): void {
    over = true
    failure = error
    signal?.removeEventListener('abort', cancel)
    wake()
  }

  function wake(): void {
    for (const next of waiting.splice(0)) next()
  }

  function cancel(): void {
    host?.cancel(id, cancelled())
  }

  function cancelled(): SocketStreamError {
    return new SocketStreamError('CANCELLED', 'Cancelled', { cause: signal?.reason })
  }

  function iterate(): AsyncIterator<unknown> {
    // Whoever iterates sees the error there: the promise must not report it a second time.
    promise.catch(() => {})
    return {
      async next() {
        while (!items.length) {
          if (failure) throw failure()
          if (over) return { done: true, value: undefined }
          await new Promise<void>(next => waiting.push(next))
        }
        taken = host!.grant(id, taken + 1)
        return { done: false, value: items.shift() }
      },
      async return() {
        cancel()
        failure = undefined
        items.length = 0
        return { done: true, value: undefined }
      },
    }
  }
}
