import { SocketStreamError } from '../../errors.js'

/** More arguments than this are refused: they would be spread on the stack. */
const MAX_ARGUMENTS = 1000

/** How much of an unknown method's name an error repeats, in characters. */
const SHOWN = 100

/** The payload of a call: the method's dot path, then its arguments. */
export type CallPayload = readonly [method: string, ...args: unknown[]]

/**
 * Checks what came over the wire as a call.
 *
 * @throws SocketStreamError `INVALID_ARGUMENTS` if it is no array or has more than 1,000 arguments,
 *   `UNKNOWN_METHOD` if it does not begin with a string
 */
export function checkPayload(payload: unknown): CallPayload {
  if (!Array.isArray(payload)) {
    throw new SocketStreamError('INVALID_ARGUMENTS', 'A call is an array: [method, ...args]')
  }
  if (typeof payload[0] !== 'string') {
    throw new SocketStreamError('UNKNOWN_METHOD', 'A call begins with the name of a method, a string')
  }
  if (payload.length > MAX_ARGUMENTS + 1) {
    throw new SocketStreamError(
      'INVALID_ARGUMENTS',
      `A call has at most ${MAX_ARGUMENTS} arguments; send them as one array`,
    )
  }
  return payload as unknown as CallPayload
}

/** The error for a method that is not there. */
export function unknownMethod(method: string): SocketStreamError {
  const shown = method.length > SHOWN ? `${method.slice(0, SHOWN)}…` : method
  return new SocketStreamError('UNKNOWN_METHOD', `There is no method '${shown}'`)
}
