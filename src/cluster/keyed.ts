import { pack, unpack } from '../codec/packed.js'
import type { EngineClock } from '../engines/clock.js'
import type { Leases } from '../engines/lease.js'
import { hasCode } from '../errors.js'
import type { Logger } from '../log.js'
import { cancelled, isAbsence, late, noResponder } from './absence.js'
import type { AnswerContext } from './answering.js'
import { type CallOfOptions, isUndone, mayRepeat, wrongOptions } from './calls.js'
import { pause, within } from './clock.js'
import { Instances, type KeyedBehaviour } from './instances.js'
import { type Outcomes, once } from './once.js'
import type { AskOptions } from './wire.js'

export type { KeyedBehaviour, KeyedInstance, KeyedStart } from './instances.js'

/** Milliseconds before a key whose holder is changing is looked for again: at first, and at most. */
const AGAIN = { least: 5, most: 250 }
/** Milliseconds that a call has to have left to be made again: one that ends while it is made is done, and nobody knows. */
const ENOUGH = 10
/** Keys whose holders are remembered. */
const MOST_KNOWN = 10_000

/** How a keyed thing is called. */
export interface KeyedCallOptions extends CallOfOptions {
  /** Whether it begins when it lives nowhere; otherwise the call is `NO_RESPONDER`. Default true. */
  readonly begin?: boolean
}

/** Calls of things that live once in a cluster. */
export interface KeyedHandle<Payload = unknown, Answer = unknown> {
  /**
   * Calls the instance of a key, wherever it lives; begins it here when it lives nowhere.
   *
   * Rejects with what it has thrown. `TIMEOUT`: no answer came in time, or its server has died and its lease is not over
   * yet. `CONNECTION_LOST`: its server has died meanwhile. `data.accepted` says whether it was done: `false`, or
   * `'unknown'`. `CANCELLED`, `OVERLOADED`, `FRAME_TOO_BIG`, `ENGINE_UNAVAILABLE`.
   */
  call(key: string, payload?: Payload, options?: KeyedCallOptions): Promise<Awaited<Answer>>
  /** Ends the instance of a key, if it lives here; the next call begins it anew, perhaps elsewhere. */
  release(key: string): Promise<void>
  /** Keys that live here. */
  keys(): readonly string[]
}

/** What keyed things are made with. */
export interface KeyedInit {
  readonly name: string
  readonly node: string
  readonly leases: Leases
  /** Milliseconds. */
  readonly ttl: number
  readonly deadline: number
  readonly clock: EngineClock
  readonly log: Logger
  readonly behaviour: KeyedBehaviour
  /** Where outcomes of calls with idempotency keys are kept. */
  readonly outcomes: Outcomes
  /** Asks the server that has a key. */
  ask(node: string, payload: unknown, options: AskOptions & { readonly key: string }): Promise<unknown>
}

type Asked = Required<Pick<KeyedCallOptions, 'begin'>> & Pick<AskOptions, 'signal' | 'once'>

/** Things of one name: those that live here under leases, and the way to the others. */
export class Keyed implements KeyedHandle {
  readonly #init: KeyedInit
  readonly #instances: Instances
  /** Where keys were found lately, and until when their leases go on at least. */
  readonly #holders = new Map<string, { readonly node: string; readonly until: number }>()
  #stopped = false

  constructor(init: KeyedInit) {
    this.#init = init
    this.#instances = new Instances({ ...init, lease: key => this.#lease(key) })
  }

