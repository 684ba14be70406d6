import { SocketStreamError } from '../errors.js'
import { IdTable } from '../protocol/id-table.js'
import type { Broker } from './broker.js'
import type { BrokerConnection } from './connection.js'
import { CallResponder } from './responder.js'

/** The calls of one connection that have no final answer yet, subscribes among them. */
export class OpenCalls {
  readonly #broker: Broker
  #responders: IdTable<CallResponder> | undefined
  #subscribes = 0

  constructor(broker: Broker) {
    this.#broker = broker
  }

  /** Subscribes without an answer. */
  get subscribes(): number {
    return this.#subscribes
  }

  /** All of them, in no particular order. */
  get all(): readonly CallResponder[] {
    return this.#responders === undefined ? [] : this.#responders.entries().map(([, responder]) => responder)
  }

  get(id: number): CallResponder | undefined {
    return this.#responders?.get(id)
  }

  /**
   * Accepts a call.
   *
   * @throws SocketStreamError `DRAINING`, `DUPLICATE_ID` or `OVERLOADED`
   */
  start(connection: BrokerConnection, service: number, id: number, subscribes: boolean): CallResponder {
    const { limits, draining, connections } = this.#broker
    this.#responders ??= new IdTable()
    if (draining) throw new SocketStreamError('DRAINING', 'the server is stopping')
    if (this.#responders.get(id) !== undefined) {
      throw new SocketStreamError('DUPLICATE_ID', `a call with the id ${id} is in flight`)
    }
    if (this.#responders.size >= limits.calls) {
      throw new SocketStreamError('OVERLOADED', `${limits.calls} calls are in flight`)
    }
    const responder = new CallResponder(connection, service, id, limits.credit, subscribes)
    this.#responders.add(id, responder)
    if (subscribes) this.#subscribes++
    connections.callStarted()
    return responder
  }

  /** The call has its final answer, or will never have one. */
  end(responder: CallResponder): void {
    if (this.get(responder.id) !== responder) return
    this.#responders?.delete(responder.id)
    if (responder.subscribes) this.#subscribes--
    this.#broker.connections.callEnded()
  }

  /** Nobody waits for answers any more. */
  cancelAll(): void {
    for (const responder of this.all) {
      responder.cancel()
      this.end(responder)
    }
  }
}
