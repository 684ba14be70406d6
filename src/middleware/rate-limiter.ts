import { SocketStreamError } from '../errors.js'
import type { Middleware, MiddlewareFactory, MiddlewareHost } from './middleware.js'

/** Options of `rateLimiter`. */
export interface RateLimiterOptions {
  /** Requests per second that a connection may keep up. Default 50. */
  readonly maxRequestsPerSecond?: number
  /** Requests that may come at once after a rest. Default `maxRequestsPerSecond`. */
  readonly burst?: number
  /** Milliseconds of a clock that never goes back. Default `performance.now`. */
  readonly now?: () => number
}

/** A rate limiter: give it to `app.use()`. */
export interface RateLimiter extends MiddlewareFactory {
  /** Requests refused so far, over all connections. */
  readonly dropped: number
  /** Connections it keeps count of. */
  readonly connections: number
}

interface Bucket {
  tokens: number
  /** When tokens were last added. */
  at: number
  /** Whether this burst has been told of already. */
  warned: boolean
}

/**
 * Limits the requests of each connection, with a token bucket.
 *
 * What is over the limit is dropped. A call is always answered, with `OVERLOADED` and `retryAfter`;
 * of dropped messages the client is told once per burst.
 *
 * @example app.use(rateLimiter({ maxRequestsPerSecond: 20, burst: 40 }))
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function rateLimiter(options: RateLimiterOptions = {}): RateLimiter {
  const {
    maxRequestsPerSecond = 50,
    burst = Math.max(1, maxRequestsPerSecond),
    now = () => performance.now(),
  } = options
  check('maxRequestsPerSecond', maxRequestsPerSecond, 0)
  check('burst', burst, 1)
  const buckets = new Map<string, Bucket>()
  let dropped = 0

  const factory = (server: MiddlewareHost): Middleware => {
    server.events.on('client:disconnect', (connectionId: string) => buckets.delete(connectionId))
    return (req, res, next) => {
      const bucket = refill(req.connectionId)
      if (bucket.tokens >= 1) {
        bucket.tokens--
        bucket.warned &&= bucket.tokens < 1
        return next()
      }
      dropped++
      if (bucket.warned && req.kind === 'message') return
      bucket.warned = true
      const retryAfter = Math.ceil(((1 - bucket.tokens) / maxRequestsPerSecond) * 1000)
      res(
        new SocketStreamError('OVERLOADED', `More than ${maxRequestsPerSecond} requests per second`, {
          retryAfter,
        }),
      )
    }
  }

  function refill(connectionId: string): Bucket {
    const time = now()
    const bucket = buckets.get(connectionId)
    if (bucket === undefined) {
      const fresh = { tokens: burst, at: time, warned: false }
      buckets.set(connectionId, fresh)
      return fresh
    }
    bucket.tokens = Math.min(burst, bucket.tokens + ((time - bucket.at) / 1000) * maxRequestsPerSecond)
    bucket.at = time
    return bucket
  }

  return Object.defineProperties(factory as RateLimiter, {
    dropped: { get: () => dropped },
    connections: { get: () => buckets.size },
  })
}

function check(name: string, value: unknown, above: number): void {
  if (typeof value === 'number' && Number.isFinite(value) && value >= above && value > 0) return
  throw new SocketStreamError(
    'INVALID_OPTION',
    `rateLimiter: \`${name}\` must be a number of at least ${above || 'more than 0'}; give rateLimiter({ ${name}: 20 })`,
  )
}
