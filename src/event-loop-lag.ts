import { type Clock, systemClock } from './actors/runtime/timer-wheel.js'

/** Milliseconds between two looks. */
const EVERY = 20

/**
 * Gives the longest that the event loop has stood still since it was last asked, in whole milliseconds.
 *
 * Node's own `monitorEventLoopDelay` misses what begins right after its `reset`.
 */
export function eventLoopLag(clock: Clock = systemClock): () => number {
  let last = clock.now()
  let longest = 0
  const look = (): void => {
    const now = clock.now()
    longest = Math.max(longest, now - last - EVERY)
    last = now
    const timer = clock.setTimeout(look, EVERY)
    // It keeps no process alive.
    ;(timer as { unref?(): void }).unref?.()
  }
  look()
  return () => {
    // A pause that has just ended was not looked at yet.
    const told = Math.max(longest, clock.now() - last - EVERY, 0)
    longest = 0
    return Math.round(told)
  }
}
