import type { Logger } from '../../log.js'
import type { ModelQuery } from './options.js'
import { Pane } from './pane.js'
import { type Order, type Row, Rows } from './rows.js'
import type { Viewer } from './viewer.js'

/** What a live query needs of the desk. */
export interface QueryHost {
  readonly log: Logger
  send(connectionIds: Iterable<string>, message: unknown): void
  /** A query has got a record, or lost it. */
  hold(row: Row): void
  release(id: string): void
  /** A window has got a record, or lost it. */
  shown(id: string, pane: Pane): void
  hidden(id: string, pane: Pane): void
  nextPane(): number
}

/** The result as one viewer sees it. */
interface View {
  readonly viewer: Viewer
  /** Ids in the result that it may not see. */
  readonly unseen: Set<string>
  /** What it sees; undefined while that is all of it. */
  own: Rows | undefined
  readonly panes: Map<string, Pane>
}

/** Messages to clients about windows. */
export const WINDOW = 1
export const MOVED = 2
export const ENDED = 5

/** One query with its parameters, kept up to date for all who watch it. */
export class LiveQuery {
  readonly key: string
  readonly name: string
  readonly params: unknown
  /** Resolves when the result is there. */
  ready: Promise<void> = Promise.resolve()
  /** Windows, and requests for one under way. */
  users = 0
  /** What has changed since the storage was asked; undefined once the result is there. */
  touched: Map<string, Row | undefined> | undefined = new Map()
  readonly #members = new Map<string, Row>()
  readonly #views = new Map<string, View>()
  readonly #query: ModelQuery<unknown>
  readonly #host: QueryHost
  readonly #order: Order
  #rows: Rows

  constructor(host: QueryHost, key: string, name: string, query: ModelQuery<unknown>, params: unknown) {
    this.#host = host
    this.key = key
    this.name = name
    this.params = params
    this.#query = query
    this.#order = (one, other) => this.#compare(one, other)
    this.#rows = new Rows(this.#order)
  }

  get size(): number {
    return this.#members.size
  }

  /** Of all records in the result. */
  get ids(): Iterable<string> {
    return this.#members.keys()
  }

  has(id: string): boolean {
    return this.#members.has(id)
  }

  /** Whether it takes a record. A filter that fails takes none. */
  matches(record: unknown): boolean {
    try {
      return this.#query.filter === undefined || this.#query.filter(record, this.params) === true
    } catch (error) {
      this.#host.log.error(`the filter of the query '${this.name}' failed, which counts as no`, { error })
      return false
    }
  }

  /** Begins with these rows, which it takes. */
  begin(rows: readonly Row[]): void {
    this.touched = undefined
    for (const row of rows) {
      this.#members.set(row.id, row)
      this.#host.hold(row)
    }
    this.#rows = new Rows(this.#order, rows)
  }

