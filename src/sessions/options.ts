import { SocketStreamError } from '../errors.js'
import type { CookieSettings } from './cookie.js'
import type { SessionStore } from './repository.js'
import type { StoredSession } from './session.js'

/**
 * How sessions are named, signed and kept: the options of express-session, so that both can be given one
 * object, and some of this server's own.
 */
export interface SessionOptions {
  /** Signs session ids; the first of a list signs, all verify. Default: random, until the process ends. */
  readonly secret?: string | readonly string[]
  /** Name of the cookie. Default `connect.sid`. */
  readonly name?: string
  /** Settings of the cookies of new sessions. Default express-session's: a session of the browser. */
  readonly cookie?: CookieSettings
  /** Sends the cookie of a known session again with every handshake, its time begun anew. Default false. */
  readonly rolling?: boolean
  /** Stores a new session before anything is in it. Default false. */
  readonly saveUninitialized?: boolean
  /** The store, if `sessionStore` is not given. */
  readonly store?: SessionStore
  /** Milliseconds after which the store is asked whether a session in use is still there; 0: never. Default 60,000. */
  readonly recheck?: number
  /** Milliseconds that the store may take for one call. Default 10,000. */
  readonly timeout?: number
  /** The user of a session, for `app.sessions.list()`. Default `user.id`, `user`, `userId` or `passport.user`. */
  userOf?(session: StoredSession): string | undefined
  /** For express-session only. */
  readonly resave?: boolean
  /** For express-session only. */
  readonly proxy?: boolean
  /** For express-session only. */
  readonly unset?: string
  /** For express-session only. */
  readonly genid?: unknown
}

/** Bounds of the session cache. */
export interface CacheBounds {
  /** Sessions kept. Default 10,000. */
  readonly max?: number
  /** Bytes kept, estimated. Default 64 MiB. */
  readonly maxBytes?: number
}

/** Options with their defaults. */
export interface SessionSettings {
  readonly secrets: readonly string[]
  readonly name: string
  readonly cookie: CookieSettings
  readonly rolling: boolean
  readonly saveUninitialized: boolean
  readonly recheck: number
  readonly timeout: number
  userOf(session: StoredSession): string | undefined
}

const KNOWN = new Set<keyof SessionOptions>([
  'secret',
  'name',
  'cookie',
  'rolling',
  'saveUninitialized',
  'store',
  'recheck',
  'timeout',
  'userOf',
  'resave',
  'proxy',
  'unset',
  'genid',
])

const MAX_TIMER = 2 ** 31 - 1

/**
 * Checks the `sessions` option of a server.
 *
 * @param randomSecret makes the secret when none is given
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function sessionSettings(options: SessionOptions, randomSecret: () => string): SessionSettings {
  if (options === null || typeof options !== 'object')
    throw invalid('`sessions` must be an object', "sessions: { secret: '…' }")
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name as keyof SessionOptions))
      throw invalid(`there is no option \`sessions.${name}\``, `one of ${[...KNOWN].join(', ')}`)
  }
  const { cookie = {}, rolling = false, saveUninitialized = false } = options
  const { recheck = 60_000, timeout = 10_000, userOf = userIn } = options
  if (cookie === null || typeof cookie !== 'object')
    throw invalid('`sessions.cookie` must be an object', 'sessions: { cookie: { maxAge: 3_600_000 } }')
  if (typeof rolling !== 'boolean')
    throw invalid('`sessions.rolling` must be true or false', 'sessions: { rolling: true }')
  if (typeof saveUninitialized !== 'boolean')
    throw invalid(
      '`sessions.saveUninitialized` must be true or false',
      'sessions: { saveUninitialized: true }',
    )
  if (!Number.isInteger(recheck) || recheck < 0 || recheck > MAX_TIMER)
    throw invalid('`sessions.recheck` must be milliseconds, or 0', 'sessions: { recheck: 60_000 }')
  if (!Number.isInteger(timeout) || timeout < 1 || timeout > MAX_TIMER)
    throw invalid('`sessions.timeout` must be milliseconds', 'sessions: { timeout: 10_000 }')
  if (typeof userOf !== 'function')
    throw invalid('`sessions.userOf` must be a function', 'sessions: { userOf: session => session.userId }')
  return {
    secrets: checkSecrets(options.secret ?? randomSecret()),
    name: checkName(options.name),
    cookie,
    rolling,
    saveUninitialized,
    recheck,
    timeout,
    userOf,
  }
}

/**
 * Checks the `cacheSessions` option of a server.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function cacheBounds(given: boolean | CacheBounds): false | Required<CacheBounds> {
  const { max = 10_000, maxBytes = 64 * 1024 * 1024 } =
    typeof given === 'object' && given !== null ? given : {}
  const whole = [max, maxBytes].every(bound => Number.isSafeInteger(bound) && bound > 0)
  if (given === false) return false
  if (whole && (given === true || (typeof given === 'object' && given !== null))) return { max, maxBytes }
  throw invalid('`cacheSessions` must be true, false or bounds', 'cacheSessions: { max: 10_000 }')
}

/** Where applications mostly have the user. */
function userIn(session: StoredSession): string | undefined {
  const { user, userId, passport } = session as { user?: unknown; userId?: unknown; passport?: unknown }
  const candidates = [(user as { id?: unknown } | undefined)?.id, user, userId]
  candidates.push((passport as { user?: unknown } | undefined)?.user)
  const found = candidates.find(value => typeof value === 'string' || typeof value === 'number')
  return found === undefined ? undefined : String(found)
}

function checkSecrets(secret: string | readonly string[]): readonly string[] {
  const secrets = typeof secret === 'string' ? [secret] : secret
  if (
    !Array.isArray(secrets) ||
    secrets.length === 0 ||
    !secrets.every(s => typeof s === 'string' && s.length > 0)
  ) {
    throw invalid(
      '`sessions.secret` must be a text or a list of texts, none empty',
      'sessions: { secret: process.env.SESSION_SECRET }',
    )
  }
  return secrets
}

function checkName(name = 'connect.sid'): string {
  if (typeof name === 'string' && /^[\w!#$%&'*.^`|~+-]+$/.test(name)) return name
  throw invalid('`sessions.name` must be a cookie name', "sessions: { name: 'connect.sid' }")
}

function invalid(what: string, fix: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', `${what}; give ${fix}`)
}
