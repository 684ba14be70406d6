import type { SlowOptions } from '../services/service.js'

/** How something waits. */
export interface WaitOptions {
  /** With `latest-by-key`: a newer one with this key takes its place, at the end. */
  readonly key?: string | undefined
  /** It carries nothing but its place: nobody misses it. */
  readonly light?: boolean | undefined
}

interface Waiting<T> {
  readonly value: T
  readonly bytes: number
  readonly light: boolean
  readonly place: number
}

/** What was taken from a queue. */
export interface Taken<T> {
  readonly value: T
  readonly bytes: number
  /** Whether something between this and the one taken before was dropped. */
  readonly gap: boolean
  /** How many were dropped since then, without the light ones. */
  readonly dropped: number
}

/**
 * What waits for one slow reader: in order, bounded, with a policy for when it is full.
 *
 * The newest is never dropped, so that a gap is always told with something that follows.
 */
export class SlowQueue<T> {
  readonly #options: SlowOptions
  // A Map keeps the order and drops from its middle; places are numbers, so that keys never meet them.
  readonly #waiting = new Map<string | number, Waiting<T>>()
  #places = 0
  #taken = -1
  #dropped = 0
  /** What was added first. */
  first: T | undefined
  /** What was taken last. */
  last: T | undefined
  /** Bytes that wait. */
  bytes = 0

  constructor(options: SlowOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.size
  }

  /** Adds something; returns how many were dropped for it. */
  push(value: T, bytes: number, { key, light = false }: WaitOptions = {}): number {
    const { overflow, messages, bytes: most } = this.#options
    const before = this.#dropped
    const place = this.#places++
    if (place === 0) this.first = value
    const id = overflow === 'latest-by-key' && key !== undefined ? key : place
    this.#drop(id)
    this.#waiting.set(id, { value, bytes, light, place })
    this.bytes += bytes
    while ((this.#waiting.size > messages || this.bytes > most) && this.#dropOldest());
    return this.#dropped - before
  }

  #dropOldest(): boolean {
    if (this.#waiting.size <= 1) return false
    const [id] = this.#waiting.keys()
    this.#drop(id!)
    return true
  }

  /** The oldest, which waits no more. */
  take(): Taken<T> | undefined {
    for (const [id, { value, bytes, place }] of this.#waiting) {
      this.#waiting.delete(id)
      this.bytes -= bytes
      const gap = place !== this.#taken + 1
      const dropped = this.#dropped
      this.#taken = place
      this.#dropped = 0
      this.last = value
      return { value, bytes, gap, dropped }
    }
    return undefined
  }

  #drop(id: string | number): void {
    const dropped = this.#waiting.get(id)
    if (dropped === undefined) return
    this.#waiting.delete(id)
    this.bytes -= dropped.bytes
    if (!dropped.light) this.#dropped++
  }
}
