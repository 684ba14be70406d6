/** Somebody present in a channel. */
export interface Member {
  readonly member: string
  /** What was said of it when it joined; MUST NOT be changed. */
  readonly info: Uint8Array
}

/** How a member left: by itself, or because it was not refreshed. */
export type LeaveReason = 'left' | 'expired'

/** What a watcher hears. What it throws MUST NOT disturb anybody else. */
export interface PresenceHandler {
  joined(member: Member): void
  left(member: Member, reason: LeaveReason): void
  /** Something may have been missed: read the members again. */
  gap?(): void
}

/** A watch on a channel, or a listener of the bus. */
export interface Subscription {
  /** From now on the handler hears nothing. Idempotent. */
  close(): void
}

/**
 * Who is in a channel, each for a time that has to be renewed.
 *
 * - A member is in its channel from `join` until `leave` or `ttl` milliseconds after the last `join` or
 *   `refresh`, and MUST NOT be listed afterwards, whether anybody has looked or not.
 * - While a channel is watched, `joined` and `left` MUST be told once for each time that somebody comes and goes,
 *   in this order, also when the time of a member is over; past it by at most a second for an engine of one
 *   process. To join again while present renews info and time, and MUST NOT be told.
 * - Channels and members are names of 1 to 512 bytes of UTF-8, infos of up to 16 MiB. Others MUST be refused
 *   with `INVALID_ARGUMENTS`.
 */
export interface Presence {
  /** Resolves to whether the member was absent. `ttl` in milliseconds. */
  join(channel: string, member: string, info: Uint8Array, ttl: number): Promise<boolean>
  /** Renews the time of a member; resolves to whether it is present. If not, join again. */
  refresh(channel: string, member: string, ttl: number): Promise<boolean>
  /** Resolves to whether the member was present. */
  leave(channel: string, member: string): Promise<boolean>
  /** Those after `after`, by the bytes of their names; at most `limit`, default 1,000. */
  members(channel: string, options?: { after?: string; limit?: number }): Promise<Member[]>
  count(channel: string): Promise<number>
  /** Tells who comes and goes from now on. */
  watch(channel: string, handler: PresenceHandler): Promise<Subscription>
}
