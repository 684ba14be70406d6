/** The time of an engine of this process; a `manualClock()` fits. */
export interface EngineClock {
  /** Milliseconds since some fixed point. */
  now(): number
  setTimeout(callback: () => void, ms: number): unknown
  clearTimeout(timer: unknown): void
}

/** The system's time. Its timers do not keep the process alive. */
export const systemClock: EngineClock = {
  now: () => Date.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms).unref(),
  clearTimeout: timer => clearTimeout(timer as NodeJS.Timeout),
}

/** The rule for an option `clock`. */
export const CLOCK_RULE = {
  test: (value: unknown) =>
    value === undefined ||
    ['now', 'setTimeout', 'clearTimeout'].every(
      name => typeof (value as Record<string, unknown> | null)?.[name] === 'function',
    ),
  wants: 'a clock, with now, setTimeout and clearTimeout',
  fix: 'clock: manualClock()',
}
