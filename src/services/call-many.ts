import { setMaxListeners } from 'node:events'
import { SocketStreamError } from '../errors.js'
import type { Call, CallOptions } from './service.js'

/** Clients that are called at the same time; the others wait for one of them. */
const AT_ONCE = 256
/** Milliseconds until the clients without an answer are missing, unless an option says otherwise. */
const DEFAULT_TIMEOUT = 30_000
/** The longest delay of a timer. */
const MAX_DELAY = 2 ** 31 - 1

/** Options of calls to clients. */
export type ClientCallOptions = Pick<CallOptions, 'signal' | 'timeout'>

/** What several clients have answered, in the order in which it came. */
export interface Answers<T = unknown> {
  readonly answers: readonly { readonly connectionId: string; readonly value: T }[]
  /** Those without an answer, each with what the call to it failed with. */
  readonly missing: readonly { readonly connectionId: string; readonly error: Error }[]
}

/**
 * Calls several clients, each once, and tells who has answered what and who has not.
 *
 * There is one timeout for all of it; at most 256 are called at the same time. Never rejects: what fails is in
 * `missing`, `TIMEOUT` and `CANCELLED` among it. An answer that streams is cancelled, and missing as `INVALID_STATE`.
 */
export async function callMany<T = unknown>(
  callClient: (connectionId: string, payload: unknown, options: CallOptions) => Call,
  connectionIds: readonly string[],
  payload: unknown,
  { signal, timeout = DEFAULT_TIMEOUT }: ClientCallOptions = {},
): Promise<Answers<T>> {
  const answers: { connectionId: string; value: T }[] = []
  const missing: { connectionId: string; error: Error }[] = []
  const controller = new AbortController()
  // One for each call at a time.
  setMaxListeners(AT_ONCE, controller.signal)
  let late = false
  const cancel = (): void => controller.abort(signal?.reason)
  const expire = (): void => {
    late = true
    controller.abort()
  }
  const timer = timeout > 0 && timeout <= MAX_DELAY ? setTimeout(expire, timeout) : undefined
  timer?.unref()
  signal?.addEventListener('abort', cancel)
  if (signal?.aborted) cancel()

  const ids = [...new Set(connectionIds)]
  const rest = ids.values()
  const work = async (): Promise<void> => {
    for (const connectionId of rest) {
      try {
        const call = callClient(connectionId, payload, { timeout: 0, signal: controller.signal })
        answers.push({ connectionId, value: (await plain(call)) as T })
      } catch (error) {
        missing.push({ connectionId, error: late ? expired(error as Error) : (error as Error) })
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, ids.length) }, work))
  clearTimeout(timer)
  signal?.removeEventListener('abort', cancel)
  return { answers, missing }
}

async function plain(call: Call): Promise<unknown> {
  const value = await call
  if (typeof value !== 'object' || value === null || !(Symbol.asyncIterator in value)) return value
  await call[Symbol.asyncIterator]().return?.()
  throw new SocketStreamError('INVALID_STATE', 'The client answers with a stream: call it alone')
}

function expired(error: Error): Error {
  const { code } = error as { code?: unknown }
  return code === 'CANCELLED' ? new SocketStreamError('TIMEOUT', 'No answer in time') : error
}
