import { SocketStreamError } from '../errors.js'
import { rpc } from '../services/rpc/rpc.js'
import type { Inspector } from './inspector.js'
import { isLevel } from './log-hub.js'
import type { Action, ActorQuery, ListQuery, LogQuery, TraceOptions, WatchOptions } from './protocol/index.js'

/** The methods that answer with one value, as the service and `GET` have them. */
export type Method = (inspector: Inspector, query: Readonly<Record<string, unknown>>) => unknown

/** By name; the query is of a viewer, who may send anything. */
export const METHODS: Readonly<Record<string, Method>> = {
  hello: inspector => inspector.hello(),
  overview: inspector => inspector.overview(),
  actors: (inspector, query) => inspector.actors(checkedQuery(query) as ActorQuery),
  actor: (inspector, { path }) => inspector.actor(textOf(path, 'path')),
  services: inspector => inspector.services(),
  channels: (inspector, query) => inspector.channels(checkedQuery(query) as ListQuery),
  connections: (inspector, query) => inspector.connections(checkedQuery(query) as ListQuery),
  sessions: (inspector, query) => inspector.sessions(checkedQuery(query) as ListQuery),
  deadLetters: (inspector, query) => inspector.deadLetters(checkedQuery(query) as ListQuery),
  log: (inspector, query) => inspector.log(checkedQuery(query) as LogQuery),
  snapshot: inspector => inspector.snapshot(),
}

/** The inspector as a SocketStream service. */
export function inspectorService(inspector: Inspector) {
  const ask =
    (name: string) =>
    (_ctx: unknown, query: unknown = {}): unknown =>
      METHODS[name]!(inspector, name === 'actor' ? { path: query } : objectOf(query))
  return rpc({
    ...Object.fromEntries(Object.keys(METHODS).map(name => [name, ask(name)])),
    watch: (ctx, options: WatchOptions = {}) =>
      inspector.watch({ services: objectOf(options).services === true }, ctx.signal),
    trace: (ctx, options: TraceOptions) => inspector.trace(objectOf(options) as TraceOptions, ctx.signal),
    act: (_ctx, action: Action) => inspector.act(action),
  })
}

const TEXTS = ['parent', 'search', 'service']
const NUMBERS = ['offset', 'limit', 'minDepth']
const CHOICES: Readonly<Record<string, readonly string[]>> = {
  kind: [
    'root',
    'router',
    'sessions',
    'supervisor',
    'connection',
    'session',
    'service',
    'machine',
    'behaviour',
  ],
  sort: ['began', 'name', 'kind', 'depth', 'rate', 'p99', 'handled', 'bytes', 'restarts'],
}

/**
 * The fields of a query that are known, each of its type.
 *
 * @throws SocketStreamError `INVALID_ARGUMENTS`
 */
function checkedQuery(query: Readonly<Record<string, unknown>>): object {
  const checked: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null || value === '') continue
    if (TEXTS.includes(name)) checked[name] = textOf(value, name)
    else if (NUMBERS.includes(name)) {
      if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
        throw invalid(`\`${name}\` must be a number from 0`)
      checked[name] = value
    } else if (name === 'deep' || name === 'descending') checked[name] = value === true
    else if (name === 'level') {
      if (!isLevel(value)) throw invalid('`level` is debug, info, warn or error')
      checked[name] = value
    } else if (Object.hasOwn(CHOICES, name)) {
      if (!CHOICES[name]!.includes(value as string))
        throw invalid(`\`${name}\` is one of ${CHOICES[name]!.join(', ')}`)
      checked[name] = value
    } else throw invalid(`there is no field \`${name.slice(0, 40)}\``)
  }
  return checked
}

/** A text of a bounded length. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function textOf(value: unknown, name: string): string {
  if (typeof value === 'string' && value.length <= 1000) return value
  throw invalid(`\`${name}\` must be a text of at most 1,000 characters`)
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
  throw invalid('a query is an object')
}

function invalid(message: string): SocketStreamError {
  return new SocketStreamError('INVALID_ARGUMENTS', message)
}
