import { SocketStreamError } from '../../errors.js'
import type { Request } from '../service.js'
import type { CallPayload } from './payload.js'

/**
 * Puts what a caller uploads where its handler gets it: in the place of the argument that it names.
 *
 * @throws SocketStreamError `INVALID_ARGUMENTS` when there is no such argument
 */
export function withUpload(payload: CallPayload, { upload }: Request): CallPayload {
  if (upload === undefined) return payload
  const { place, items } = upload
  if (typeof place !== 'number' || !Number.isInteger(place) || place < 0 || place > payload.length - 2) {
    throw new SocketStreamError('INVALID_ARGUMENTS', 'An upload names one of the arguments by its index')
  }
  const [method, ...args] = payload
  return [method, ...args.with(place, items)]
}

/**
 * Refuses what cannot be asked for a second time.
 *
 * @throws SocketStreamError `INVALID_ARGUMENTS` for a call with an upload
 */
export function refuseUpload({ upload }: Request): void {
  if (upload === undefined) return
  throw new SocketStreamError('INVALID_ARGUMENTS', 'A call with an upload takes no idempotency key')
}
