import { SocketStreamError } from '../../errors.js'
import { RETRY_AFTER } from './actor-cell.js'
import type { ActorRef } from './actor-ref.js'
import type { TimerWheel } from './timer-wheel.js'

/** How long to wait for an answer, and what ends the wait early. */
export interface AskOptions {
  /** Milliseconds; required, because an answer may never come. */
  readonly timeout: number
  /** Ends the wait with `CANCELLED`. The actor still handles the message. */
  readonly signal?: AbortSignal
}

/** Sends a message that carries a reply function, and waits for the reply; see `ActorRef.ask`. */
export function ask<Message extends object, Reply>(
  target: ActorRef<Message>,
  make: (reply: (value: Reply) => void) => Message,
  options: AskOptions,
  timers: TimerWheel,
): Promise<Reply> {
  return wait<Message, Reply>(target, options, timers, false, (resolve, reject, forget) =>
    make(value => {
      // It has answered: whether it stops before the answer may be heard no longer matters.
      forget()
      target.acknowledge({ saved: () => resolve(value), failed: reject })
    }),
  )
}

/** Sends a message and waits until it has been handled; see `ActorRef.perform`. */
export function perform<Message extends object>(
  target: ActorRef<Message>,
  message: Message,
  options: AskOptions,
  timers: TimerWheel,
): Promise<void> {
  return wait<Message, void>(target, options, timers, true, () => message)
}

function wait<Message extends object, Reply>(
  target: ActorRef<Message>,
  { timeout, signal }: AskOptions,
  timers: TimerWheel,
  handled: boolean,
  make: (resolve: (value: Reply) => void, reject: (error: Error) => void, forget: () => void) => Message,
): Promise<Reply> {
  return new Promise<Reply>((resolve, reject) => {
    if (!(timeout >= 0)) {
      throw new SocketStreamError('INVALID_OPTION', 'ask() needs milliseconds, as in { timeout: 1000 }')
    }
    const { path } = target
    let forgetReceipt: (() => void) | undefined
    const end = (): void => {
      cancelTimer()
      forget()
      forgetReceipt?.()
      signal?.removeEventListener('abort', cancelled)
    }
    const succeed = (value: Reply): void => {
      end()
      resolve(value)
    }
    const fail = (error: Error): void => {
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
    if (signal?.aborted) return cancelled()
    signal?.addEventListener('abort', cancelled)
    let message: Message
    try {
      message = make(succeed, fail, forget)
    } catch (error) {
      return fail(error as Error)
    }
    forgetReceipt = target.expect(message, {
      ...(handled && { handled: () => succeed(undefined as Reply) }),
      failed: fail,
    })
    if (target.tell(message)) return
    if (!target.live) return stopped()
    const full = `${path} has ${target.depth} messages waiting`
    fail(new SocketStreamError('MAILBOX_FULL', full, { retryAfter: RETRY_AFTER }))
  })
}
