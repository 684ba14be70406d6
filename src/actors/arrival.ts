import type { MovedConnection } from '../cluster/handover.js'
import type { Heard, Recording } from '../cluster/relays.js'
import { unpack } from '../codec/packed.js'
import { CLOSE_CODES } from '../errors.js'
import { userIdOf } from '../middleware/client-key.js'
import type { Broker } from './broker.js'
import { BrokerClusterHost } from './cluster-host.js'
import type { BrokerConnection } from './connection.js'
import type { Origin } from './connections.js'
import type { JoiningInit } from './joining.js'
import { resumptionOf } from './moved-state.js'
import type { ResumeRefusal, ResumeRequest } from './resumption.js'
import { topicOf } from './service.js'

/** A connection that goes on here. */
export interface ArrivalInit {
  readonly state: MovedConnection
  /** What its client asks for, unless the server that it comes from has judged it, or nobody has come yet. */
  readonly attempt: ResumeRequest | undefined
  readonly user: unknown
  readonly by: JoiningInit
  readonly like: Origin
  /** Bytes that are kept for it. */
  readonly bytes: number
  /** What was relayed meanwhile. */
  readonly recording: Recording
  /** How far the server had heard that it comes from. */
  readonly heard: Heard
}

/**
 * Makes a connection anew that another server has had; resolves to it when its client can have it, or to why not.
 *
 * In one go it is there, as far as messages are concerned, and is given what was relayed to it on the way.
 */
export function arrive(broker: Broker, init: ArrivalInit): Promise<BrokerConnection | ResumeRefusal> {
  const { state, attempt, recording } = init
  const resumption = resumptionOf(state, broker, init.bytes)
  const refused = attempt && resumption.attempt(attempt)
  if (refused !== undefined) return Promise.resolve(refused)
  const connection = broker.connections.restore(state, init.user, init.by, init.like)
  connection.begin(state, resumption)
  const { id, stored } = state.session
  const end = (why: ResumeRefusal): ResumeRefusal => {
    connection.shut(CLOSE_CODES.SESSION_CHANGED, 'it cannot go on here')
    connection.ref.stop()
    return why
  }
  return new Promise(resolve => {
    connection.joining.restore(id, !stored, refusal => {
      if (refusal !== undefined) return resolve(refusal)
      // The session has ended meanwhile, or somebody else is in it.
      const named = userIdOf(connection.user)
      const userId = named === undefined ? (connection.userId ?? null) : String(named)
      if (connection.liveSession.id !== id || userId !== state.userId) return resolve(end('session'))
      if (recording.isLost) return resolve(end('overflow'))
      subscribeTopics(broker, connection, state)
      connection.restored(state)
      repeat(broker, connection, recording.after(init.heard))
      resolve(connection)
    })
  })
}

/** Subscribes it to what it was subscribed to. */
function subscribeTopics(broker: Broker, connection: BrokerConnection, state: MovedConnection): void {
  for (const [service, name, number] of state.topics) {
    const server = broker.services.find(entry => entry?.name === service)?.server
    if (server === undefined) continue
    const topic = topicOf(broker, server, name)
    topic.subscribers.add(connection)
    connection.subscribed(topic, number)
  }
}

/** Has what was relayed to it, among others, sent to it alone. */
function repeat(broker: Broker, connection: BrokerConnection, relayed: ReturnType<Recording['after']>): void {
  const host = new BrokerClusterHost(broker)
  broker.only = connection
  try {
    for (const { service, whom, payload, except } of relayed) {
      try {
        host.deliver(service, whom, unpack(payload), except)
      } catch (error) {
        broker.log.error('what was relayed could not be repeated', { error, connection: connection.id })
      }
    }
  } finally {
    broker.only = undefined
  }
}
