import type { Database, RootDatabase } from 'lmdb'
import { hasCode } from '../errors.js'
import { checkKey, checkRange, checkValue, checkVersion, checkWrite, unavailable } from './checks.js'
import type { KeyValue, KeyValueEntry, WriteOptions } from './engine.js'

/** Entries whose time is over that a write removes along the way. */
const SWEEP = 10
/** Where every listing begins: no key is empty, so none comes before. */
const FIRST = Buffer.of(0)
const COUNTER = Buffer.from('version')

type Table = Database<Buffer, Buffer>

/** Version and end of an entry, apart from its value: conditions and listings need not read that. */
interface Head {
  readonly version: number
  /** Milliseconds since 1970; infinite for an entry that stays. */
  readonly expires: number
}

/** Key-value over an open LMDB; closes it. The keys are the bytes themselves, so LMDB's order is theirs. */
export class LmdbKeyValue implements KeyValue {
  readonly #root: RootDatabase
  readonly #deadline: number
  /** Key to head. */
  readonly #heads: Table
  /** Key to value. */
  readonly #values: Table
  /** End and key, in the order of the ends, of entries that have one. The value says nothing. */
  readonly #ends: Table
  /** The last version given, of any key: none is used again, even when its key has been deleted. */
  readonly #counters: Table
  readonly #underWay = new Set<Promise<unknown>>()
  #closed = false

  constructor(root: RootDatabase, deadline: number) {
    this.#root = root
    this.#deadline = deadline
    const table = (name: string): Table => root.openDB(name, { encoding: 'binary', keyEncoding: 'binary' })
    this.#heads = table('kv.heads')
    this.#values = table('kv.values')
    this.#ends = table('kv.ends')
    this.#counters = table('counters')
  }

  async get(key: string): Promise<KeyValueEntry | undefined> {
    this.#checkOpen()
    const bytes = checkKey(key)
    return this.#read(() => {
      const head = this.#find(bytes, Date.now())
      const value = head && this.#values.get(bytes)
      return value && { value: new Uint8Array(value), version: head.version }
    })
  }

  async set(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<number> {
    this.#checkOpen()
    const bytes = checkKey(key)
    checkValue(value)
    checkWrite(options)
    const copy = Buffer.from(value)
    const { ifVersion, ttl } = options
    return this.#write(now => {
      checkVersion(key, this.#find(bytes, now)?.version ?? 0, ifVersion)
      this.#forget(bytes)
      const version = (this.#counters.get(COUNTER)?.readDoubleBE() ?? 0) + 1
      const expires = ttl === undefined ? Number.POSITIVE_INFINITY : now + ttl
      this.#counters.put(COUNTER, doubles(version))
      this.#values.put(bytes, copy)
      this.#heads.put(bytes, doubles(version, expires))
      if (ttl !== undefined) this.#ends.put(Buffer.concat([doubles(expires), bytes]), FIRST)
      return version
    })
  }

  async delete(key: string, options: Pick<WriteOptions, 'ifVersion'> = {}): Promise<boolean> {
    this.#checkOpen()
    const bytes = checkKey(key)
    checkWrite(options)
    const { ifVersion } = options
    return this.#write(now => {
      const head = this.#find(bytes, now)
      checkVersion(key, head?.version ?? 0, ifVersion)
      this.#remove(bytes)
      return head !== undefined
    })
  }

  async keys(options?: Parameters<KeyValue['keys']>[0]): Promise<string[]> {
    this.#checkOpen()
    const { prefix, after, limit } = checkRange(options)
    return this.#read(() => {
      const now = Date.now()
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

  /** Waits for the writes under way, then closes the database. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#settle(Promise.allSettled(this.#underWay).then(() => this.#root.close()))
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
    // Positive doubles are in the order of their bytes. All ends of this millisecond come before the next.
    const range = { start: FIRST, end: doubles(now + 1), limit: SWEEP }
    const ends = Array.from(this.#ends.getKeys(range), end => Buffer.from(end))
    for (const end of ends) {
      const key = end.subarray(8)
      if (!this.#find(key, now)) this.#remove(key)
      this.#ends.remove(end)
    }
  }

  /** Reads what is there now, also what another process has just written. */
  #read<T>(body: () => T): T {
    try {
      this.#root.resetReadTxn()
      return body()
    } catch (cause) {
      throw unavailable('lmdb: cannot read; see the cause', cause)
    }
  }

  /** Runs a body in a transaction; resolves once the disk has it. Past the deadline it is not begun. */
  async #write<T>(body: (now: number) => T): Promise<T> {
    let late = false
    const written = new Promise<T>(resolve => {
      const transaction = this.#root.transaction(() => {
        if (late) throw unavailable('lmdb: the write came after its deadline')
        const now = Date.now()
        this.#sweep(now)
        return body(now)
      })
      resolve(transaction)
    })
    this.#underWay.add(written)
    try {
      return await this.#settle(written)
    } finally {
      late = true
      written.catch(() => undefined).finally(() => this.#underWay.delete(written))
    }
  }

  async #settle<T>(work: Promise<T>): Promise<T> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const deadline = new Promise<never>((_resolve, reject) => {
      const late = () => reject(unavailable(`lmdb: no answer within ${this.#deadline} ms; try again`))
      timer = setTimeout(late, this.#deadline)
    })
    try {
      return await Promise.race([work, deadline])
    } catch (error) {
      if (hasCode(error) && /^ENGINE_/.test(error.code)) throw error
      throw unavailable('lmdb: the call failed; see the cause', error)
    } finally {
      clearTimeout(timer)
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw unavailable('The engine is closed')
  }
}

function headOf(bytes: Buffer): Head {
  return { version: bytes.readDoubleBE(0), expires: bytes.readDoubleBE(8) }
}

function doubles(...numbers: number[]): Buffer {
  const bytes = Buffer.alloc(8 * numbers.length)
  for (const [at, number] of numbers.entries()) bytes.writeDoubleBE(number, 8 * at)
  return bytes
}
