import { createHash, randomUUID } from 'node:crypto'
import { pack, unpack } from '../codec/packed.js'
import type { KeyValueEntry } from '../engines/key-value.js'
import { Reservation, reserve } from '../engines/reservation.js'
import { SocketStreamError } from '../errors.js'
import type { Logger } from '../log.js'
import type { Request, Responder, ServiceServer } from './service.js'

/** Milliseconds for which an outcome is kept, and is the answer to the same call. */
const KEEP = 24 * 60 * 60 * 1000
/**
 * Milliseconds after which a call of a server that has died may be made again, where there is no cluster; renewed while it
 * runs. In a cluster it is the lease of servers, as for calls between them.
 */
const RUNNING = 60_000
/** Bytes of the largest outcome that is kept. */
const MAX_OUTCOME = 1024 * 1024
/** Characters of the longest key. */
const MAX_KEY = 255

/** With these nothing has been done: the same call may be made again under its key. */
const NOTHING_DONE: ReadonlySet<string> = new Set(['UNKNOWN_METHOD', 'INVALID_ARGUMENTS', 'FORBIDDEN'])

/** A call that has an idempotency key. */
export interface KeyedCall {
  readonly server: Pick<ServiceServer, 'engine' | 'name' | 'log' | 'cluster'>
  readonly request: Request
  readonly responder: Responder
  readonly method: string
  readonly args: readonly unknown[]
}

/** What stands under a key: the hash of the arguments, and how the call ended, if it has. */
type Record =
  | readonly [hash: string, state: 'running', owner: string]
  | readonly [hash: string, state: 'value', value: unknown]
  | readonly [hash: string, state: 'error', error: { code: string; message: string; data?: unknown }]

/**
 * Runs a call once for its idempotency key; another one with the key is answered from the first one's outcome.
 *
 * Keys are the user's (without one, the session's), for one method of one service, for 24 hours. The key is reserved
 * before the handler runs, in the engine, and has the outcome before the call is answered. Errors are outcomes, but those
 * with `retryAfter` and those that say that nothing was done free the key. The handler is not told when its caller goes:
 * its outcome may be asked for later. When its server dies it may run again: in a cluster once its lease is over, else a
 * minute later. What a server still does that has lost its lease does not replace the outcome of another one.
 *
 * @param run runs the handler, whose answer goes to the responder that it is given; streams are refused there
 * @throws SocketStreamError `IDEMPOTENCY_RUNNING`, `IDEMPOTENCY_MISMATCH` for other arguments, `INVALID_ARGUMENTS` for
 *   a key that is none, `INVALID_STATE` when the engine has no key-value part, `ENGINE_UNAVAILABLE`
 */
export async function runOnce(call: KeyedCall, run: (responder: Responder) => void): Promise<void> {
  const { server, request, responder } = call
  const { kv } = server.engine
  if (kv === undefined) throw new SocketStreamError('INVALID_STATE', 'The engine keeps no idempotency keys')
  const key = placeOf(call)
  const hash = digest(pack(call.args))
  const running = pack([hash, 'running', randomUUID()])
  const ttl = server.cluster?.lease ?? RUNNING
  const reserved = await reserve({ kv, key, running, ttl })
  if (reserved instanceof Reservation) {
    const keyed = new KeyedResponder(responder, hash, reserved, server.log)
    try {
      return run(keyed)
    } catch (error) {
      return keyed.error(error)
    }
  }
  const record = recordOf(reserved)
  if (record === undefined || record[0] !== hash) {
    const message = `The idempotency key was used with other arguments of ${call.method}`
    throw new SocketStreamError('IDEMPOTENCY_MISMATCH', message)
  }
  if (record[1] === 'running') {
    const message = `The call of ${call.method} with this idempotency key is running`
    throw new SocketStreamError('IDEMPOTENCY_RUNNING', message, { retryAfter: 1000 })
  }
  if (request.answered) return
  if (record[1] === 'value') return responder.reply(record[2])
  const { code, message, data } = record[2]
  responder.error(new SocketStreamError(code, message, { data }))
}

/** Answers a call once its outcome is kept. */
class KeyedResponder implements Responder {
  readonly signal: AbortSignal = new AbortController().signal
  ended = false
  readonly #responder: Responder
  readonly #hash: string
  readonly #reservation: Reservation
  readonly #log: Logger

  constructor(responder: Responder, hash: string, reservation: Reservation, log: Logger) {
    this.#responder = responder
    this.#hash = hash
    this.#reservation = reservation
    this.#log = log
  }

  reply(value: unknown): void {
    let outcome = pack([this.#hash, 'value', value])
    if (outcome.length > MAX_OUTCOME) {
      const error = { code: 'FRAME_TOO_BIG', message: 'The call succeeded; its result is too big to be kept' }
      outcome = pack([this.#hash, 'error', error])
    }
    this.#end(outcome, () => this.#responder.reply(value))
  }

  error(error: unknown): void {
    const outcome = isFreeing(error) ? undefined : pack([this.#hash, 'error', keptError(error)])
    this.#end(outcome, () => this.#responder.error(error))
  }

  item(): void {
    throw new SocketStreamError('INVALID_STATE', 'A call with an idempotency key cannot answer with a stream')
  }

  end(): void {
    this.item()
  }

  ready(): Promise<boolean> {
    return Promise.resolve(!this.ended)
  }

  #end(outcome: Uint8Array | undefined, answer: () => void): void {
    if (this.ended) return this.#log.debug('an answer after the call had ended')
    this.ended = true
    // It has been done: the caller is better told so than left without an answer.
    const complain = (error: unknown): void =>
      this.#log.error('the outcome of a call with an idempotency key could not be kept', { error })
    void this.#reservation
      .end(outcome, KEEP)
      .catch(complain)
      .then(() => {
        if (!this.#responder.ended) answer()
      })
      .catch(error => this.#log.error('a call could not be answered', { error }))
  }
}

function isFreeing(error: unknown): boolean {
  return (
    error instanceof SocketStreamError && (error.retryAfter !== undefined || NOTHING_DONE.has(error.code))
  )
}

/** What later callers are told of an error: of a failure that was not meant for clients only that it was one. */
function keptError(error: unknown): { code: string; message: string; data?: unknown } {
  if (!(error instanceof SocketStreamError) || error.code === 'UNENCODABLE') {
    return { code: 'INTERNAL', message: 'The call with this idempotency key failed' }
  }
  const { code, message, data } = error
  try {
    pack(data)
  } catch {
    return { code, message }
  }
  return { code, message, ...(data !== undefined && { data }) }
}

function placeOf({ server, request, method }: KeyedCall): string {
  const key: unknown = request.idempotencyKey
  if (typeof key !== 'string' || key.length === 0 || key.length > MAX_KEY) {
    throw new SocketStreamError('INVALID_ARGUMENTS', `An idempotency key has 1 to ${MAX_KEY} characters`)
  }
  const { userId, session } = request.connection
  const whose = userId === undefined ? ['session', session.id] : ['user', userId]
  return `idempotency:${server.name}:${digest(pack([...whose, method, key]))}`
}

function recordOf({ value }: KeyValueEntry): Record | undefined {
  try {
    return unpack(value) as Record
  } catch {
    return undefined
  }
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('base64url')
}
