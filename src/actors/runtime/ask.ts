import { SocketStreamError } from '../../errors.js'
import type { ActorRef } from './actor-ref.js'
import type { TimerWheel } from './timer-wheel.js'

/** How long to wait for an answer, and what ends the wait early. */
export interface AskOptions {
  /** Milliseconds; required, because an answer may never come. */
  readonly timeout: number
  /** Ends the wait with `CANCELLED`. The actor still handles the message. */
  readonly signal?: AbortSignal
}

/** Milliseconds after which a full mailbox is worth another try. */
const RETRY_AFTER = 100

/** Sends a message that carries a reply function, and waits for the reply; see `ActorRef.ask`. */
export function ask<Message extends object, Reply>(
  target: ActorRef<Message>,
  make: (reply: (value: Reply) => void) => Message,
  { timeout, signal }: AskOptions,
  timers: TimerWheel,
): Promise<Reply> {
  return new Promise<Reply>((resolve, reject) => {
    if (!(timeout >= 0)) {
      throw new SocketStreamError('INVALID_OPTION', 'ask() needs milliseconds, as in { timeout: 1000 }')
    }
    const { path } = target
    const fail = (error: SocketStreamError): void => {
      end()
      reject(error)
    }
    const stopped = (): void =>
      fail(new SocketStreamError('ACTOR_STOPPED', `${path} stopped before it answered`))
    const cancelled = (): void =>
      fail(new SocketStreamError('CANCELLED', `the ask of ${path} was cancelled`, { cause: signal?.reason }))
    const cancelTimer = timers.set(timeout, () =>
      fail(new SocketStreamError('ASK_TIMEOUT', `${path} did not answer in ${timeout} ms`)),
    )
    const forget = target.onEnd(stopped)
    const end = (): void => {
      cancelTimer()
      forget()
      signal?.removeEventListener('abort', cancelled)
    }
    if (signal?.aborted) return cancelled()
    signal?.addEventListener('abort', cancelled)
    const taken = target.tell(
      make(value => {
        end()
        resolve(value)
      }),
    )
    if (taken) return
    if (!target.live) return stopped()
    const full = `${path} has ${target.depth} messages waiting`
    fail(new SocketStreamError('MAILBOX_FULL', full, { retryAfter: RETRY_AFTER }))
  })
}
