import { SocketStreamError } from '../errors.js'
import { isThenable } from '../thenable.js'

/** Errors that say for certain that nothing was done; what a handler throws may have the same code. */
const absences = new WeakSet<object>()

/** The error for what nobody has heard. */
export function noResponder(text: string): SocketStreamError {
  const done = '; nothing was done'
  const message = text.endsWith(done) ? text : text + done
  const error = new SocketStreamError('NO_RESPONDER', message, { data: { accepted: false } })
  absences.add(error)
  return error
}

/** Whether a call may be made again elsewhere: nothing was done. */
export function isAbsence(error: unknown): error is SocketStreamError {
  return typeof error === 'object' && error !== null && absences.has(error)
}

/**
 * What somebody's handler gives, as it is or promised: that it found nobody itself does not mean that nothing was done.
 *
 * What it throws is thrown.
 */
export function handled(work: () => unknown): unknown {
  let given: unknown
  try {
    given = work()
  } catch (error) {
    throw notAbsent(error)
  }
  if (!isThenable(given)) return given
  return Promise.resolve(given).catch(error => {
    throw notAbsent(error)
  })
}

function notAbsent(error: unknown): unknown {
  if (!isAbsence(error)) return error
  return new SocketStreamError('NO_RESPONDER', `What was asked for needs what is not there: ${error.message}`)
}

/** The error for an answer that has not come in time. @param accepted false if nothing was done for certain */
export function late(text: string, accepted: false | 'unknown' = 'unknown'): SocketStreamError {
  const what = accepted === false ? 'nothing was done' : 'it may have done what was asked'
  return new SocketStreamError('TIMEOUT', `${text}; ${what}`, { data: { accepted } })
}

/** The error for an answer that will not come. */
export function lost(text: string): SocketStreamError {
  const message = `${text}; what was asked may have been done`
  return new SocketStreamError('CONNECTION_LOST', message, { data: { accepted: 'unknown' } })
}

/** The error for a caller that gave up. */
export function cancelled(signal: AbortSignal): SocketStreamError {
  return new SocketStreamError('CANCELLED', 'The call was cancelled', { cause: signal.reason })
}
