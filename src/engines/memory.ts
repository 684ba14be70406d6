import {
  checkKey,
  checkOptions,
  checkRange,
  checkValue,
  checkVersion,
  checkWrite,
  unavailable,
} from './checks.js'
import type { Engine, KeyValue, KeyValueEntry, WriteOptions } from './engine.js'

/** Options of `memory`. */
export interface MemoryOptions {
  /** Milliseconds since some fixed point, for times to live. Default `Date.now`. */
  readonly now?: () => number
}

/**
 * An engine in the memory of this process: for tests, and for state that may end with it.
 *
 * It holds what is written until that is deleted or its time is over; only memory bounds it. Nothing is
 * kept past `close`, and no other process sees it.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 * @example const { kv } = memory()
 */
export function memory(options: MemoryOptions = {}): Engine {
  checkOptions('memory', options, RULES)
  const kv = new MemoryKeyValue(options.now ?? Date.now)
  return {
    name: 'memory',
    kv,
    async close() {
      kv.close()
    },
  }
}

const RULES = {
  now: {
    test: (value: unknown) => value === undefined || typeof value === 'function',
    wants: 'a function that gives milliseconds',
    fix: 'now: Date.now',
  },
}

/** Entries with a time to live that a write looks at, so that those it finds over do not pile up. */
const SWEEP = 4

interface Standing extends KeyValueEntry {
  /** The key in UTF-8, for its place among the others. */
  readonly bytes: Buffer
  /** When it is gone. */
  readonly expires: number
}

class MemoryKeyValue implements KeyValue {
  readonly #now: () => number
  readonly #entries = new Map<string, Standing>()
  /** Keys of entries with a time to live. */
  readonly #mortal = new Set<string>()
  /** Goes round and round through the mortal. */
  #round = this.#mortal.values()
  /** One counter for all keys: a version is not used again, even when its key has been deleted. */
  #version = 0
  #closed = false

  constructor(now: () => number) {
    this.#now = now
  }

  async get(key: string): Promise<KeyValueEntry | undefined> {
    this.#checkOpen()
    checkKey(key)
    const entry = this.#find(key)
    return entry && { value: new Uint8Array(entry.value), version: entry.version }
  }

  async set(key: string, value: Uint8Array, options: WriteOptions = {}): Promise<number> {
    this.#checkOpen()
    const bytes = checkKey(key)
    checkValue(value)
    checkWrite(options)
    this.#sweep()
    checkVersion(key, this.#find(key)?.version ?? 0, options.ifVersion)
    const expires = options.ttl === undefined ? Number.POSITIVE_INFINITY : this.#now() + options.ttl
    const version = ++this.#version
    this.#entries.set(key, { bytes, value: new Uint8Array(value), version, expires })
    if (options.ttl === undefined) this.#mortal.delete(key)
    else this.#mortal.add(key)
    return version
  }

  async delete(key: string, options: Pick<WriteOptions, 'ifVersion'> = {}): Promise<boolean> {
    this.#checkOpen()
    checkKey(key)
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
    this.#entries.delete(key)
    this.#mortal.delete(key)
  }

  #checkOpen(): void {
    if (this.#closed) throw unavailable('The engine is closed')
  }
}
