import type { Events } from './events.js'
import type { GapReason, LogEntry, LogHandler, Position } from './log.js'

/** One subscriber of a channel, in this process. */
export class Subscriber {
  /** What it has heard up to, or will have once it has begun. */
  position: Position
  readonly #handler: LogHandler
  readonly #events: Events
  /** What comes before the caller has the subscription; undefined from then on. */
  #waiting: (() => void)[] | undefined = []
  #closed = false

  constructor(handler: LogHandler, position: Position, events: Events) {
    this.#handler = handler
    this.position = position
    this.#events = events
    // The promise of the subscription has long been followed up when this turn comes.
    setImmediate(() => {
      const waiting = this.#waiting ?? []
      this.#waiting = undefined
      for (const call of waiting) call()
    })
  }

  /** Delivers the entry after the last one. */
  entry(entry: LogEntry): void {
    this.position = { epoch: this.position.epoch, offset: entry.offset }
    this.#call(() => this.#handler.entry(entry))
  }

  /** Tells that continuity was lost. */
  gap(reason: GapReason, position: Position): void {
    this.position = position
    this.#call(() => this.#handler.gap(reason, position))
  }

  close(): void {
    this.#closed = true
  }

  #call(call: () => void): void {
    if (this.#waiting) this.#waiting.push(() => this.#call(call))
    else if (!this.#closed) this.#events.guard(call)
  }
}
