import { EventEmitter } from 'node:events'
import { existsSync } from 'node:fs'
import { isAbsolute } from 'node:path'
import type { Authenticate } from './actors/authenticate.js'
import { DEFAULT_LIMITS, type Limits } from './actors/broker.js'
import { type MemoryOptions, type MemorySettings, memorySettings } from './actors/memory-guard.js'
import { type ResumeOptions, type ResumeSettings, resumeSettings } from './actors/resume-options.js'
import type { ClientHandlerOptions } from './browser/client-handler.js'
import { type ClusterOptions, type ClusterSettings, clusterSettings } from './cluster/options.js'
import { type Duration, milliseconds } from './duration.js'
import type { Engine } from './engines/engine.js'
import { SocketStreamError } from './errors.js'
import type { HealthOptions } from './health.js'
import type { LogTarget } from './log.js'
import {
  type CacheBounds,
  cacheBounds,
  type SessionOptions,
  type SessionSettings,
  sessionSettings,
} from './sessions/options.js'
import type { SessionStore } from './sessions/repository.js'
import { ClassicTransport, type ClassicTransportModule, isClassicTransport } from './transports/classic.js'
import type { Transport } from './transports/transport.js'
import { refuseSticky } from './workers/sticky.js'

/** Options of `new Server()`. All are checked at once; what is wrong is named with its fix. */
export interface ServerOptions {
  /** Folder of the application; absolute. Default the working directory. */
  readonly root?: string
  /** How clients reach the server: one transport or several, one of them perhaps a module of 0.4. Required. */
  readonly transport: Transport | ClassicTransportModule | readonly (Transport | ClassicTransportModule)[]
  /** Any Connect or express-session store. Default express-session's `MemoryStore`. */
  readonly sessionStore?: SessionStore
  /** Keep sessions in RAM, within bounds; `false` asks the store on every message. Default true. */
  readonly cacheSessions?: boolean | CacheBounds
  /** Says who a client is before it is accepted, or refuses it. Default: all are accepted. */
  readonly authenticate?: Authenticate
  /** How sessions are named, signed and kept; express-session can be given the same object. */
  readonly sessions?: SessionOptions
  /** Where state outlives actors: what `persist` saves, histories of channels. Default `memory()`; yours to close. */
  readonly engine?: Engine
  /** A function like `console.log`, or a logger with levels such as pino. Default: silent. */
  readonly log?: LogTarget
  /** The emitter for `client:connect` and `client:disconnect`. Default a new one. */
  readonly events?: EventEmitter
  /** In `development` and `test` clients see errors in full. Default `process.env.NODE_ENV`. */
  readonly env?: string
  /** Accept the text wire of SocketStream 0.4. Default false, true with a transport module of 0.4. */
  readonly textWire?: boolean
  /**
   * How `/socketstream/client.js` is served on the HTTP servers of the transports; `false`: not at all.
   * Default as `app.clientHandler()` does.
   */
  readonly client?: false | ClientHandlerOptions
  /** Answers at `/livez` and `/readyz` on the HTTP servers of the transports. Default false. */
  readonly health?: boolean | HealthOptions
  /** Stops at `SIGTERM` and `SIGINT`, with a drain of 30 s unless said otherwise, and ends the process. Default false. */
  readonly handleSignals?: boolean | SignalOptions
  /** Bounds of one connection, and of how many there are; see `Limits`. */
  readonly limits?: Partial<Limits>
  /** When no more clients are let in for want of memory; `false`: never. Default at 90 % of what the process may have. */
  readonly memory?: false | MemoryOptions
  /** How long and how much of lost connections is kept for their clients; `false`: nothing. Default 2 minutes. */
  readonly resume?: boolean | ResumeOptions
  /** How it is one of several servers with the same engine; `false`: it is not. Default one with each `engine`. */
  readonly cluster?: false | ClusterOptions
}

/** How `stop` ends a server. */
export interface StopOptions {
  /** How long calls in flight have to finish, such as `'30s'`. Default 10 s. */
  readonly drain?: Duration
  /** How long the server goes on as before, but for `/readyz`, which says 503 at once. Default 0. */
  readonly delay?: Duration
}

