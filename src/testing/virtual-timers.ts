/** Timers of a virtual time: they run when they are told to, by time and then in the order set. */
export class VirtualTimers {
  /** Milliseconds since the start. */
  now = 0
  readonly #timers = new Map<number, VirtualTimer>()
  #lastId = 0

  get size(): number {
    return this.#timers.size
  }

  /** When the next one falls due; `Infinity` if none is set. */
  get next(): number {
    return this.#first()?.at ?? Number.POSITIVE_INFINITY
  }

  /** As `setTimeout` and `setInterval`: below 1 ms, above 2^31 ms and no number are 1 ms. */
  set(callback: (...args: never[]) => void, ms: unknown, args: unknown[], repeats: boolean): VirtualTimer {
    if (typeof callback !== 'function') throw new TypeError('The callback of a timer must be a function')
    const wanted = Number(ms)
    const every = wanted >= 1 && wanted < 2 ** 31 ? Math.trunc(wanted) : 1
    const run = () => callback(...(args as never[]))
    const timer = new VirtualTimer(this, ++this.#lastId, run, every, repeats)
    this.put(timer)
    return timer
  }

  /** Sets a timer anew; last among those of its time. */
  put(timer: VirtualTimer): void {
    this.#timers.delete(timer.id)
    timer.at = this.now + timer.every
    this.#timers.set(timer.id, timer)
  }

  has(timer: VirtualTimer): boolean {
    return this.#timers.has(timer.id)
  }

  /** False for what is no timer of its own. */
  clear(timer: unknown): boolean {
    if (timer instanceof VirtualTimer) this.#timers.delete(timer.id)
    else return (typeof timer === 'number' || typeof timer === 'string') && this.#timers.delete(+timer)
    return true
  }

  /** Moves time on to the next timer and runs it; what it throws is an uncaught error, as ever. */
  runNext(): void {
    const timer = this.#first()
    if (timer === undefined) return
    this.now = Math.max(this.now, timer.at)
    if (timer.repeats) this.put(timer)
    else this.#timers.delete(timer.id)
    try {
      timer.run()
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }

  #first(): VirtualTimer | undefined {
    let first: VirtualTimer | undefined
    for (const timer of this.#timers.values()) if (first === undefined || timer.at < first.at) first = timer
    return first
  }
}

/** What `setTimeout` gives; the methods of Node's `Timeout`. */
class VirtualTimer {
  at = 0
  readonly #timers: VirtualTimers

  constructor(
    timers: VirtualTimers,
    readonly id: number,
    readonly run: () => void,
    readonly every: number,
    readonly repeats: boolean,
  ) {
    this.#timers = timers
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  hasRef(): boolean {
    return this.#timers.has(this)
  }

  refresh(): this {
    if (this.#timers.has(this)) this.#timers.put(this)
    return this
  }

  close(): this {
    this.#timers.clear(this)
    return this
  }

  [Symbol.toPrimitive](): number {
    return this.id
  }

  [Symbol.dispose](): void {
    this.#timers.clear(this)
  }
}
