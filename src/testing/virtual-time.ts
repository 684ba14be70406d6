import { promisify } from 'node:util'
import { SocketStreamError } from '../errors.js'
import { seededRandom } from './seeded-random.js'
import { VirtualTimers } from './virtual-timers.js'

/** Options of `virtualTime`. */
export interface VirtualTimeOptions {
  /** Milliseconds since 1970 to begin at. Default 2030-01-01. */
  readonly now?: number
  /** Seed of `Math.random`. Default 1. */
  readonly seed?: number
}

/** Time that stands still until it is told to go on; see `virtualTime`. */
export interface VirtualTime {
  /** Milliseconds since it was installed. */
  readonly elapsed: number
  /** Timers set. */
  readonly timers: number
  /** Runs all that can run now: promises, `nextTick`, `setImmediate`; no timers. */
  settle(): Promise<void>
  /** Lets time pass: timers run when they fall due, each with all that follows from it, in order. */
  advance(ms: number): Promise<void>
  /**
   * Awaits a promise, letting as much time pass as it takes.
   *
   * @param limit milliseconds at the most. Default an hour
   * @throws SocketStreamError `TIMEOUT` when it is still pending then; what it rejects with
   */
  until<T>(promise: PromiseLike<T>, limit?: number): Promise<T>
  /** Gives the process its time back; timers that are set never run. Idempotent. */
  restore(): void
}

const EPOCH = Date.UTC(2030, 0, 1)
const HOUR = 3_600_000
/** Turns of the event loop without anything to do after which all is done. */
const QUIET_TURNS = 2
/** Turns after which `settle` gives up on what never comes to rest. */
const MAX_TURNS = 100_000

const realImmediate = setImmediate
let installed: symbol | undefined

/**
 * Puts the process under virtual time: timers, dates and `Math.random` of the global scope.
 *
 * Replaced until `restore()`: `setTimeout`, `setInterval` and what clears them, `Date`,
 * `performance.now`, `Math.random`. Promises, `process.nextTick` and `setImmediate` run as ever. Not
 * replaced: `node:timers` and `node:timers/promises`, `AbortSignal.timeout`, what Node does itself.
 *
 * @throws SocketStreamError `INVALID_STATE` while another virtual time is installed
 */
export function virtualTime({ now = EPOCH, seed = 1 }: VirtualTimeOptions = {}): VirtualTime {
  if (installed !== undefined) {
    throw new SocketStreamError(
      'INVALID_STATE',
      'this process is under virtual time already; stop() the other kit, or restore() its time, first',
    )
  }
  const token = Symbol('virtual time')
  installed = token
  const timers = new VirtualTimers()
  let immediates = 0
  const put = replacing()
  const RealDate = Date
  const date = (): number => now + timers.now
  const setTimeout = Object.assign(
    (callback: () => void, ms?: number, ...args: unknown[]) => timers.set(callback, ms, args, false),
    {
      [promisify.custom]: (ms: number, value: unknown) =>
        new Promise(done => timers.set(done, ms, [value], false)),
    },
  )
  put(globalThis, 'setTimeout', setTimeout)
  put(globalThis, 'setInterval', (callback: () => void, ms?: number, ...args: unknown[]) =>
    timers.set(callback, ms, args, true),
  )
  for (const name of ['clearTimeout', 'clearInterval'] as const) {
    const real = globalThis[name]
    put(globalThis, name, (timer: never) => timers.clear(timer) || real(timer))
  }
  const immediate = globalThis.setImmediate
  put(globalThis, 'setImmediate', (callback: (...args: unknown[]) => void, ...args: unknown[]) => {
    immediates++
    return immediate((...given: unknown[]) => callback(...given), ...args)
  })
  put(
    globalThis,
    'Date',
    new Proxy(RealDate, {
      construct: (target, args, self) => Reflect.construct(target, args.length > 0 ? args : [date()], self),
      apply: () => new RealDate(date()).toString(),
      get: (target, name, self) => (name === 'now' ? date : Reflect.get(target, name, self)),
    }),
  )
  put(performance, 'now', () => timers.now)
  put(Math, 'random', seededRandom(seed))

  const settle = async (): Promise<void> => {
    let quiet = 0
    for (let turn = 0; quiet < QUIET_TURNS; turn++) {
      if (turn > MAX_TURNS) {
        throw new SocketStreamError('TIMEOUT', `not at rest after ${MAX_TURNS} turns of the event loop`)
      }
      const before = immediates
      await new Promise<void>(resolve => realImmediate(resolve))
      quiet = immediates === before ? quiet + 1 : 0
    }
  }
  const advanceTo = async (end: number): Promise<void> => {
    await settle()
    while (timers.next <= end) {
      timers.runNext()
      await settle()
    }
    timers.now = Math.max(timers.now, end)
  }

  return {
    get elapsed() {
      return timers.now
    },
    get timers() {
      return timers.size
    },
    settle,
    async advance(ms) {
      if (!(ms >= 0 && ms < Number.POSITIVE_INFINITY)) {
        throw new SocketStreamError('INVALID_OPTION', 'advance() takes milliseconds, as in advance(30_000)')
      }
      await advanceTo(timers.now + ms)
    },
    async until(promise, limit = HOUR) {
      let over = false
      const end = () => {
        over = true
      }
      promise.then(end, end)
      const last = timers.now + limit
      await settle()
      while (!over && timers.next <= last) {
        timers.runNext()
        await settle()
      }
      if (over) return promise
      throw new SocketStreamError(
        'TIMEOUT',
        `still pending after ${limit} ms of virtual time, ${timers.size} timers set`,
      )
    },
    restore() {
      if (installed !== token) return
      installed = undefined
      put.restore()
    },
  }
}

/** Replaces properties, and puts back what was there. */
function replacing() {
  const undo: (() => void)[] = []
  const put = (target: object, name: string, value: unknown): void => {
    const before = Object.getOwnPropertyDescriptor(target, name)
    Object.defineProperty(target, name, { value, writable: true, configurable: true, enumerable: false })
    undo.push(() => {
      if (before === undefined) Reflect.deleteProperty(target, name)
      else Object.defineProperty(target, name, before)
    })
  }
  return Object.assign(put, {
    restore: () => {
      for (const back of undo.reverse()) back()
    },
  })
}
