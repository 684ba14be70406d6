import type { Clock } from '../../actors/runtime/index.js'

/** What clients are told: style sheets to load again, by their paths, or to reload the page. */
export type LivereloadMessage = { readonly css: readonly string[] } | { readonly reload: true }

/** How changes are collected. */
export interface ChangesInit {
  readonly clock: Clock
  /** Milliseconds between two messages, at least. */
  readonly interval: number
  send(message: LivereloadMessage): void
}

/** Milliseconds without a change after which a message goes out: editors write in several steps. */
const QUIET = 50
/** Changes past which they are taken for a checkout or a build, whose end is worth waiting for. */
const MANY = 100
/** Milliseconds without a change after which that is over. */
const MANY_QUIET = 250
/** Milliseconds that it is waited for at the most. */
const MANY_PATIENCE = 5000

/**
 * Collects changes and makes messages of them, at most one per interval.
 *
 * It keeps at most 100 paths: what is more is a reload, which needs none.
 */
export class Changes {
  readonly #init: ChangesInit
  readonly #css = new Set<string>()
  #reload = false
  /** Changes since the last message. */
  #count = 0
  #first = 0
  #latest = 0
  #sent = Number.NEGATIVE_INFINITY
  #timer: unknown

  constructor(init: ChangesInit) {
    this.#init = init
  }

  /** Adds a file that was written, or removed: a style sheet that is gone cannot be loaded again. */
  add(name: string, removed = false): void {
    const now = this.#init.clock.now()
    if (this.#count++ === 0) this.#first = now
    this.#latest = now
    if (removed || !/\.css$/i.test(name)) this.#reload = true
    else if (!this.#reload) this.#css.add(name)
    if (this.#css.size > MANY) this.#reload = true
    if (this.#reload) this.#css.clear()
    if (this.#timer === undefined) this.#wait(now)
  }

  /** Forgets what was not sent. */
  stop(): void {
    this.#init.clock.clearTimeout(this.#timer)
  }

  /** When the next message is due. */
  #due(): number {
    const many = this.#count > MANY
    const quiet = this.#latest + (many ? MANY_QUIET : QUIET)
    const patience = this.#first + (many ? MANY_PATIENCE : this.#init.interval)
    return Math.max(this.#sent + this.#init.interval, Math.min(quiet, patience))
  }

  /** Looks again when it is due by what is known now, rather than setting a timer for each change. */
  #wait(now: number): void {
    this.#timer = this.#init.clock.setTimeout(
      () => {
        const now = this.#init.clock.now()
        // Timers of the process may come a fraction of a millisecond early.
        if (now < this.#due()) return this.#wait(now)
        this.#timer = undefined
        this.#flush(now)
      },
      Math.ceil(this.#due() - now),
    )
  }

  #flush(now: number): void {
    const message: LivereloadMessage = this.#reload ? { reload: true } : { css: [...this.#css] }
    this.#css.clear()
    this.#reload = false
    this.#count = 0
    this.#sent = now
    this.#init.send(message)
  }
}
