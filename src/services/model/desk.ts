import { SocketStreamError } from '../../errors.js'
import type { Logger } from '../../log.js'
import { diff } from './diff.js'
import type { LiveQuery, QueryHost } from './live-query.js'
import type { CheckedModelOptions } from './options.js'
import type { Pane } from './pane.js'
import type { Plain } from './plain.js'
import type { Row } from './rows.js'
import type { Stored } from './storage.js'
import type { Viewer } from './viewer.js'

/** A record that somebody watches, as it was sent last. */
interface Entry {
  readonly id: string
  /** Undefined while there is none. */
  stored: Stored<Plain> | undefined
  /** Queries that have it. */
  queries: number
  /** Windows that show it. */
  readonly panes: Set<Pane>
  /** Those who watch it by its id. */
  readonly watchers: Map<string, { readonly viewer: Viewer; visible: boolean }>
}

/** Messages to clients about records. */
const PATCH = 3
const WHOLE = 4

/** Milliseconds after which there may be room again. */
const RETRY_AFTER = 1000

/**
 * All that is watched on this server: records by id, and queries.
 *
 * A change is taken as a whole, without waiting in between. So what each connection has been sent is always
 * what stands here, and the next change goes on from it.
 */
export class Desk implements QueryHost {
  readonly entries = new Map<string, Entry>()
  readonly queries = new Map<string, LiveQuery>()
  readonly log: Logger
  readonly #options: CheckedModelOptions
  readonly #deliver: (connectionIds: string[], message: unknown) => unknown
  #panes = 0

  constructor(
    options: CheckedModelOptions,
    log: Logger,
    deliver: (connectionIds: string[], message: unknown) => unknown,
  ) {
    this.#options = options
    this.log = log
    this.#deliver = deliver
  }

  /** Whether a change could concern anybody. */
  concerns(id: string): boolean {
    return this.queries.size > 0 || this.entries.has(id)
  }

  /** Takes what now stands in the storage, and sends it to those who may see it. */
  apply(id: string, stored: Stored<Plain> | undefined): void {
    const entry = this.entries.get(id)
    const before = entry?.stored
    if (entry !== undefined) entry.stored = stored
    const row = stored && { id, stored }
    const verdicts = new Map<Viewer, boolean>()
    const sees = (viewer: Viewer): boolean => {
      let verdict = verdicts.get(viewer)
      if (verdict === undefined) {
        verdict = stored !== undefined && viewer.sees(stored.record)
        verdicts.set(viewer, verdict)
      }
      return verdict
    }
    const gained = new Set<Pane>()
    for (const query of [...this.queries.values()]) {
      if (query.touched !== undefined) {
        query.touched.set(id, row)
        continue
      }
      for (const pane of query.change(id, row, sees)) gained.add(pane)
      if (query.size > this.#options.results) this.drop(query)
    }
    if (entry === undefined) return
    const recipients = new Set<string>()
    for (const pane of entry.panes) {
      if (!gained.has(pane)) for (const connectionId of pane.watchers.keys()) recipients.add(connectionId)
    }
    this.#watchers(entry, sees, recipients)
    if (before !== undefined && stored !== undefined && recipients.size > 0) {
      this.#publish(id, before, stored, recipients)
    }
    this.#settle(entry)
  }

  /** A connection watches a record by its id, and is sent it. */
  watch(id: string, stored: Stored<Plain> | undefined, connectionId: string, viewer: Viewer): void {
    const entry = this.#entry(id, stored)
    const visible = entry.stored !== undefined && viewer.sees(entry.stored.record)
    entry.watchers.set(connectionId, { viewer, visible })
    this.send([connectionId], visible ? whole(id, entry.stored!) : [WHOLE, id, 0])
  }

  unwatch(id: string, connectionId: string): void {
    const entry = this.entries.get(id)
    if (entry?.watchers.delete(connectionId)) this.#settle(entry)
  }

  /** Sends a record anew to a connection that has lost track of it. */
  resend(id: string, connectionId: string, viewer: Viewer): void {
    const stored = this.entries.get(id)?.stored
    this.send([connectionId], stored && viewer.sees(stored.record) ? whole(id, stored) : [WHOLE, id, 0])
  }

  /** Ends a query, and tells those who watch it to ask again. */
  drop(query: LiveQuery): void {
    if (this.queries.get(query.key) === query) this.queries.delete(query.key)
    query.end()
  }

  /** Refuses a query whose records would be too many. @throws SocketStreamError `OVERLOADED` */
  checkRoom(rows: readonly Row[]): void {
    const { records } = this.#options
    const more = rows.reduce((count, { id }) => (this.entries.has(id) ? count : count + 1), 0)
    if (more === 0 || this.entries.size + more <= records) return
    const text = `This server watches up to ${records} records; leave some, or try again later`
    throw new SocketStreamError('OVERLOADED', text, { retryAfter: RETRY_AFTER })
  }

  send(connectionIds: Iterable<string>, message: unknown): void {
    try {
      this.#deliver([...connectionIds], message)
    } catch (error) {
      this.log.error('a change could not be sent', { error })
    }
  }

  hold({ id, stored }: Row): void {
    this.#entry(id, stored).queries++
  }

  release(id: string): void {
    const entry = this.entries.get(id)
    if (entry === undefined) return
    entry.queries--
    this.#settle(entry)
  }

  shown(id: string, pane: Pane): void {
    this.entries.get(id)?.panes.add(pane)
  }

  hidden(id: string, pane: Pane): void {
    this.entries.get(id)?.panes.delete(pane)
  }

  nextPane(): number {
    return ++this.#panes
  }

  /** Tells those who watch it by its id whether they see it; those who still do get the change. */
  #watchers(entry: Entry, sees: (viewer: Viewer) => boolean, recipients: Set<string>): void {
    for (const [connectionId, watcher] of entry.watchers) {
      const visible = sees(watcher.viewer)
      if (visible && watcher.visible) recipients.add(connectionId)
      else if (visible) this.send([connectionId], whole(entry.id, entry.stored!))
      else if (watcher.visible) this.send([connectionId], [WHOLE, entry.id, 0])
      watcher.visible = visible
    }
  }

  #publish(id: string, before: Stored<Plain>, stored: Stored<Plain>, recipients: Set<string>): void {
    const operations = diff(before.record, stored.record)
    // Changed from outside, under a version that they have already: a patch might be taken for that one's.
    const again = before.version === stored.version
    if (again && operations.length === 0) return
    const message = again ? whole(id, stored) : [PATCH, id, before.version, stored.version, operations]
    this.send(recipients, message)
  }

  #entry(id: string, stored: Stored<Plain> | undefined): Entry {
    let entry = this.entries.get(id)
    if (entry === undefined) {
      entry = { id, stored, queries: 0, panes: new Set(), watchers: new Map() }
      this.entries.set(id, entry)
    }
    return entry
  }

  #settle(entry: Entry): void {
    if (entry.queries > 0 || entry.watchers.size > 0) return
    if (this.entries.get(entry.id) === entry) this.entries.delete(entry.id)
  }
}

function whole(id: string, { version, record }: Stored<Plain>): unknown[] {
  return [WHOLE, id, version, record]
}
