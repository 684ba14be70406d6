import { KIND } from '../protocol/envelope.js'
import type { Backlog, BacklogOptions, BacklogStatistics } from '../services/service.js'
import type { Broker } from './broker.js'
import type { BrokerConnection } from './connection.js'
import { Outgoing } from './outgoing.js'
import { SlowQueue, type WaitOptions } from './slow-queue.js'

interface Item {
  readonly outgoing: Outgoing
  readonly tag: unknown
}

/** What waits for the slow connections of one sender, instead of in their links. */
export class BrokerBacklog implements Backlog {
  readonly #broker: Broker
  readonly #service: number
  readonly #options: BacklogOptions
  readonly #queues = new Map<BrokerConnection, SlowQueue<Item>>()
  /** Connections of which a loss has been told, until nothing waits for them any more. */
  readonly #told = new Set<BrokerConnection>()
  #dropped = 0

  constructor(broker: Broker, service: number, options: BacklogOptions) {
    this.#broker = broker
    this.#service = service
    this.#options = options
  }

  get statistics(): BacklogStatistics {
    let waiting = 0
    for (const queue of this.#queues.values()) waiting += queue.size
    return { dropped: this.#dropped, connections: this.#queues.size, waiting }
  }

  /** Sends at once, or has it wait where something waits already or the connection is full. */
  offer(
    connection: BrokerConnection,
    outgoing: Outgoing,
    { tag, ...how }: WaitOptions & { tag?: unknown },
  ): void {
    let bytes: number
    try {
      bytes = outgoing.frameFor(connection.codec).length
    } catch {
      // Never sent; the connection says so in the log.
      return connection.deliver(outgoing)
    }
    let queue = this.#queues.get(connection)
    if (queue === undefined) {
      if (!connection.open || !connection.isFull(bytes)) return connection.deliver(outgoing)
      queue = new SlowQueue(this.#options)
      this.#queues.set(connection, queue)
      connection.wait(this)
    }
    const dropped = queue.push({ outgoing, tag }, bytes, how)
    if (dropped === 0) return
    this.#dropped += dropped
    if (this.#told.has(connection)) return
    this.#told.add(connection)
    this.#options.ondrop?.(connection)
  }

  /** What a connection is to be sent next; the backlog is done with it when there is nothing. */
  next(connection: BrokerConnection): Outgoing[] | undefined {
    const taken = this.#queues.get(connection)?.take()
    if (taken === undefined) {
      this.#forget(connection)
      return undefined
    }
    const { outgoing, tag } = taken.value
    const mark = taken.gap ? this.#options.mark?.(tag, taken.dropped) : undefined
    if (mark === undefined) return [outgoing]
    return [new Outgoing(connection.codec, KIND.MESSAGE, this.#service, 0, mark), outgoing]
  }

  clear(connectionId?: string): void {
    if (connectionId === undefined) {
      for (const connection of this.#queues.keys()) this.#forget(connection)
    } else {
      const connection = this.#broker.connections.byId.get(connectionId)
      if (connection !== undefined) this.#forget(connection)
    }
  }

  withdraw(connectionId: string): { readonly first: unknown; readonly last: unknown } | undefined {
    const connection = this.#broker.connections.byId.get(connectionId)
    const queue = connection && this.#queues.get(connection)
    if (connection === undefined || queue === undefined) return undefined
    this.#forget(connection)
    return { first: queue.first?.tag, last: queue.last?.tag }
  }

  /** A connection has closed. */
  closed(connection: BrokerConnection): void {
    this.#forget(connection)
  }

  #forget(connection: BrokerConnection): void {
    this.#queues.delete(connection)
    this.#told.delete(connection)
  }
}
