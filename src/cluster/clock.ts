import type { EngineClock } from '../engines/clock.js'

/** The time by which leases are counted: it only goes forward. Its timers do not keep the process alive. */
export const monotonicClock: EngineClock = {
  now: () => performance.now(),
  setTimeout: (callback, ms) => setTimeout(callback, ms).unref(),
  clearTimeout: timer => clearTimeout(timer as NodeJS.Timeout),
}

/** Resolves after some time. */
export function pause(clock: EngineClock, ms: number): Promise<void> {
  return new Promise(resolve => clock.setTimeout(resolve, ms))
}

/** The outcome of some work, or `failure` when it is not there in time, or no longer wanted. */
export async function within<Value>(
  clock: EngineClock,
  ms: number,
  work: Promise<Value>,
  failure: () => Error,
  signal?: AbortSignal,
  aborted?: (signal: AbortSignal) => Error,
): Promise<Value> {
  let end = (): void => undefined
  const over = new Promise<never>((_, reject) => {
    const timer = clock.setTimeout(() => reject(failure()), ms)
    const abort = () => reject(aborted!(signal!))
    signal?.addEventListener('abort', abort, { once: true })
    end = () => {
      clock.clearTimeout(timer)
      signal?.removeEventListener('abort', abort)
    }
  })
  try {
    return await Promise.race([work, over])
  } finally {
    end()
  }
}

/** Waits for some work, whatever comes of it, and no longer than so many milliseconds. */
export async function atMost(clock: EngineClock, ms: number, work: Promise<unknown>): Promise<void> {
  await within(clock, ms, work, () => new Error('It is not over yet')).catch(() => undefined)
}
