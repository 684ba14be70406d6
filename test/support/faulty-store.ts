import session from 'express-session'
import type { SessionStore } from '../../src/sessions/repository.js'
import type { StoreData } from '../../src/sessions/session.js'

/** What a store is asked for. */
export type StoreCall = 'get' | 'set' | 'destroy' | 'touch'

type Answer = (error?: unknown, data?: StoreData | null) => void

/** How a call goes wrong: it is given the way of the call to the store, and the caller's callback. */
export type Fault = (go: (answer: Answer) => void, answer: Answer) => unknown

/** Ways in which stores fail. */
export const FAULTS = {
  'answers with an error': (_go, answer) => setImmediate(answer, new Error('store down')),
  'answers with an error at once': (_go, answer) => answer(new Error('store down')),
  'answers with an error that is none': (_go, answer) => answer('down'),
  'answers with an error twice': (_go, answer) => {
    answer(new Error('store down'))
    answer(new Error('store down'))
  },
  'answers with an error, then well': (go, answer) => {
    answer(new Error('store down'))
    go(answer)
  },
  throws: () => {
    throw new Error('store down')
  },
  'throws nothing': () => {
    throw undefined
  },
  'rejects as an async function': () => Promise.reject(new Error('store down')),
  'never answers': () => undefined,
} satisfies Record<string, Fault>

/** A store in memory that counts what it is asked and fails as it is told. */
export class FaultyStore implements SessionStore {
  readonly inner = new session.MemoryStore() as unknown as Required<SessionStore>
  readonly counts: Record<StoreCall, number> = { get: 0, set: 0, destroy: 0, touch: 0 }
  readonly #faults = new Map<StoreCall, Fault>()
  #heard: (() => void)[] = []

  get(id: string, answer: Answer): unknown {
    return this.#call('get', answer, done => this.inner.get(id, done))
  }

  set(id: string, data: StoreData, answer: Answer = () => {}): unknown {
    return this.#call('set', answer, done => this.inner.set(id, data, done))
  }

  destroy(id: string, answer: Answer = () => {}): unknown {
    return this.#call('destroy', answer, done => this.inner.destroy(id, done))
  }

  touch(id: string, data: StoreData, answer: Answer = () => {}): unknown {
    return this.#call('touch', answer, done => this.inner.touch(id, data, done))
  }

  /** Has all calls of these kinds fail, until `mend`. */
  fail(fault: Fault, ...calls: StoreCall[]): void {
    for (const call of calls.length > 0 ? calls : (Object.keys(this.counts) as StoreCall[])) {
      this.#faults.set(call, fault)
    }
  }

  /** Holds back the calls of a kind; returns what lets them go, in any order. */
  hold(call: StoreCall): Held[] {
    const held: Held[] = []
    this.fail((go, answer) => void held.push({ go: () => go(answer) }), call)
    return held
  }

  mend(): void {
    this.#faults.clear()
  }

  /** Resolves when it has been asked this often, from the start. */
  async asked(call: StoreCall, times: number): Promise<void> {
    while (this.counts[call] < times) await new Promise<void>(resolve => this.#heard.push(resolve))
  }

  /** What is stored, bypassing all faults. */
  stored(id: string): Promise<Record<string, unknown> | undefined> {
    return new Promise(resolve => this.inner.get(id, (_error, data) => resolve(data as never)))
  }

  /** Stores, bypassing all faults. */
  put(id: string, data: object): Promise<void> {
    const whole = { cookie: { originalMaxAge: null }, ...data }
    return new Promise(resolve => this.inner.set(id, whole, () => resolve()))
  }

  #call(kind: StoreCall, answer: Answer, go: (answer: Answer) => void): unknown {
    this.counts[kind]++
    for (const heard of this.#heard.splice(0)) heard()
    const fault = this.#faults.get(kind)
    return fault === undefined ? go(answer) : fault(go, answer)
  }
}

/** A call that waits. */
export interface Held {
  go(): void
}
