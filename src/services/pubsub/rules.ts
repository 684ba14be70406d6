import { SocketStreamError } from '../../errors.js'
import type { SlowOptions } from '../service.js'
import { HOOKS, type Hooks, type PubSubContext } from './hooks.js'
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
  /**
   * Whether what stands for the `*` of the pattern is the id of a user, who alone may subscribe and read the
   * history: `'inbox:*'` is then `inbox:42` for user 42. A `canSubscribe` of these channels is asked as well. Default false.
   */
  readonly private?: boolean
  /** Whether only the latest entry counts: who subscribes or comes back is given that one. Default false. */
  readonly cache?: boolean
  /** What may be published. Default: anything that can be sent. */
  readonly schema?: ChannelSchema
  /**
   * What happens to clients that read slower than is published. Default `disconnect`.
   *
   * `drop-oldest` and `latest-by-key` have so much wait as `queue` says, and drop the rest: clients are told that
   * with the reason `slow`. `latest-by-key` needs `key`, and `recover: false` if there is a history.
   */
  readonly overflow?: 'disconnect' | SlowOptions['overflow']
  /** What a publication is the latest of; undefined: of nothing, so that none takes its place. */
  readonly key?: (event: string, args: readonly unknown[]) => string | undefined
  /** How much waits for each slow client. Default 100 messages, 65,536 bytes; one may have more. */
  readonly queue?: { readonly messages?: number; readonly bytes?: number }
  /**
   * Gives the state that who subscribes with `state: true` begins with; may wait, up to the caller's timeout.
   *
   * It must contain what was published before it is called; what is published meanwhile follows on it, and may be
   * in it already. `new StateAt(value, position)` says up to where it reaches, so that nothing comes twice.
   */
  readonly state?: (ctx: PubSubContext, channel: string) => unknown
}

/** The options of a channel, with nothing left open. */
export interface ChannelRule extends Hooks {
  readonly history: { readonly size: number; readonly ttl?: number } | undefined
  readonly recover: boolean
  /** Most entries of a recovery. */
  readonly limit: number
  readonly cache: boolean
  readonly check: CheckMessage
  /** How slow clients are served; undefined: as the broker does. */
  readonly slow: SlowOptions | undefined
  readonly key: ChannelOptions['key']
  readonly state: ChannelOptions['state']
}

const OPTIONS = [
  ...['history', 'recover', 'cache', 'private', 'schema', 'overflow', 'key', 'queue', 'state'],
  ...HOOKS,
]
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
  if (options.private !== undefined && typeof options.private !== 'boolean') {
    throw wrong(`\`private\` of ${at} must be true or false`, 'private: true')
  }
  if (options.private && !pattern.endsWith('*')) {
    throw wrong(`${at} name no user for \`private\``, "a pattern, as in 'inbox:*': { private: true }")
  }
  const { state } = options
  if (state !== undefined && typeof state !== 'function') {
    throw wrong(`\`state\` of ${at} must be a function`, 'state: (ctx, channel) => value')
  }
  const { canPublish = hooks.canPublish } = options
  const canSubscribe = options.private
    ? ownersOnly(pattern.length - 1, options.canSubscribe)
    : (options.canSubscribe ?? hooks.canSubscribe)
  return {
    history,
    recover: recover !== false,
    limit,
    cache,
    check: schema === undefined ? unchecked : checkBySchema(schema),
    slow: slowOf(at, options, recover !== false || cache),
    key: options.key,
    state,
    ...(canSubscribe && { canSubscribe }),
    ...(canPublish && { canPublish }),
  }
}

/** Lets the user subscribe whose id follows the beginning of the channel's name. */
function ownersOnly(at: number, also: Hooks['canSubscribe']): NonNullable<Hooks['canSubscribe']> {
  return (ctx, channel) => {
    const { userId } = ctx.connection
    if (userId === undefined || channel.slice(at) !== userId) return false
    return also === undefined || also(ctx, channel)
  }
}

function slowOf(at: string, options: ChannelOptions, recovers: boolean): SlowOptions | undefined {
  const { overflow = 'disconnect', key, queue } = options
  if (overflow !== 'disconnect' && overflow !== 'drop-oldest' && overflow !== 'latest-by-key') {
    throw wrong(`\`overflow\` of ${at} is unknown`, "'disconnect', 'drop-oldest' or 'latest-by-key'")
  }
  if (overflow === 'latest-by-key' ? typeof key !== 'function' : key !== undefined) {
    throw wrong(
      `${at} need \`key\` with 'latest-by-key', and only then`,
      "overflow: 'latest-by-key', key: (event, args) => args[0]",
    )
  }
  // What comes has gaps all along, of which a client could not tell those that it must load anew.
  if (overflow === 'latest-by-key' && recovers) {
    throw wrong(`${at} cannot recover with 'latest-by-key'`, "recover: false, or overflow: 'drop-oldest'")
  }
  if (overflow === 'disconnect') {
    if (queue === undefined) return undefined
    throw wrong(`\`queue\` of ${at} is for another \`overflow\``, "overflow: 'drop-oldest'")
  }
  const { messages = 100, bytes = 65_536, ...others } = queue ?? {}
  if (isWhole(messages) && isWhole(bytes) && Object.keys(others).length === 0) {
    return { overflow, messages, bytes }
  }
  throw wrong(`\`queue\` of ${at} must be bounds`, 'queue: { messages: 100, bytes: 65_536 }')
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
