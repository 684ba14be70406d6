/** Servers over the leases of one engine, whose time the test moves, and which can be paused and killed. */
import { onTestFinished } from 'vitest'
import { late, lost, noResponder } from '../../src/cluster/absence.js'
import { Keyed, type KeyedBehaviour, type KeyedStart } from '../../src/cluster/keyed.js'
import type { EngineClock } from '../../src/engines/clock.js'
import type { Leases } from '../../src/engines/lease.js'
import { memory } from '../../src/engines/memory.js'
import { SocketStreamError } from '../../src/errors.js'
import { createLogger } from '../../src/log.js'
import { manualClock } from '../../src/testing/index.js'

/** Milliseconds of a lease. */
const TTL = 1000
const log = createLogger({ debug() {}, info() {}, warn() {}, error() {} }, 'test')

/** The clock of a process that can be paused: what falls due meanwhile runs when it goes on. */
class ProcessClock implements EngineClock {
  readonly #clock: EngineClock
  #waiting: (() => void)[] | undefined
  #isDead = false

  constructor(clock: EngineClock) {
    this.#clock = clock
  }

  get isFrozen(): boolean {
    return this.#waiting !== undefined
  }

  now(): number {
    return this.#clock.now()
  }

  setTimeout(callback: () => void, ms: number): unknown {
    return this.#clock.setTimeout(() => this.run(callback), ms)
  }

  clearTimeout(timer: unknown): void {
    this.#clock.clearTimeout(timer)
  }

  /** Does something in this process, as soon as it runs. */
  run(work: () => void): void {
    if (this.#isDead) return
    if (this.#waiting === undefined) work()
    else this.#waiting.push(work)
  }

  freeze(): void {
    this.#waiting ??= []
  }

  thaw(): void {
    const waiting = this.#waiting ?? []
    this.#waiting = undefined
    for (const work of waiting) work()
  }

  kill(): void {
    this.#isDead = true
  }
}

/** Work that can be held back. */
class Gate {
  waiting = 0
  #opened: Promise<void> | undefined
  #open = (): void => undefined

  shut(): () => void {
    this.#opened = new Promise(resolve => {
      this.#open = resolve
    })
    return () => {
      this.#opened = undefined
      this.#open()
    }
  }

  /** Waits while it is shut; of a process that has died meanwhile, for good. */
  async pass(isDead: () => boolean): Promise<void> {
    this.waiting++
    await this.#opened
    this.waiting--
    if (isDead()) await new Promise(() => undefined)
  }
}

/** Counts for each key, says who has counted, and waits where it is told to. */
function counter(name: string, begun: string[], pass: () => Promise<void>): KeyedBehaviour {
  return {
    start({ key, fence, signal, check }) {
      begun.push(`${key} on ${name}`)
      signal.addEventListener('abort', () => begun.push(`${key} off ${name}`))
      let count = 0
      return {
        async call(payload: unknown) {
          if (payload === 'throw') throw new SocketStreamError('REFUSED' as never, 'not this')
          if (payload === 'wait') await pass()
          check()
          count += typeof payload === 'number' ? payload : 1
          return { name, count, fence }
        },
        stop: pass,
      }
    },
  }
}

/** A server of a fleet. */
export interface FleetServer extends Keyed {
  /** Its process stands still, and answers nothing, until `thaw`. */
  freeze(): void
  thaw(): void
  /** Its process has gone, with all it held. */
  kill(): void
}

/** Makes servers; ends them with the test. */
export function fleet(behaviourOf?: (name: string) => KeyedBehaviour) {
  const clock = manualClock()
  const engine = memory({ clock })
  onTestFinished(() => engine.close())
  const begun: string[] = []
  const starts: KeyedStart[] = []
  const gate = new Gate()
  const servers = new Map<
    string,
    { keyed: Keyed; process: ProcessClock; isDead: boolean; losses: Set<() => void> }
  >()

  /** What the bus does: the question waits while the other one is paused, and is lost with it. */
  const ask = (
    from: ProcessClock,
    to: string,
    payload: unknown,
    options: { key: string; deadline: number; once?: string },
  ) =>
    new Promise<unknown>((resolve, reject) => {
      const other = servers.get(to)
      if (other === undefined || other.isDead) return reject(noResponder(`${to} is dead`))
      const give = () => reject(lost(`${to} has gone`))
      other.losses.add(give)
      clock.setTimeout(() => reject(late(`${to} was silent`)), options.deadline)
      const context = { from: 'x', signal: new AbortController().signal }
      other.process.run(() => {
        other.keyed
          .answer(options.key, payload, context, options.once)
          .finally(() => other.losses.delete(give))
          .then(
            value => from.run(() => resolve(value)),
            error => from.run(() => reject(error)),
          )
      })
    })

  const server = (node: string, leases: Leases = engine.lease): FleetServer => {
    const own = new ProcessClock(clock)
    const behaviour = behaviourOf?.(node) ?? counter(node, begun, () => gate.pass(() => entry.isDead))
    const keyed = new Keyed({
      name: 'cart',
      node,
      leases,
      ttl: TTL,
      deadline: 200,
      clock: own,
      log,
      outcomes: { kv: engine.kv, clock: own, lease: TTL },
      behaviour: {
        start(init) {
          starts.push(init)
          return behaviour.start(init)
        },
      },
      ask: (other, payload, options) =>
        ask(own, other, payload, options as { key: string; deadline: number }),
    })
    const entry = { keyed, process: own, isDead: false, losses: new Set<() => void>() }
    servers.set(node, entry)
    onTestFinished(() => {
      own.thaw()
      if (!entry.isDead) return keyed.stop()
    })
    return Object.assign(keyed, {
      freeze: () => own.freeze(),
      thaw: () => own.thaw(),
      kill() {
        entry.isDead = true
        own.kill()
        for (const give of entry.losses) give()
      },
    })
  }

  /** Lets what can run now run. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate)
  }
  /** Lets time pass. */
  const advance = async (ms: number): Promise<void> => {
    const end = clock.now() + ms
    await settle()
    while (clock.now() < end) {
      clock.advance(Math.min(50, end - clock.now()))
      await settle()
    }
  }
  /** The outcome of a promise, with as much time as it takes. */
  const soon = async <Value>(promise: Promise<Value>): Promise<Value> => {
    let isOver = false
    const end = () => {
      isOver = true
    }
    promise.then(end, end)
    for (let step = 0; step < 1000; step++) {
      await settle()
      if (isOver) return promise
      clock.advance(20)
    }
    throw new Error('It is still pending after 20 s')
  }
  return { clock, engine, begun, starts, gate, server, settle, advance, soon }
}
