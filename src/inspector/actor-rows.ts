import type { ActorRef } from '../actors/runtime/index.js'
import { SocketStreamError } from '../errors.js'
import { sessionOf, userOf } from './connection-rows.js'
import type { ActorKind, ActorPage, ActorQuery, ActorRow } from './protocol.js'
import type { Rates } from './rates.js'
import { below, connectionOf, fits, type Subject, windowOf } from './source.js'
import { stateLine } from './statechart.js'

/** What is known of actors only while somebody watches. */
export interface Watched {
  readonly rates: Rates
  /** 99th percentile of the handling time, of actors that are tapped. */
  p99(path: string): number | undefined
  /** When an actor began, if that was seen. */
  since(path: string): number | undefined
}

/** Milliseconds between two samples of the same actor. */
export const SAMPLE = 1000

/**
 * One window of the actor tree.
 *
 * Rows are made for the window only: of the rest, however much there is, no more is asked than the query needs.
 *
 * @throws SocketStreamError `NOT_FOUND` when there is no such parent
 */
export function actorPage(subject: Subject, watched: Watched, query: ActorQuery): ActorPage {
  const found = select(subject, watched, query)
  const { offset, limit } = windowOf(query)
  const rows = found.slice(offset, offset + limit).map(ref => actorRow(subject, watched, ref))
  return { rows, total: found.length, offset, sampledAt: Date.now(), every: SAMPLE }
}

/** One actor's row. */
export function actorRow(subject: Subject, watched: Watched, ref: ActorRef<never>): ActorRow {
  const kind = kindOf(ref)
  const { restarts, waiting } = ref.facts()
  const path = pathTo(ref)
  const connection = connectionOf(subject, ref)
  const state = connection?.state ?? (kind === 'machine' ? stateLine(ref) : undefined)
  const user = connection && userOf(connection)
  const rate = watched.rates.of(ref)
  const p99 = watched.p99(path)
  const since = watched.since(path)
  return {
    path,
    name: path.slice(path.lastIndexOf('/') + 1) || '/',
    kind,
    ...(state !== undefined && { state }),
    depth: ref.depth,
    handled: ref.handled,
    ...(rate !== undefined && { rate }),
    ...(p99 !== undefined && { p99 }),
    restarts,
    ...(since !== undefined && { since }),
    children: ref.children.size,
    ...(user !== undefined && { user }),
    ...(connection && { address: connection.clientIp }),
    ...(waiting && { waiting }),
    actions: subject.readOnly ? [] : actionsFor(ref),
  }
}

/** What an actor is, by its place and its logic. */
export function kindOf(ref: ActorRef<never>): ActorKind {
  const [, top, name, more] = ref.path.split('/', 4)
  if (top === undefined) return 'root'
  if (name === undefined) return top === 'router' || top === 'sessions' ? top : 'supervisor'
  if (more === undefined) {
    if (top === 'connections') return 'connection'
    if (top === 'sessions') return 'session'
    if (top === 'services') return 'service'
  }
  return ref.facts().logic ? 'machine' : 'behaviour'
}

/** What may be done with it: the server's own actors are left alone. */
export function actionsFor(ref: ActorRef<never>): ActorRow['actions'] {
  const kind = kindOf(ref)
  if (kind === 'connection') return ['close']
  return kind === 'machine' || kind === 'behaviour' ? ['stop', 'restart', 'send'] : []
}

function pathTo(ref: ActorRef<never>): string {
  return ref.path === '' ? '/' : ref.path
}

function select(subject: Subject, watched: Watched, query: ActorQuery): readonly ActorRef<never>[] {
  const { parent = '/', search, kind, minDepth = 0, sort = 'name', descending = false } = query
  const top = subject.broker.system.find(parent)
  if (top === undefined) throw new SocketStreamError('NOT_FOUND', `there is no actor ${parent}`)
  const among = query.deep || search ? below(top) : top.children.values()
  const found: ActorRef<never>[] = []
  const session = search ? sessionsLike(subject, search) : undefined
  for (const ref of among) {
    if (ref.depth < minDepth) continue
    if (kind !== undefined && kindOf(ref) !== kind) continue
    if (search && !fits(search, ref.path) && !session!.has(ref.path)) continue
    found.push(ref)
  }
  return sorted(found, watched, sort, descending)
}

/** Paths of the connections and sessions whose session, user or address is like what is searched for. */
function sessionsLike({ broker }: Subject, search: string): ReadonlySet<string> {
  const paths = new Set<string>()
  for (const connection of broker.connections.byId.values()) {
    const session = sessionOf(connection)
    if (!fits(search, connection.clientIp, session, userOf(connection))) continue
    paths.add(connection.ref.path)
    if (session !== undefined) paths.add(connection.liveSession.ref.path)
  }
  return paths
}

function sorted(
  found: ActorRef<never>[],
  watched: Watched,
  sort: NonNullable<ActorQuery['sort']>,
  descending: boolean,
): readonly ActorRef<never>[] {
  if (sort === 'name') return descending ? found.reverse() : found
  const value = VALUES[sort]
  if (value === undefined)
    throw new SocketStreamError('INVALID_ARGUMENTS', `actors are not sorted by ${sort}`)
  // Each is asked once, not at each comparison.
  const keyed = found.map(ref => ({ ref, key: value(ref, watched) }))
  const sign = descending ? -1 : 1
  keyed.sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : 0))
  return keyed.map(({ ref }) => ref)
}

const VALUES: Readonly<Record<string, (ref: ActorRef<never>, watched: Watched) => number | string>> = {
  depth: ref => ref.depth,
  handled: ref => ref.handled,
  rate: (ref, { rates }) => rates.of(ref) ?? 0,
  restarts: ref => ref.facts().restarts,
  kind: kindOf,
  p99: (ref, watched) => watched.p99(ref.path) ?? 0,
}
