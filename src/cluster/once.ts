import { createHash, randomUUID } from 'node:crypto'
import { pack, unpack } from '../codec/packed.js'
import type { EngineClock } from '../engines/clock.js'
import type { KeyValue } from '../engines/key-value.js'
import { Reservation, reserve } from '../engines/reservation.js'
import { hasCode, SocketStreamError } from '../errors.js'
import { isAbsence } from './absence.js'

/** Milliseconds for which an outcome is kept. */
const KEEP = 24 * 60 * 60 * 1000
/** Bytes of the largest outcome that is kept. */
const MAX_OUTCOME = 1024 * 1024
/** Characters of the longest key. */
export const MAX_KEY = 255
/** Milliseconds after which it makes sense to ask again for the outcome of a call that runs. */
const AGAIN = 100

/** What stands under a key: a hash of the payload, and how the call ended, if it has. */
type Kept =
  | readonly [hash: string, state: 'running', run: string]
  | readonly [hash: string, state: 'value', value: unknown]
  | readonly [hash: string, state: 'error', error: readonly [code: string, message: string, data: unknown]]

/** Where outcomes are kept. */
export interface Outcomes {
  readonly kv: KeyValue | undefined
  readonly clock: EngineClock
  /** Milliseconds for which a server that has died is taken for running a call. */
  readonly lease: number
}

/**
 * Runs a call once for its idempotency key, on whichever server: others with the key get the first one's outcome.
 *
 * The outcome is kept for a day, before anybody hears of it. Errors are outcomes, but those with `retryAfter` and those
 * that say that nothing was done free the key. A call whose server dies may run again once the lease is over.
 *
 * @throws SocketStreamError (as a rejection) `IDEMPOTENCY_RUNNING`, `IDEMPOTENCY_MISMATCH` for another payload,
 *   `INVALID_ARGUMENTS` for a key that is none, `INVALID_STATE` without key-value, `ENGINE_UNAVAILABLE`
 */
export async function once(
  { kv, clock, lease }: Outcomes,
  name: string,
  key: string,
  payload: unknown,
  work: () => Promise<unknown>,
): Promise<unknown> {
  if (kv === undefined) throw new SocketStreamError('INVALID_STATE', 'The engine keeps no idempotency keys')
  if (typeof key !== 'string' || key === '' || key.length > MAX_KEY) {
    throw new SocketStreamError('INVALID_ARGUMENTS', `An idempotency key has 1 to ${MAX_KEY} characters`)
  }
  const place = `$cluster:once:${digest([name, key])}`
  const hash = digest(payload)
  const running = pack([hash, 'running', randomUUID()])
  const reserved = await reserve({ kv, clock, key: place, running, ttl: lease })
  if (!(reserved instanceof Reservation)) return outcomeOf(unpack(reserved.value) as Kept, hash)
  // It has been done either way: an outcome that cannot be kept changes nothing in that.
  const end = (outcome: Uint8Array | undefined) => reserved.end(outcome, KEEP).catch(() => undefined)
  try {
    const value = (await work()) ?? null
    await end(sized(pack([hash, 'value', value]), hash))
    return value
  } catch (error) {
    await end(isFreeing(error) ? undefined : pack([hash, 'error', keptError(error)]))
    throw error
  }
}

function outcomeOf([hash, state, outcome]: Kept, wanted: string): unknown {
  if (hash !== wanted) {
    const text = 'The idempotency key was used with another payload'
    throw new SocketStreamError('IDEMPOTENCY_MISMATCH', text)
  }
  if (state === 'running') {
    const text = 'A call with this idempotency key is running'
    throw new SocketStreamError('IDEMPOTENCY_RUNNING', text, { retryAfter: AGAIN })
  }
  if (state === 'value') return outcome
  const [code, message, data] = outcome
  throw new SocketStreamError<string>(code, message, { data })
}

function sized(outcome: Uint8Array, hash: string): Uint8Array {
  if (outcome.length <= MAX_OUTCOME) return outcome
  return pack([
    hash,
    'error',
    ['FRAME_TOO_BIG', 'The call succeeded; its result is too big to be kept', null],
  ])
}

function isFreeing(error: unknown): boolean {
  return isAbsence(error) || (error as { retryAfter?: unknown })?.retryAfter !== undefined
}

function keptError(error: unknown): readonly [string, string, unknown] {
  if (!hasCode(error)) return ['INTERNAL', 'The call with this idempotency key failed', null]
  const { code, message } = error
  const { data = null } = error as { data?: unknown }
  try {
    pack(data)
    return [code, message, data]
  } catch {
    return [code, message, null]
  }
}

function digest(value: unknown): string {
  return createHash('sha256').update(pack(value)).digest('base64url')
}
