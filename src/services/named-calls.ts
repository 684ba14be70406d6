/** Functions of clients that the server calls, by name. */
export type CallMap = { readonly [name: string]: (...args: unknown[]) => unknown }

/** The arguments of one of them. */
export type CallArgs<C, K extends keyof C> = C[K] extends (...args: infer Args) => unknown ? Args : never

/** What its handler gives. */
export type CallResult<C, K extends keyof C> = C[K] extends (...args: never[]) => infer R ? Awaited<R> : never

/** What it answers with: an async iterable of items, or a promise of a value. */
export type ClientAnswer<C, K extends keyof C> =
  CallResult<C, K> extends AsyncIterable<infer Item> ? AsyncIterable<Item> : Promise<CallResult<C, K>>

/** A service that calls clients by name, as `app.api.<pubsub>` does, or what its `with(options)` gives. */
export interface ClientCaller<C> {
  /** For types only: what can be called. */
  readonly '~calls'?: C
  call(connectionId: string, name: never, ...args: never): unknown
}