  async call(key: string, payload: unknown = null, options: KeyedCallOptions = {}): Promise<unknown> {
    const wrong = wrongOptions(options)
    if (wrong !== undefined) throw wrong
    const { clock } = this.#init
    const { deadline = this.#init.deadline, begin = true, signal, idempotencyKey } = options
    const asked = { begin, signal, ...(idempotencyKey !== undefined && { once: idempotencyKey }) }
    const last = clock.now() + deadline
    const bytes = pack(payload)
    let accepted: false | 'unknown' = false
    let before: unknown
    const tooLate = () => late(`'${key}' did not answer within ${Math.round(deadline)} ms`, accepted)
    for (let attempt = 0; ; attempt++) {
      if (signal?.aborted) throw cancelled(signal)
      const left = last - clock.now()
      if (left <= (attempt === 0 ? 0 : ENOUGH)) throw tooLate()
      try {
        return await this.#try(key, bytes, last, asked, tooLate)
      } catch (error) {
        // Nothing was done: who had it has died, or has just let go. Or it is done once, whoever asks.
        if (idempotencyKey !== undefined && mayRepeat(error)) {
          accepted = 'unknown'
          before = error
        } else if (!isAbsence(error) || this.#stopped || !begin) {
          // That this time nothing was done says nothing about the time before.
          throw before !== undefined && isUndone(error) ? before : error
        }
      }
      const wait = Math.min(AGAIN.least * 2 ** attempt, AGAIN.most)
      await pause(clock, Math.min(wait, Math.max(1, (last - clock.now()) / 2)))
    }
  }

  release(key: string): Promise<void> {
    return this.#instances.release(key)
  }

  keys(): readonly string[] {
    return this.#instances.keys
  }

  /** Answers a call for an instance that lives here. */
  answer(key: string, payload: unknown, context: AnswerContext, idempotencyKey?: string): Promise<unknown> {
    const work = () => this.#instances.answer(key, payload, context)
    if (idempotencyKey === undefined) return work()
    if (!this.#instances.has(key)) throw noResponder(`'${key}' does not live on this server`)
    return once(this.#init.outcomes, this.#lease(key), idempotencyKey, payload, work)
  }

  /** Gives all that lives here to whoever wants it; what is called here afterwards may begin here again. */
  drain(): Promise<void> {
    return this.#instances.releaseAll()
  }

  /** Ends all that lives here, and gives it back. */
  stop(): Promise<void> {
    this.#stopped = true
    return this.#instances.stop()
  }

  /**
   * @param last when the call has to be over
   * @param tooLate the error for a call that has not been made by then
   */
  async #try(
    key: string,
    bytes: Uint8Array,
    last: number,
    asked: Asked,
    tooLate: () => Error,
  ): Promise<unknown> {
    if (this.#instances.has(key)) return this.#here(key, bytes, last, asked)
    const { leases, node, clock } = this.#init
    const known = this.#holders.get(key)
    if (known !== undefined && clock.now() < known.until) {
      try {
        return await this.#there(known.node, key, bytes, last, asked)
      } catch (error) {
        if (!isAbsence(error)) throw error
        this.#holders.delete(key)
      }
    }
    const looked = clock.now()
    const inTime = <Value>(work: Promise<Value>) =>
      within(clock, last - clock.now(), work, tooLate, asked.signal, cancelled)
    const lease = await inTime(leases.current(this.#lease(key)))
    if (lease !== undefined && lease.holder !== node) {
      this.#remember(key, { node: lease.holder, until: looked + lease.remaining })
      return this.#there(lease.holder, key, bytes, last, asked)
    }
    if (!asked.begin && !this.#instances.has(key)) throw noResponder(`'${key}' lives nowhere`)
    if (!(await inTime(this.#instances.begin(key)))) throw noResponder(`'${key}' is about to live elsewhere`)
    return this.#here(key, bytes, last, asked)
  }

  #here(key: string, bytes: Uint8Array, last: number, { signal, once: onceKey }: Asked): Promise<unknown> {
    const { node, clock } = this.#init
    const left = last - clock.now()
    // It took as long to begin: nothing is done any more.
    if (left <= 0) return Promise.reject(noResponder(`'${key}' has begun too late`))
    const giving = new AbortController()
    const given = signal === undefined ? giving.signal : AbortSignal.any([signal, giving.signal])
    const work = (async () => this.answer(key, unpack(bytes), { from: node, signal: given }, onceKey))()
    const failure = () => {
      giving.abort()
      return late(`'${key}' did not answer within ${Math.round(left)} ms`)
    }
    return within(clock, left, work, failure, signal, cancelled)
  }

  async #there(node: string, key: string, bytes: Uint8Array, last: number, asked: Asked): Promise<unknown> {
    const { signal, once: onceKey } = asked
    const options = {
      key,
      deadline: Math.max(1, last - this.#init.clock.now()),
      signal,
      ...(onceKey !== undefined && { once: onceKey }),
    }
    try {
      return await this.#init.ask(node, unpack(bytes), options)
    } catch (error) {
      if (hasCode(error) && error.code === 'CONNECTION_LOST') this.#holders.delete(key)
      throw error
    }
  }

  #remember(key: string, holder: { readonly node: string; readonly until: number }): void {
    if (this.#holders.size >= MOST_KNOWN) this.#holders.delete(this.#holders.keys().next().value!)
    this.#holders.set(key, holder)
  }

  #lease(key: string): string {
    return `$cluster/${this.#init.name}/${key}`
  }
}
