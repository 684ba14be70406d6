import { randomBytes } from 'node:crypto'
import type { Subscriber } from './deliveries.js'
import type { LogEntry } from './log.js'
import { KEY_TTL, type Retention } from './log-checks.js'
import type { Kept } from './recovery.js'

/** Bytes that a channel, an entry or a key takes besides what is in it, as near as one can say. */
const OVERHEAD = 200

/** A channel in memory: its numbering, what it keeps, its idempotency keys, who subscribes. */
export class MemoryChannel implements Kept {
  readonly name: string
  /** The same name with another epoch is another channel: nothing of the old one can be taken for its own. */
  readonly epoch = newEpoch()
  readonly subscribers: Set<Subscriber>
  top = 0
  /** Bytes taken, all told. */
  bytes: number
  #time = Number.NEGATIVE_INFINITY
  #ttl = Number.POSITIVE_INFINITY
  /** What is kept, oldest first, from `#first` on. */
  #entries: LogEntry[] = []
  #first = 0
  /** Offset by idempotency key, in the order of their ends. */
  readonly #keys = new Map<string, { readonly offset: number; readonly until: number }>()

  constructor(name: string, subscribers = new Set<Subscriber>()) {
    this.name = name
    this.subscribers = subscribers
    this.bytes = OVERHEAD + 2 * name.length
  }

  get floor(): number {
    return this.top - this.kept
  }

  /** Number of entries kept. */
  get kept(): number {
    return this.#entries.length - this.#first
  }

  /** Whether an idempotency key is remembered, or an entry kept whose time will be over. */
  get mortal(): boolean {
    return this.#keys.size > 0 || (this.kept > 0 && this.#ttl < Number.POSITIVE_INFINITY)
  }

  /** The offset that a key was used for. */
  offsetOf(key: string): number | undefined {
    return this.#keys.get(key)?.offset
  }

  /** Takes the next offset for a payload. What is kept of the older ones is then at most `size - 1`. */
  next(payload: Uint8Array, { size, ttl, key }: Retention, now: number): LogEntry {
    this.#ttl = ttl
    this.#time = Math.max(this.#time, now)
    const offset = ++this.top
    const entry = { offset, payload, time: this.#time, ...(key !== undefined && { key }) }
    this.#entries.push(entry)
    this.bytes += sizeOf(entry)
    this.#drop(this.kept - size)
    if (key !== undefined) {
      this.#keys.set(key, { offset, until: now + KEY_TTL })
      this.bytes += keySize(key)
    }
    return entry
  }

  /** Removes what is over. */
  expire(now: number): void {
    let over = 0
    while (over < this.kept && this.#entries[this.#first + over]!.time + this.#ttl <= now) over++
    this.#drop(over)
    for (const [key, { until }] of this.#keys) {
      if (until > now) break
      this.#keys.delete(key)
      this.bytes -= keySize(key)
    }
  }

  /** Drops the oldest entries until so many bytes are free, or none is left. */
  free(bytes: number): void {
    const least = this.bytes - bytes
    while (this.kept > 0 && this.bytes > least) this.#drop(1)
  }

  read(after: number, upTo: number, limit: number): LogEntry[] {
    const from = this.#first + after - this.floor
    return this.#entries.slice(from, from + Math.min(limit, upTo - after))
  }

  readBack(after: number, upTo: number, limit: number): LogEntry[] {
    const from = Math.max(after, upTo - limit)
    return this.read(from, upTo, limit).reverse()
  }

  #drop(count: number): void {
    for (let dropped = 0; dropped < count; dropped++) {
      this.bytes -= sizeOf(this.#entries[this.#first]!)
      // The place stays until many are free: to move the others each time would cost more than they do.
      this.#entries[this.#first++] = undefined as never
    }
    if (this.#first > 32 && 2 * this.#first > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first)
      this.#first = 0
    }
  }
}

/** A name that no numbering has had. */
export function newEpoch(): string {
  return randomBytes(9).toString('base64url')
}

/** Bytes that an entry takes. */
export function sizeOf({ payload, key = '' }: { payload: Uint8Array; key?: string | undefined }): number {
  return OVERHEAD + payload.length + 2 * key.length
}

/** Bytes that an idempotency key takes. */
export function keySize(key: string): number {
  return OVERHEAD + 2 * key.length
}
