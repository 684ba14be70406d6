import type { EngineClock } from './clock.js'

/** Milliseconds between two sweeps. */
export const SWEEP_EVERY = 1000

/** What has things that end with time. */
export interface Swept {
  /** Removes what is over; gives whether to come again. */
  sweep(now: number): boolean
}

/** The one timer of an engine: it runs while anything is there whose time will be over. */
export class Sweep {
  readonly #clock: EngineClock
  readonly #parts: Swept[] = []
  #timer: unknown
  #stopped = false

  constructor(clock: EngineClock) {
    this.#clock = clock
  }

  add(part: Swept): void {
    this.#parts.push(part)
  }

  /** Sees to it that a sweep comes. */
  wake(): void {
    if (this.#timer !== undefined || this.#stopped) return
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = undefined
      const now = this.#clock.now()
      if (this.#parts.map(part => part.sweep(now)).includes(true)) this.wake()
    }, SWEEP_EVERY)
  }

  stop(): void {
    this.#stopped = true
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
