import { hasCode } from '../../errors.js'
import type { ServiceClient } from '../service.js'

/** Refusals with the connection: the next one asks again. */
const GONE = ['CONNECTION_LOST', 'NOT_CONNECTED', 'DRAINING', 'DRAIN_TIMEOUT']
/** Refusals that say something of this request; after any other it is asked again. */
const FINAL = ['FORBIDDEN', 'INVALID_ARGUMENTS', 'UNKNOWN_METHOD', 'UNKNOWN_SERVICE', 'REFUSED', 'NOT_FOUND']
const MIN_DELAY = 500
const MAX_DELAY = 30_000

/** What is watched, for its `Watching`. */
export interface Watched {
  /** The call that asks for it. */
  ask(): unknown[]
  /** The call that ends it. */
  leave(): unknown[]
  /** Somebody listens, or nobody any more. */
  changedUse(used: boolean): void
}

/** Asks the server for something as long as somebody listens: again after a loss, and after a failure. */
export class Watching {
  error: Error | undefined
  /** Whether what was asked for has come since the first listener. */
  loaded = false
  readonly #service: ServiceClient
  readonly #watched: Watched
  readonly #listeners = new Set<{ readonly listener: () => void }>()
  readonly #waiting = new Set<{ resolve(): void; reject(error: unknown): void }>()
  #asking: object | undefined
  #retry: ReturnType<typeof setTimeout> | undefined
  #delay = MIN_DELAY

  constructor(service: ServiceClient, watched: Watched) {
    this.#service = service
    this.#watched = watched
  }

  get active(): boolean {
    return this.#listeners.size > 0
  }

  subscribe(listener: () => void): () => void {
    const entry = { listener }
    const first = this.#listeners.size === 0
    this.#listeners.add(entry)
    if (first) this.#watched.changedUse(true)
    // Also for further listeners, if it was refused.
    if (first || this.error !== undefined) this.ask()
    return () => {
      if (!this.#listeners.delete(entry) || this.#listeners.size > 0) return
      this.#asking = undefined
      this.loaded = false
      this.error = undefined
      this.#rest()
      this.#watched.changedUse(false)
      // A connection that is gone watches nothing.
      this.#service.call(this.#watched.leave()).catch(() => {})
    }
  }

  ready(): Promise<void> {
    const promise = new Promise<void>((resolve, reject) => {
      const end = (): void => {
        this.#waiting.delete(entry)
        leave()
      }
      const entry = {
        resolve() {
          resolve()
          end()
        },
        reject(error: unknown) {
          end()
          reject(error)
        },
      }
      this.#waiting.add(entry)
      const leave = this.subscribe(() => {})
      if (this.loaded) entry.resolve()
    })
    // Whoever asks and then does not look must not bring the process down.
    promise.catch(() => {})
    return promise
  }

  /** Asks, whatever was asked before. */
  ask(): void {
    const request = {}
    this.#asking = request
    clearTimeout(this.#retry)
    this.#service.call(this.#watched.ask()).then(
      () => {
        if (this.#asking === request) this.#rest()
      },
      error => {
        if (this.#asking === request) this.#failed(error)
      },
    )
  }

  /** A new connection, or the server has ended it: asks again if somebody listens. */
  renew(): void {
    if (this.active) this.ask()
  }

  /** What was asked for has come. */
  arrived(): void {
    this.loaded = true
    this.error = undefined
    for (const entry of [...this.#waiting]) entry.resolve()
  }

  notify(): void {
    for (const entry of [...this.#listeners]) {
      try {
        if (this.#listeners.has(entry)) entry.listener()
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  #rest(): void {
    clearTimeout(this.#retry)
    this.#delay = MIN_DELAY
  }

  #failed(error: Error): void {
    const code = hasCode(error) ? error.code : ''
    if (GONE.includes(code)) return
    this.error = error
    for (const entry of [...this.#waiting]) entry.reject(error)
    if (!this.active) return
    if (!FINAL.includes(code)) {
      this.#retry = setTimeout(() => this.renew(), this.#delay * (0.5 + Math.random() / 2))
      // Node would wait for it.
      ;(this.#retry as { unref?(): void }).unref?.()
      this.#delay = Math.min(this.#delay * 2, MAX_DELAY)
    }
    this.notify()
  }
}
