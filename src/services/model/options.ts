import type { StandardSchemaV1 } from '@standard-schema/spec'
import { SocketStreamError } from '../../errors.js'
import { isSchema } from '../../protocol/issues.js'
import type { RequestContext } from '../request-context.js'
import type { Plain } from './plain.js'
import type { ModelStorage } from './storage.js'

/** Who asks: given to the hooks. */
export type ModelContext = RequestContext

/** What `authorize` is asked about. */
export type ModelAction = 'read' | 'create' | 'update' | 'remove'

/** A query that clients may watch: which records it takes, in which order. */
export interface ModelQuery<R, Params = unknown> {
  /** Whether it takes a record. Pure: of record and parameters only. Default: it takes all. */
  filter?(record: R, params: Params): boolean
  /** The order, as for `Array.sort`; where it says 0, and by default, it is that of the keys. */
  compare?(one: R, other: R, params: Params): number
  /** Checks what clients give as parameters. Without it a `filter` must expect anything. */
  // biome-ignore lint/suspicious/noExplicitAny: what it takes is its own affair
  readonly params?: StandardSchemaV1<any, Params>
}

/** Queries by name, with the parameters of each. */
export type ModelQueries<R, Params> = { readonly [Name in keyof Params]: ModelQuery<R, Params[Name]> }

/** Options of `model`: its storage, and who may do what. */
export interface ModelOptions<R, Params, Key> extends ModelStorage<R> {
  /**
   * Whether a client may see a record, or write it; of an update `next` is what it would become.
   *
   * Only `true` allows. About `read` it is asked at each change, for whoever watches: it MUST answer at once,
   * a promise counts as no.
   */
  authorize(ctx: ModelContext, action: ModelAction, record: R, next?: R): boolean | Promise<boolean>
  /** The property that is the id of a record, a string. Default `id`. */
  readonly key?: Key
  readonly queries?: ModelQueries<R, Params>
  /** Names those who see the same, such as by user: `authorize` is asked once for them about `read`. */
  viewer?(ctx: ModelContext): string
  /** Records and queries that a connection may watch at a time. Default 100. */
  readonly watches?: number
  /** Records in the window of a query at most. Default 1,000. */
  readonly window?: number
  /** Records that a query may have; of more it is refused. Default 10,000. */
  readonly results?: number
  /** Different queries that a server watches at a time, by name and parameters. Default 1,000. */
  readonly live?: number
  /** Records that are watched on a server at a time. Default 100,000. */
  readonly records?: number
}

/** Options with their defaults, as the server half uses them. */
export interface CheckedModelOptions {
  readonly storage: ModelStorage<unknown>
  readonly schema: StandardSchemaV1 | undefined
  authorize(ctx: ModelContext, action: ModelAction, record: Plain, next?: Plain): unknown
  readonly key: string
  readonly queries: ReadonlyMap<string, ModelQuery<unknown>>
  viewer(ctx: ModelContext): string
  readonly watches: number
  readonly window: number
  readonly results: number
  readonly live: number
  readonly records: number
}

const STORAGE = ['load', 'list', 'create', 'update', 'remove'] as const
const BOUNDS = { watches: 100, window: 1000, results: 10_000, live: 1000, records: 100_000 }
const NAMES = [...STORAGE, 'schema', 'authorize', 'key', 'queries', 'viewer', ...Object.keys(BOUNDS)]
const QUERY = ['filter', 'compare', 'params']
/** What is called with a bound; a typo there would be found too late. */
const MAX_BOUND = 10_000_000

/** Checks options. @throws SocketStreamError `INVALID_OPTION`, with the fix */
export function checkModel(options: unknown): CheckedModelOptions {
  if (typeof options !== 'object' || options === null) {
    throw invalid('options are needed', '{ ...memoryStorage(), authorize: (ctx, action, record) => … }')
  }
  for (const name of Object.keys(options)) {
    if (!NAMES.includes(name)) throw invalid(`there is no option '${name}'`, `only ${NAMES.join(', ')}`)
  }
  const given = options as Record<string, unknown>
  for (const name of STORAGE) {
    if (typeof given[name] !== 'function') {
      throw invalid(`\`${name}\` must be a function`, 'a storage, such as ...memoryStorage()')
    }
  }
  const { schema, authorize, key = 'id', queries = {}, viewer } = given
  if (schema !== undefined && !isSchema(schema)) {
    throw invalid('`schema` must be a Standard Schema', 'schema: z.object({ id: z.string() })')
  }
  if (typeof authorize !== 'function') {
    throw invalid(
      '`authorize` must be a function',
      'authorize: (ctx, action, record) => record.owner === ctx.user',
    )
  }
  if (typeof key !== 'string' || key === '' || key === '__proto__') {
    throw invalid('`key` must be the name of a property', "key: 'id'")
  }
  if (viewer !== undefined && typeof viewer !== 'function') {
    throw invalid('`viewer` must be a function', 'viewer: ctx => ctx.session.userId')
  }
  const bounds = Object.entries(BOUNDS).map(([name, fallback]) => [name, whole(name, given[name], fallback)])
  return {
    storage: given as unknown as ModelStorage<unknown>,
    schema,
    authorize: (ctx, action, record, next) =>
      (given as unknown as CheckedModelOptions).authorize(ctx, action, record, next),
    key,
    queries: checkQueries(queries),
    // Nobody else sees what it sees: then a connection is named by itself.
    viewer: (viewer as CheckedModelOptions['viewer'] | undefined) ?? (ctx => ctx.connectionId),
    ...(Object.fromEntries(bounds) as typeof BOUNDS),
  }
}

function checkQueries(queries: unknown): ReadonlyMap<string, ModelQuery<unknown>> {
  const fix = 'queries: { open: { filter: (record, params) => !record.done } }'
  if (typeof queries !== 'object' || queries === null) throw invalid('`queries` must be an object', fix)
  for (const [name, query] of Object.entries(queries)) {
    if (typeof query !== 'object' || query === null)
      throw invalid(`\`queries.${name}\` must be an object`, fix)
    for (const [part, value] of Object.entries(query)) {
      if (!QUERY.includes(part)) {
        throw invalid(`\`queries.${name}\` has no option '${part}'`, `only ${QUERY.join(', ')}`)
      }
      const fits = part === 'params' ? isSchema(value) : typeof value === 'function'
      if (value !== undefined && !fits) {
        const wanted = part === 'params' ? 'a Standard Schema' : 'a function'
        throw invalid(`\`queries.${name}.${part}\` must be ${wanted}`, fix)
      }
    }
  }
  return new Map(Object.entries(queries))
}

function whole(name: string, value: unknown, fallback: number): number {
  if (value === undefined) return fallback
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= MAX_BOUND) {
    return value as number
  }
  throw invalid(`\`${name}\` must be a whole number from 1 to ${MAX_BOUND}`, `${name}: ${fallback}`)
}

function invalid(what: string, fix: string): SocketStreamError {
  return new SocketStreamError('INVALID_OPTION', `model: ${what}; give ${fix}`)
}
