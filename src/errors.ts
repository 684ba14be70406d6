/**
 * The error class, the catalogue of codes and the table of close codes.
 *
 * Every failure that a caller, a client or an operator can see has one of these codes.
 * `docs/errors.md` lists them; a test holds the page and these tables equal.
 */

/** What each code means, in one sentence that says what to do about it. */
export const ERROR_CODES = {
  // configuration and use of the API
  INVALID_OPTION: 'An option has a wrong value; the message names it and shows the fix.',
  INVALID_STATE: 'The call came at the wrong time, such as `service()` after `start()`.',
  SERVICE_HALF_MISSING: 'The client lacks the client half of a service; the message says where to give it.',
  // the client for browsers
  BUILD_FAILED: 'The client for browsers cannot be built; the message says where the fault is.',
  PACKAGE_MISSING: 'A package that is needed here is not installed; the message says which.',
  // on the wire
  BAD_FRAME: 'A frame could not be decoded; see docs/protocol.md for its layout.',
  UNSUPPORTED_VERSION: 'The peer speaks no protocol version that this end knows; update the older one.',
  UNENCODABLE: 'A value cannot be sent; the message says what it is and where in the payload.',
  FRAME_TOO_BIG: 'A frame is larger than the receiver takes; send less at once.',
  UNKNOWN_SERVICE: 'No public service has this id; read the service table of the welcome again.',
  UNKNOWN_METHOD: 'The service has no such method; check its name.',
  INVALID_ARGUMENTS: 'The arguments do not fit the schema; `data.issues` lists what is wrong.',
  INVALID_RESULT: 'The handler returned what its result schema does not allow; mend the handler.',
  IDEMPOTENCY_RUNNING: 'A call with this idempotency key is running; ask again after `retryAfter`.',
  IDEMPOTENCY_MISMATCH: 'The idempotency key was used with other arguments; take a new key for another call.',
  DUPLICATE_ID: 'The correlation id is in use; take one whose call has ended.',
  // models
  NOT_FOUND: 'There is no such record, or this client may not see it.',
  ALREADY_EXISTS: 'There is a record with this id; update that one, or take another id.',
  STALE_VERSION: 'The record was changed meanwhile; look at `data.record`, then write again.',
  // the course of a call
  INTERNAL: 'The handler failed; the server log has the cause under the error id.',
  REFUSED: 'A middleware refused the request; the message says why.',
  FORBIDDEN: 'The service does not allow this to this client.',
  CANCELLED: 'The caller cancelled the call.',
  TIMEOUT: 'No answer came in the time given; allow more or ask again.',
  CONNECTION_LOST: 'The connection broke before the answer; `data.accepted` says if the call had come.',
  NOT_CONNECTED: 'There is no connection; `await client.connect()` first.',
  STREAM_EXPECTED: 'The method answers with one value, not a stream; `await` the call instead.',
  OVERLOADED: 'More is in flight than the server takes; wait for answers, then send again.',
  DRAINING: 'The server is stopping; ask again after reconnecting.',
  DRAIN_TIMEOUT: 'The server stopped before the call had finished; whether it took effect is unknown.',
  // sessions
  SESSION_ENDED: 'The session was destroyed or has expired; log in again.',
  SESSION_NEEDS_HTTP: 'A session gets a new id only in an HTTP request, whose response carries the cookie.',
  SESSION_UNAVAILABLE: 'The session store failed or was too slow; try again.',
  // actors
  MAILBOX_FULL: "The actor's mailbox is full; send slower or give it more capacity.",
  ACTOR_STOPPED: 'The actor has stopped and takes no more messages.',
  ASK_TIMEOUT: 'The actor did not answer in the time given.',
  ACTOR_CRASHED: 'The actor failed at this message; the server log has the cause.',
  PERSIST_FAILED: 'The state of an actor could not be saved or restored; the cause says why. Try again.',
  // engines
  ENGINE_CONFLICT: 'The value was changed by another writer meanwhile; read it again, then write.',
  ENGINE_UNAVAILABLE: 'The engine is closed, failed or was too slow; try again.',
  // clusters
  NO_RESPONDER: 'No server of the cluster answers to this; nothing was done.',
  WORKER_FAILED: 'A worker process ended before it listened; its output says why.',
} as const

/** A code from the catalogue. */
export type ErrorCode = keyof typeof ERROR_CODES

/** What can go with an error besides its code and message. */
export interface ErrorDetails {
  /** The error behind this one. */
  readonly cause?: unknown
  /** Data for the caller; must be encodable. */
  readonly data?: unknown
  /** Milliseconds after which trying again makes sense. */
  readonly retryAfter?: number
}

/**
 * The one error class: a message for people, a `code` for programs.
 *
 * A handler may throw it with a code of its own; code, message, `data` and `retryAfter`
 * then reach the caller as they are.
 *
 * @example throw new SocketStreamError('SOLD_OUT', 'No seats left', { data: { row: 7 } })
 */
export class SocketStreamError<Code extends string = ErrorCode> extends Error {
  override readonly name = 'SocketStreamError'
  // Declared only: as fields they would be in every client, and say nothing.
  declare readonly code: Code
  declare readonly data: unknown
  declare readonly retryAfter: number | undefined

  constructor(code: Code, message: string, details: ErrorDetails = {}) {
    super(message, details)
    this.code = code
    this.data = details.data
    this.retryAfter = details.retryAfter
  }
}

/** Whether a value is an error that carries a string `code`, of this class or another copy of it. */
export function hasCode(error: unknown): error is Error & { code: string } {
  return error instanceof Error && typeof (error as { code?: unknown }).code === 'string'
}

/**
 * Close codes. 4000–4499: the client must not reconnect by itself, nothing would change;
 * 4500–4999: it may. The same holds for the standard codes, by `mayReconnect`.
 */
export const CLOSE_CODES = {
  NORMAL: 1000,
  GOING_AWAY: 1001,
  TOO_BIG: 1009,
  BAD_FRAME: 4400,
  UNAUTHORIZED: 4401,
  UNSUPPORTED_VERSION: 4402,
  FORBIDDEN: 4403,
  CLOSED_BY_SERVER: 4404,
  SESSION_ENDED: 4405,
  INTERNAL: 4500,
  SERVER_STOPPING: 4501,
  HANDSHAKE_TIMEOUT: 4502,
  HEARTBEAT_TIMEOUT: 4503,
  SLOW_CONSUMER: 4504,
  OVERLOADED: 4505,
  SESSION_CHANGED: 4506,
} as const

/** A code from the close-code table. */
export type CloseCode = (typeof CLOSE_CODES)[keyof typeof CLOSE_CODES]

/** Whether a client may reconnect by itself after this close code. */
export function mayReconnect(code: number): boolean {
  // It makes a text of the number by itself.
  return !/^(100[023789]|1010|4[0-4]..)$/.test(code as unknown as string)
}
