/** One device of somebody who is present: a connection that has joined. */
export interface PresenceDevice<Meta> {
  /** Made by its client, which keeps it over reconnects; not over a reload of its page. */
  readonly id: string
  /** What it has said of itself. */
  readonly meta: Meta
}

/** Somebody who is present in a channel. */
export interface PresenceMember<Meta> {
  /** Who it is: one member, however many devices. */
  readonly user: string
  /** Its devices, at most 32 of them. None while all of them have gone and may yet come back. */
  readonly devices: readonly PresenceDevice<Meta>[]
}

/** A part of the members of a channel, by their users. */
export interface PresencePage<Meta> {
  readonly members: readonly PresenceMember<Meta>[]
  /** Give it as `after` for the next page; undefined: there are no more. */
  readonly next: string | undefined
}

/** Which part of the members is wanted. */
export interface PagePart {
  /** The `next` of the page before. */
  readonly after?: string | undefined
  /** Members at most. Default and most 500. */
  readonly limit?: number
}

/** Who is in a channel, as a client sees it: the same object until something changes. */
export interface PresenceSnapshot<Meta> {
  /** Whether it is up to date, as far as the server's word goes. False before the first answer, and after a loss. */
  readonly ready: boolean
  /** False in a channel with too many members: `members` is empty, and only the count is followed. */
  readonly listed: boolean
  /** Members, each counted once. */
  readonly count: number
  /** By their users. */
  readonly members: readonly PresenceMember<Meta>[]
}

/** A channel that a client watches. */
export interface RemotePresence<Meta> {
  /** The snapshot; together with `subscribe` what React's `useSyncExternalStore` wants. */
  getSnapshot(): PresenceSnapshot<Meta>
  /** Calls back after each change; gives the function that ends it. */
  subscribe(listener: () => void): () => void
  /** Resolves when the members are there, and rejects when the server refuses. */
  readonly ready: Promise<void>
  /** Ends the watch. Idempotent. */
  close(): void
}

/** The client of a presence service. */
export interface PresenceClient<Meta> {
  /** Joins a channel, or says something else of itself there; again by itself after every reconnect. */
  join(channel: string, ...meta: MetaArgs<Meta>): Promise<void>
  /** Leaves it. */
  leave(channel: string): Promise<void>
  /** Watches who is there. The same channel gives the same object until it is closed as often as it was asked for. */
  watch(channel: string): RemotePresence<Meta>
  /** How many are there, without who. */
  count(channel: string): Promise<number>
  /** A page of who is there, for channels that are not listed. */
  list(channel: string, part?: PagePart): Promise<PresencePage<Meta>>
}

/** Meta may be left out where it may be undefined. */
export type MetaArgs<Meta> = undefined extends Meta ? [meta?: Meta] : [meta: Meta]

/** The server-side API of a presence service. */
export interface PresenceServer<Meta> {
  /** Members of a channel, on all servers of the engine. */
  count(channel: string): Promise<number>
  list(channel: string, part?: PagePart): Promise<PresencePage<Meta>>
  /** Makes every device of a user leave, on all servers of the engine. They may join again. */
  remove(channel: string, user: string): Promise<void>
  /**
   * Hears of users who come and go: once per user, whatever devices and servers, on one of the servers.
   *
   * @returns a function that ends it
   */
  on(event: 'joined' | 'left', listener: (channel: string, user: string) => void): () => void
}
