import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { vi } from 'vitest'
import {
  ActorSystem,
  type Crash,
  type DeadLetter,
  type SystemOptions,
  type WatchEvent,
} from '../../src/actors/runtime/index.js'
import { manualClock } from '../../src/testing/manual-clock.js'

/** A message that says what its actor is to do. */
export interface Note {
  readonly type: string
}

/** A system on a clock of its own, with all that it reports; `options` come before its own. */
export function createSystem(options: SystemOptions = {}) {
  const crashes: Crash[] = []
  const letters: DeadLetter[] = []
  const events: WatchEvent[] = []
  const clock = manualClock()
  const system = new ActorSystem({
    crashed: crash => void crashes.push(crash),
    clock,
    random: () => 0,
    ...options,
  })
  system.deadLetters.subscribe(letter => void letters.push(letter))
  /** Tells several actors within one turn, so that messages wait. */
  const inOneTurn = (action: () => void): void => {
    const once = system.spawn<Note, undefined>('turn', { receive: action })
    once.tell({ type: 'go' })
    once.stop()
  }
  return { system, crashes, letters, events, clock, inOneTurn }
}

/** A promise that the test settles. */
export function gate(): { readonly promise: Promise<void>; open(): void; fail(error: unknown): void } {
  let open = (): void => {}
  let fail = (_error: unknown): void => {}
  const promise = new Promise<void>((resolve, reject) => {
    open = resolve
    fail = reject
  })
  return { promise, open: () => open(), fail: error => fail(error) }
}

/** Resolves after the microtasks and immediates that wait. */
export function settled(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** Has everything collected that nobody can reach. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
}

/** Does it without XState's warnings, and without the timeouts in which it throws what nobody observes. */
export function quietly(action: () => void): void {
  vi.useFakeTimers({ toFake: ['setTimeout'] })
  const warnings = vi.spyOn(console, 'warn').mockImplementation(() => {})
  try {
    action()
  } finally {
    warnings.mockRestore()
    vi.useRealTimers()
  }
}
