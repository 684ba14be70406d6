/** A clock that stands still until it is told to go on; see `manualClock`. */
export interface ManualClock {
  now(): number
  /** The same as `now`: its time begins with 1970. */
  date(): number
  setTimeout(callback: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
  /** Timers set. */
  readonly timers: number
  /** Lets time pass: what falls due runs, in order. */
  advance(ms: number): void
}

/**
 * Makes a clock for actors under test: `new ActorSystem({ clock: manualClock() })`.
 *
 * It begins at 0.
 */
export function manualClock(): ManualClock {
  let time = 0
  const timers = new Set<{ readonly at: number; readonly callback: () => void }>()
  return {
    now: () => time,
    date: () => time,
    setTimeout(callback, ms) {
      const timer = { at: time + ms, callback }
      timers.add(timer)
      return timer
    },
    clearTimeout: timer => void timers.delete(timer as { at: number; callback: () => void }),
    get timers() {
      return timers.size
    },
    advance(ms) {
      const end = time + ms
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
        if (next === undefined) break
        timers.delete(next)
        time = Math.max(time, next.at)
        next.callback()
      }
      time = end
    },
  }
}
