import type { ActorRef } from '../actors/runtime/index.js'
import { bytesOf } from './actor-memory.js'
import type { Selections } from './actor-selection.js'
import { sessionUser, userOf } from './connection-rows.js'
import type { ActorKind, ActorPage, ActorQuery, ActorRow } from './protocol/index.js'
import type { Rates } from './rates.js'
import { connectionOf, pathOf, type Subject, sessionFor, windowOf } from './source.js'
import { stateLine } from './statechart.js'

/** What is known of actors only while somebody watches. */
export interface Watched {
  readonly rates: Rates
  readonly selections: Selections
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
  const found = watched.selections.of(subject, watched, query)
  const { offset, limit } = windowOf(query)
  const rows = found.slice(offset, offset + limit).map(ref => actorRow(subject, watched, ref))
  return { rows, total: found.length, offset, sampledAt: Date.now(), every: SAMPLE }
}

/** One actor's row. */
export function actorRow(subject: Subject, watched: Watched, ref: ActorRef<never>): ActorRow {
  const kind = kindOf(ref)
  const { restarts, waiting } = ref.facts()
  const path = pathOf(ref)
  const connection = connectionOf(subject, ref)
  const state = connection?.state ?? (kind === 'machine' ? stateLine(ref) : undefined)
  const user = connection === undefined ? sessionUser(sessionFor(subject, ref)) : userOf(connection)
  const bytes = bytesOf(subject, ref)
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
    ...(bytes !== undefined && { bytes }),
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
