import { type Clock, systemClock } from '../../actors/runtime/timer-wheel.js'
import { type Duration, milliseconds } from '../../duration.js'
import { SocketStreamError } from '../../errors.js'
import type { RequestContext } from '../request-context.js'
import type { Connection } from '../service.js'

/** Who asks: given to the hooks. */
export type PresenceContext = RequestContext

/** A hook's verdict: only `true` allows. */
type Verdict = boolean | Promise<boolean>

/** Options of `presence()`. */
export interface PresenceOptions<Meta = unknown> {
  /** Whether a client may join a channel and say this of itself. Default: every client may. */
  readonly canJoin?: (ctx: PresenceContext, channel: string, meta: Meta) => Verdict
  /** Whether a client may see who is in a channel, and how many. Default: every client may. */
  readonly canList?: (ctx: PresenceContext, channel: string) => Verdict
  /**
   * Whose a connection is, known to all who may list: 1–200 characters, none a control character.
   *
   * Default its `userId`, otherwise a name made of its session.
   */
  readonly user?: (connection: Connection) => string
  /** How long somebody whose connection is lost is still there. Default 10 s; 0: not at all. */
  readonly grace?: Duration
  /** Members up to which a channel is listed; past it clients follow the count and read pages. Default 1,000. */
  readonly maxListed?: number
  /** Bytes of what a device says of itself, as msgpack. Default 1,024. */
  readonly maxMeta?: number
  /** How often clients are told of changes at the most. Default 50 ms. */
  readonly interval?: Duration
  /** How long what a server has said of its clients holds when it dies. Default 30 s. */
  readonly ttl?: Duration
  /** The clock; for tests. */
  readonly clock?: Clock
}

/** The options with their defaults. */
export interface PresenceSettings {
  readonly canJoin: PresenceOptions<never>['canJoin']
  readonly canList: PresenceOptions['canList']
  readonly user: ((connection: Connection) => string) | undefined
  readonly grace: number
  readonly maxListed: number
  readonly maxMeta: number
  readonly interval: number
  readonly ttl: number
  readonly clock: Clock
}

const HOOKS = ['canJoin', 'canList', 'user'] as const
const KNOWN = [...HOOKS, 'grace', 'maxListed', 'maxMeta', 'interval', 'ttl', 'clock']

/** Checks the options. @throws SocketStreamError `INVALID_OPTION` */
export function presenceSettings(options: PresenceOptions<never>): PresenceSettings {
  for (const name of Object.keys(options)) {
    if (!KNOWN.includes(name)) throw invalid(`there is no option '${name}', only ${KNOWN.join(', ')}`)
  }
  for (const name of HOOKS) {
    if (options[name] !== undefined && typeof options[name] !== 'function') {
      throw invalid(`${name} must be a function`)
    }
  }
  const { grace = 10_000, maxListed = 1000, maxMeta = 1024, interval = 50, ttl = 30_000 } = options
  const settings: PresenceSettings = {
    canJoin: options.canJoin,
    canList: options.canList,
    user: options.user,
    grace: milliseconds(grace, 'presence.grace'),
    maxListed: whole(maxListed, 'maxListed', 1_000_000),
    maxMeta: whole(maxMeta, 'maxMeta', 65_536),
    interval: milliseconds(interval, 'presence.interval'),
    ttl: milliseconds(ttl, 'presence.ttl'),
    clock: options.clock ?? systemClock,
  }
  if (settings.ttl < 3000) throw invalid("ttl must be at least '3s', as it is renewed thrice in that time")
  return settings
}

function whole(value: number, name: string, most: number): number {
  if (Number.isSafeInteger(value) && value >= 0 && value <= most) return value
  throw invalid(`${name} must be a whole number from 0 to ${most}`)
}

function invalid(what: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', `presence: ${what}`)
}
