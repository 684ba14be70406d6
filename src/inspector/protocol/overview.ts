/** The inspected server. */
export interface Hello {
  readonly protocol: number
  /** New with each start of the server: when it differs from before, throw all you have away. */
  readonly incarnation: string
  readonly startedAt: number
  readonly now: number
  readonly readOnly: boolean
  readonly env?: string
  readonly node: string
  readonly pid: number
  readonly transports: readonly string[]
  readonly services: readonly string[]
  /** Milliseconds between two samples. */
  readonly every: number
  /** Viewers there are, this one not counted unless it watches. */
  readonly viewers: number
  /** Most rows of one page. */
  readonly maxRows: number
}

/** One sample; rates are per second, over the time since the sample before. */
export interface OverviewPoint {
  readonly at: number
  readonly connections: number
  /** Of these, whose clients are away and may resume. */
  readonly detached: number
  readonly sessions: number
  readonly actors: number
  /** Messages from and to clients, per second. Left out in the first sample. */
  readonly messagesIn?: number
  readonly messagesOut?: number
  /** Bytes on the sockets, per second; of the transports that know them, such as `ws`. */
  readonly bytesIn?: number
  readonly bytesOut?: number
  /** Longest that the event loop stood still. */
  readonly lag: number
  readonly heap: number
  readonly rss: number
  /** Messages waiting in mailboxes: of all actors, or of the sampled ones, see `depthOf`. */
  readonly depth: number
  /** The deepest mailbox, and whose. */
  readonly deepest?: { readonly path: string; readonly depth: number }
  /** Bytes waiting to be sent to clients. */
  readonly queued: number
  /** Since the start of the server. */
  readonly crashes: number
  readonly deadLetters: number
  /** Log lines of level `error` while watched, since the start. */
  readonly errors: number
}

/** Counted since watching began; exact, against which rates can be checked. */
export interface Totals {
  readonly since: number
  readonly messagesIn: number
  readonly messagesOut: number
  readonly opened: number
  readonly closed: number
}

export interface Overview {
  /** Oldest first, at most 300. */
  readonly points: readonly OverviewPoint[]
  readonly totals: Totals
  /** How `depth` is sampled: actors looked at, of how many. */
  readonly depthOf: { readonly looked: number; readonly actors: number }
}
