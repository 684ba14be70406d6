import { unavailable } from './checks.js'

interface Waiting {
  /** By `performance.now()`. */
  readonly due: number
  reject(reason: unknown): void
}

/**
 * Calls that wait for Redis, each as long as the others: one timer for all.
 *
 * A timer and a race for each would cost more than the call itself, and a race with the end of the engine would
 * keep every call in memory until then.
 */
export class RedisDeadlines {
  readonly #ms: number
  /** In the order in which they are due. */
  readonly #waiting = new Set<Waiting>()
  #timer: NodeJS.Timeout | undefined

  constructor(ms: number) {
    this.#ms = ms
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.size
  }

  /** Waits for a call, no longer than that; what it fails with becomes `ENGINE_UNAVAILABLE`. */
  within<Result>(call: Promise<Result>): Promise<Result> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { due: performance.now() + this.#ms, reject }
      this.#waiting.add(waiting)
      this.#timer ??= setTimeout(this.#look, this.#ms).unref()
      call.then(
        result => {
          this.#waiting.delete(waiting)
          resolve(result)
        },
        (error: unknown) => {
          this.#waiting.delete(waiting)
          reject(asUnavailable(error))
        },
      )
    })
  }

  /** Rejects all that wait. */
  close(reason: unknown): void {
    clearTimeout(this.#timer)
    for (const { reject } of this.#waiting) reject(reason)
    this.#waiting.clear()
  }

  readonly #look = (): void => {
    this.#timer = undefined
    const now = performance.now()
    for (const waiting of this.#waiting) {
      if (waiting.due > now) {
        this.#timer = setTimeout(this.#look, Math.ceil(waiting.due - now)).unref()
        return
      }
      this.#waiting.delete(waiting)
      waiting.reject(unavailable(`redis: no answer within ${this.#ms} ms; it may have taken effect`))
    }
  }
}

function asUnavailable(error: unknown): unknown {
  if ((error as { code?: unknown }).code === 'ENGINE_UNAVAILABLE') return error
  return unavailable(`redis: ${(error as Error).message}; see that it runs and has room`, error)
}
