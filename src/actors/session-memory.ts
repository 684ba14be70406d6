import { LRUCache } from 'lru-cache'
import { expiryOf, type StoredSession } from '../sessions/session.js'

/** Bounds of what is kept in RAM. */
export interface SessionMemoryBounds {
  readonly max: number
  readonly maxBytes: number
}

/** A session that was kept, and when the store was last asked for it. */
export interface KeptSession {
  readonly data: StoredSession
  readonly checkedAt: number
}

interface Entry {
  /** JSON, whose size in RAM is known. */
  readonly text: string
  readonly checkedAt: number
}

/** Ids that are remembered, and for how many milliseconds: longer than a request takes. */
const REMEMBERED = { max: 10_000, ttl: 10 * 60_000 }
/** Bytes of an entry without its texts, about. */
const ENTRY = 300

/** What is known of sessions that are not in use: an LRU of their data, and which are no more. */
export class SessionMemory {
  evictions = 0
  readonly #kept: LRUCache<string, Entry> | undefined
  readonly #destroyed = new LRUCache<string, true>(REMEMBERED)
  /** Ids that were in use without being stored: something may have been stored under them since. */
  readonly #begun = new LRUCache<string, true>(REMEMBERED)

  /** @param bounds false: no data is kept */
  constructor(bounds: false | SessionMemoryBounds) {
    if (bounds === false) return
    this.#kept = new LRUCache<string, Entry>({
      max: bounds.max,
      maxSize: bounds.maxBytes,
      // A character takes two bytes at most.
      sizeCalculation: ({ text }, id) => ENTRY + 2 * (id.length + text.length),
      dispose: (_entry, _id, reason) => {
        if (reason === 'evict') this.evictions++
      },
    })
  }

  /** Sessions kept. */
  get size(): number {
    return this.#kept?.size ?? 0
  }

  /** Their bytes, estimated from above. */
  get bytes(): number {
    return this.#kept?.calculatedSize ?? 0
  }

  /** Whether the data of a session is kept. */
  has(id: string): boolean {
    return this.#kept?.has(id) ?? false
  }

  /** The data of a session that is kept. */
  peek(id: string): StoredSession | undefined {
    const entry = this.#kept?.peek(id)
    return entry && (JSON.parse(entry.text) as StoredSession)
  }

  /** Gives the data of a session to whoever uses it, and keeps it no longer. */
  take(id: string): KeptSession | undefined {
    const entry = this.#kept?.get(id)
    if (entry === undefined) return undefined
    this.#kept?.delete(id)
    return { data: JSON.parse(entry.text) as StoredSession, checkedAt: entry.checkedAt }
  }

  /** Keeps the data of a session until it expires; of one that was destroyed nothing. */
  keep(id: string, { data, checkedAt }: KeptSession): void {
    if (this.#kept === undefined || this.isBuried(id)) return
    const expiry = expiryOf(data)
    const ttl = expiry === undefined ? undefined : expiry - Date.now()
    if (ttl !== undefined && ttl <= 0) return
    const entry = { text: JSON.stringify(data), checkedAt }
    if (ttl === undefined) this.#kept.set(id, entry)
    else this.#kept.set(id, entry, { ttl })
  }

  /** What is kept of a session is no longer true. */
  forget(id: string): void {
    this.#kept?.delete(id)
  }

  /** A session was destroyed. */
  bury(id: string): void {
    this.forget(id)
    this.#destroyed.set(id, true)
  }

  /** Whether a session was destroyed; as far as is remembered. */
  isBuried(id: string): boolean {
    return this.#destroyed.has(id)
  }

  /** A new id comes into use; says whether it was before. */
  begin(id: string): boolean {
    const known = this.#begun.has(id)
    this.#begun.set(id, true)
    return known
  }
}
