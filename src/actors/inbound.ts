import type { Envelope } from '../codec/codec.js'
import { SocketStreamError } from '../errors.js'
import { KIND } from '../protocol/envelope.js'
import type { Outcome } from '../services/service.js'
import { ClientCalls } from './client-calls.js'
import type { BrokerConnection } from './connection.js'
import { OpenCalls } from './open-calls.js'
import { Outgoing } from './outgoing.js'
import { BrokerRequest } from './request.js'
import type { CallResponder } from './responder.js'
import { tooBusy } from './too-busy.js'
import type { BrokerTopic } from './topic.js'
import { Uploads } from './uploads.js'

/**
 * What a client asks of services, and what it has of them: its calls in flight, its topics, the server's calls to it.
 *
 * All of it is used in the connection's turn.
 */
export class Inbound {
  readonly calls: OpenCalls
  readonly #connection: BrokerConnection
  #ownCalls: ClientCalls | undefined
  #uploads: Uploads | undefined
  #topics: Map<number, BrokerTopic> | undefined

  constructor(connection: BrokerConnection) {
    this.#connection = connection
    this.calls = new OpenCalls(connection.broker)
  }

  /** Whether anything is under way that is of this server alone. */
  get isBound(): boolean {
    return this.calls.any || (this.#ownCalls?.size ?? 0) > 0
  }

  /** What is subscribed, by the numbers that the client knows. */
  get topics(): ReadonlyMap<number, BrokerTopic> {
    return this.#topics ?? NO_TOPICS
  }

  /** It goes on at another server: no topic reaches it here any more. */
  leaveTopics(): void {
    const topics = this.#topics
    this.#topics = undefined
    for (const topic of topics?.values() ?? []) {
      topic.remove(this.#connection)
      topic.owner.tell({ type: 'unsubscribe', connection: this.#connection, topic, moved: true })
    }
  }

  /** The server's calls to this client. */
  get ownCalls(): ClientCalls {
    this.#ownCalls ??= new ClientCalls(this.#connection)
    return this.#ownCalls
  }

  /** What the client sends along with its calls. */
  get uploads(): Uploads {
    this.#uploads ??= new Uploads(this.#connection)
    return this.#uploads
  }

  /** Notes a topic that the connection has been added to; gives the number that its client is to know it by. */
  subscribed(topic: BrokerTopic, wanted = topic.numberFor(this.#connection)): number {
    this.#topics ??= new Map()
    const holder = this.#topics.get(wanted)
    // Numbers that a client has from another server mean others here.
    const number = holder === undefined || holder === topic ? wanted : Math.max(...this.#topics.keys()) + 1
    this.#topics.set(number, topic)
    if (number !== topic.id) topic.number(this.#connection, number)
    return number
  }

  /** Forgets a call that was cancelled, or that a middleware dropped without an answer. */
  drop(responder: CallResponder, outcome: Outcome): void {
    responder.cancel(outcome)
    this.calls.end(responder)
  }

  /**
   * Takes an envelope that concerns services or calls.
   *
   * @throws SocketStreamError `BAD_FRAME` for one that a client must not send
   */
  take(envelope: Envelope): void {
    const { kind, id } = envelope
    switch (kind) {
      case KIND.MESSAGE:
      case KIND.CALL:
      case KIND.SUBSCRIBE:
        return this.#request(envelope)
      case KIND.CANCEL: {
        const responder = this.calls.get(id)
        if (responder !== undefined && !responder.ended) {
          this.drop(responder, 'cancelled')
          this.#connection.fail(id, new SocketStreamError('CANCELLED', 'cancelled by the caller'))
        }
        return
      }
      case KIND.CREDIT:
        return this.#credit(envelope)
      case KIND.UNSUBSCRIBE:
        return this.#unsubscribe(envelope.payload)
      default:
        if (kind >= KIND.REPLY && kind <= KIND.END && isOurs(id)) return this.ownCalls.take(envelope)
        // Whoever has never uploaded anything has nothing on the way either.
        if (kind > KIND.REPLY && kind <= KIND.END && this.#uploads !== undefined && id !== 0) {
          return this.#uploads.take(envelope, this.calls.get(id) !== undefined)
        }
        throw new SocketStreamError('BAD_FRAME', `kind ${kind} is not one that a client sends`)
    }
  }

  /** No accepted call stays unanswered, also when it did not finish while draining. */
  failCalls(): void {
    const message = 'the server stopped before the call had finished'
    for (const { id } of this.calls.all) {
      this.#connection.fail(id, new SocketStreamError('DRAIN_TIMEOUT', message))
    }
  }

  /** The client is gone for good. */
  closed(): void {
    this.calls.cancelAll()
    this.#ownCalls?.lost()
    for (const topic of this.#topics?.values() ?? []) this.#leave(topic)
    this.#topics = undefined
  }

  #request(envelope: Envelope): void {
    const { kind, id } = envelope
    const connection = this.#connection
    const { broker } = connection
    const target = broker.services[envelope.service]
    const isCall = kind !== KIND.MESSAGE
    if (isCall && id % 2 === 0) throw new SocketStreamError('BAD_FRAME', 'ids of clients are odd numbers')
    if (target === undefined || target.private) {
      if (envelope.service === 0 && connection.isClassic && isDiscover(envelope.payload)) {
        if (!isCall) return
        const discovery = broker.connections.discovery()
        return connection.write(new Outgoing(connection.codec, KIND.REPLY, 0, id, discovery))
      }
      const message = `no service has the id ${envelope.service}`
      return connection.fail(isCall ? id : 0, new SocketStreamError('UNKNOWN_SERVICE', message))
    }
    if (connection.nameless && target.definition.use?.sessions === true) {
      broker.log.debug(`a message to service ${target.name} was dropped: it came before connect`, {
        connection: connection.id,
      })
      return
    }
    if (!isCall) {
      const taken = broker.router.tell(new BrokerRequest(connection, target, envelope, undefined))
      if (!taken) connection.fail(0, tooBusy('the server'))
      return
    }
    const subscribes = kind === KIND.SUBSCRIBE
    let responder: CallResponder
    try {
      if (subscribes) this.#checkTopics()
      const loose = connection.isClassic && target.server.oncall === undefined
      responder = this.calls.start(connection, target.id, id, subscribes, loose)
    } catch (error) {
      return connection.fail(id, error as SocketStreamError)
    }
    const taken = broker.router.tell(new BrokerRequest(connection, target, envelope, responder))
    if (!taken) responder.error(tooBusy('the server'))
  }

  #checkTopics(): void {
    const { topics } = this.#connection.broker.limits
    if ((this.#topics?.size ?? 0) + this.calls.subscribes < topics) return
    throw new SocketStreamError('OVERLOADED', `${topics} topics are subscribed`)
  }

  #credit(envelope: Envelope): void {
    const items = envelope.payload
    if (typeof items !== 'number' || !Number.isSafeInteger(items) || items < 1) {
      throw new SocketStreamError('BAD_FRAME', 'credit must be a positive integer')
    }
    this.calls.get(envelope.id)?.addCredit(items)
  }

  #unsubscribe(topicId: unknown): void {
    if (typeof topicId !== 'number') throw new SocketStreamError('BAD_FRAME', 'unsubscribe names a topic id')
    const topic = this.#topics?.get(topicId)
    if (topic === undefined) return
    this.#topics?.delete(topicId)
    this.#leave(topic)
  }

  #leave(topic: BrokerTopic): void {
    topic.owner.tell({ type: 'unsubscribe', connection: this.#connection, topic })
  }
}

const NO_TOPICS: ReadonlyMap<number, BrokerTopic> = new Map()

/** Whether an id is one of the server's own calls. */
function isOurs(id: number): boolean {
  return id > 0 && id % 2 === 0
}

function isDiscover(command: unknown): boolean {
  return (command as { c?: unknown } | null)?.c === 'discover'
}
