import { SocketStreamError } from '../errors.js'
import type { Call } from '../services/service.js'

/** What a call needs of the connection it runs on. */
export interface CallHost {
  /** Tells the server that the answer is no longer wanted. */
  cancel(id: number, code: string): void
  /** Lets the server send this many more items. */
  grant(id: number, items: number): void
}

/** Something that waits for the answer to a call. */
export interface Answerable {
  /** The tick at which it times out; Infinity if it has a timer of its own, or none. */
  readonly expires: number
  reply(value: unknown): void
  fail(error: Error): void
  item(value: unknown): void
  end(): void
}

/** A call with a callback: values go there, errors nowhere but to `failed`. */
export class CallbackCall implements Answerable {
  readonly expires: number
  readonly #callback: (value: unknown) => void
  readonly #failed: (error: Error) => void

  constructor(expires: number, callback: (value: unknown) => void, failed: (error: Error) => void) {
    this.expires = expires
    this.#callback = callback
    this.#failed = failed
  }

  reply(value: unknown): void {
    this.#callback(value)
  }

  fail(error: Error): void {
    this.#failed(error)
  }

  item(): void {}

  end(): void {}
}

/**
 * A call as a promise of its value and an iterable of its items, whichever the server sends.
 *
 * Awaiting a call that streams gives its iterable.
 */
export class PromisedCall implements Answerable {
  readonly expires: number
  readonly call: Call
  id = 0
  readonly #host: CallHost
  readonly #credit: number
  readonly #onreply: ((value: unknown) => void) | undefined
  readonly #items: unknown[] = []
  #resolve!: (value: unknown) => void
  #reject!: (error: Error) => void
  #wake: (() => void) | undefined
  #taken = 0
  #over = false
  #error: Error | undefined
  /** Called once when no answer is awaited any more. */
  onover: (() => void) | undefined

  constructor(host: CallHost, credit: number, expires: number, onreply?: (value: unknown) => void) {
    this.#host = host
    this.#onreply = onreply
    this.#credit = credit
    this.expires = expires
    const promise = new Promise<unknown>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.call = Object.assign(promise, {
      [Symbol.asyncIterator]: () => {
        // Whoever iterates sees the error there: the promise must not report it a second time.
        promise.catch(() => {})
        return this.#iterate()
      },
    })
  }

  reply(value: unknown): void {
    this.#error = new SocketStreamError('STREAM_EXPECTED', 'The method answers with one value, not a stream')
    this.#onreply?.(value)
    this.#resolve(value)
    this.#finish()
  }

  fail(error: Error): void {
    this.#error = error
    this.#reject(error)
    this.#finish()
  }

  item(value: unknown): void {
    this.#items.push(value)
    this.#streams()
    this.#wake?.()
  }

  end(): void {
    this.#streams()
    this.#finish()
  }

  #streams(): void {
    this.#resolve({ [Symbol.asyncIterator]: () => this.#iterate() })
  }

  #finish(): void {
    this.#over = true
    this.onover?.()
    this.#wake?.()
  }

  #iterate(): AsyncIterator<unknown> {
    return {
      next: async () => {
        while (this.#items.length === 0 && !this.#over) {
          await new Promise<void>(resolve => {
            this.#wake = resolve
          })
        }
        if (this.#items.length > 0) {
          // Credit goes back in halves, so that a long stream costs few frames.
          if (!this.#over && ++this.#taken * 2 >= this.#credit) {
            this.#host.grant(this.id, this.#taken)
            this.#taken = 0
          }
          return { done: false, value: this.#items.shift() }
        }
        const error = this.#error
        this.#error = undefined
        if (error !== undefined) throw error
        return { done: true, value: undefined }
      },
      return: async () => {
        if (!this.#over) {
          this.#host.cancel(this.id, 'CANCELLED')
          this.#finish()
        }
        this.#items.length = 0
        return { done: true, value: undefined }
      },
    }
  }
}

/** A call that failed before it was sent. */
export function failedCall(error: unknown): Call {
  const call = new PromisedCall({ cancel() {}, grant() {} }, 1, 0)
  call.fail(error as Error)
  return call.call
}
