import { type Clock, systemClock } from '../actors/runtime/timer-wheel.js'
import { SocketStreamError } from '../errors.js'
import type { Middleware } from './middleware.js'
import { isWholeNumber, MAX_TIMER, wholeNumber } from './number-option.js'
import { serviceTable } from './service-table.js'

/** Options of `timeout`. */
export interface TimeoutOptions {
  /** Default the clock of the process. */
  readonly clock?: Clock
}

/**
 * Answers calls with `TIMEOUT` that have no answer in time, and aborts their handlers' signals.
 *
 * The time begins here, so what waits further down the chain counts; the connection's later requests go on
 * then. Of a stream the first item must come in time. Messages are never answered, so they just pass.
 *
 * @param limits milliseconds; or a table by service, in which `*` is for those that are not listed
 * @throws SocketStreamError `INVALID_OPTION`
 * @example app.use(timeout({ reports: 60_000, '*': 5000 }))
 */
export function timeout(
  limits: number | Readonly<Record<string, number>>,
  { clock = systemClock }: TimeoutOptions = {},
): Middleware {
  const limitOf = readLimits(limits)
  return (req, _res, next) => {
    const ms = req.kind === 'message' ? undefined : limitOf(req.service)
    if (ms === undefined) return next()
    const timer = clock.setTimeout(() => {
      if (!req.answered) req.abort(new SocketStreamError('TIMEOUT', `No answer within ${ms} ms`))
    }, ms)
    req.onend(() => clock.clearTimeout(timer))
    next()
  }
}

function readLimits(limits: unknown): (service: string) => number | undefined {
  if (typeof limits === 'object') {
    const wants = `a whole number of milliseconds from 1 to ${MAX_TIMER}`
    const read = (value: unknown) => (isWholeNumber(value, 1, MAX_TIMER) ? value : undefined)
    return serviceTable('timeout()', limits, read, wants)
  }
  wholeNumber('timeout(): milliseconds', limits, 'timeout(5000)', 1, MAX_TIMER)
  return () => limits as number
}
