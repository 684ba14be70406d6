import { randomBytes } from 'node:crypto'
import type { Codec } from '../codec/codec.js'
import { SocketStreamError } from '../errors.js'
import { KIND } from '../protocol/envelope.js'
import type { Broker } from './broker.js'
import { Outgoing } from './outgoing.js'
import type { CallResponder } from './responder.js'

/** The payload of an error envelope. */
export interface ClientError {
  readonly code: string
  readonly message: string
  /** The service that a message was for, where no call's id tells. */
  readonly service?: string
  /** Finds the failure in the server log; only on failures that were not meant for the client. */
  readonly errorId?: string
  /** Only in development and test. */
  readonly stack?: string
  readonly data?: unknown
  readonly retryAfter?: number
}

/** Where an error envelope goes. */
export interface ErrorTarget {
  /** The call that it answers, or 0. */
  readonly id: number
  readonly responder?: CallResponder
  readonly service?: string
}

/**
 * What a client is told of an error, and the log line that goes with it.
 *
 * A `SocketStreamError` was meant for the client and travels as it is. Everything else is a failure, as is
 * a handler's value that cannot be sent: logged in full under an error id, told in full in development and
 * test, elsewhere only by the id. Never throws, whatever was thrown.
 */
export function toClientError(
  error: unknown,
  broker: Pick<Broker, 'log' | 'exposeErrors'>,
  where: string,
): ClientError {
  const { exposeErrors } = broker
  if (error instanceof SocketStreamError && error.code !== 'UNENCODABLE') {
    const { data, retryAfter, stack } = error
    broker.log.debug(`${where} refused: ${error.message}`, { code: error.code })
    return {
      code: String(error.code),
      message: String(error.message),
      ...(data === undefined ? {} : { data }),
      ...(Number.isFinite(retryAfter) ? { retryAfter: retryAfter as number } : {}),
      ...(exposeErrors && typeof stack === 'string' ? { stack } : {}),
    }
  }
  const errorId = randomBytes(6).toString('hex')
  broker.log.error(`${where} failed`, { errorId, error })
  if (!exposeErrors) return { code: 'INTERNAL', message: 'The server failed', errorId }
  const code = error instanceof SocketStreamError ? error.code : 'INTERNAL'
  if (!(error instanceof Error)) return { code, message: show(error), errorId }
  const { message, stack } = error
  return { code, message: show(message), errorId, ...(typeof stack === 'string' ? { stack } : {}) }
}

/** The envelope that tells a client of an error. Never throws: what cannot be encoded is left out. */
export function errorEnvelope(
  broker: Broker,
  codec: Codec,
  error: ClientError,
  target: ErrorTarget,
): Outgoing {
  const { id, responder, service } = target
  broker.counters.errors.add(error.code)
  const payload = service === undefined ? error : { ...error, service }
  try {
    return new Outgoing(codec, KIND.ERROR, 0, id, payload, responder)
  } catch (cause) {
    // Only `data` can be unencodable: the rest is strings and numbers made above.
    broker.log.error('the data of an error cannot be sent', { error: cause, code: error.code })
    return new Outgoing(codec, KIND.ERROR, 0, id, { ...payload, data: null }, responder)
  }
}

function show(value: unknown): string {
  try {
    return String(value)
  } catch {
    return 'an object that cannot be shown'
  }
}
