import type { Broker } from '../actors/broker.js'
import type { BrokerConnection } from '../actors/connection.js'
import type { LiveSession } from '../actors/live-session.js'
import type { ActorRef } from '../actors/runtime/index.js'
import type { LogHub } from './log-hub.js'
import type { Redactor } from './redact.js'

/** What of a server is inspected. */
export interface InspectorSource {
  readonly broker: Broker
  /** The server-side APIs of its services, by name. */
  readonly api: Readonly<Record<string, unknown>>
  readonly env: string | undefined
  /** Names of its transports. */
  readonly transports: readonly string[]
  readonly logs: LogHub
}

/** An inspected server with what everything that is shown goes through. */
export interface Subject extends InspectorSource {
  readonly redact: Redactor
  readonly readOnly: boolean
}

/** Most rows of one page. */
export const MAX_ROWS = 500
const DEFAULT_ROWS = 100

/** The address of an actor as it is shown; the root's own is empty. */
export function pathOf(ref: { readonly path: string }): string {
  return ref.path === '' ? '/' : ref.path
}

/** The connection of an actor, if it is an open one. */
export function connectionOf(
  { broker }: InspectorSource,
  ref: { readonly path: string },
): BrokerConnection | undefined {
  if (!ref.path.startsWith(CONNECTIONS)) return undefined
  return broker.connections.byId.get(ref.path.slice(CONNECTIONS.length))
}

/** The session of an actor, if it is one in use. */
export function sessionFor(
  { broker }: InspectorSource,
  ref: { readonly path: string },
): LiveSession | undefined {
  if (!ref.path.startsWith(SESSIONS)) return undefined
  const session = broker.liveSessions.get(ref.path.slice(SESSIONS.length))
  return session?.ref?.path === ref.path ? session : undefined
}

const CONNECTIONS = '/connections/'
const SESSIONS = '/sessions/'

/** All actors below one, itself left out: parents before children, in the order of their beginning. */
export function* below(top: ActorRef<never>): Generator<ActorRef<never>> {
  // A stack of its own: the tree may be deeper than that of the process.
  const stack = [top.children.values()]
  while (stack.length > 0) {
    const next = stack[stack.length - 1]!.next()
    if (next.done === true) {
      stack.pop()
      continue
    }
    yield next.value
    if (next.value.children.size > 0) stack.push(next.value.children.values())
  }
}

/** The window of a list that a query asks for, as rows. */
export function page<Item, Row>(
  items: readonly Item[],
  query: { readonly offset?: number; readonly limit?: number },
  row: (item: Item) => Row,
): { readonly rows: readonly Row[]; readonly total: number; readonly offset: number } {
  const { offset, limit } = windowOf(query)
  return { rows: items.slice(offset, offset + limit).map(row), total: items.length, offset }
}

/** Where a page begins and how long it is, whatever was asked for. */
export function windowOf(
  { offset, limit }: { readonly offset?: number; readonly limit?: number },
  most = MAX_ROWS,
): { readonly offset: number; readonly limit: number } {
  return { offset: whole(offset, 0, Number.MAX_SAFE_INTEGER), limit: whole(limit, DEFAULT_ROWS, most) }
}

function whole(value: unknown, otherwise: number, most: number): number {
  const number = typeof value === 'number' && Number.isFinite(value) ? Math.floor(value) : otherwise
  return Math.min(Math.max(number, 0), most)
}

/** Whether one of some texts has what is searched for in it. */
export type Fits = (...texts: readonly (string | undefined)[]) => boolean

/** Makes a search, in which case does not matter; without one everything fits. */
export function searchFor(search: string | undefined): Fits {
  if (!search) return () => true
  // An expression makes no copy of each text, of which there may be a hundred thousand.
  const wanted = new RegExp(search.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'), 'i')
  return (...texts) => texts.some(text => text !== undefined && wanted.test(text))
}
