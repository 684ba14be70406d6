import type { SocketStreamError } from '../errors.js'
import type { Middleware } from '../middleware/middleware.js'
import type { BrokerRequest } from './request.js'

/**
 * What `cacheSessions: false` puts in front of the chain: the session as the store has it now.
 *
 * Only for services that use sessions. It waits for the store, and so holds its connection's requests
 * like any asynchronous middleware; a store that fails answers with `SESSION_UNAVAILABLE`.
 */
export const freshSession: Middleware = (req, _res, next) => {
  const { connection, target } = req as BrokerRequest
  if (target.definition.use?.sessions !== true) return next()
  const live = connection.liveSession
  return new Promise<void>(resolve => {
    const done = (error?: SocketStreamError): void => {
      next(error)
      resolve()
    }
    connection.broker.sessions.tell({ type: 'refresh', id: live.id, session: live, done })
  })
}
