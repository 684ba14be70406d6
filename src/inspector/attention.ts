import { SocketStreamError } from '../errors.js'
import { SAMPLE } from './actor-rows.js'
import type { Memory } from './memory.js'
import type { Sampler } from './sampler.js'

/** Milliseconds that it goes on sampling for a script that has asked over HTTP. */
const LINGER = 10_000
/** Milliseconds for which news waits for more of it. */
const NEWS_AFTER = 100

/**
 * Whether somebody looks: attaches what samples and hears to the server with the first one, and detaches it with the
 * last.
 */
export class Attention {
  readonly #memory: Memory
  readonly #sampler: Sampler
  /** Woken at each sample. */
  readonly #waiting = new Set<() => void>()
  #looking = 0
  #timer: NodeJS.Timeout | undefined
  #linger: NodeJS.Timeout | undefined
  /** Runs while there is news that viewers do not have yet. */
  #soon: NodeJS.Timeout | undefined
  #errors = 0
  #stopped = false

  constructor(memory: Memory, sampler: Sampler) {
    this.#memory = memory
    this.#sampler = sampler
  }

  /** Whether anything is attached to the server. */
  get attached(): boolean {
    return this.#timer !== undefined
  }

  /** Somebody begins to look. */
  hold(): void {
    if (this.#looking++ > 0) return
    this.#sampler.begin()
    this.#memory.begin(
      () => {
        this.#sampler.errors = ++this.#errors
      },
      () => {
        this.#soon ??= setTimeout(() => this.#wake(), NEWS_AFTER).unref()
      },
    )
    this.#sampler.sample()
    this.#timer = setInterval(() => {
      this.#sampler.sample()
      this.#wake()
    }, SAMPLE).unref()
  }

  /** Somebody who had begun to look looks no more. */
  release(): void {
    if (--this.#looking > 0) return
    clearInterval(this.#timer)
    clearTimeout(this.#soon)
    this.#timer = undefined
    this.#soon = undefined
    this.#sampler.end()
    this.#memory.end()
  }

  /** A script has asked, and may ask again: it gets rates only of what is sampled meanwhile. */
  linger(): void {
    if (this.#stopped) return
    if (this.#linger === undefined) this.hold()
    clearTimeout(this.#linger)
    this.#linger = setTimeout(() => {
      this.#linger = undefined
      this.release()
    }, LINGER).unref()
  }

  /** Whether there is no more to see for whoever has this signal. */
  over(signal: AbortSignal): boolean {
    return this.#stopped || signal.aborted
  }

  /** Resolves at the next sample, when there is news, or when nobody waits any more. */
  sampled(signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const wake = (): void => {
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake)
      if (this.over(signal)) wake()
    })
  }

  /** Ends all streams, and what lingers. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#linger)
    if (this.#linger !== undefined) this.release()
    this.#linger = undefined
    for (const wake of [...this.#waiting]) wake()
  }

  #wake(): void {
    clearTimeout(this.#soon)
    this.#soon = undefined
    for (const wake of [...this.#waiting]) wake()
  }
}

/** Places for so many at a time. */
export class Places {
  taken = 0
  readonly #most: number
  readonly #what: string

  /** @param what they are places for, for people */
  constructor(most: number, what: string) {
    this.#most = most
    this.#what = what
  }

  /** Takes one. @throws SocketStreamError `OVERLOADED` when there is none */
  take(): void {
    if (this.taken >= this.#most)
      throw new SocketStreamError(
        'OVERLOADED',
        `there are ${this.#most} ${this.#what} already; close one first`,
      )
    this.taken++
  }

  /** Gives one back. */
  leave(): void {
    this.taken--
  }
}
