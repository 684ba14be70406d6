import type { Plain } from './plain.js'
import type { Row } from './rows.js'

/**
 * A step that changes a window: `[index]` takes a row away, the others put one there.
 *
 * Without a record it is one that the window had before.
 */
export type Step =
  | readonly [index: number]
  | readonly [index: number, id: string]
  | readonly [index: number, id: string, version: number, record: Plain]

/** A window on a result, with the connections that look through it. */
export class Pane {
  readonly id: number
  readonly offset: number
  readonly limit: number
  /** How often each connection watches it. */
  readonly watchers = new Map<string, number>()
  ids: readonly string[] = []
  total = 0

  constructor(id: number, offset: number, limit: number) {
    this.id = id
    this.offset = offset
    this.limit = limit
  }

  /** The rows that it shows. */
  rows(list: readonly Row[]): Row[] {
    return list.slice(this.offset, this.offset + this.limit)
  }

  /** Whether its rows are the same, in the same order. */
  shows(rows: readonly Row[]): boolean {
    return rows.length === this.ids.length && rows.every(({ id }, index) => id === this.ids[index])
  }

  /** Shows these rows from now on; gives the steps that lead there after one record has changed. */
  move(rows: readonly Row[], changed: string): Step[] {
    const steps: Step[] = []
    const before = new Set(this.ids)
    const after = new Set(rows.map(({ id }) => id))
    const ids = [...this.ids]
    for (let index = ids.length - 1; index >= 0; index--) {
      // The one that has changed may have moved; all others keep their order.
      if (after.has(ids[index]!) && ids[index] !== changed) continue
      ids.splice(index, 1)
      steps.push([index])
    }
    for (const [index, { id, stored }] of rows.entries()) {
      if (ids[index] === id) continue
      ids.splice(index, 0, id)
      steps.push(before.has(id) ? [index, id] : [index, id, stored.version, stored.record])
    }
    this.ids = rows.map(({ id }) => id)
    return steps
  }
}
