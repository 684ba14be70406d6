import { checkSpawnOptions } from '../../actors/runtime/check-options.js'
import type {
  AnyActorLogic,
  EventFromLogic,
  InputFrom,
  PersistOptions,
  SnapshotFrom,
} from '../../actors/runtime/index.js'
import { SocketStreamError } from '../../errors.js'
import type { RequestContext } from '../request-context.js'

/** Who asks: given to the hooks. */
export type MachineContext = RequestContext

/** What clients see unless `project` says otherwise: where the machine is, and nothing of its context. */
export interface DefaultView<Logic extends AnyActorLogic> {
  readonly status: SnapshotFrom<Logic>['status']
  readonly value: SnapshotFrom<Logic> extends { readonly value: infer Value } ? Value : undefined
}

/** The events of some logic that have one of these types. */
export type ListedEvent<Logic extends AnyActorLogic, Type> = Extract<
  EventFromLogic<Logic>,
  { readonly type: Type }
>

/** Options of `machine`. */
export interface MachineOptions<Logic extends AnyActorLogic, Type extends string, View> {
  /** Types of the events that clients may send. All others are `FORBIDDEN`. */
  readonly events: readonly (Type & EventFromLogic<Logic>['type'])[]
  /**
   * Whether a client may see the actor of a key, and whether it may send it an event.
   *
   * Only `true` allows; an error with a code of its own reaches the client. Of the event no more than its
   * type has been checked.
   */
  readonly authorize: (
    ctx: MachineContext,
    key: string,
    what: ListedEvent<Logic, Type> | 'read',
  ) => boolean | Promise<boolean>
  /** Which keys there are. Default `/^[\w.:-]{1,128}$/`. In no case one with a `/`. */
  readonly key?: RegExp | ((key: string) => boolean)
  /** Input of an actor that is started, by whoever asked for it first. */
  readonly input?: (key: string, ctx: MachineContext) => InputFrom<Logic>
  /** Saves the state of each actor, and begins with what was saved. Default: it is lost with the actor. */
  readonly persist?: Omit<PersistOptions, 'key' | 'fence'> | true
  /** Milliseconds after its last viewer and event until an actor is stopped. Default 60,000. */
  readonly idle?: number
  /**
   * What clients see of a snapshot: plain data. Default `{ status, value }`.
   *
   * With a second parameter it is called for each viewer; without, once for all.
   */
  readonly project?: (snapshot: SnapshotFrom<Logic>, ctx: MachineContext) => View
  /** Keys that one connection may view at a time; ten times as many living actors may it have started. Default 100. */
  readonly keys?: number
  /** Actors that may live at a time. Default 10,000. */
  readonly limit?: number
}

/** Options with their defaults, as the server half uses them. */
export interface CheckedMachineOptions {
  readonly events: ReadonlySet<string>
  readonly authorize: (ctx: MachineContext, key: string, what: unknown) => boolean | Promise<boolean>
  readonly isKey: (key: string) => boolean
  readonly input: ((key: string, ctx: MachineContext) => unknown) | undefined
  readonly persist: PersistOptions | undefined
  readonly idle: number
  /** Without a context when all viewers see the same. */
  readonly project: (snapshot: unknown, ctx: MachineContext | undefined) => unknown
  /** Whether all viewers see the same. */
  readonly shared: boolean
  readonly keys: number
  readonly limit: number
}

const KEY = /^[\w.:-]{1,128}$/
/** Characters of a topic's name. */
const MAX_KEY = 256
const NAMES = [
  'events',
  'authorize',
  'key',
  'input',
  'persist',
  'idle',
  'project',
  'keys',
  'limit',
] satisfies (keyof MachineOptions<AnyActorLogic, string, unknown>)[]
const MAX_DELAY = 2 ** 31 - 1

