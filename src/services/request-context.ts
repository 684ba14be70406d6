import type { SessionLike } from '../sessions/session.js'
import type { Connection, Request } from './service.js'

/** Who asks, as the hooks of services are told. */
export interface RequestContext {
  readonly session: SessionLike
  readonly connection: Connection
  readonly connectionId: string
  readonly clientIp: string
}

/** Who has made a request; the session is only asked for when a hook reads it. */
export function contextOf(request: Request): RequestContext {
  const { connection, connectionId, clientIp } = request
  return {
    connection,
    connectionId,
    clientIp,
    get session() {
      return request.session
    },
  }
}
