import type { MovedConnection, MovedFrames, MovedTopic } from '../cluster/handover.js'
import type { Broker } from './broker.js'
import type { BrokerConnection } from './connection.js'
import { Outgoing } from './outgoing.js'
import { Resumption } from './resumption.js'

/** What another server needs of a connection besides its frames and what services give. */
export function movedSelf(connection: BrokerConnection): Omit<MovedConnection, keyof MovedFrames | 'given'> {
  const { broker, liveSession, user } = connection
  return {
    id: connection.id,
    session: { id: liveSession.id, stored: liveSession.stored },
    user: user === undefined ? [] : [user],
    userId: connection.userId ?? null,
    data: { ...connection.data },
    rooms: [...connection.rooms],
    topics: [...connection.topics].map(([number, topic]): MovedTopic => [topic.service, topic.name, number]),
    services: servicesOf(broker),
  }
}

/** What it has been sent, when nothing comes any more. */
export function movedFrames({ broker, received }: BrokerConnection, resumption: Resumption): MovedFrames {
  const { retained, held, credentials } = resumption
  const frames = (messages: readonly Outgoing[]) =>
    messages.map(message => message.frameFor(broker.primaryCodec) as Uint8Array)
  return {
    ...credentials,
    received,
    before: retained.before,
    acknowledged: retained.acknowledged,
    retained: frames(retained.all()),
    held: frames(held),
  }
}

/** What was kept of it there, to be sent from here. */
export function resumptionOf(state: MovedConnection, broker: Broker, limit: number): Resumption {
  const resumption = new Resumption(state.id, limit, state)
  resumption.retained.begin(state.before, state.acknowledged)
  for (const frame of state.retained) resumption.retained.add(read(frame, broker))
  for (const frame of state.held) resumption.hold(read(frame, broker))
  return resumption
}

/** The service table, as far as the numbers in frames mean something by it. */
export function servicesOf(broker: Broker): string {
  const lines = broker.connections.publicServices()
  return lines.map(({ id, name, type, version }) => `${id} ${name} ${type} ${version}`).join('\n')
}

function read(frame: Uint8Array, { primaryCodec }: Broker): Outgoing {
  const { kind, service, id, payload } = primaryCodec.decode(frame)
  return new Outgoing(primaryCodec, kind, service, id, payload)
}
