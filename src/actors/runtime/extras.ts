import type { Persistence } from './persistence.js'
import type { Receipts } from './receipts.js'
import { Ring } from './ring.js'
import type { Restarts } from './supervision.js'
import type { WatchListener } from './watch.js'

/** What few actors need; made when first used. */
export class Extras {
  readonly watchers = new Set<WatchListener>()
  /** Undone when it stops or restarts: its timers, and its watching of others. */
  readonly own = new Set<() => void>()
  /** Called when it stops: asks without an answer, who waits for room. */
  readonly ends = new Set<() => void>()
  /** The ends of actors above it, which wait for its own. */
  readonly above: (() => void)[] = []
  readonly urgent = new Ring<() => void>()
  readonly room = new Set<() => void>()
  /** The last message that backpressure sent back: there is room when there is room for it. */
  refused: object | undefined
  readonly subscribers = new Set<(view: unknown) => void>()
  receipts: Receipts | undefined
  restarts: Restarts | undefined
  persistence: Persistence | undefined
  /** Revision of the state that subscribers have last heard of. */
  published: unknown
  /** Revision of the state that was last saved. */
  saved: unknown
  incarnation = 0
  inFlight = 0
}