  /** A connection looks through a window from now on, and is sent what is there. */
  watch(viewer: Viewer, connectionId: string, watch: number, offset: number, limit: number): Pane {
    const view = this.#views.get(viewer.key) ?? this.#view(viewer)
    const size = `${offset}:${limit}`
    const list = (view.own ?? this.#rows).list
    let pane = view.panes.get(size)
    if (pane === undefined) {
      pane = new Pane(this.#host.nextPane(), offset, limit)
      view.panes.set(size, pane)
      pane.ids = pane.rows(list).map(({ id }) => id)
      pane.total = list.length
      for (const id of pane.ids) this.#host.shown(id, pane)
    }
    pane.watchers.set(connectionId, (pane.watchers.get(connectionId) ?? 0) + 1)
    const rows = pane.rows(list).map(({ id, stored }) => [id, stored.version, stored.record])
    this.#host.send([connectionId], [WINDOW, watch, pane.id, pane.total, rows])
    return pane
  }

  /** A connection looks through a window no longer. */
  leave(viewer: Viewer, connectionId: string, pane: Pane): void {
    const left = (pane.watchers.get(connectionId) ?? 0) - 1
    if (left > 0) pane.watchers.set(connectionId, left)
    else pane.watchers.delete(connectionId)
    if (pane.watchers.size > 0) return
    const view = this.#views.get(viewer.key)
    view?.panes.delete(`${pane.offset}:${pane.limit}`)
    if (view?.panes.size === 0) this.#views.delete(viewer.key)
    for (const id of pane.ids) this.#host.hidden(id, pane)
  }

  /** Takes a change of a record: `row` is undefined for one that is gone. Gives the windows that got it. */
  change(id: string, row: Row | undefined, sees: (viewer: Viewer, row: Row) => boolean): Set<Pane> {
    const gained = new Set<Pane>()
    const before = this.#members.get(id)
    const after = row !== undefined && this.matches(row.stored.record) ? row : undefined
    if (before === undefined && after === undefined) return gained
    if (after !== undefined) {
      this.#members.set(id, after)
      if (before === undefined) this.#host.hold(after)
    } else this.#members.delete(id)
    if (before !== undefined) this.#rows.remove(before)
    if (after !== undefined) this.#rows.insert(after)
    for (const view of this.#views.values()) {
      this.#look(view, id, before, after, sees)
      const { list } = view.own ?? this.#rows
      for (const pane of view.panes.values()) if (this.#move(pane, list, id)) gained.add(pane)
    }
    if (after === undefined) this.#host.release(id)
    return gained
  }

  /** Lets go of everything; tells those who watch, if any. */
  end(): void {
    for (const { panes } of this.#views.values()) {
      for (const pane of panes.values()) {
        this.#host.send(pane.watchers.keys(), [ENDED, pane.id])
        for (const id of pane.ids) this.#host.hidden(id, pane)
        pane.ids = []
      }
    }
    this.#views.clear()
    for (const id of this.#members.keys()) this.#host.release(id)
    this.#members.clear()
  }

  #view(viewer: Viewer): View {
    const unseen = new Set<string>()
    for (const { id, stored } of this.#rows.list) if (!viewer.sees(stored.record)) unseen.add(id)
    const view: View = { viewer, unseen, own: undefined, panes: new Map() }
    if (unseen.size > 0) view.own = this.#seen(unseen)
    this.#views.set(viewer.key, view)
    return view
  }

  #look(
    view: View,
    id: string,
    before: Row | undefined,
    after: Row | undefined,
    sees: (viewer: Viewer, row: Row) => boolean,
  ): void {
    const { unseen } = view
    const saw = before !== undefined && !unseen.has(id)
    const seesNow = after !== undefined && sees(view.viewer, after)
    if (after !== undefined && !seesNow) unseen.add(id)
    else unseen.delete(id)
    if (unseen.size === 0) view.own = undefined
    else if (view.own === undefined) view.own = this.#seen(unseen)
    else {
      if (saw) view.own.remove(before)
      if (seesNow) view.own.insert(after)
    }
  }

  #seen(unseen: ReadonlySet<string>): Rows {
    return new Rows(
      this.#order,
      this.#rows.list.filter(({ id }) => !unseen.has(id)),
    )
  }

  /** Moves a window to where it is now; whether it has got the record. */
  #move(pane: Pane, list: readonly Row[], id: string): boolean {
    const rows = pane.rows(list)
    const total = list.length
    const same = pane.shows(rows)
    if (same && pane.total === total) return false
    pane.total = total
    const before = pane.ids
    const had = before.includes(id)
    const steps = same ? [] : pane.move(rows, id)
    if (!same) {
      const kept = new Set(pane.ids)
      for (const one of before) if (!kept.has(one)) this.#host.hidden(one, pane)
      for (const one of pane.ids) this.#host.shown(one, pane)
    }
    this.#host.send(pane.watchers.keys(), [MOVED, pane.id, total, steps])
    return !had && pane.ids.includes(id)
  }

  #compare(one: Row, other: Row): number {
    let order = 0
    try {
      order = this.#query.compare?.(one.stored.record, other.stored.record, this.params) || 0
    } catch (error) {
      this.#host.log.error(`the order of the query '${this.name}' failed, which counts as equal`, { error })
    }
    if (order !== 0) return order
    return one.id < other.id ? -1 : one.id > other.id ? 1 : 0
  }
}