/** What signals do. */
export interface SignalOptions extends StopOptions {
  /** Whether the process ends after the server. Default true. */
  readonly exit?: boolean
}

/** The options with their defaults. */
export interface CheckedOptions {
  readonly root: string
  readonly transports: readonly Transport[]
  readonly sessionStore: SessionStore | undefined
  readonly cacheSessions: false | Required<CacheBounds>
  readonly authenticate: Authenticate | undefined
  readonly sessions: SessionSettings
  readonly engine: Engine | undefined
  readonly log: LogTarget | undefined
  readonly events: EventEmitter
  readonly env: string | undefined
  readonly textWire: boolean
  readonly client: false | ClientHandlerOptions
  readonly health: false | HealthOptions
  readonly handleSignals: false | SignalOptions
  readonly limits: Limits
  readonly memory: MemorySettings | undefined
  readonly resume: ResumeSettings | undefined
  readonly cluster: ClusterSettings | undefined
}

const KNOWN = new Set<keyof ServerOptions>([
  'root',
  'transport',
  'sessionStore',
  'cacheSessions',
  'authenticate',
  'sessions',
  'engine',
  'log',
  'events',
  'env',
  'textWire',
  'client',
  'health',
  'handleSignals',
  'limits',
  'memory',
  'resume',
  'cluster',
])

