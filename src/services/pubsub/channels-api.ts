import type { EventArgs, PubSubClient } from './client.js'
import type { TagFilter } from './filters.js'

/** A place in a channel: after the publication with this offset, in this epoch. */
export interface ChannelPosition {
  readonly epoch: string
  readonly offset: number
}

/**
 * Why what was missed was not given.
 *
 * `epoch`: the channel has begun anew. `trimmed`: some is kept no longer. `ahead`: the position is past the
 * end. `limit`: it is too much. `unavailable`: the channel does not recover, or cannot be asked at the moment;
 * it is asked again then. `refused`: the server does not allow it any more, and the subscription has ended.
 * `slow`: this client has read slower than was published, and the server has dropped some.
 */
export type RecoveryReason = 'epoch' | 'trimmed' | 'ahead' | 'limit' | 'unavailable' | 'refused' | 'slow'

/** How a channel went on from a position. */
export interface Recovered {
  /** Whether everything after the position has been delivered. */
  readonly recovered: boolean
  /** Why not. */
  readonly reason?: RecoveryReason
  /** Publications delivered that had been missed. */
  readonly count: number
  /** What a `refused` was refused with. */
  readonly error?: Error
  /** Publications that a `slow` has missed. */
  readonly dropped?: number
  /** The application's state, with `state: true` and unless it was recovered: what comes next follows on it. */
  readonly state?: unknown
}

/** How a subscription begins. */
export interface Subscribed extends Recovered {
  /** Where the channel stands; undefined without a history. */
  readonly position: ChannelPosition | undefined
}

/** Where a subscription begins, and how it goes on. */
export interface SubscribeOptions {
  /** The position to go on from, such as one kept from a visit before. Default: the end. */
  readonly since?: ChannelPosition | undefined
  /** Whether to go on from where it was after a loss of the connection; else from the end. Default true. */
  readonly recover?: boolean
  /**
   * Which publications are wanted, by their tags. Default: all.
   *
   * @example
   * { severity: ['high', 'critical'], not: { region: 'eu' } }
   */
  readonly filter?: TagFilter
  /**
   * Whether it begins with the application's state, and anew whenever not everything is recovered. Default false.
   *
   * Take the state in the turn in which the promise resolves: what follows on it comes in the next one.
   */
  readonly state?: boolean
}

/** Which part of a history is read. */
export interface ClientHistoryOptions {
  /** Read on from here; the entry itself is left out. Default: the oldest, or in reverse the newest. */
  readonly since?: ChannelPosition
  /** Most entries of this page, up to 1,000. Default 1,000. */
  readonly limit?: number
  /** Newest first, towards the oldest. */
  readonly reverse?: boolean
}

/** One publication in a history. */
export type HistoryEntry<M> = {
  [E in keyof M & string]: {
    readonly offset: number
    /** When it was published, in milliseconds of the server's clock. */
    readonly time: number
    readonly event: E
    readonly args: EventArgs<M, E>
  }
}[keyof M & string]

/** A page of a history. */
export interface ClientHistoryPage<M> {
  /** The end of the channel when it was read. */
  readonly position: ChannelPosition
  readonly entries: readonly HistoryEntry<M>[]
  /** Whether nothing is kept beyond this page in its direction. */
  readonly complete: boolean
  /** Why there is no going on from `since`; there are no entries then. */
  readonly reason?: 'epoch' | 'trimmed' | 'ahead'
}

/** Where a publication stands in its channel. */
export interface PublicationPlace extends ChannelPosition {
  /** Whether its key had been used: nothing was published, and this is where the first one stands. */
  readonly duplicate: boolean
}

/** The client of a PubSub service with `channels`: recovers what it has missed. */
export interface ChannelsClient<M> extends Pick<PubSubClient<M>, 'on' | 'once' | 'unsubscribe'> {
  /**
   * Subscribes to a channel, whose events then reach the listeners.
   *
   * What is recovered is delivered before it resolves. Counted: the subscription ends when `unsubscribe` was
   * called as often as this succeeded; its options are those of the first.
   * Rejects with what the server refused it with, such as `FORBIDDEN`; that does not count.
   */
  subscribe(channel: string, options?: SubscribeOptions): Promise<Subscribed>
  /**
   * Publishes to a channel, or with `undefined` to all clients, this one among them.
   *
   * Resolves to where it stands if the channel has a history: the engine has it then. Rejects with `FORBIDDEN`
   * unless the server's `canPublish` allows it.
   */
  publish<E extends keyof M & string>(
    channel: string | undefined,
    event: E,
    ...args: EventArgs<M, E>
  ): Promise<PublicationPlace | undefined>
  /**
   * Publishes to a channel with a history, once, however often it is called with this key.
   *
   * The key is the session's own, and counts for 5 minutes: repeat what failed with `CONNECTION_LOST` or `TIMEOUT`.
   */
  publishOnce<E extends keyof M & string>(
    key: string,
    channel: string,
    event: E,
    ...args: EventArgs<M, E>
  ): Promise<PublicationPlace>
  /** What was delivered last of a subscribed channel; undefined without a history. Keep it for `since`. */
  position(channel: string): ChannelPosition | undefined
  /** Reads what is kept of a channel, subscribed or not. */
  history(channel: string, options?: ClientHistoryOptions): Promise<ClientHistoryPage<M>>
  /**
   * Listens to how channels go on, each time that one was asked for from a position: after every new connection.
   *
   * With `recovered: false` something may be missing; load the state anew. Returns a function that ends it.
   */
  onrecovered(listener: (channel: string, how: Recovered) => void): () => void
}
