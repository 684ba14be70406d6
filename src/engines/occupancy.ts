/** A member of a group. */
export interface Occupant {
  readonly member: string
  /** In how many places it is. */
  readonly places: number
  /** How many of them it owns. */
  readonly owned: number
}

/** A place that another member owns now. */
export interface Passed {
  readonly place: string
  readonly owner: string
}

/**
 * Which members are in which places, and who of those in one owns it: whoever has been in it longest.
 *
 * Nobody's time is over by itself: whoever learns that a member is no more takes it out, by `evict`.
 *
 * - While anybody is in a place exactly one MUST own it, from when it came first, or the owner before it left, until it leaves.
 * - A call that is repeated MUST NOT change anything: who is in a place stays where it is in the order of those there.
 * - A call counts as a whole, or not at all.
 * - Groups, members and places are names of 1 to 512 bytes of UTF-8; a call has at most 1,000 places. Others MUST be
 *   refused with `INVALID_ARGUMENTS`. An engine without room MUST refuse with `ENGINE_UNAVAILABLE`.
 */
export interface Occupancy {
  /** Puts a member of a group into places. Resolves to those of them that it owns, in their order. */
  enter(group: string, member: string, places: readonly string[]): Promise<string[]>
  /** Takes a member out of places. Resolves to those that have passed to another by that. */
  leave(group: string, member: string, places: readonly string[]): Promise<Passed[]>
  /** Takes a member out of all its places, at most `limit` (1,000) at once; not `complete` when it is still in some. */
  evict(group: string, member: string, limit?: number): Promise<{ passed: Passed[]; complete: boolean }>
  /** All that are in any place of a group, in no order. */
  occupants(group: string): Promise<Occupant[]>
}
