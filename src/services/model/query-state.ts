import type { ServiceClient } from '../service.js'
import type { ModelQueryPage, RemoteQuery } from './api.js'
import type { Step } from './pane.js'
import type { AnyRecord, Follower, RecordState } from './record-state.js'
import { Watching } from './watching.js'

/** A row of a window, as the server sends it. */
export type SentRow = readonly [id: string, version: number, record: AnyRecord]

/** What a query needs of its client. */
export interface QueryOwner {
  readonly service: ServiceClient
  stateOf(id: string): RecordState
  /** A query shows a record. */
  held(state: RecordState): void
  /** A query shows a record no longer. */
  released(state: RecordState): void
  changedUse(query: QueryState): void
  queryOf(key: string): QueryState
}

/** One query in a client: the records in its window. */
export class QueryState implements Follower {
  readonly key: string
  readonly watch: number
  readonly watching: Watching
  readonly remote: RemoteQuery<AnyRecord>
  /** The server's number of the window; 0 while there is none. */
  pane = 0
  readonly #owner: QueryOwner
  #limit: number
  #rows: RecordState[] = []
  #total = 0
  #snapshot: ModelQueryPage<AnyRecord> | undefined
  #shown = false
  #stale = true

  constructor(
    owner: QueryOwner,
    watch: number,
    key: string,
    name: string,
    params: unknown,
    offset: number,
    limit: number,
  ) {
    this.#owner = owner
    this.#limit = limit
    this.watch = watch
    this.key = key
    this.watching = new Watching(owner.service, {
      ask: () => ['watch', watch, name, params ?? null, offset, this.#limit],
      leave: () => ['unwatch', watch],
      changedUse: () => owner.changedUse(this),
    })
    const { queryOf } = owner
    this.remote = {
      get error() {
        return queryOf(key).watching.error
      },
      getSnapshot: () => queryOf(key).page(),
      subscribe: listener => queryOf(key).watching.subscribe(listener),
      async ready() {
        const query = queryOf(key)
        await query.watching.ready()
        return query.page()!
      },
      more: count => queryOf(key).more(count),
    }
  }

  get used(): boolean {
    return this.watching.active
  }

  more(count: number): void {
    this.#limit += count
    this.watching.renew()
  }

  /** What it shows now. */
  page(): ModelQueryPage<AnyRecord> | undefined {
    if (!this.#stale || !this.#shown) return this.#snapshot
    this.#stale = false
    const records = this.#rows.flatMap(({ snapshot }) => (snapshot ? [snapshot] : []))
    const before = this.#snapshot
    const same =
      before !== undefined &&
      before.total === this.#total &&
      before.records.length === records.length &&
      records.every((record, index) => record === before.records[index])
    if (!same) this.#snapshot = { records, total: this.#total }
    return this.#snapshot
  }

  /** Takes all that is in the window. */
  take(pane: number, total: number, rows: readonly SentRow[]): void {
    this.pane = pane
    const states = rows.map(([id, version, record]) => {
      const state = this.#owner.stateOf(id)
      this.#follow(state)
      state.take(version, record)
      return state
    })
    this.#show(states, total)
    this.watching.arrived()
    this.watching.notify()
  }

  /** Takes what has moved in the window; false when the steps are for another one. */
  move(total: number, steps: readonly Step[]): boolean {
    const rows = [...this.#rows]
    for (const [index, id, version, record] of steps) {
      if (index > rows.length) return false
      if (id === undefined) rows.splice(index, 1)
      else {
        const state = this.#owner.stateOf(id)
        this.#follow(state)
        if (record !== undefined) state.take(version!, record)
        rows.splice(index, 0, state)
      }
    }
    this.#show(rows, total)
    this.watching.notify()
    return true
  }

  recordChanged(): void {
    this.#stale = true
    this.watching.notify()
  }

  /** Nobody listens: lets go of the records. What was shown last stays. */
  rest(): void {
    this.page()
    this.pane = 0
    this.#shown = false
    this.#show([], 0, false)
  }

  #follow(state: RecordState): void {
    state.followers.add(this)
    this.#owner.held(state)
  }

  #show(rows: RecordState[], total: number, shown = true): void {
    const before = this.#rows
    this.#rows = rows
    this.#total = total
    this.#shown = shown
    this.#stale = true
    const kept = new Set(rows)
    for (const state of before) {
      if (kept.has(state)) continue
      state.followers.delete(this)
      this.#owner.released(state)
    }
  }
}