/** Checks logic and options. @throws SocketStreamError `INVALID_OPTION`, with the fix */
export function checkMachine(logic: unknown, options: unknown): CheckedMachineOptions {
  if (typeof (logic as { transition?: unknown } | null)?.transition !== 'function') {
    throw invalid('the first argument must be XState logic', 'machine(createMachine({ … }), { … })')
  }
  if (options === null || typeof options !== 'object') {
    throw invalid('options are needed', "machine(logic, { events: ['pay'], authorize: ctx => … })")
  }
  for (const name of Object.keys(options)) {
    if (!(NAMES as string[]).includes(name)) {
      throw invalid(`there is no option '${name}'`, `only ${NAMES.join(', ')}`)
    }
  }
  const given = options as Partial<Record<(typeof NAMES)[number], unknown>>
  const { events, authorize, key = KEY, input, persist, project = defaultView } = given
  if (!Array.isArray(events) || !events.every(isEventType)) {
    throw invalid('`events` must list types of events, none of them of XState itself', "events: ['pay']")
  }
  if (typeof authorize !== 'function') {
    throw invalid('`authorize` must be a function', 'authorize: (ctx, key, what) => ctx.session.user === key')
  }
  if (!(key instanceof RegExp) && typeof key !== 'function') {
    throw invalid('`key` must be a RegExp or a function', 'key: /^\\d{1,10}$/')
  }
  if (input !== undefined && typeof input !== 'function') {
    throw invalid('`input` must be a function', 'input: (key, ctx) => ({ id: key })')
  }
  if (persist !== undefined && persist !== true && (typeof persist !== 'object' || persist === null)) {
    throw invalid('`persist` must be true or options', 'persist: true')
  }
  if (typeof persist === 'object' && 'key' in persist) {
    throw invalid('`persist.key` would be the same for all actors', 'persist: true, which goes by their keys')
  }
  if (typeof persist === 'object' && 'fence' in persist) {
    throw invalid('`persist.fence` is the one of the lease of each actor', 'persist: true')
  }
  if (typeof persist === 'object') checkSpawnOptions({ persist: persist as PersistOptions })
  if (typeof project !== 'function') {
    throw invalid('`project` must be a function', 'project: snapshot => ({ value: snapshot.value })')
  }
  const view = project as CheckedMachineOptions['project']
  return {
    events: new Set(events),
    authorize: authorize as CheckedMachineOptions['authorize'],
    isKey: keyTest(key as RegExp | ((key: string) => boolean)),
    input: input as CheckedMachineOptions['input'],
    persist: persist === true ? {} : (persist as PersistOptions | undefined),
    idle: whole('idle', given.idle, 60_000, 0),
    project: view,
    shared: view.length < 2,
    keys: whole('keys', given.keys, 100, 1),
    limit: whole('limit', given.limit, 10_000, 1),
  }
}

function keyTest(key: RegExp | ((key: string) => boolean)): (key: string) => boolean {
  // Without `g` and `y`: with them an expression remembers where it was.
  const pattern = key instanceof RegExp ? new RegExp(key.source, key.flags.replace(/[gy]/g, '')) : undefined
  const test = key instanceof RegExp ? (text: string) => pattern!.test(text) : key
  return text =>
    text !== '' &&
    text.length <= MAX_KEY &&
    !/[/\p{Cc}]/u.test(text) &&
    isWellFormed(text) &&
    test(text) === true
}

/** Whether a text has no half of a surrogate pair, which UTF-8 could not carry. */
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text)
}

function isEventType(type: unknown): boolean {
  return typeof type === 'string' && type !== '' && type !== '*' && !type.startsWith('xstate.')
}

function whole(name: string, value: unknown, fallback: number, least: number): number {
  if (value === undefined) return fallback
  if (Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= MAX_DELAY) {
    return value as number
  }
  throw invalid(`\`${name}\` must be a whole number from ${least} to ${MAX_DELAY}`, `${name}: ${fallback}`)
}

function defaultView(snapshot: unknown): unknown {
  const { status, value } = snapshot as { status: unknown; value?: unknown }
  return value === undefined ? { status } : { status, value }
}

function invalid(what: string, fix: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', `machine: ${what}; give ${fix}`)
}
