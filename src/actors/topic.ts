import { KIND } from '../protocol/envelope.js'
import type { Connection, SlowSend, Topic } from '../services/service.js'
import type { BrokerBacklog } from './backlog.js'
import type { Broker } from './broker.js'
import type { BrokerConnection } from './connection.js'
import { Outgoing } from './outgoing.js'
import type { ActorRef } from './runtime/index.js'
import type { ServiceMessage } from './service.js'

/**
 * A topic that has subscribers: a number on the wire, a name in code.
 *
 * Owned by its service's actor, which alone adds and removes subscribers.
 */
export class BrokerTopic {
  readonly id: number
  readonly name: string
  readonly owner: ActorRef<ServiceMessage>
  readonly subscribers = new Set<BrokerConnection>()

  constructor(owner: ActorRef<ServiceMessage>, id: number, name: string) {
    this.owner = owner
    this.id = id
    this.name = name
  }
}

/** What a service holds of a topic: its name, whoever may be subscribed at the time. */
export class TopicHandle implements Topic {
  readonly name: string
  readonly #broker: Broker
  readonly #service: number
  readonly #topics: ReadonlyMap<string, BrokerTopic>

  constructor(broker: Broker, service: number, topics: ReadonlyMap<string, BrokerTopic>, name: string) {
    this.#broker = broker
    this.#service = service
    this.#topics = topics
    this.name = name
  }

  get size(): number {
    return this.#topics.get(this.name)?.subscribers.size ?? 0
  }

  has(connection: Connection): boolean {
    return this.#topics.get(this.name)?.subscribers.has(connection as BrokerConnection) === true
  }

  publish(value: unknown, { except, slow }: { except?: string; slow?: SlowSend } = {}): void {
    const topic = this.#topics.get(this.name)
    if (topic === undefined) return
    const outgoing = new Outgoing(this.#broker.primaryCodec, KIND.PUBLICATION, this.#service, topic.id, value)
    for (const connection of topic.subscribers) {
      if (connection.id === except) continue
      if (slow === undefined) connection.deliver(outgoing)
      else (slow.backlog as BrokerBacklog).offer(connection, outgoing, slow)
    }
  }
}
