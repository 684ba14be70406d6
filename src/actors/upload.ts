import { SocketStreamError } from '../errors.js'
import type { Outcome } from '../services/service.js'

/** How an upload reaches its client. */
export interface UploadWire {
  /** Items that a client may send before more are granted. */
  readonly credit: number
  /** Lets the client send this many more. */
  grant(items: number): void
  /** Tells the client that no more are wanted. */
  cancel(code: string): void
}

/**
 * What a client sends along with one of its calls, as the handler reads it: once, in order.
 *
 * The client may send nothing until the handler has begun to read, and then no more than the credit ahead of it.
 */
export class Upload implements AsyncIterable<unknown> {
  readonly #wire: UploadWire
  readonly #items: unknown[] = []
  /** Items that the client may still send. */
  #credit = 0
  /** Items read and not yet granted anew. */
  #taken = 0
  #begun = false
  /** Whether the client may send anything yet. */
  #granted = false
  /** Whether the client has said how it ends. */
  #ended = false
  /** Whether nobody wants more of it. */
  #stopped = false
  #failure: SocketStreamError | undefined
  #waiting: (() => void)[] = []

  constructor(wire: UploadWire) {
    this.#wire = wire
  }

  /** @throws SocketStreamError `INVALID_STATE` the second time */
  [Symbol.asyncIterator](): AsyncIterator<unknown> {
    if (this.#begun) throw new SocketStreamError('INVALID_STATE', 'An upload is read once')
    this.#begun = true
    return {
      next: async () => {
        if (!this.#granted && !this.#over) this.#grant(this.#wire.credit)
        while (this.#items.length === 0) {
          if (this.#failure !== undefined) throw this.#failure
          if (this.#over) return { done: true, value: undefined }
          await new Promise<void>(next => this.#waiting.push(next))
        }
        const value = this.#items.shift()
        if (++this.#taken * 2 >= this.#wire.credit && !this.#over) {
          this.#grant(this.#taken)
          this.#taken = 0
        }
        return { done: false, value }
      },
      return: async () => {
        this.#stop(undefined)
        this.#failure = undefined
        return { done: true, value: undefined }
      },
    }
  }

  /**
   * Takes an item; one that nobody wants any more is dropped.
   *
   * @throws SocketStreamError `BAD_FRAME` when it is more than was granted, or comes behind the end
   */
  item(value: unknown): void {
    if (this.#credit === 0 || this.#ended)
      throw refused('an item of an upload beyond the credit, or behind its end')
    this.#credit--
    if (this.#stopped) return
    this.#items.push(value)
    this.#wake()
  }

  /**
   * The client has sent all of it, or fails it.
   *
   * @throws SocketStreamError `BAD_FRAME` when it was told of no credit yet, or has ended it before
   */
  end(failure?: SocketStreamError): void {
    if (!this.#granted || this.#ended) throw refused('the end of an upload that is not open')
    this.#ended = true
    if (this.#stopped) return
    this.#failure = failure
    this.#wake()
  }

  /** The call is over: whoever still reads gets an error. */
  closed(outcome: Outcome): void {
    const error =
      outcome === 'closed'
        ? new SocketStreamError('CONNECTION_LOST', 'The client has gone before it had sent everything')
        : new SocketStreamError('CANCELLED', 'The call of this upload is over')
    this.#stop(error)
  }

  get #over(): boolean {
    return this.#ended || this.#stopped
  }

  #stop(failure: SocketStreamError | undefined): void {
    this.#items.length = 0
    if (this.#over) {
      this.#stopped = true
      return
    }
    this.#stopped = true
    this.#failure = failure
    this.#wake()
    if (failure?.code !== 'CONNECTION_LOST') this.#wire.cancel('CANCELLED')
  }

  #grant(items: number): void {
    this.#granted = true
    this.#credit += items
    this.#wire.grant(items)
  }

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const next of waiting) next()
  }
}

function refused(message: string): SocketStreamError {
  return new SocketStreamError('BAD_FRAME', message)
}