/**
 * Checks the options of a server and fills in the defaults.
 *
 * @param randomSecret makes the secret when none is given
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function checkOptions(options: ServerOptions, randomSecret: () => string): CheckedOptions {
  if (options === null || typeof options !== 'object') {
    throw invalid('new Server() takes an object', 'new Server({ transport: ws({ port: 3001 }) })')
  }
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name as keyof ServerOptions)) {
      throw invalid(`there is no option \`${name}\``, `one of ${[...KNOWN].join(', ')}`)
    }
  }
  const { root = process.cwd(), cacheSessions = true, sessions = {} } = options
  const transports = checkTransports(options.transport)
  const { textWire = transports.some(transport => transport instanceof ClassicTransport) } = options
  if (typeof root !== 'string' || !isAbsolute(root))
    throw invalid(`\`root\` must be an absolute path`, 'root: import.meta.dirname')
  if (!existsSync(root)) throw invalid(`\`root\` does not exist: ${root}`, 'root: import.meta.dirname')
  if (typeof textWire !== 'boolean') throw invalid('`textWire` must be true or false', 'textWire: true')
  if (options.authenticate !== undefined && typeof options.authenticate !== 'function')
    throw invalid('`authenticate` must be a function', 'authenticate: async request => ({ id: … })')
  if (options.env !== undefined && typeof options.env !== 'string')
    throw invalid('`env` must be a string', "env: 'production'")
  const limits = checkLimits(options.limits)
  return {
    root,
    transports,
    sessions: sessionSettings(sessions, randomSecret),
    sessionStore: checkStore(options.sessionStore ?? sessions.store),
    cacheSessions: cacheBounds(cacheSessions),
    authenticate: options.authenticate,
    engine: checkEngine(options.engine),
    log: checkLog(options.log),
    events: checkEvents(options.events),
    env: options.env ?? process.env.NODE_ENV,
    textWire,
    client: checkClient(options.client),
    health: checkSwitch(options.health, 'health', "{ ready: '/readyz' }"),
    handleSignals: checkSignals(options.handleSignals),
    limits,
    memory: memorySettings(options.memory),
    resume: resumeSettings(options.resume, limits.outboundBytes),
    cluster: clusterSettings(options.cluster),
  }
}

function checkTransports(given: unknown): readonly Transport[] {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given]
  const transports = list.map(one =>
    isClassicTransport(one) ? new ClassicTransport(one) : (one as Transport),
  )
  const fix = "import { ws } from 'socketstream-server/transports/ws' and give transport: ws({ port: 3001 })"
  if (transports.length === 0) throw invalid('`transport` is an empty list', fix)
  for (const transport of transports) {
    if (
      typeof (transport as Transport | undefined)?.start !== 'function' ||
      transport.capabilities === undefined
    )
      throw invalid('`transport` must be a transport', fix)
  }
  refuseSticky(transports)
  if (transports.filter(transport => transport instanceof ClassicTransport).length > 1)
    throw invalid('`transport` has several modules of 0.4', 'one of them, and transports of this package')
  return transports
}

function checkStore(store: SessionStore | undefined): SessionStore | undefined {
  if (store === undefined) return undefined
  for (const method of ['get', 'set', 'destroy'] as const) {
    if (typeof store?.[method] !== 'function') {
      throw invalid(
        `\`sessionStore\` has no ${method}()`,
        "sessionStore: new (session.MemoryStore)(), of 'express-session'",
      )
    }
  }
  return store
}

function checkEngine(engine: Engine | undefined): Engine | undefined {
  if (engine === undefined || typeof engine?.close === 'function') return engine
  throw invalid(
    '`engine` must be an engine',
    "engine: lmdb({ path: './data' }), of 'socketstream-server/engines/lmdb'",
  )
}

/**
 * Checks the option `log`, of a server or a service.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function checkLog(log: unknown): LogTarget | undefined {
  if (log === undefined || typeof log === 'function') return log as LogTarget | undefined
  const levels = ['debug', 'info', 'warn', 'error']
  if (
    log !== null &&
    typeof log === 'object' &&
    levels.every(level => typeof (log as Record<string, unknown>)[level] === 'function')
  ) {
    return log as LogTarget
  }
  throw invalid('`log` must be a function or a logger with debug, info, warn and error', 'log: console.log')
}

function checkEvents(events: EventEmitter = new EventEmitter()): EventEmitter {
  if (typeof events?.emit === 'function' && typeof events.on === 'function') return events
  throw invalid('`events` must be an EventEmitter', 'events: new EventEmitter()')
}

function checkClient(client: false | ClientHandlerOptions = {}): false | ClientHandlerOptions {
  if (client === false || (typeof client === 'object' && client !== null)) return client
  throw invalid('`client` must be false or options of clientHandler()', "client: { codec: 'json' }")
}

function checkSwitch<Options extends object>(
  given: boolean | Options | undefined,
  name: string,
  example: string,
): false | Options {
  if (given === undefined || given === false) return false
  if (given === true) return {} as Options
  if (typeof given === 'object' && given !== null) return given
  throw invalid(`\`${name}\` must be true, false or options`, `${name}: ${example}`)
}

function checkSignals(given: boolean | SignalOptions | undefined): false | SignalOptions {
  const options = checkSwitch(given, 'handleSignals', "{ drain: '30s' }")
  if (options === false) return false
  milliseconds(options.drain ?? 0, 'handleSignals.drain')
  milliseconds(options.delay ?? 0, 'handleSignals.delay')
  return options
}

function checkLimits(limits: Partial<Limits> = {}): Limits {
  if (limits === null || typeof limits !== 'object')
    throw invalid('`limits` must be an object', 'limits: { calls: 1024 }')
  for (const [name, value] of Object.entries(limits)) {
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) {
      throw invalid(
        `there is no limit \`limits.${name}\``,
        `one of ${Object.keys(DEFAULT_LIMITS).join(', ')}`,
      )
    }
    if (!Number.isSafeInteger(value) || (value as number) < 1) {
      throw invalid(
        `\`limits.${name}\` must be a positive whole number`,
        `limits: { ${name}: ${DEFAULT_LIMITS[name as keyof Limits]} }`,
      )
    }
  }
  const merged = { ...DEFAULT_LIMITS, ...limits }
  if (merged.inboundBytes < merged.maxFrame) {
    throw invalid(
      '`limits.inboundBytes` must be at least `limits.maxFrame`',
      `limits: { inboundBytes: ${merged.maxFrame * 2} }`,
    )
  }
  return merged
}

function invalid(what: string, fix: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', `${what}; give ${fix}`)
}
