/** A record as it stands in a storage. */
export interface Stored<R> {
  readonly record: R
  /** A positive whole number that MUST be another after every write of the record. */
  readonly version: number
}

/** What is asked of `list`. */
export interface ListRequest {
  /** Name of the query. */
  readonly query: string
  /** Its parameters, as its schema gave them. */
  readonly params: unknown
  /** Records that are taken; of more the query is refused. */
  readonly limit: number
  /** Whether a record belongs to the query. What it does not take may be given, and is left out. */
  matches(record: unknown): boolean
}

/**
 * Where the records of a model are kept: five functions.
 *
 * - A write MUST be durable, as far as the storage is at all, when its promise resolves.
 * - A write with a version MUST take place only if that version stands there: of several with the same one, at
 *   most one.
 * - `load` MUST see every write that has resolved before it is called.
 * - What is thrown says that it is unknown whether a write has taken place.
 */
export interface ModelStorage<R> {
  /** The record of an id; undefined when there is none. */
  load(id: string): Stored<R> | undefined | Promise<Stored<R> | undefined>
  /** All records that a query takes, in any order; up to `limit`. */
  list(request: ListRequest): Iterable<Stored<R>> | Promise<Iterable<Stored<R>>>
  /** Adds a record; gives its version, undefined when there is one of this id. */
  create(id: string, record: R): number | undefined | Promise<number | undefined>
  /** Puts a record in place of one of this version; gives its version, undefined when another stands there. */
  update(id: string, record: R, version: number): number | undefined | Promise<number | undefined>
  /** Removes a record of this version; false when another stands there, or none. */
  remove(id: string, version: number): boolean | Promise<boolean>
}
