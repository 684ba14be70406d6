import { SocketStreamError } from '../../errors.js'
import { HOOKS, type Hooks } from './hooks.js'
import { type ChannelSchema, type CheckMessage, checkBySchema, isChannelSchema, unchecked } from './schema.js'

/** What the channels of one pattern have. Hooks given here are asked instead of the service's. */
export interface ChannelOptions extends Hooks {
  /** How much is kept: so many entries, each for so many milliseconds. Default: nothing. */
  readonly history?: { readonly size: number; readonly ttl?: number }
  /**
   * Whether clients that come back are given what they have missed, up to a number of entries.
   * Default true with a history, and 1,000 entries.
   */
  readonly recover?: boolean | { readonly limit: number }
  /** Whether only the latest entry counts: who subscribes or comes back is given that one. Default false. */
  readonly cache?: boolean
  /** What may be published. Default: anything that can be sent. */
  readonly schema?: ChannelSchema
}

/** The options of a channel, with nothing left open. */
export interface ChannelRule extends Hooks {
  readonly history: { readonly size: number; readonly ttl?: number } | undefined
  readonly recover: boolean
  /** Most entries of a recovery. */
  readonly limit: number
  readonly cache: boolean
  readonly check: CheckMessage
}

const OPTIONS = ['history', 'recover', 'cache', 'schema', ...HOOKS]
const DEFAULT_LIMIT = 1000

/** Finds the options of a channel: those of its name, else of the longest pattern that fits. */
export class ChannelRules {
  readonly #exact = new Map<string, ChannelRule>()
  /** Beginnings, longest first. */
  readonly #prefixes: (readonly [prefix: string, rule: ChannelRule])[] = []
  /** What holds where no pattern fits, and for events to all. */
  readonly service: ChannelRule

  /** @throws SocketStreamError `INVALID_OPTION` */
  constructor(channels: Readonly<Record<string, ChannelOptions>>, hooks: Hooks) {
    if (channels === null || typeof channels !== 'object' || Array.isArray(channels)) {
      throw wrong('`channels` must be an object', "channels: { 'chat:*': { history: { size: 100 } } }")
    }
    this.service = ruleOf('*', {}, hooks)
    for (const [pattern, options] of Object.entries(channels)) {
      const rule = ruleOf(pattern, options, hooks)
      if (pattern.endsWith('*')) this.#prefixes.push([pattern.slice(0, -1), rule])
      else this.#exact.set(pattern, rule)
    }
    this.#prefixes.sort(([a], [b]) => b.length - a.length)
  }

  /** Every rule. */
  get all(): readonly ChannelRule[] {
    return [this.service, ...this.#exact.values(), ...this.#prefixes.map(([, rule]) => rule)]
  }

  of(channel: string): ChannelRule {
    const exact = this.#exact.get(channel)
    return exact ?? this.#prefixes.find(([prefix]) => channel.startsWith(prefix))?.[1] ?? this.service
  }
}

function ruleOf(pattern: string, options: ChannelOptions, hooks: Hooks): ChannelRule {
  const at = `the channels '${pattern}'`
  if (pattern === '' || pattern.slice(0, -1).includes('*')) {
    throw wrong(`'${pattern}' is no pattern`, "a name, or a beginning with one * behind it, as in 'chat:*'")
  }
  if (options === null || typeof options !== 'object') {
    throw wrong(`${at} need options`, `'${pattern}': { history: { size: 100 } }`)
  }
  for (const name of Object.keys(options)) {
    if (!OPTIONS.includes(name)) throw wrong(`${at} have no option '${name}'`, `one of ${OPTIONS.join(', ')}`)
  }
  const { history, recover = history !== undefined, cache = false, schema } = options
  if (history !== undefined && !isHistory(history)) {
    throw wrong(`\`history\` of ${at} must bound it`, 'history: { size: 100, ttl: 3_600_000 }')
  }
  const limit = typeof recover === 'object' ? recover?.limit : DEFAULT_LIMIT
  if (typeof recover !== 'boolean' && !isWhole(limit)) {
    throw wrong(`\`recover\` of ${at} must be true, false or bounds`, 'recover: { limit: 1000 }')
  }
  if (typeof cache !== 'boolean') throw wrong(`\`cache\` of ${at} must be true or false`, 'cache: true')
  if (history === undefined && (recover !== false || cache)) {
    throw wrong(`${at} need a history to recover from`, 'history: { size: 100 }')
  }
  if (schema !== undefined && !isChannelSchema(schema)) {
    throw wrong(
      `\`schema\` of ${at} must be a Standard Schema, or one by event`,
      'schema: { said: z.tuple([z.string()]) }',
    )
  }
  for (const name of HOOKS) {
    if (options[name] !== undefined && typeof options[name] !== 'function') {
      throw wrong(`${name} of ${at} must be a function`, `${name}: (ctx, channel) => true`)
    }
  }
  const { canSubscribe = hooks.canSubscribe, canPublish = hooks.canPublish } = options
  return {
    history,
    recover: recover !== false,
    limit,
    cache,
    check: schema === undefined ? unchecked : checkBySchema(schema),
    ...(canSubscribe && { canSubscribe }),
    ...(canPublish && { canPublish }),
  }
}

function isHistory(history: unknown): boolean {
  if (history === null || typeof history !== 'object') return false
  const { size, ttl, ...others } = history as { size?: unknown; ttl?: unknown }
  return isWhole(size) && (ttl === undefined || isWhole(ttl)) && Object.keys(others).length === 0
}

function isWhole(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 1
}

function wrong(what: string, fix: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', `pubsub: ${what}; give ${fix}`)
}
