/** A place in a channel: after the entry with this offset, in this epoch. Offset 0 is before the first. */
export interface Position {
  /** Names one unbroken numbering of the channel; an opaque string. */
  readonly epoch: string
  readonly offset: number
}

/** One publication of a channel. Its bytes belong to the engine: readers MUST NOT change them. */
export interface LogEntry {
  /** 1 for the first of its epoch, then one more each time. */
  readonly offset: number
  readonly payload: Uint8Array
  /** The idempotency key it was published with. */
  readonly key?: string
  /** When it was published, in milliseconds of the engine's clock; never less than that of the entry before. */
  readonly time: number
}

/** How a publication is kept. What the latest one says holds for all that its channel keeps. */
export interface PublishOptions {
  /** Entries kept at most. Default 0: it is delivered and counted, and nothing is kept. */
  readonly size?: number
  /** Milliseconds that an entry is kept. Default: `size` alone bounds. */
  readonly ttl?: number
  /** Idempotency key: of publications with the same, within 5 minutes and an epoch, only the first counts. */
  readonly key?: string
}

/** Where a publication stands. */
export interface Published extends Position {
  /** Whether its key had been used: nothing was published, and this is where the first one stands. */
  readonly duplicate: boolean
}

/**
 * Why entries after a position cannot be given.
 *
 * `epoch`: the channel has begun anew. `trimmed`: some are kept no longer. `ahead`: the position is past
 * the end. `limit`: they are more than wanted.
 */
export type RecoveryFailure = 'epoch' | 'trimmed' | 'ahead' | 'limit'

/** Why continuity was lost: the channel has begun anew, or entries were missed. */
export type GapReason = 'epoch' | 'lost'

/** What a subscriber hears. What it throws MUST NOT disturb anybody else. */
export interface LogHandler {
  /** The entry after the last one, or after the position of the result or the gap. */
  entry(entry: LogEntry): void
  /** Not every entry between was heard; from here on they are. Subscribe anew, or read the history. */
  gap(reason: GapReason, position: Position): void
}

/** Where a subscription begins. */
export interface SubscribeOptions {
  /** The position to go on from. Default: the end. */
  readonly since?: Position
  /** Most entries to recover. Default 1,000. */
  readonly limit?: number
  /** Whether to give the newest entry kept when those after `since` are not given. */
  readonly latest?: boolean
}

/** A subscription, as it begins. */
export interface LogSubscription {
  /** The end of the channel when it began: what the handler hears comes after this. */
  readonly position: Position
  /** Whether `entries` are all between `since` and `position`. */
  readonly recovered: boolean
  /** Why not; undefined without `since`. */
  readonly reason?: RecoveryFailure
  /** The entries after `since`, in order, when recovered; else none, or the newest for `latest`. */
  readonly entries: readonly LogEntry[]
  /** Ends it: from now on the handler hears nothing. Idempotent. */
  close(): void
}

/** Which part of a history is read. */
export interface HistoryOptions {
  /** Read on from here; the entry itself is left out. Default: the oldest, or in reverse the newest. */
  readonly since?: Position
  /** Most entries of this page. Default 1,000. */
  readonly limit?: number
  /** Newest first, towards the oldest. */
  readonly reverse?: boolean
}

/** A page of a history. */
export interface HistoryPage {
  /** The end of the channel when it was read. */
  readonly position: Position
  /** Contiguous, without a hole after `since` either; fewer than `limit` where they would be too many bytes. */
  readonly entries: readonly LogEntry[]
  /** Whether nothing is kept beyond this page in its direction. */
  readonly complete: boolean
  /** Why there is no going on from `since`; there are no entries then. */
  readonly reason?: Exclude<RecoveryFailure, 'limit'>
}

/**
 * Channels with contiguous offsets, a bounded history, and live delivery.
 *
 * - Within an epoch of a channel offsets MUST be contiguous from 1, and no (epoch, offset) MUST ever stand
 *   for two payloads. An engine that cannot vouch for its past MUST begin a new epoch.
 * - `publish` MUST resolve when the entry is as durable as the engine is, and MUST NOT deliver it earlier.
 * - `recovered` MUST be true only when `entries` are contiguous from `since` to `position`, in its epoch.
 * - A subscriber MUST hear every entry after `position` exactly once, in order, contiguous. Where it cannot,
 *   the engine MUST call `gap` before any further entry, and go on from the position it gives there.
 * - No entry MUST be in `entries` and heard, none left out between. The handler MUST NOT be called in the turn
 *   of the event loop in which `subscribe` resolves, nor within a call of `publish`.
 * - What is kept is the newest part, without holes. An engine MAY keep less than was asked for, and MAY begin
 *   a new epoch of a channel without subscribers: recovery then fails, and says so. It MUST NOT give an entry
 *   whose time is over.
 * - A channel that has not been published to has an epoch nevertheless: who subscribes and comes back finds what
 *   has been published meanwhile.
 * - Channels and keys are names of 1 to 512 bytes of UTF-8, payloads of up to 16 MiB. Others MUST be refused
 *   with `INVALID_ARGUMENTS`.
 */
export interface Log {
  /** Appends an entry to a channel. A call that failed may have taken effect; one with a key can be repeated. */
  publish(channel: string, payload: Uint8Array, options?: PublishOptions): Promise<Published>
  subscribe(channel: string, handler: LogHandler, options?: SubscribeOptions): Promise<LogSubscription>
  history(channel: string, options?: HistoryOptions): Promise<HistoryPage>
  /** Forgets entries and keys of a channel, and begins a new epoch, of which subscribers hear by `gap`. */
  remove(channel: string): Promise<void>
}
