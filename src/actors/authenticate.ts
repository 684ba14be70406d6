import { SocketStreamError } from '../errors.js'
import type { Logger, Summary } from '../log.js'
import type { StoredSession } from '../sessions/session.js'
import type { Handshake, Verdict } from '../transports/transport.js'

/** What is known of a client that wants to connect. */
export interface AuthenticateRequest extends Handshake {
  /**
   * Reads the session that the client's cookie names; null when it names none that is stored.
   *
   * Rejects with `SESSION_UNAVAILABLE` when the store fails; not caught, that refuses the client with a 503.
   */
  session(): Promise<StoredSession | null>
}

/**
 * Says who a client is, before it is accepted.
 *
 * What it returns or resolves to becomes `ctx.user`; `undefined` and `null` let in a client without a user. It
 * refuses by throwing, or by `false`: an error with a `status` from 400 to 599 gives that one, one with the code
 * `FORBIDDEN` a 403, `SESSION_UNAVAILABLE` or `OVERLOADED` a 503, all others a 401. The client is told the
 * message of a `SocketStreamError` only.
 */
export type Authenticate = (request: AuthenticateRequest) => unknown

const STATUS: Readonly<Record<string, number>> = {
  FORBIDDEN: 403,
  SESSION_UNAVAILABLE: 503,
  OVERLOADED: 503,
}

type Refusal = Verdict & { accept: false }

const REFUSED: Refusal = { accept: false, status: 401, message: 'Not authenticated.\n' }

/** Asks the hook; resolves to the user or to a refusal, which is summed up in the log, and never rejects. */
export async function authenticated(
  authenticate: Authenticate,
  request: AuthenticateRequest,
  log: Logger,
  refusals: Summary,
): Promise<{ readonly user: unknown } | Refusal> {
  const { clientIp } = request
  try {
    const user = await authenticate(request)
    if (user !== false) return { user }
    refusals.add('authenticate', times => log.info('a client was not authenticated', { times, clientIp }))
    return REFUSED
  } catch (error) {
    const refusal = refusalFor(error)
    const { status } = refusal
    const level = status < 500 ? 'info' : 'warn'
    // By status, so that those whom nobody knows do not hide a hook that fails.
    refusals.add(`authenticate ${status}`, times =>
      log[level]('a client was not authenticated', { times, clientIp, status, error }),
    )
    return refusal
  }
}

function refusalFor(error: unknown): Refusal {
  try {
    const { status } = (error ?? {}) as { status?: unknown }
    const own = error instanceof SocketStreamError
    return {
      accept: false,
      status: isErrorStatus(status) ? status : (own && STATUS[error.code]) || REFUSED.status,
      message: own ? `${error.message}\n` : REFUSED.message,
    }
  } catch {
    // Anything can be thrown, such as an object whose getters throw.
    return REFUSED
  }
}

function isErrorStatus(status: unknown): status is number {
  return Number.isInteger(status) && Number(status) >= 400 && Number(status) <= 599
}
