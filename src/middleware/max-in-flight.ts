import { type Clock, systemClock } from '../actors/runtime/timer-wheel.js'
import { SocketStreamError } from '../errors.js'
import type { Request } from '../services/service.js'
import { clientKey } from './client-key.js'
import type { Middleware } from './middleware.js'
import { isWholeNumber, MAX_TIMER, wholeNumber } from './number-option.js'
import { serviceTable } from './service-table.js'

/** Options of `maxInFlight`; at least one of the first four. */
export interface MaxInFlightOptions {
  /** Requests in flight of one connection. */
  readonly perConnection?: number
  /** Requests in flight of one user: of `user.id`; else of the session in use, else of the address. */
  readonly perUser?: number
  /** Requests in flight of one service; or a table by service, in which `*` is for those not listed. */
  readonly perService?: number | Readonly<Record<string, number>>
  /** Requests in flight in all. */
  readonly total?: number
  /** Milliseconds that a request may wait for a place, holding back its connection. Default 0. */
  readonly wait?: number
  /** What `retryAfter` tells those who are refused, in milliseconds. Default 1,000. */
  readonly retryAfter?: number
  /** Default the clock of the process. */
  readonly clock?: Clock
}

/** A bound on requests in flight: give it to `app.use()`. */
export interface MaxInFlight extends Middleware {
  /** Requests that have a place. */
  readonly inFlight: number
  /** Requests that wait for one. */
  readonly waiting: number
  /** Requests refused so far. */
  readonly refused: number
}

/** One of the bounds, with its count by key. */
interface Bound {
  readonly what: string
  readonly counts: Map<unknown, number>
  keyOf(req: Request): unknown
  limitOf(req: Request): number | undefined
}

/** A request with its keys, one for each bound. */
interface Entrant {
  readonly req: Request
  readonly keys: readonly unknown[]
}

interface Waiter extends Entrant {
  enter(): void
}

/** Requests that may wait: each place that gets free is offered to all of them. */
const MAX_WAITING = 1024
const EVERYBODY = Symbol('everybody')

/**
 * Bounds how many requests are in flight; what is over it waits, or is answered `OVERLOADED`.
 *
 * A request is in flight until its call is answered, its stream or the handler of its message has ended, its
 * caller has cancelled or its connection has gone.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example app.use(maxInFlight({ perConnection: 20, perService: { reports: 4 }, wait: 2000 }))
 */
export function maxInFlight(options: MaxInFlightOptions): MaxInFlight {
  const bounds = readBounds(options)
  const { wait = 0, retryAfter = 1000, clock = systemClock } = options
  wholeNumber('maxInFlight: `wait`', wait, 'maxInFlight({ total: 1000, wait: 2000 })', 0, MAX_TIMER)
  wholeNumber('maxInFlight: `retryAfter`', retryAfter, 'maxInFlight({ total: 1000, retryAfter: 1000 })', 0)
  const waiting = new Set<Waiter>()
  let inFlight = 0
  let refused = 0
  let admitting = false
  let freed = false

  const middleware: Middleware = (req, res, next) => {
    const entrant = { req, keys: bounds.map(bound => bound.keyOf(req)) }
    const refuse = (bound: Bound): void => {
      refused++
      const message = `More than ${bound.limitOf(req)} requests ${bound.what} are in flight`
      res(new SocketStreamError('OVERLOADED', message, { retryAfter }))
    }
    const full = fullFor(entrant)
    if (full === undefined) {
      take(entrant)
      req.onend(() => release(entrant))
      return next()
    }
    if (wait === 0 || waiting.size >= MAX_WAITING) return refuse(full)
    return new Promise<void>(resolve => {
      let entered = false
      const leave = (): void => {
        waiting.delete(waiter)
        clock.clearTimeout(timer)
        resolve()
      }
      const waiter: Waiter = {
        ...entrant,
        enter() {
          entered = true
          take(entrant)
          // Before the promise settles, which would drop the request.
          next()
          leave()
        },
      }
      const timer = clock.setTimeout(() => {
        leave()
        refuse(full)
      }, wait)
      waiting.add(waiter)
      req.onend(() => (entered ? release(entrant) : leave()))
    })
  }

  function fullFor({ req, keys }: Entrant): Bound | undefined {
    return bounds.find((bound, index) => {
      const limit = bound.limitOf(req)
      return limit !== undefined && (bound.counts.get(keys[index]) ?? 0) >= limit
    })
  }

  function take({ keys }: Entrant): void {
    inFlight++
    for (const [index, { counts }] of bounds.entries()) {
      counts.set(keys[index], (counts.get(keys[index]) ?? 0) + 1)
    }
  }

  function release({ keys }: Entrant): void {
    inFlight--
    for (const [index, { counts }] of bounds.entries()) {
      const left = (counts.get(keys[index]) ?? 0) - 1
      if (left > 0) counts.set(keys[index], left)
      else counts.delete(keys[index])
    }
    freed = true
    if (!admitting) admit()
  }

  /** Lets in who waits and fits now, longest first. What enters may end at once: a loop, for the stack's sake. */
  function admit(): void {
    admitting = true
    while (freed) {
      freed = false
      for (const waiter of waiting) {
        const full = fullFor(waiter)
        if (full === undefined) {
          waiting.delete(waiter)
          waiter.enter()
        } else if (full.counts.has(EVERYBODY)) break
      }
    }
    admitting = false
  }

  return Object.defineProperties(middleware as MaxInFlight, {
    inFlight: { get: () => inFlight },
    waiting: { get: () => waiting.size },
    refused: { get: () => refused },
  })
}

function readBounds(options: MaxInFlightOptions): Bound[] {
  const { total, perService, perUser, perConnection } = options
  const bounds: Bound[] = []
  const add = (name: string, value: unknown, what: string, keyOf: Bound['keyOf']): void => {
    if (value === undefined) return
    bounds.push({ what, counts: new Map(), keyOf, limitOf: readLimit(name, value) })
  }
  add('total', total, 'in all', () => EVERYBODY)
  add('perService', perService, 'to this service', req => req.service)
  add('perUser', perUser, 'of one user', clientKey)
  add('perConnection', perConnection, 'of one connection', req => req.connectionId)
  if (bounds.length > 0) return bounds
  throw new SocketStreamError(
    'INVALID_OPTION',
    'maxInFlight() needs a bound: give perConnection, perUser, perService or total',
  )
}

function readLimit(name: string, value: unknown): Bound['limitOf'] {
  const where = `maxInFlight: \`${name}\``
  if (name === 'perService' && typeof value === 'object') {
    const read = (limit: unknown) => (isWholeNumber(limit) ? limit : undefined)
    const limitOf = serviceTable(where, value, read, 'a whole number of at least 1')
    return req => limitOf(req.service)
  }
  wholeNumber(where, value, `maxInFlight({ ${name}: 20 })`)
  return () => value as number
}
