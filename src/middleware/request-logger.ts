import { type Clock, systemClock } from '../actors/runtime/timer-wheel.js'
import { hasCode, SocketStreamError } from '../errors.js'
import { createLogger, type LogLevel, type LogTarget } from '../log.js'
import type { Outcome, Request } from '../services/service.js'
import { userIdOf } from './client-key.js'
import type { Middleware, MiddlewareFactory, MiddlewareHost } from './middleware.js'

/** Options of `requestLogger`. */
export interface RequestLoggerOptions {
  /** Level of the lines. Default `info`. */
  readonly level?: LogLevel
  /** Where lines go. Default the server's log. */
  readonly log?: LogTarget
  /** Milliseconds from which a request is logged at `warn`. Default none. */
  readonly slow?: number
  /** What of the payload is logged, as `payload`. Without it nothing is. */
  readonly redact?: (message: unknown, req: Request) => unknown
  /** Default the clock of the process. */
  readonly clock?: Clock
}

/** The details of a line, whose message is `request`. */
export interface RequestLine {
  readonly kind: Request['kind']
  readonly service: string
  /** The method of a call of `rpc`. */
  readonly method?: string
  /** Bytes of the payload. */
  readonly size: number
  readonly connection: string
  readonly ip: string
  /** The id of the user, if there is one. */
  readonly user?: string | number
  /** Milliseconds until it was over, to a thousandth. */
  readonly ms: number
  readonly outcome: Outcome
  /** Code of the error that it ended with. */
  readonly code?: string
  /** What `redact` has left of the payload. */
  readonly payload?: unknown
}

/** How much of a method's name is logged, in characters: it is what a client says. */
const MAX_METHOD = 100

/**
 * Logs one line per request when it is over, with how long it took and how it ended.
 *
 * Give it first to `app.use()`, so that it also sees what other middleware refuses. Payloads are not logged
 * unless `redact` says what of them.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example app.use(requestLogger({ level: 'debug', slow: 500 }))
 */
export function requestLogger(options: RequestLoggerOptions = {}): MiddlewareFactory {
  const { level = 'info', log, slow = Number.POSITIVE_INFINITY, redact, clock = systemClock } = options
  check(options)
  return (server: MiddlewareHost): Middleware => {
    const logger = log === undefined ? server.log : createLogger(log, 'requests')
    let methods: ReadonlySet<string> | undefined
    return (req, _res, next) => {
      methods ??= rpcServices(server)
      const method = methods.has(req.service) ? methodOf(req) : undefined
      const payload = redact && shown(redact, req)
      const begun = clock.now()
      const { kind, service, size, connectionId: connection, clientIp: ip } = req
      const user = userIdOf(req.user)
      req.onend((outcome, error) => {
        const ms = Math.round((clock.now() - begun) * 1000) / 1000
        const line: RequestLine = {
          kind,
          service,
          ...(method !== undefined && { method }),
          size,
          connection,
          ip,
          ...(user !== undefined && { user }),
          ms,
          outcome,
          ...(outcome === 'error' && { code: hasCode(error) ? error.code : 'INTERNAL' }),
          ...(redact && { payload }),
        }
        logger[ms >= slow ? 'warn' : level]('request', line)
      })
      next()
    }
  }
}

function rpcServices(server: MiddlewareHost): ReadonlySet<string> {
  return new Set(server.publicServices().flatMap(({ name, type }) => (type === 'rpc' ? [name] : [])))
}

function methodOf(req: Request): string | undefined {
  const message = readable(req)
  const method: unknown = Array.isArray(message) ? message[0] : undefined
  // Control characters could do things to a terminal that shows the line.
  return typeof method === 'string' ? method.slice(0, MAX_METHOD).replace(/\p{Cc}/gu, '?') : undefined
}

/** The payload; undefined when it is malformed, which whoever needs it finds out. */
function readable(req: Request): unknown {
  try {
    return req.message
  } catch {
    return undefined
  }
}

function shown(redact: NonNullable<RequestLoggerOptions['redact']>, req: Request): unknown {
  try {
    return redact(readable(req), req)
  } catch {
    // No text of the error: it may quote what must not be logged.
    return '[redact failed]'
  }
}

function check({ level = 'info', slow = 0, redact }: RequestLoggerOptions): void {
  if (!['debug', 'info', 'warn', 'error'].includes(level)) {
    throw invalid('`level` must be debug, info, warn or error')
  }
  if (typeof slow !== 'number' || !(slow >= 0)) throw invalid('`slow` must be milliseconds, as in slow: 500')
  if (redact !== undefined && typeof redact !== 'function') {
    throw invalid('`redact` must be a function, as in redact: message => Object.keys(message)')
  }
}

function invalid(what: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', `requestLogger: ${what}`)
}
