import { SocketStreamError } from '../errors.js'
import { KIND } from '../protocol/envelope.js'
import type { Responder } from '../services/service.js'
import { toClientError } from './client-error.js'
import type { BrokerConnection } from './connection.js'
import { Outgoing } from './outgoing.js'

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
  readonly #connection: BrokerConnection
  #ended = false
  #controller: AbortController | undefined
  #credit: number
  #waiting: ((taken: boolean) => void) | undefined

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
    this.subscribes = subscribes
  }

  get ended(): boolean {
    return this.#ended
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#ended) this.#controller.abort()
    }
    return this.#controller.signal
  }

  reply(value: unknown): void {
    if (this.#late('reply')) return
    this.#finish(this.#encode(KIND.REPLY, value, this))
  }

  error(error: unknown): void {
    if (this.#late('error')) return
    const payload = toClientError(error, this.#connection.broker, `call to service ${this.service}`)
    let outgoing: Outgoing
    try {
      outgoing = this.#encode(KIND.ERROR, payload, this)
    } catch {
      // Only `data` can be unencodable: the rest is strings and numbers made by toClientError.
      outgoing = this.#encode(KIND.ERROR, { ...payload, data: null }, this)
    }
    this.#finish(outgoing)
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
    this.#connection.deliver(outgoing)
  }

  end(): void {
    if (this.#late('end')) return
    this.#finish(this.#encode(KIND.END, null, this))
  }

  ready(): Promise<boolean> {
    if (this.#ended) return Promise.resolve(false)
    if (this.#credit > 0) return Promise.resolve(true)
    return new Promise(resolve => {
      const before = this.#waiting
      this.#waiting = taken => {
        before?.(taken)
        resolve(taken)
      }
    })
  }

  /** The caller takes this many more items. */
  addCredit(items: number): void {
    this.#credit = Math.min(this.#credit + items, Number.MAX_SAFE_INTEGER)
    this.#wake(true)
  }

  /** The caller wants no answer, or has gone: nothing is sent any more. */
  cancel(): void {
    if (this.#ended) return
    this.#ended = true
    this.#controller?.abort()
    this.#wake(false)
  }

  #encode(kind: number, value: unknown, answers?: CallResponder): Outgoing {
    return new Outgoing(this.#connection.codec, kind, this.service, this.id, value, answers)
  }

  #finish(outgoing: Outgoing): void {
    this.#ended = true
    this.#wake(false)
    this.#connection.deliver(outgoing)
  }

  #wake(taken: boolean): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.(taken)
  }

  #late(what: string): boolean {
    if (!this.#ended) return false
    // After a cancel or a close a late answer is the normal course of things, not a mistake.
    if (this.#connection.open && this.#controller?.signal.aborted !== true) {
      this.#connection.broker.log.debug(`${what} after the call had ended`, {
        connection: this.#connection.id,
        service: this.service,
      })
    }
    return true
  }
}
