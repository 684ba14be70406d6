import type { Plain } from './plain.js'
import type { Stored } from './storage.js'

/** A record in a result. Another one after each change. */
export interface Row {
  readonly id: string
  readonly stored: Stored<Plain>
}

/** An order of rows: never 0 for different ids. */
export type Order = (one: Row, other: Row) => number

/** Rows in an order. */
export class Rows {
  readonly list: Row[]
  readonly #order: Order

  constructor(order: Order, rows: Iterable<Row> = []) {
    this.#order = order
    this.list = [...rows].sort(order)
  }

  insert(row: Row): void {
    this.list.splice(this.#place(row), 0, row)
  }

  /** Removes a row that is there. */
  remove(row: Row): void {
    const place = this.#place(row)
    // An order that contradicts itself may have put it elsewhere.
    const found = this.list[place]?.id === row.id ? place : this.list.findIndex(({ id }) => id === row.id)
    if (found >= 0) this.list.splice(found, 1)
  }

  #place(row: Row): number {
    let [from, to] = [0, this.list.length]
    while (from < to) {
      const middle = (from + to) >> 1
      if (this.#order(this.list[middle]!, row) < 0) from = middle + 1
      else to = middle
    }
    return from
  }
}
