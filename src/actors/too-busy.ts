import { SocketStreamError } from '../errors.js'
import { RETRY_AFTER } from './runtime/actor-cell.js'

/** The answer to a request that the mailbox of an actor has no place for. @param who has too much to do */
export function tooBusy(who: string): SocketStreamError {
  return new SocketStreamError('OVERLOADED', `${who} has too much to do`, { retryAfter: RETRY_AFTER })
}
