/** Who holds a name, and for how long. */
export interface Lease {
  /** The fencing token: greater than that of every lease of this name before. */
  readonly token: number
  /** What the holder said of itself. */
  readonly holder: string
  /** Milliseconds until it ends, unless it is renewed. */
  readonly remaining: number
}

/**
 * Names held by one at a time, each for a time that has to be renewed.
 *
 * A holder can be late without knowing: it pauses, its lease ends, another one holds the name. Whoever writes
 * for a lease therefore sends its token along, and what is written to refuses tokens below the greatest seen.
 *
 * - Of several calls of `acquire` for a name at most one MUST succeed, until its lease has ended.
 * - Tokens of a name MUST only grow, also over leases that ended, were released or are long forgotten.
 * - `renew` and `release` MUST have no effect when another token stands there, or none.
 * - Names are strings of 1 to 512 bytes of UTF-8, holders of up to 512. Others MUST be refused with
 *   `INVALID_ARGUMENTS`.
 */
export interface Leases {
  /** Takes a name for `ttl` milliseconds; undefined when it is held. `holder` says who, default ''. */
  acquire(name: string, ttl: number, holder?: string): Promise<Pick<Lease, 'token'> | undefined>
  /** Holds a name for `ttl` milliseconds from now; resolves to whether the lease was still there. */
  renew(name: string, token: number, ttl: number): Promise<boolean>
  /** Gives a name back; resolves to whether the lease was still there. */
  release(name: string, token: number): Promise<boolean>
  /** Who holds a name now. */
  current(name: string): Promise<Lease | undefined>
}
