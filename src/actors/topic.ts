import { KIND } from '../protocol/envelope.js'
import type { Topic } from '../services/service.js'
import type { Broker } from './broker.js'
import type { BrokerConnection } from './connection.js'
import { Outgoing } from './outgoing.js'
import type { ActorRef } from './runtime/index.js'
import type { ServiceMessage } from './service.js'

/**
 * A topic: a number on the wire, a name in code, and its subscribers.
 *
 * Owned by its service's actor, which alone adds and removes subscribers.
 */
export class BrokerTopic implements Topic {
  readonly id: number
  readonly name: string
  readonly owner: ActorRef<ServiceMessage>
  readonly subscribers = new Set<BrokerConnection>()
  readonly #service: number
  readonly #broker: Broker

  constructor(broker: Broker, owner: ActorRef<ServiceMessage>, service: number, id: number, name: string) {
    this.#broker = broker
    this.owner = owner
    this.#service = service
    this.id = id
    this.name = name
  }

  get size(): number {
    return this.subscribers.size
  }

  publish(value: unknown, options: { except?: string } = {}): void {
    const outgoing = new Outgoing(this.#broker.primaryCodec, KIND.PUBLICATION, this.#service, this.id, value)
    for (const connection of this.subscribers) {
      if (connection.id !== options.except) connection.deliver(outgoing)
    }
  }
}
