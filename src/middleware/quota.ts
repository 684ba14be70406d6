import { createHash } from 'node:crypto'
import { type Clock, systemClock } from '../actors/runtime/timer-wheel.js'
import { SocketStreamError } from '../errors.js'
import { Sparingly } from '../log.js'
import type { Request } from '../services/service.js'
import { clientKey } from './client-key.js'
import type { Middleware, MiddlewareFactory, MiddlewareHost, Respond } from './middleware.js'
import { wholeNumber } from './number-option.js'
import { SharedAccount, SharedCount, type SharedLimiter, type Verdict } from './shared-count.js'

/** Milliseconds for which an engine that has failed is not asked again. */
const PAUSE = 1000

/** What a quota needs of an engine: its `limiter`. */
export interface QuotaEngine {
  readonly limiter?: SharedLimiter
}

/** Options of `quota`. */
export interface QuotaOptions {
  /** Requests that a client may make in a window, and at once after a rest. */
  readonly limit: number
  /** Milliseconds in which `limit` requests come back, one by one. Default 60,000. */
  readonly window?: number
  /**
   * Whose quota a request counts against; undefined for none.
   *
   * Default: the user, by `user.id`; else the session, if something was put in it; else the address.
   */
  readonly by?: (req: Request) => string | undefined
  /** Clients that are kept count of; past it the one not heard of for longest is forgotten. Default 100,000. */
  readonly maxKeys?: number
  /** An engine with a limiter, to count over all nodes. */
  readonly engine?: QuotaEngine
  /** Requests that a node takes from the engine at once and lets through by itself. Default a 50th of `limit`, 1 to 16. */
  readonly batch?: number
  /** While the engine fails: each node counts by itself, lets everything through, or nothing. Default `local`. */
  readonly onFailure?: 'local' | 'open' | 'closed'
  /** Tells quotas that share an engine apart. Default `quota`. */
  readonly name?: string
  /** Default the clock of the process. */
  readonly clock?: Clock
}

/** A quota: give it to `app.use()`. */
export interface Quota extends MiddlewareFactory {
  /** Requests refused so far, over all clients. */
  readonly refused: number
  /** Clients that this node keeps count of. */
  readonly keys: number
}

/** One client's count. */
interface Account {
  /** When the whole quota is there again. */
  whole: number
  /** The connection that was last told of a refusal, since a request was let through. */
  warned: string | undefined
  /** What is known of the count over all nodes. */
  readonly shared: SharedAccount | undefined
}

/**
 * Limits how many requests a client makes over all its connections, by the generic cell rate algorithm.
 *
 * What is over it is dropped. A call is always answered, with `OVERLOADED` and `retryAfter`; of dropped
 * messages a connection is told once until one passes again.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example app.use(quota({ limit: 1000, window: 3_600_000 }))
 */
