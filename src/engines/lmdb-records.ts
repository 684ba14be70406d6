import { doubles, FIRST, type LmdbStore, type Table } from './lmdb-store.js'
import type { Outcome, RecordOf, Records, Standing } from './records.js'

/** Records that a transaction looks at, so that those over do not pile up. */
const SWEEP = 4

/** Records in an open LMDB. */
export class LmdbRecords implements Records {
  readonly #store: LmdbStore
  readonly #name: string
  /** Name to end, number and text. */
  readonly #table: Table
  /** The name that the sweep looked at last: it goes round and round. */
  #swept = FIRST

  constructor(store: LmdbStore, name: string) {
    this.#store = store
    this.#name = name
    this.#table = store.table(name)
    store.onSweep(now => this.#sweep(now))
  }

  async read(name: Buffer) {
    return this.#store.read(now => ({ record: this.#find(name, now), now }))
  }

  async change<Result>(name: Buffer, step: (standing: Standing) => Outcome<Result>): Promise<Result> {
    return this.#store.write(now => {
      const next = () => this.#store.next(this.#name)
      const { result, record } = step({ record: this.#find(name, now), now, next })
      if (record) {
        const { expires, number, text } = record
        this.#table.put(name, Buffer.concat([doubles(expires, number), Buffer.from(text)]))
      } else if (record === null) this.#table.remove(name)
      return result
    })
  }

  #find(name: Buffer, now: number): RecordOf | undefined {
    const bytes = this.#table.get(name)
    const expires = bytes?.readDoubleBE(0) ?? 0
    if (!bytes || expires <= now) return undefined
    return { expires, number: bytes.readDoubleBE(8), text: bytes.toString('utf8', 16) }
  }

  #sweep(now: number): void {
    const range = { start: this.#swept, limit: SWEEP }
    const found = Array.from(this.#table.getRange(range), ({ key, value }) => ({
      key: Buffer.from(key),
      value,
    }))
    for (const { key, value } of found) if (value.readDoubleBE(0) <= now) this.#table.remove(key)
    this.#swept = found.length < SWEEP ? FIRST : found.at(-1)!.key
  }
}
