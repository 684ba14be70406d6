/**
 * What a crash leads to.
 *
 * - `resume`: the actor goes on with its state and the next message.
 * - `restart`: its children stop and it begins anew, at the same address.
 * - `restart-from-snapshot`: the same, but with the state that was last saved; needs `persist`.
 * - `stop`: it stops.
 * - `escalate`: it stops, and its parent has crashed.
 */
export type OnCrash = 'resume' | 'restart' | 'restart-from-snapshot' | 'stop' | 'escalate'

/** How often, and how soon, an actor restarts. */
export interface RestartOptions {
  /** Restarts within the period `within`; one more and the actor stops. Default 5. */
  readonly max?: number
  /** Milliseconds of that period, and of good running after which delays are short again. Default 10,000. */
  readonly within?: number
  /** Milliseconds before the first restart; each one after it waits twice as long. Default 100. */
  readonly delay?: number
  /** Milliseconds that a restart waits at the most, before jitter. Default 10,000. */
  readonly maxDelay?: number
  /** Share of the delay that is added at random, so that not all come back at once. Default 0.2. */
  readonly jitter?: number
  /** Whether waiting messages outlive the restart, or become dead letters. Default `keep`. */
  readonly mailbox?: 'keep' | 'drop'
}

/** The restarts of one actor: counts them, and says how long the next one waits. */
export class Restarts {
  readonly #options: RestartOptions
  readonly #times: number[] = []
  #attempt = 0

  constructor(options: RestartOptions = {}) {
    this.#options = options
  }

  /**
   * The delay of the next restart; undefined when there have been too many.
   *
   * @param now milliseconds of any steady clock
   * @param random gives a number from 0 to 1
   */
  next(now: number, random: () => number): number | undefined {
    const { max = 5, within = 10_000, delay = 100, maxDelay = 10_000, jitter = 0.2 } = this.#options
    const last = this.#times.at(-1)
    // The delay of the last restart is not time that the actor ran well.
    if (last !== undefined && now - last > within) this.#attempt = 0
    while (this.#times.length > 0 && now - this.#times[0]! > within) this.#times.shift()
    if (this.#times.length >= max) return undefined
    const wait = Math.min(maxDelay, delay * 2 ** this.#attempt++)
    const jittered = wait * (1 + jitter * random())
    this.#times.push(now + jittered)
    return jittered
  }
}
