import type { BrokerConnection } from '../actors/connection.js'
import { PAUSED } from '../actors/intake.js'
import type { LiveSession } from '../actors/live-session.js'
import type { ConnectionRow, ListQuery, Page } from './protocol/index.js'
import { type InspectorSource, page, searchFor } from './source.js'

/** The open connections. */
export function connectionRows(source: InspectorSource, query: ListQuery): Page<ConnectionRow> {
  const all = [...source.broker.connections.byId.values()]
  const fits = searchFor(query.search)
  const found = query.search
    ? all.filter(one => fits(one.id, one.clientIp, userOf(one), sessionOf(one), one.transport, ...one.rooms))
    : all
  return page(found, query, connectionRow)
}

/** All that is known of a connection. */
export function connectionRow(connection: BrokerConnection): ConnectionRow {
  const { attachment, resumption, state } = connection
  const { link, intake, codec, liveness } = attachment
  const session = sessionOf(connection)
  const user = userOf(connection)
  const traffic = link.traffic
  return {
    id: connection.id,
    path: connection.ref.path,
    state,
    transport: connection.transport,
    ...(codec && { codec: codec.name }),
    address: connection.clientIp,
    secure: connection.secure,
    ...(session !== undefined && { session }),
    ...(user !== undefined && { user }),
    rooms: [...connection.rooms].slice(0, 100),
    received: connection.received,
    sent: connection.sent,
    ...(traffic && { bytesIn: traffic.received, bytesOut: traffic.written }),
    depth: connection.ref.depth,
    queued: link.bufferedBytes,
    slow: intake.pausedFor(PAUSED.OUTBOUND),
    paused: intake.pausedFor(PAUSED.ROUTER) || intake.pausedFor(PAUSED.BUSY),
    ...(liveness.roundTrip !== undefined && { rtt: liveness.roundTrip }),
    ...(resumption !== undefined && {
      resume: {
        bytes: resumption.bytes,
        acknowledged: resumption.retained.acknowledged,
        ...(state === 'detached' && { awaySince: resumption.lost.at }),
      },
    }),
  }
}

/** The id of its session; there is none before the welcome. */
export function sessionOf(connection: BrokerConnection): string | undefined {
  return connection.open ? connection.liveSession.id : undefined
}

/** The user, as far as it has one. */
export function userOf(connection: BrokerConnection): string | undefined {
  return connection.open ? connection.userId : undefined
}

/** Whose a session is, as far as one of its connections says. */
export function sessionUser(session: LiveSession | undefined): string | undefined {
  for (const connection of session?.connections ?? []) if (connection.open) return connection.userId
  return undefined
}
