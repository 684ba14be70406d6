import { SocketStreamError } from '../errors.js'
import { IdTable } from '../protocol/id-table.js'
import type { Broker } from './broker.js'
import type { BrokerConnection } from './connection.js'
import { CallResponder } from './responder.js'

/** Milliseconds after which whoever has called a server that stops had better ask again: elsewhere, by then. */
const COMES_BACK = 1000

/** The calls of one connection that have no final answer yet, subscribes among them. */
export class OpenCalls {
  readonly #broker: Broker
  #responders: IdTable<CallResponder> | undefined
  /** Calls of 0.4's clients, which ask for an answer to everything: oldest first. */
  #loose: Map<number, CallResponder> | undefined
  #subscribes = 0

  constructor(broker: Broker) {
    this.#broker = broker
  }

  /** Subscribes without an answer. */
  get subscribes(): number {
    return this.#subscribes
  }

  /** Whether somebody waits for an answer. */
  get any(): boolean {
    return this.#responders !== undefined && this.#responders.size > 0
  }

  /** All of them, in no particular order. */
  get all(): readonly CallResponder[] {
    const firm =
      this.#responders === undefined ? [] : this.#responders.entries().map(([, responder]) => responder)
    return this.#loose === undefined ? firm : [...firm, ...this.#loose.values()]
  }

  get(id: number): CallResponder | undefined {
    return this.#responders?.get(id) ?? this.#loose?.get(id)
  }

  /**
   * Accepts a call.
   *
   * @param loose may never be answered: nobody waits for it, and it gives way to later ones
   * @throws SocketStreamError `DRAINING`, `DUPLICATE_ID` or `OVERLOADED`
   */
  start(
    connection: BrokerConnection,
    service: number,
    id: number,
    subscribes: boolean,
    loose = false,
  ): CallResponder {
    const { limits, draining, connections } = this.#broker
    if (loose) return this.#startLoose(connection, service, id)
    this.#responders ??= new IdTable()
    if (draining) {
      throw new SocketStreamError('DRAINING', 'the server is stopping', { retryAfter: COMES_BACK })
    }
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
    if (this.get(responder.id) !== responder || this.#loose?.delete(responder.id)) return
    this.#responders?.delete(responder.id)
    if (responder.subscribes) this.#subscribes--
    this.#broker.connections.callEnded()
  }

  #startLoose(connection: BrokerConnection, service: number, id: number): CallResponder {
    const { limits } = this.#broker
    const responder = new CallResponder(connection, service, id, limits.credit, false)
    responder.loose = true
    this.#loose ??= new Map()
    this.#loose.get(id)?.cancel('cancelled')
    this.#loose.delete(id)
    this.#loose.set(id, responder)
    if (this.#loose.size > limits.calls) {
      const [oldest] = this.#loose.values()
      oldest?.cancel('cancelled')
      this.#loose.delete(oldest!.id)
    }
    return responder
  }

  /** Nobody waits for answers any more. */
  cancelAll(): void {
    for (const responder of this.all) {
      responder.cancel('closed')
      this.end(responder)
    }
  }
}
