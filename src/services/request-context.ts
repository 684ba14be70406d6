import type { SessionLike } from '../sessions/session.js'
import type { Connection, Request } from './service.js'

/** Who asks, as the hooks of services are told. */
export interface RequestContext {
  /** The object that all connections of the session share; `save()` writes what was changed. */
  readonly session: SessionLike
  readonly connection: Connection
  readonly connectionId: string
  readonly clientIp: string
  /** What the server's `authenticate` has returned; undefined without one. */
  readonly user: unknown
}

/** Who has made a request; the session is only asked for when a hook reads it. */
export function contextOf(request: Request): RequestContext {
  const { connection, connectionId, clientIp, user } = request
  return {
    connection,
    connectionId,
    clientIp,
    user,
    get session() {
      return request.session
    },
  }
}
