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
  /** The service's name. */
  readonly service: string
  readonly name: string
  readonly owner: ActorRef<ServiceMessage>
  readonly subscribers = new Set<BrokerConnection>()
  /** The numbers of those that know it by another one, because they have come from another server. */
  #numbers: Map<BrokerConnection, number> | undefined

  constructor(owner: ActorRef<ServiceMessage>, id: number, service: string, name: string) {
    this.owner = owner
    this.id = id
    this.service = service
    this.name = name
  }

  /** Whether all know it by its own number. */
  get isPlain(): boolean {
    return this.#numbers === undefined
  }

  /** The number that a connection knows it by. */
  numberFor(connection: BrokerConnection): number {
    return this.#numbers?.get(connection) ?? this.id
  }

  /** Has a connection know it by another number. */
  number(connection: BrokerConnection, number: number): void {
    this.#numbers ??= new Map()
    this.#numbers.set(connection, number)
  }

  /** Takes a subscriber out; to whether there was one. */
  remove(connection: BrokerConnection): boolean {
    if (this.#numbers?.delete(connection) && this.#numbers.size === 0) this.#numbers = undefined
    return this.subscribers.delete(connection)
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
    const encode = (number: number) =>
      new Outgoing(this.#broker.primaryCodec, KIND.PUBLICATION, this.#service, number, value)
    const plain = encode(topic.id)
    const { only } = this.#broker
    const numbered = topic.isPlain ? undefined : new Map([[topic.id, plain]])
    for (const connection of only === undefined ? topic.subscribers : subscribed(topic, only)) {
      if (connection.id === except) continue
      const outgoing = numbered === undefined ? plain : numberedFor(topic, connection, numbered, encode)
      if (slow === undefined) connection.deliver(outgoing)
      else (slow.backlog as BrokerBacklog).offer(connection, outgoing, slow)
    }
  }
}

function subscribed({ subscribers }: BrokerTopic, only: BrokerConnection): readonly BrokerConnection[] {
  return subscribers.has(only) ? [only] : []
}

/** Encoded once for all that know the topic by the same number. */
function numberedFor(
  topic: BrokerTopic,
  connection: BrokerConnection,
  numbered: Map<number, Outgoing>,
  encode: (number: number) => Outgoing,
): Outgoing {
  const number = topic.numberFor(connection)
  let outgoing = numbered.get(number)
  if (outgoing === undefined) {
    outgoing = encode(number)
    numbered.set(number, outgoing)
  }
  return outgoing
}
