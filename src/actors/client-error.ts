import { randomBytes } from 'node:crypto'
import { SocketStreamError } from '../errors.js'
import type { Broker } from './broker.js'

/** The payload of an error envelope. */
export interface ClientError {
  readonly code: string
  readonly message: string
  /** Finds the failure in the server log; only on failures that were not meant for the client. */
  readonly errorId?: string
  /** Only in development and test. */
  readonly stack?: string
  readonly data?: unknown
  readonly retryAfter?: number
}

/**
 * What a client is told of an error, and the log line that goes with it.
 *
 * A `SocketStreamError` was meant for the client and travels as it is. Everything else is a failure:
 * logged in full under an error id, told in full in development and test, elsewhere only by the id.
 */
export function toClientError(
  error: unknown,
  broker: Pick<Broker, 'log' | 'exposeErrors'>,
  where: string,
): ClientError {
  if (error instanceof SocketStreamError) {
    return {
      code: error.code,
      message: error.message,
      ...(error.data === undefined ? {} : { data: error.data }),
      ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter }),
      ...(broker.exposeErrors && error.stack !== undefined ? { stack: error.stack } : {}),
    }
  }
  const errorId = randomBytes(6).toString('hex')
  broker.log.error(`${where} failed`, { errorId, error })
  if (!broker.exposeErrors) return { code: 'INTERNAL', message: 'The server failed', errorId }
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined }
  return { code: 'INTERNAL', message, errorId, ...(stack === undefined ? {} : { stack }) }
}
