import type { MovedConnection } from '../cluster/handover.js'
import type { Broker } from './broker.js'
import type { BrokerConnection } from './connection.js'
import { Outgoing } from './outgoing.js'
import { Resumption } from './resumption.js'

/** What another server needs of a connection that has nothing under way. */
export function movedState(connection: BrokerConnection, resumption: Resumption): MovedConnection {
  const { broker, liveSession, user } = connection
  const { retained, held, credentials } = resumption
  const frames = (messages: readonly Outgoing[]) =>
    messages.map(message => message.frameFor(broker.primaryCodec) as Uint8Array)
  return {
    id: connection.id,
    ...credentials,
    received: connection.received,
    before: retained.before,
    acknowledged: retained.acknowledged,
    retained: frames(retained.all()),
    held: frames(held),
    session: { id: liveSession.id, stored: liveSession.stored },
    user: user === undefined ? [] : [user],
    userId: connection.userId ?? null,
    data: { ...connection.data },
    rooms: [...connection.rooms],
    services: servicesOf(broker),
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
