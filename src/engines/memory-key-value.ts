import { checkBytes, checkName, checkRange, checkVersion, checkWrite, unavailable } from './checks.js'
import type { KeyValue, KeyValueEntry, WriteOptions } from './key-value.js'

/** Entries with a time to live that a write looks at, so that those it finds over do not pile up. */
const SWEEP = 4
/** Bytes that an entry takes besides its key and value, as near as one can say. */
const OVERHEAD = 200

interface Standing extends KeyValueEntry {
  /** The key in UTF-8, for its place among the others. */
  readonly bytes: Buffer
  /** When it is gone. */
  readonly expires: number
}

/** Key-value in the memory of this process, up to a number of bytes; past it writes are refused. */
export class MemoryKeyValue implements KeyValue {
  readonly #now: () => number
  readonly #most: number
  readonly #entries = new Map<string, Standing>()
  /** Keys of entries with a time to live. */
  readonly #mortal = new Set<string>()
  /** Goes round and round through the mortal. */
  #round = this.#mortal.values()
  /** One counter for all keys: a version is not used again, even when its key has been deleted. */
  #version = 0
  #bytes = 0
  #closed = false

  constructor(now: () => number, most: number) {
    this.#now = now
    this.#most = most
  }

  async get(key: string): Promise<KeyValueEntry | undefined> {
    this.#checkOpen()
    checkName('key', key)
    const entry = this.#find(key)
    return entry && { value: new Uint8Array(entry.value), version: entry.version }
  }

  async set(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<number> {
    this.#checkOpen()
    const bytes = checkName('key', key)
    checkBytes('value', value)
    checkWrite(options)
    this.#sweep()
    const standing = this.#find(key)
    checkVersion(key, standing?.version ?? 0, options.ifVersion)
    const expires = options.ttl === undefined ? Number.POSITIVE_INFINITY : this.#now() + options.ttl
    const entry = { bytes, value: new Uint8Array(value), version: this.#version + 1, expires }
    this.#checkRoom(sizeOf(entry) - (standing ? sizeOf(standing) : 0))
    this.#remove(key)
    this.#version++
    this.#bytes += sizeOf(entry)
    this.#entries.set(key, entry)
    if (options.ttl !== undefined) this.#mortal.add(key)
    return entry.version
  }

  async delete(key: string, options: Pick<WriteOptions, 'ifVersion'> = {}): Promise<boolean> {
    this.#checkOpen()
    checkName('key', key)
    checkWrite(options)
    this.#sweep()
    const entry = this.#find(key)
    checkVersion(key, entry?.version ?? 0, options.ifVersion)
    this.#remove(key)
    return entry !== undefined
  }

  async keys(options?: Parameters<KeyValue['keys']>[0]): Promise<string[]> {
    this.#checkOpen()
    const { prefix, after, limit } = checkRange(options)
    const now = this.#now()
    return [...this.#entries]
      .filter(([, { bytes, expires }]) => expires > now && bytes.subarray(0, prefix.length).equals(prefix))
      .filter(([, { bytes }]) => bytes.compare(after) > 0)
      .sort(([, one], [, other]) => one.bytes.compare(other.bytes))
      .slice(0, limit)
      .map(([key]) => key)
  }

  close(): void {
    this.#closed = true
    this.#entries.clear()
    this.#mortal.clear()
  }

  #find(key: string): Standing | undefined {
    const entry = this.#entries.get(key)
    if (!entry || entry.expires > this.#now()) return entry
    this.#remove(key)
    return undefined
  }

  #sweep(): void {
    for (let seen = 0; seen < SWEEP; seen++) {
      const { value: key, done } = this.#round.next()
      if (!done) this.#find(key)
      else {
        this.#round = this.#mortal.values()
        return
      }
    }
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key)
    if (entry) this.#bytes -= sizeOf(entry)
    this.#entries.delete(key)
    this.#mortal.delete(key)
  }

  #checkRoom(more: number): void {
    if (more <= 0 || this.#bytes + more <= this.#most) return
    for (const key of this.#mortal) this.#find(key)
    if (this.#bytes + more <= this.#most) return
    const text = `memory: no room for ${more} bytes more in the key-value store; delete some, or raise \`kvBytes\``
    throw unavailable(text)
  }

  #checkOpen(): void {
    if (this.#closed) throw unavailable('The engine is closed')
  }
}

function sizeOf({ bytes, value }: Standing): number {
  return bytes.length + value.length + OVERHEAD
}
