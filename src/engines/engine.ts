import type { Bus } from './bus.js'
import type { KeyValue } from './key-value.js'
import type { Leases } from './lease.js'
import type { Limiter } from './limiter.js'
import type { Log } from './log.js'
import type { Occupancy } from './occupancy.js'
import type { Presence } from './presence.js'

export type { KeyValue } from './key-value.js'

/** What an engine tells of itself, with what goes along. */
export interface EngineEvents {
  /** It works again. */
  up: []
  /** It does not; why. Calls fail until `up`, and nothing is heard. */
  down: [cause: unknown]
  /** What comes by itself may have been missed, on the bus or by watchers of presence: ask for all of it again. */
  gap: []
  /** A handler or listener has thrown this; the engine goes on. */
  fault: [error: unknown]
}

/**
 * An engine: the state that outlives an actor, and that nodes share.
 *
 * Each capability is optional; whoever needs one that is missing says so when it is set up.
 *
 * - Every method MUST settle: within the engine's deadline, with `ENGINE_UNAVAILABLE` past it.
 * - After `close` every method MUST reject with `ENGINE_UNAVAILABLE`, and no handler MUST be called. Whoever made
 *   an engine closes it.
 * - What a handler or a listener throws MUST NOT reach anybody but the listeners of `fault`.
 * - Bytes given MUST be copied or written before the call returns to the event loop: they are the caller's.
 * - Times to live are whole milliseconds, at least 1; others MUST be refused with `INVALID_ARGUMENTS`.
 */
export interface Engine {
  /** Short name, such as `memory`; for logs. */
  readonly name: string
  readonly kv?: KeyValue
  readonly log?: Log
  readonly presence?: Presence
  readonly occupancy?: Occupancy
  readonly lease?: Leases
  readonly bus?: Bus
  readonly limiter?: Limiter
  /** Calls a listener at each event from now on; gives the function that ends it. */
  on<Event extends keyof EngineEvents>(
    event: Event,
    listener: (...details: EngineEvents[Event]) => void,
  ): () => void
  /** Releases everything. Idempotent. */
  close(): Promise<void>
}
