import { SocketStreamError } from '../errors.js'
import { KIND } from '../protocol/envelope.js'
import type { Outcome, Responder } from '../services/service.js'
import { errorEnvelope, toClientError } from './client-error.js'
import type { BrokerConnection } from './connection.js'
import { Outgoing } from './outgoing.js'
import type { RequestEnd } from './request-end.js'

/** How many times its initial credit a stream may have in hand: more would let it run on without a pause. */
const MAX_CREDIT = 16

/**
 * The answer to one call: encodes it and tells the connection actor.
 *
 * A call has exactly one of reply, error and end, whatever the handler does; the rest is logged.
 */
export class CallResponder implements Responder {
  readonly id: number
  readonly service: number
  /** Whether it answers a subscribe. */
  readonly subscribes: boolean
  /** Whether it may stay unanswered: what 0.4's clients send always asks for an answer. */
  loose = false
  readonly #connection: BrokerConnection
  #outcome: Outcome | undefined
  #begun = false
  /** Whether somebody else has answered in the handler's place. */
  #replaced = false
  #end: RequestEnd | undefined
  #controller: AbortController | undefined
  readonly #maxCredit: number
  /** Items that the caller takes. */
  #credit: number
  /** Of these, how many `ready()` has promised to somebody. */
  #promised = 0
  #waiting: ((taken: boolean) => void)[] | undefined

  constructor(
    connection: BrokerConnection,
    service: number,
    id: number,
    credit: number,
    subscribes: boolean,
  ) {
    this.#connection = connection
    this.service = service
    this.id = id
    this.#credit = credit
    this.#maxCredit = credit * MAX_CREDIT
    this.subscribes = subscribes
  }

  get ended(): boolean {
    return this.#outcome !== undefined
  }

  /** Whether it has ended, or an item of it was sent. */
  get answered(): boolean {
    return this.#begun || this.ended
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.ended) this.#controller.abort()
    }
    return this.#controller.signal
  }

  reply(value: unknown): void {
    if (this.#late('reply')) return
    this.#finish(this.#encode(KIND.REPLY, value), 'ok')
  }

  error(error: unknown): void {
    if (this.#late('error')) return
    const { broker, codec } = this.#connection
    const payload = toClientError(error, broker.services[this.service]?.server ?? broker, 'call')
    this.#finish(errorEnvelope(broker, codec, payload, { id: this.id, responder: this }), 'error', error)
  }

  /** Answers in the handler's place and aborts it; returns whether there was anything to answer. */
  abort(error: unknown): boolean {
    if (this.ended) return false
    this.error(error)
    this.#replaced = true
    this.#controller?.abort(error)
    return true
  }

  /** Tells how it ends; at once when it has. */
  watch(end: RequestEnd): void {
    this.#end = end
    if (this.#outcome !== undefined) end.settle(this.#outcome)
  }

  /** The handler is done: whoever watches a loose call waits no longer, though the answer may still come. */
  handled(): void {
    if (this.loose) this.#end?.settle('ok')
  }

  item(value: unknown): void {
    if (this.#late('item')) return
    if (this.#credit <= 0) {
      this.error(
        new SocketStreamError(
          'OVERLOADED',
          'More items than the caller asked for: await ready() before each',
        ),
      )
      return
    }
    const outgoing = this.#encode(KIND.ITEM, value)
    this.#credit--
    this.#begun = true
    if (this.#promised > 0) this.#promised--
    this.#connection.deliver(outgoing)
  }

  end(): void {
    if (this.#late('end')) return
    this.#finish(this.#encode(KIND.END, null), 'ok')
  }

  ready(): Promise<boolean> {
    if (this.ended) return Promise.resolve(false)
    if (this.#promised < this.#credit) {
      this.#promised++
      return Promise.resolve(true)
    }
    return new Promise(resolve => {
      this.#waiting ??= []
      this.#waiting.push(resolve)
    })
  }

  /** The caller takes this many more items. */
  addCredit(items: number): void {
    this.#credit = Math.min(this.#credit + items, this.#maxCredit)
    while (this.#waiting !== undefined && this.#waiting.length > 0 && this.#promised < this.#credit) {
      this.#promised++
      this.#waiting.shift()?.(true)
    }
  }

  /** The caller wants no answer, or has gone: nothing is sent any more. */
  cancel(outcome: Outcome): void {
    if (this.ended) return
    this.#outcome = outcome
    this.#controller?.abort()
    this.#release()
    this.#end?.settle(outcome)
  }

  #encode(kind: number, value: unknown): Outgoing {
    return new Outgoing(this.#connection.codec, kind, this.service, this.id, value, this)
  }

  #finish(outgoing: Outgoing, outcome: Outcome, error?: unknown): void {
    this.#outcome = outcome
    this.#release()
    this.#connection.deliver(outgoing)
    this.#end?.settle(outcome, error)
  }

  /** Nobody takes another item. */
  #release(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    for (const resolve of waiting ?? []) resolve(false)
  }

  #late(what: string): boolean {
    if (!this.ended) return false
    this.#connection.broker.counters.late++
    // After a cancel or a close a late answer is the normal course of things, not a mistake.
    const own = this.#outcome !== 'cancelled' && this.#outcome !== 'closed' && !this.#replaced
    if (this.#connection.open && own) {
      this.#connection.broker.log.warn(`${what} after the call had ended`, {
        connection: this.#connection.id,
        service: this.service,
      })
    }
    return true
  }
}
