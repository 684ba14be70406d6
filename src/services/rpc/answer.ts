import type { Logger } from '../../log.js'
import { isThenable } from '../../thenable.js'
import type { Responder } from '../service.js'

/** What a stream is read from. */
export interface Steps {
  next(): unknown
  return?(): unknown
}

/** What a handler leaves to be done when it has resolved, such as saving its session. */
export interface Aftermath {
  /** Before the answer; undefined when there is nothing to be done. A call fails with what it rejects with. */
  commit(): Promise<void> | undefined
  /** After the answer. */
  release(): void
}

/**
 * The steps of a value that is sent as a stream, or undefined for one that is sent as it is.
 *
 * Streams are async iterables, and iterators such as those of a `function*`. Iterables that are no
 * iterators (arrays, sets, strings) are values.
 */
export function stepsOf(value: unknown): Steps | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const source = value as { [Symbol.asyncIterator]?: unknown; [Symbol.iterator]?: unknown; next?: unknown }
  if (typeof source[Symbol.asyncIterator] === 'function') {
    return (value as { [Symbol.asyncIterator](): Steps })[Symbol.asyncIterator]()
  }
  const isIterator = typeof source.next === 'function' && typeof source[Symbol.iterator] === 'function'
  return isIterator ? (value as Steps) : undefined
}

/**
 * Answers a call with what its handler returned.
 *
 * A plain value is answered before this returns, without a promise; `undefined` is sent as null. What it
 * leaves to be done is done before: it is answered once that has succeeded.
 *
 * @throws what `responder.reply()` throws, and what reading the result throws
 */
export function answer(result: unknown, responder: Responder, log: Logger, after?: Aftermath): void {
  if (isThenable(result)) {
    const failed = (error: unknown): void => fail(error, responder, log, after)
    Promise.resolve(result).then(value => {
      try {
        answerSettled(value, responder, log, after)
      } catch (error) {
        failed(error)
      }
    }, failed)
  } else answerSettled(result, responder, log, after)
}

/** Answers a call with an error; when nobody waits any more, it is only logged. */
export function fail(error: unknown, responder: Responder, log: Logger, after?: Aftermath): void {
  if (responder.ended) log.debug('A call failed after it had ended', { error })
  else responder.error(error)
  after?.release()
}

function answerSettled(
  value: unknown,
  responder: Responder,
  log: Logger,
  after: Aftermath | undefined,
): void {
  const steps = stepsOf(value)
  if (steps !== undefined) return stream(steps, responder, log, after)
  const reply = (): void => {
    if (!responder.ended) responder.reply(value === undefined ? null : value)
    after?.release()
  }
  const commit = after?.commit()
  if (commit === undefined) return reply()
  commit.then(reply).catch(error => fail(error, responder, log, after))
}

/**
 * Sends the steps of an iterator as items, each when the caller is ready for it.
 *
 * The iterator is asked to return as soon as the call is over, also while a step is awaited: a
 * generator runs its `finally` then, or when what it awaits has settled.
 */
function stream(steps: Steps, responder: Responder, log: Logger, after: Aftermath | undefined): void {
  const { signal } = responder
  let over = false
  let stepping = false

  const release = (): void => {
    try {
      const returned = steps.return?.()
      if (isThenable(returned)) Promise.resolve(returned).catch(complain)
    } catch (error) {
      complain(error)
    }
  }
  const complain = (error: unknown): void => log.warn('A stream failed while it was closed', { error })
  const finish = (): void => {
    over = true
    signal.removeEventListener('abort', close)
  }
  const close = (): void => {
    if (over) return
    finish()
    // a running generator cannot be told to return; `next` does it when it is back
    if (!stepping) release()
  }
  const next = (): unknown => {
    stepping = true
    try {
      return steps.next()
    } finally {
      stepping = false
      if (over) release()
    }
  }
  const pump = async (): Promise<void> => {
    while (!over && (await responder.ready()) && !over) {
      const step = (await next()) as IteratorResult<unknown>
      if (over) return
      if (step.done === true) {
        finish()
        await after?.commit()
        if (!responder.ended) responder.end()
        return
      }
      const value = isThenable(step.value) ? await step.value : step.value
      if (over) return
      responder.item(value === undefined ? null : value)
    }
    close()
  }

  signal.addEventListener('abort', close)
  if (signal.aborted) close()
  pump()
    .catch(error => {
      const wanted = !responder.ended
      close()
      if (wanted) fail(error, responder, log)
      else log.debug('A stream failed after it had ended', { error })
    })
    .finally(() => after?.release())
}
