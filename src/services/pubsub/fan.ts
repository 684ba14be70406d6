import type { ServiceServer, SlowSend } from '../service.js'
import type { Publication } from './entry.js'
import { type Filter, tooManyFilters } from './filters.js'

/** How a connection is told what comes in a run. */
export interface Seat {
  readonly filter: Filter | undefined
  /** The number by which its client knows the run, if that is another server's. */
  readonly run: number | undefined
  /** Whether entries that were not for it came last, of which it was not told. */
  readonly skipped: boolean
}

/** Connections whose clients know a run by one number. */
export interface Seats {
  readonly run: number | undefined
  readonly ids: readonly string[]
}

/** Where a message that waits stands. */
export interface Tag {
  readonly run: number
  readonly offset: number
}

/** Connections with one filter, or without. */
interface Group {
  readonly filter: Filter | undefined
  readonly run: number | undefined
  readonly ids: Set<string>
  /** The same as a list, made when it is needed. */
  list: readonly string[] | undefined
  /** Entries that were not for them, since the last that was said. */
  skipped: number
}

const MAX_FILTERS = 1000
/** Entries that are skipped before a position is sent. */
const MAX_SKIPPED = 64

/**
 * Who is told what comes in a run of a channel.
 *
 * Filters are asked once per publication, however many have them. Who skips an entry is sent a place
 * `[run, -1, offset, dropped]`: there is nothing up to this offset that is not dropped or for others.
 */
export class Fan {
  readonly #server: ServiceServer
  readonly #groups = new Map<string, Group>()
  readonly #byId = new Map<string, Group>()

  constructor(server: ServiceServer) {
    this.#server = server
  }

  /** @throws SocketStreamError `OVERLOADED` */
  check(filter: Filter | undefined): void {
    const known = filter === undefined || this.#groups.has(filter.key)
    if (!known && this.#groups.size >= MAX_FILTERS) throw tooManyFilters(MAX_FILTERS)
  }

  join(id: string, filter: Filter | undefined, run?: number): void {
    this.leave(id)
    const key = keyOf(filter, run)
    let group = this.#groups.get(key)
    if (group === undefined) {
      group = { filter, run, ids: new Set(), list: undefined, skipped: 0 }
      this.#groups.set(key, group)
    }
    group.ids.add(id)
    group.list = undefined
    this.#byId.set(id, group)
  }

  leave(id: string): void {
    const group = this.#byId.get(id)
    if (group === undefined) return
    this.#byId.delete(id)
    group.ids.delete(id)
    group.list = undefined
    if (group.ids.size === 0) this.#groups.delete(keyOf(group.filter, group.run))
  }

  /** How a connection is told what comes; undefined when it is not. */
  seatOf(id: string): Seat | undefined {
    const group = this.#byId.get(id)
    return group && { filter: group.filter, run: group.run, skipped: group.skipped > 0 }
  }

  /** Takes everybody out. */
  clear(): readonly Seats[] {
    const all = [...this.#groups.values()].map(group => ({ run: group.run, ids: listOf(group) }))
    this.#byId.clear()
    this.#groups.clear()
    return all
  }

  /** Tells a publication to whom it is for, and its place to others when they have skipped many. */
  tell(run: number, offset: number, publication: Publication, slow: SlowSend | undefined): void {
    const { message, tags } = publication
    let ids: readonly string[] = []
    for (const group of this.#groups.values()) {
      const { filter } = group
      const own = group.run ?? run
      if (filter !== undefined && (message.length === 0 || !filter.matches(tags))) {
        if (offset > 0 && ++group.skipped >= MAX_SKIPPED) this.#place(group, own, offset, slow)
        continue
      }
      if (group.skipped > 0) this.#place(group, own, offset - 1, slow)
      const list = listOf(group)
      if (own !== run)
        this.#send(list, own, offset, publication, slow && { ...slow, tag: { run: own, offset } })
      else ids = ids.length === 0 ? list : [...ids, ...list]
    }
    if (ids.length > 0) this.#send(ids, run, offset, publication, slow)
  }

  #send(
    ids: readonly string[],
    run: number,
    offset: number,
    { message, except }: Publication,
    slow: SlowSend | undefined,
  ): void {
    const server = this.#server
    if (except === undefined || !this.#byId.has(except)) {
      server.sendToSocketIds(ids, [run, offset, ...message], slow)
      return
    }
    const others = ids.filter(id => id !== except)
    if (others.length > 0) server.sendToSocketIds(others, [run, offset, ...message], slow)
    // Its place, so that the next one is no gap.
    if (offset > 0 && others.length < ids.length) {
      server.sendToSocketIds(except, [run, offset], slow && { ...slow, key: undefined, light: true })
    }
  }

  #place(group: Group, run: number, offset: number, slow: SlowSend | undefined): void {
    group.skipped = 0
    const tag: Tag = { run, offset }
    const light = slow && { ...slow, key: undefined, light: true, tag }
    this.#server.sendToSocketIds(listOf(group), [run, -1, offset, 0], light)
  }
}

function keyOf(filter: Filter | undefined, run: number | undefined): string {
  const key = filter?.key ?? ''
  return run === undefined ? key : `${run} ${key}`
}

function listOf(group: Group): readonly string[] {
  group.list ??= [...group.ids]
  return group.list
}
