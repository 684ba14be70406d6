import type { Logger } from '../log.js'
import type { EndListener, Outcome } from '../services/service.js'

/** Tells whoever asked how a request has ended, once; made only for requests that somebody watches. */
export class RequestEnd {
  readonly #log: Logger
  #listeners: EndListener[] = []
  #outcome: Outcome | undefined

  constructor(log: Logger) {
    this.#log = log
  }

  /** Calls back at the end; at once when that is past. */
  add(listener: EndListener): void {
    if (this.#outcome === undefined) this.#listeners.push(listener)
    else this.#call(listener, this.#outcome, undefined)
  }

  /** The request is over; only the first time counts. */
  settle(outcome: Outcome, error?: unknown): void {
    if (this.#outcome !== undefined) return
    this.#outcome = outcome
    const listeners = this.#listeners
    this.#listeners = []
    for (const listener of listeners) this.#call(listener, outcome, error)
  }

  /** What a listener throws must not keep the answer, or the end of a connection, from going on. */
  #call(listener: EndListener, outcome: Outcome, error: unknown): void {
    try {
      listener(outcome, error)
    } catch (cause) {
      this.#log.error('a listener for the end of a request failed', { error: cause })
    }
  }
}
