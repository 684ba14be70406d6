import type { ActorRef } from '../actors/runtime/index.js'
import { SocketStreamError } from '../errors.js'
import { bytesOf } from './actor-memory.js'
import { kindOf, type Watched } from './actor-rows.js'
import { sessionOf, userOf } from './connection-rows.js'
import type { ActorQuery, ActorSort } from './protocol/index.js'
import { below, type Fits, type Subject, searchFor } from './source.js'

/** What a query selects, without the window of it that is wanted. */
export type Selection = Omit<ActorQuery, 'offset' | 'limit'>

/** Whole selections that are kept. */
const KEPT = 4
/** A selection is kept for so many times as long as it took to make. */
const REST = 20

/**
 * The actors that queries select, in their order.
 *
 * What took long to find is kept for twenty times as long: looking through a hundred thousand actors again and again
 * takes a twentieth of the server's time at most for each viewer. What has begun or ended meanwhile is seen after that.
 */
export class Selections {
  readonly #now: () => number
  readonly #kept = new Map<string, { readonly refs: readonly ActorRef<never>[]; readonly until: number }>()

  /** @param now milliseconds of a steady clock */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** @throws SocketStreamError `NOT_FOUND` when there is no such parent, `INVALID_ARGUMENTS` */
  of(subject: Subject, watched: Watched, selection: Selection): readonly ActorRef<never>[] {
    const { parent, deep, search, kind, minDepth, sort, descending } = selection
    const key = JSON.stringify([parent, deep, search, kind, minDepth, sort, descending])
    const began = this.#now()
    const kept = this.#kept.get(key)
    if (kept !== undefined && began < kept.until) return kept.refs
    this.#kept.delete(key)
    const refs = select(subject, watched, selection)
    const ended = this.#now()
    const took = ended - began
    // What took no time is as true as it can be.
    if (took < 1) return refs
    this.#kept.set(key, { refs, until: ended + took * REST })
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value!)
    return refs
  }

  /** Forgets all of them. */
  clear(): void {
    this.#kept.clear()
  }
}

function select(subject: Subject, watched: Watched, selection: Selection): readonly ActorRef<never>[] {
  const { parent = '/', search, kind, minDepth = 0, sort = 'began', descending = false } = selection
  const top = subject.broker.system.find(parent)
  if (top === undefined) throw new SocketStreamError('NOT_FOUND', `there is no actor ${parent}`)
  const among = selection.deep || search ? below(top) : top.children.values()
  const fits = searchFor(search)
  const session = search ? sessionsLike(subject, fits) : undefined
  const found: ActorRef<never>[] = []
  for (const ref of among) {
    if (minDepth > 0 && ref.depth < minDepth) continue
    if (kind !== undefined && kindOf(ref) !== kind) continue
    if (session !== undefined && !fits(ref.path) && !session.has(ref.path)) continue
    found.push(ref)
  }
  return sorted(found, { subject, watched, sort, descending })
}

/** Paths of the connections and sessions whose session, user or address is like what is searched for. */
function sessionsLike({ broker }: Subject, fits: Fits): ReadonlySet<string> {
  const paths = new Set<string>()
  for (const connection of broker.connections.byId.values()) {
    const session = sessionOf(connection)
    if (!fits(connection.clientIp, session, userOf(connection))) continue
    paths.add(connection.ref.path)
    if (session !== undefined) paths.add(connection.liveSession.ref.path)
  }
  return paths
}

interface Order {
  readonly subject: Subject
  readonly watched: Watched
  readonly sort: ActorSort
  readonly descending: boolean
}

function sorted(
  found: ActorRef<never>[],
  { subject, watched, sort, descending }: Order,
): readonly ActorRef<never>[] {
  if (sort === 'began') return descending ? found.reverse() : found
  const value: Value | undefined = Object.hasOwn(VALUES, sort) ? VALUES[sort] : undefined
  if (value === undefined)
    throw new SocketStreamError('INVALID_ARGUMENTS', `actors are not sorted by ${sort}`)
  // Each is asked once, not at each comparison.
  const keyed = found.map(ref => ({ ref, key: value(ref, watched, subject) }))
  const sign = descending ? -1 : 1
  keyed.sort((a, b) => (a.key < b.key ? -sign : a.key > b.key ? sign : 0))
  return keyed.map(({ ref }) => ref)
}

type Value = (ref: ActorRef<never>, watched: Watched, subject: Subject) => number | string

const VALUES: Readonly<Record<Exclude<ActorSort, 'began'>, Value>> = {
  name: ref => ref.path.slice(ref.path.lastIndexOf('/') + 1),
  kind: kindOf,
  depth: ref => ref.depth,
  rate: (ref, { rates }) => rates.of(ref) ?? 0,
  p99: (ref, watched) => watched.p99(ref.path) ?? 0,
  handled: ref => ref.handled,
  bytes: (ref, _watched, subject) => bytesOf(subject, ref) ?? 0,
  restarts: ref => ref.facts().restarts,
}
