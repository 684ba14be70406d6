import { hasCode, SocketStreamError } from '../../src/errors.js'
import type { Responder } from '../../src/services/service.js'

/** How a call ended. */
export type Outcome =
  | { readonly kind: 'reply'; readonly value: unknown }
  | { readonly kind: 'error'; readonly error: unknown }
  | { readonly kind: 'end' }
  | { readonly kind: 'cancelled' }

/** A responder that records, and gives out items only against credit. */
export class RecordingResponder implements Responder {
  readonly items: unknown[] = []
  /** What came after the end, and would have been dropped. */
  readonly late: string[] = []
  readonly done: Promise<Outcome>
  outcome: Outcome | undefined
  /** Whether `signal` was ever read. */
  signalTouched = false
  #credit: number
  #controller = new AbortController()
  #settle!: (outcome: Outcome) => void
  #ready: ((more: boolean) => void)[] = []
  #starving: (() => void)[] = []
  #listeners: (() => void)[] = []

  constructor(credit = Number.POSITIVE_INFINITY) {
    this.#credit = credit
    this.done = new Promise(resolve => {
      this.#settle = resolve
    })
  }

  get ended(): boolean {
    return this.outcome !== undefined
  }

  get signal(): AbortSignal {
    this.signalTouched = true
    return this.#controller.signal
  }

  reply(value: unknown): void {
    if (this.#isLate('reply')) return
    this.#end({ kind: 'reply', value: transfer(value) })
  }

  error(error: unknown): void {
    if (this.#isLate('error')) return
    this.#end({ kind: 'error', error })
  }

  item(value: unknown): void {
    if (this.#isLate('item')) return
    const sent = transfer(value)
    if (this.#credit <= 0) {
      this.#end({ kind: 'error', error: new SocketStreamError('OVERLOADED', 'An item without credit') })
      return
    }
    this.#credit--
    this.items.push(sent)
    for (const listener of this.#listeners.splice(0)) listener()
  }

  end(): void {
    if (this.#isLate('end')) return
    this.#end({ kind: 'end' })
  }

  ready(): Promise<boolean> {
    if (this.ended) return Promise.resolve(false)
    if (this.#credit > 0) return Promise.resolve(true)
    for (const starving of this.#starving.splice(0)) starving()
    return new Promise(resolve => this.#ready.push(resolve))
  }

  /** Lets the caller take more items. */
  grant(items: number): void {
    this.#credit += items
    for (const resolve of this.#ready.splice(0)) resolve(true)
  }

  /** The caller cancels. */
  cancel(): void {
    if (this.ended) return
    this.#end({ kind: 'cancelled' })
    this.#controller.abort(new SocketStreamError('CANCELLED', 'The caller cancelled'))
  }

  /** Resolves when the stream next waits for credit. */
  starving(): Promise<void> {
    return new Promise(resolve => this.#starving.push(resolve))
  }

  /** Resolves at the next item or the end. */
  progress(): Promise<void> {
    return this.ended ? Promise.resolve() : new Promise(resolve => this.#listeners.push(resolve))
  }

  /** The code of the error that it ended with. */
  get code(): string | undefined {
    const error = this.outcome?.kind === 'error' ? this.outcome.error : undefined
    return hasCode(error) ? error.code : undefined
  }

  #isLate(what: string): boolean {
    if (this.ended) this.late.push(what)
    return this.ended
  }

  #end(outcome: Outcome): void {
    this.outcome = outcome
    this.#settle(outcome)
    for (const resolve of this.#ready.splice(0)) resolve(false)
    for (const listener of this.#listeners.splice(0)) listener()
  }
}

/** What is encoded and decoded again. */
export function transfer(value: unknown): unknown {
  try {
    return value === undefined ? null : structuredClone(value)
  } catch (cause) {
    throw new SocketStreamError('UNENCODABLE', 'The value cannot be sent', { cause })
  }
}
