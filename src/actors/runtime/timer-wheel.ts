/** Where time comes from; tests bring their own. */
export interface Clock {
  /** Milliseconds, never going back. */
  now(): number
  /** Milliseconds since 1970, for deadlines that outlive the process. Default `Date.now`. */
  date?(): number
  /** As the global function. */
  setTimeout(callback: () => void, ms: number): unknown
  /** As the global function. */
  clearTimeout(timer: unknown): void
}

/** The clock of the process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms),
  clearTimeout: timer => clearTimeout(timer as NodeJS.Timeout),
}

/** Milliseconds between the slots: how late a timer may be. */
const TICK = 10
/** Slots, a power of two: a turn of the wheel takes 10 seconds. */
const SLOTS = 1024

interface Entry {
  readonly tick: number
  readonly callback: () => void
}

/**
 * All timers of a system on one timer of the process: a hashed wheel (Varghese and Lauck, 1987).
 *
 * Setting and cancelling take constant time, however many timers there are. A timer is never early, and
 * late by up to 10 ms. While nothing is set, nothing runs.
 */
export class TimerWheel {
  readonly #clock: Clock
  readonly #slots: (Set<Entry> | undefined)[] = new Array<Set<Entry> | undefined>(SLOTS).fill(undefined)
  #size = 0
  #done = 0
  #timer: unknown
  /** The tick that the timer of the process is set to. */
  #armed = Number.POSITIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Timers set. */
  get size(): number {
    return this.#size
  }

  /** Calls back once, after `ms`; returns what cancels it. */
  set(ms: number, callback: () => void): () => void {
    const now = this.#clock.now()
    if (this.#size === 0) this.#done = Math.floor(now / TICK)
    const tick = Math.max(Math.ceil((now + ms) / TICK), this.#done + 1)
    const entry: Entry = { tick, callback }
    const at = tick & (SLOTS - 1)
    const slot = this.#slots[at] ?? new Set()
    this.#slots[at] = slot
    slot.add(entry)
    this.#size++
    if (tick < this.#armed) this.#arm(tick)
    return () => {
      if (!slot.delete(entry)) return
      this.#size--
      if (this.#size === 0) this.#disarm()
    }
  }

  #run(): void {
    this.#armed = Number.POSITIVE_INFINITY
    const now = Math.floor(this.#clock.now() / TICK)
    const due: Entry[] = []
    // After a long sleep one turn of the wheel sees every slot.
    for (let tick = Math.max(this.#done + 1, now - SLOTS + 1); tick <= now; tick++) {
      const slot = this.#slots[tick & (SLOTS - 1)]
      if (slot === undefined) continue
      for (const entry of slot) if (entry.tick <= now) due.push(entry)
    }
    this.#done = now
    due.sort((a, b) => a.tick - b.tick)
    for (const entry of due) {
      // One that ran before may have cancelled it.
      if (!this.#slots[entry.tick & (SLOTS - 1)]?.delete(entry)) continue
      this.#size--
      entry.callback()
    }
    if (this.#size > 0) this.#arm(this.#next())
    else this.#disarm()
  }

  /** The tick of the next slot with timers, which may be for a later turn. */
  #next(): number {
    for (let tick = this.#done + 1; tick < this.#done + SLOTS; tick++) {
      const slot = this.#slots[tick & (SLOTS - 1)]
      if (slot !== undefined && slot.size > 0) return tick
    }
    return this.#done + SLOTS
  }

  #arm(tick: number): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    this.#armed = tick
    const ms = Math.max(0, Math.ceil(tick * TICK - this.#clock.now()))
    this.#timer = this.#clock.setTimeout(() => this.#run(), ms)
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#armed = Number.POSITIVE_INFINITY
  }
}