export function quota(options: QuotaOptions): Quota {
  const { limit, window, by, maxKeys, limiter, batch, onFailure, name, clock } = readOptions(options)
  const interval = window / limit
  const accounts = new Map<string, Account>()
  const shared = limiter && new SharedCount(limiter, limit, interval, batch, () => clock.now())
  /** Until when the engine is not asked, as it has failed. */
  let pausedUntil = Number.NEGATIVE_INFINITY
  let refused = 0

  const factory = (server: MiddlewareHost): Middleware => {
    const sparingly = new Sparingly()
    return (req, res, next) => {
      const key = by(req)
      if (key === undefined) return next()
      const account = accountOf(key)
      const decide = ({ allowed, retryAfter }: Verdict): void => {
        if (!allowed) return refuse(account, retryAfter, req, res)
        account.warned = undefined
        next()
      }
      if (shared === undefined || account.shared === undefined) return decide(take(account))
      const without = (): void => {
        if (onFailure === 'open') return next()
        if (onFailure === 'local') return decide(take(account))
        refused++
        res(new SocketStreamError('ENGINE_UNAVAILABLE', 'The quota cannot be counted', { retryAfter: PAUSE }))
      }
      if (clock.now() < pausedUntil) return without()
      const verdict = shared.take(engineKey(name, key), account.shared)
      if (!(verdict instanceof Promise)) return decide(verdict)
      return verdict.then(decide, error => {
        pausedUntil = clock.now() + PAUSE
        const times = sparingly.take()
        if (times > 0) server.log.warn(FAILURES[onFailure], { name, error, times })
        without()
      })
    }
  }

  function accountOf(key: string): Account {
    const account = accounts.get(key) ?? {
      whole: 0,
      warned: undefined,
      shared: shared && new SharedAccount(),
    }
    // The order of a Map is that of insertion: the first is the one longest unheard of.
    accounts.delete(key)
    accounts.set(key, account)
    if (accounts.size > maxKeys) accounts.delete(accounts.keys().next().value as string)
    return account
  }

  function take(account: Account): Verdict {
    const now = clock.now()
    const whole = Math.max(account.whole, now) + interval
    const late = whole - now - window
    // What is added up in fractions of a millisecond misses a whole one by a little.
    if (late > 1e-6) return { allowed: false, retryAfter: Math.ceil(late - 1e-6) }
    account.whole = whole
    return { allowed: true, retryAfter: 0 }
  }

  function refuse(account: Account, retryAfter: number, req: Request, res: Respond): void {
    refused++
    if (account.warned === req.connectionId && req.kind === 'message') return
    account.warned = req.connectionId
    const message = `More than ${limit} requests in ${window / 1000} s`
    res(new SocketStreamError('OVERLOADED', message, { retryAfter }))
  }

  return Object.defineProperties(factory as Quota, {
    refused: { get: () => refused },
    keys: { get: () => accounts.size },
  })
}

/** What is logged when the engine fails. */
const FAILURES = {
  local: 'a quota is counted on this node only',
  open: 'a quota lets everything through',
  closed: 'a quota lets nothing through',
} as const

/** Names of an engine are short, and not every text is one. */
function engineKey(name: string, key: string): string {
  const plain = /^[\x21-\x7e]{1,100}$/.test(key)
  return `${name}:${plain ? key : createHash('sha256').update(key).digest('base64url')}`
}

function readOptions(options: QuotaOptions) {
  const { limit, window = 60_000, by = clientKey, maxKeys = 100_000, name = 'quota', engine } = options ?? {}
  const { batch = Math.min(16, Math.max(1, Math.floor(limit / 50))), onFailure = 'local' } = options ?? {}
  const fix = 'quota({ limit: 100, window: 60_000 })'
  wholeNumber('quota: `limit`', limit, fix)
  wholeNumber('quota: `window`', window, fix)
  wholeNumber('quota: `maxKeys`', maxKeys, 'quota({ limit: 100, maxKeys: 100_000 })')
  wholeNumber('quota: `batch`', batch, 'quota({ limit: 1000, batch: 10 })', 1, Math.max(1, limit))
  if (!Object.hasOwn(FAILURES, onFailure)) {
    throw new SocketStreamError(
      'INVALID_OPTION',
      "quota: `onFailure` must be 'local', 'open' or 'closed'; give onFailure: 'closed'",
    )
  }
  if (typeof by !== 'function') {
    throw new SocketStreamError(
      'INVALID_OPTION',
      'quota: `by` must be a function; give by: req => req.clientIp',
    )
  }
  if (typeof name !== 'string' || !/^[\w-]{1,64}$/.test(name)) {
    throw new SocketStreamError(
      'INVALID_OPTION',
      'quota: `name` must have 1 to 64 characters A-Z, a-z, 0-9, _ or -',
    )
  }
  if (engine !== undefined && typeof engine?.limiter?.take !== 'function') {
    throw new SocketStreamError(
      'INVALID_OPTION',
      'quota: `engine` has no limiter; give one that has, or none',
    )
  }
  return {
    limit,
    window,
    by,
    maxKeys,
    limiter: engine?.limiter,
    batch,
    onFailure,
    name,
    clock: options.clock ?? systemClock,
  }
}
