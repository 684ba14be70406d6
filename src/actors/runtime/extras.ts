import type { Persistence } from './persistence.js'
import type { Receipts } from './receipts.js'
import type { Ring } from './ring.js'
import type { Restarts } from './supervision.js'
import type { Tap } from './tap.js'
import type { WatchListener } from './watch.js'

/** What subscribers see of a state, and what tells it from the one before. */
export interface Shown {
  readonly revision: unknown
  readonly view: unknown
}

/** What few actors need; each part is made when first used. */
export class Extras {
  watchers: Set<WatchListener> | undefined
  /** Undone when it stops or restarts: its timers, and its watching of others. */
  own: Set<() => void> | undefined
  /** Called when it stops: asks without an answer, who waits for room. */
  ends: Set<() => void> | undefined
  /** The ends of actors above it, which wait for its own. */
  above: (() => void)[] | undefined
  urgent: Ring<() => void> | undefined
  room: Set<() => void> | undefined
  /** The last message that backpressure sent back: there is room when there is room for it. */
  refused: object | undefined
  /** Each with the revision that it has last heard of. */
  subscribers: Map<(view: unknown) => void, unknown> | undefined
  receipts: Receipts | undefined
  restarts: Restarts | undefined
  persistence: Persistence | undefined
  /** Who sees its messages. */
  tap: Tap | undefined
  /** What subscribers may see of a state that is saved. */
  published: Shown | undefined
  /** Revision of the state that was last saved. */
  saved: unknown
  /** Whether a save is under way. */
  saving = false
  incarnation = 0
  inFlight = 0

  /** Whether somebody waits for what becomes of a message. */
  get observed(): boolean {
    return this.receipts !== undefined || this.subscribers !== undefined || this.persistence !== undefined
  }
}
