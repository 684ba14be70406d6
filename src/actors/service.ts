import { SocketStreamError } from '../errors.js'
import type { Connection, ServiceDefinition } from '../services/service.js'
import { isThenable } from '../thenable.js'
import type { Broker } from './broker.js'
import { errorEnvelope, toClientError } from './client-error.js'
import type { BrokerConnection } from './connection.js'
import { BrokerRequest } from './request.js'
import type { ActorRef, Behaviour } from './runtime/index.js'
import type { BrokerServiceServer } from './service-server.js'
import { BrokerTopic } from './topic.js'

/** What a service actor is told. */
export type ServiceMessage =
  | BrokerRequest
  | { readonly type: 'subscribe'; readonly request: BrokerRequest; readonly topic: string }
  | {
      readonly type: 'unsubscribe'
      readonly connection: BrokerConnection
      readonly topic: BrokerTopic
      /** Whether it has gone on elsewhere: then it is not among the subscribers any more. */
      readonly moved?: boolean
    }
  | { readonly type: 'opened' | 'detached' | 'resumed' | 'moved' | 'closed'; readonly connection: Connection }

/** A service as the router knows it. */
export interface ServiceEntry {
  readonly id: number
  readonly name: string
  readonly private: boolean
  readonly definition: ServiceDefinition
  readonly server: BrokerServiceServer
  readonly ref: ActorRef<ServiceMessage>
}

/** How a service actor begins. */
export interface ServiceInit {
  readonly broker: Broker
  readonly server: BrokerServiceServer
}

const MAX_TOPIC_NAME = 256

/**
 * The service actor: hands requests to the service's own handlers and owns its topics.
 *
 * Handlers start in the order of arrival and run concurrently: one that waits holds nobody up.
 */
export function serviceBehaviour({ broker, server }: ServiceInit): Behaviour<ServiceMessage> {
  return {
    receive(_state, message) {
      // Not by its `type`: a service may write on its requests.
      if (message instanceof BrokerRequest) return handle(message)
      switch (message.type) {
        case 'subscribe':
          return subscribe(message.request, message.topic)
        case 'unsubscribe': {
          const { topic, connection } = message
          if (!topic.remove(connection) && !message.moved) return
          const isEmpty = topic.subscribers.size === 0 && server.topics.get(topic.name) === topic
          if (isEmpty) server.topics.delete(topic.name)
          observe('onunsubscribe', server.onunsubscribe?.(connection, topic.name))
          return
        }
        case 'opened':
          observe('onopen', server.onopen?.(message.connection))
          return
        case 'detached':
          observe('ondetach', server.ondetach?.(message.connection))
          return
        case 'resumed':
          observe('onresume', server.onresume?.(message.connection))
          return
        case 'moved':
          observe('onmoved', server.onmoved?.(message.connection))
          return
        case 'closed':
          observe('onclose', server.onclose?.(message.connection))
      }
    },
  }

  function handle(request: BrokerRequest): void {
    try {
      const outcome = serve(request)
      if (!isThenable(outcome)) over(request)
      else {
        const ended = request.responder?.loose === false ? undefined : () => over(request)
        outcome.then(ended, error => fail(request, error))
      }
    } catch (error) {
      fail(request, error)
    }
  }

  function serve(request: BrokerRequest): unknown {
    const { responder } = request
    if (responder?.ended) return undefined
    if (responder === undefined) {
      if (server.onmessage === undefined)
        throw new SocketStreamError('UNKNOWN_METHOD', `service ${server.name} takes no messages`)
      return server.onmessage(request.message, request, ignoreReply)
    }
    if (request.kind === 'subscribe') return authorizeSubscribe(request)
    if (server.oncall !== undefined) return server.oncall(request, responder)
    if (server.onmessage === undefined)
      throw new SocketStreamError('UNKNOWN_METHOD', `service ${server.name} takes no calls`)
    return server.onmessage(request.message, request, value => responder.reply(value))
  }

  function authorizeSubscribe(request: BrokerRequest): unknown {
    const asked = request.message
    const name = asked !== null && typeof asked === 'object' ? (asked as { ch?: unknown }).ch : undefined
    if (typeof name !== 'string' || name.length === 0 || name.length > MAX_TOPIC_NAME) {
      throw new SocketStreamError('INVALID_ARGUMENTS', `a topic's name has 1 to ${MAX_TOPIC_NAME} characters`)
    }
    if (server.onsubscribe === undefined) {
      throw new SocketStreamError('FORBIDDEN', `service ${server.name} has nothing to subscribe to`)
    }
    const allowed = server.onsubscribe(request, name)
    const agree = (): void => void server.ref.tell({ type: 'subscribe', request, topic: name })
    if (isThenable(allowed)) return allowed.then(agree)
    return agree()
  }

  function subscribe(request: BrokerRequest, name: string): void {
    const { connection, responder } = request
    if (responder === undefined || responder.ended || !connection.open) return
    const topic = topicOf(broker, server, name)
    topic.subscribers.add(connection)
    responder.reply({ topic: connection.subscribed(topic) })
  }

  /** A hook that fails later is logged, as one that throws at once is by the actor. */
  function observe(hook: string, outcome: unknown): void {
    if (!isThenable(outcome)) return
    outcome.then(undefined, error => server.log.error(`${hook} failed`, { error }))
  }

  function fail(request: BrokerRequest, error: unknown): void {
    if (request.responder !== undefined) return request.responder.error(error)
    const { connection } = request
    const payload = toClientError(error, server, 'message')
    if (connection.open) {
      connection.deliver(errorEnvelope(broker, connection.codec, payload, { id: 0, service: server.name }))
    }
    request.ended('error', error)
  }
}

/** The topic of a name, made anew if it has no subscribers yet. */
export function topicOf(
  broker: Broker,
  { topics, name: service, ref }: BrokerServiceServer,
  name: string,
): BrokerTopic {
  let topic = topics.get(name)
  if (topic === undefined) {
    topic = new BrokerTopic(ref, broker.connections.nextTopicId(), service, name)
    topics.set(name, topic)
  }
  return topic
}

function over(request: BrokerRequest): void {
  request.responder?.handled()
  request.ended('ok')
}

function ignoreReply(): void {}
