import type { ActorRef } from '../actors/runtime/index.js'

interface Sample {
  handled: number
  at: number
  rate: number | undefined
}

/**
 * Messages per second of actors, from the counters that they have anyway.
 *
 * An actor is sampled when it is asked for, at most once in a period: who is not looked at costs nothing.
 */
export class Rates {
  readonly #every: number
  readonly #now: () => number
  #samples = new WeakMap<object, Sample>()

  /**
   * @param every milliseconds of the period
   * @param now milliseconds of a steady clock
   */
  constructor(every: number, now: () => number = () => performance.now()) {
    this.#every = every
    this.#now = now
  }

  /** The rate at the last sample; undefined at the first. */
  of(ref: Pick<ActorRef<never>, 'handled'>): number | undefined {
    const now = this.#now()
    const sample = this.#samples.get(ref)
    if (sample === undefined) {
      this.#samples.set(ref, { handled: ref.handled, at: now, rate: undefined })
      return undefined
    }
    const passed = now - sample.at
    if (passed < this.#every) return sample.rate
    sample.rate = Math.round(((ref.handled - sample.handled) * 10_000) / passed) / 10
    sample.handled = ref.handled
    sample.at = now
    return sample.rate
  }

  /** Forgets all samples. */
  clear(): void {
    this.#samples = new WeakMap()
  }
}
