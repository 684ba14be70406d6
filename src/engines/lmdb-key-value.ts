import { checkBytes, checkName, checkRange, checkVersion, checkWrite } from './checks.js'
import type { KeyValue, KeyValueEntry, WriteOptions } from './key-value.js'
import { doubles, FIRST, type LmdbStore, type Table } from './lmdb-store.js'

/** Entries whose time is over that a transaction removes along the way. */
const SWEEP = 10

/** Version and end of an entry, apart from its value: conditions and listings need not read that. */
interface Head {
  readonly version: number
  /** Milliseconds since 1970; infinite for an entry that stays. */
  readonly expires: number
}

/** Key-value in an open LMDB. The keys are the bytes themselves, so LMDB's order is theirs. */
export class LmdbKeyValue implements KeyValue {
  readonly #store: LmdbStore
  /** Key to head. */
  readonly #heads: Table
  /** Key to value. */
  readonly #values: Table
  /** End and key, in the order of the ends, of entries that have one. The value says nothing. */
  readonly #ends: Table

  constructor(store: LmdbStore) {
    this.#store = store
    this.#heads = store.table('kv.heads')
    this.#values = store.table('kv.values')
    this.#ends = store.table('kv.ends')
    store.onSweep(now => this.#sweep(now))
  }

  async get(key: string): Promise<KeyValueEntry | undefined> {
    this.#store.checkOpen()
    const bytes = checkName('key', key)
    return this.#store.read(now => {
      const head = this.#find(bytes, now)
      const value = head && this.#values.get(bytes)
      return value && { value: new Uint8Array(value), version: head.version }
    })
  }

  async set(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<number> {
    this.#store.checkOpen()
    const bytes = checkName('key', key)
    checkBytes('value', value)
    checkWrite(options)
    const copy = Buffer.from(value)
    const { ifVersion, ttl } = options
    return this.#store.write(now => {
      checkVersion(key, this.#find(bytes, now)?.version ?? 0, ifVersion)
      this.#forget(bytes)
      // Of any key: none is used again, even when its key has been deleted.
      const version = this.#store.next('version')
      const expires = ttl === undefined ? Number.POSITIVE_INFINITY : now + ttl
      this.#values.put(bytes, copy)
      this.#heads.put(bytes, doubles(version, expires))
      if (ttl !== undefined) this.#ends.put(Buffer.concat([doubles(expires), bytes]), FIRST)
      return version
    })
  }

  async delete(key: string, options: Pick<WriteOptions, 'ifVersion'> = {}): Promise<boolean> {
    this.#store.checkOpen()
    const bytes = checkName('key', key)
    checkWrite(options)
    const { ifVersion } = options
    return this.#store.write(now => {
      const head = this.#find(bytes, now)
      checkVersion(key, head?.version ?? 0, ifVersion)
      this.#remove(bytes)
      return head !== undefined
    })
  }

  async keys(options?: Parameters<KeyValue['keys']>[0]): Promise<string[]> {
    this.#store.checkOpen()
    const { prefix, after, limit } = checkRange(options)
    return this.#store.read(now => {
      const found: string[] = []
      const start = [FIRST, prefix, after].reduce((one, other) => (one.compare(other) < 0 ? other : one))
      for (const { key, value } of this.#heads.getRange({ start })) {
        if (!key.subarray(0, prefix.length).equals(prefix)) break
        if (key.equals(after) || headOf(value).expires <= now) continue
        found.push(key.toString())
        if (found.length === limit) break
      }
      return found
    })
  }

  #find(key: Buffer, now: number): Head | undefined {
    const bytes = this.#heads.get(key)
    const head = bytes && headOf(bytes)
    return head && head.expires > now ? head : undefined
  }

  #remove(key: Buffer): void {
    this.#forget(key)
    this.#heads.remove(key)
    this.#values.remove(key)
  }

  /** Removes the end of what stands under a key. */
  #forget(key: Buffer): void {
    const bytes = this.#heads.get(key)
    const expires = bytes && headOf(bytes).expires
    if (expires !== undefined && expires < Number.POSITIVE_INFINITY) {
      this.#ends.remove(Buffer.concat([doubles(expires), key]))
    }
  }

  #sweep(now: number): void {
    // All ends of this millisecond come before the next.
    const range = { start: FIRST, end: doubles(now + 1), limit: SWEEP }
    const ends = Array.from(this.#ends.getKeys(range), end => Buffer.from(end))
    for (const end of ends) {
      const key = end.subarray(8)
      if (!this.#find(key, now)) this.#remove(key)
      this.#ends.remove(end)
    }
  }
}

function headOf(bytes: Buffer): Head {
  return { version: bytes.readDoubleBE(0), expires: bytes.readDoubleBE(8) }
}
