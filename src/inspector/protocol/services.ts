export interface ServiceRow {
  readonly id: number
  readonly name: string
  readonly type: string
  readonly private: boolean
  readonly path: string
  readonly depth: number
  readonly handled: number
  readonly channels: number
  /** Of a service that has slow clients wait: messages that wait for them, and that were dropped for them. */
  readonly slow?: { readonly connections: number; readonly waiting: number; readonly dropped: number }
  /** Since when methods are counted; left out: nobody watches services, and `methods` is empty. */
  readonly countedSince?: number
  /** The share of its messages that was counted since then: 1 up to 10,000 a second over all services, less past that. */
  readonly sampling?: number
  /** At most 256; what is past that is under `(other)`. */
  readonly methods: readonly MethodRow[]
}

export interface MethodRow {
  /** Of calls the method; `(message)`, `(subscribe)`, `(publish)` and `(other)` as they say. */
  readonly name: string
  readonly calls: number
  readonly errors: number
  /** Cancelled, dropped, or their connection went. */
  readonly unfinished: number
  readonly inFlight: number
  /** Milliseconds, read off the histogram. */
  readonly p50?: number
  readonly p99?: number
  readonly max?: number
  /** How many took up to `BUCKETS[i]` milliseconds; one more for what took longer than the last. */
  readonly histogram: readonly number[]
}

/** Upper bounds of the histograms, in milliseconds. */
export const BUCKETS: readonly number[] = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000,
]
