/** What a client is offered: types only. */

/** A record as a client sees it: undefined before it is known, null when there is none that it may see. */
export type ModelSnapshot<R> = R | null | undefined

/** Properties to be changed, undefined for those to be taken away; or what makes the record into the next. */
export type Changes<R> = { readonly [K in keyof R]?: R[K] | undefined } | ((record: R) => R)

/** Options of a write. */
export interface WriteOptions {
  /** The version that must stand there. Default: the one that is seen here, and any if none is. */
  readonly version?: number
}

/** What can be followed: both functions may be given to `useSyncExternalStore`. */
export interface Followed<Snapshot, Ready> {
  /** What is known now. Never changed: another one after each change, the same until then. */
  getSnapshot(): Snapshot
  /**
   * Calls back after each change; returns what ends it.
   *
   * The first listener begins to watch, the last one to leave ends it.
   */
  subscribe(listener: () => void): () => void
  /** Resolves to the first snapshot; watches while it waits. Rejects when that is refused. */
  ready(): Promise<Ready>
  /** Why the server does not let it be watched; undefined while it does. */
  readonly error: Error | undefined
}

/** A record of the server, as a client sees it. */
export interface RemoteRecord<R> extends Followed<ModelSnapshot<R>, R | null> {
  readonly id: string
  /** `update(id, …)` of the model. */
  update(changes: Changes<R>, options?: WriteOptions): Promise<R | undefined>
  /** `remove(id)` of the model. */
  remove(options?: WriteOptions): Promise<void>
}

/** What a window on a query shows. */
export interface ModelQueryPage<R> {
  readonly records: readonly R[]
  /** Records in the whole result, as far as this client may see them. */
  readonly total: number
}

/** Which records of a query are shown. */
export interface PageOptions {
  /** Records before the first. Default 0. */
  readonly offset?: number
  /** Records at most. Default 100. */
  readonly limit?: number
}

/** A query that is watched. */
export interface RemoteQuery<R> extends Followed<ModelQueryPage<R> | undefined, ModelQueryPage<R>> {
  /** Shows so many records more. */
  more(count: number): void
}

/** Arguments of `query`: the parameters may be left out where there are none. */
export type QueryArgs<Params> = unknown extends Params
  ? [params?: unknown, page?: PageOptions]
  : undefined extends Params
    ? [params?: Params, page?: PageOptions]
    : [params: Params, page?: PageOptions]

/** The client of a model. */
export interface ModelClient<R, New = R, Params = Record<string, never>> {
  /** A record: the same object for the same id. Asks the server nothing yet. */
  get(id: string): RemoteRecord<R>
  /** A query: the same object for the same name, parameters and page. Asks the server nothing yet. */
  query<Name extends keyof Params & string>(name: Name, ...args: QueryArgs<Params[Name]>): RemoteQuery<R>
  /** Adds a record. Resolves to it when it is stored; to undefined if this client may not see it. */
  create(record: New): Promise<R | undefined>
  /**
   * Changes a record: at once where it is watched, and back again if the server refuses.
   *
   * Resolves when it is stored, to the record; to undefined if this client may no longer see it. Rejects with
   * `STALE_VERSION` when somebody else has changed it meanwhile: `data` has its `version` and `record`.
   */
  update(id: string, changes: Changes<R>, options?: WriteOptions): Promise<R | undefined>
  /** Removes a record. Rejects as `update` does. */
  remove(id: string, options?: WriteOptions): Promise<void>
}
