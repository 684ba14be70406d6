import type { Answers, ClientCallOptions } from '../call-many.js'
import type { CallArgs, CallResult, ClientAnswer, ClientCaller } from '../named-calls.js'
import type { Call, ServiceServer } from '../service.js'
import { toMessage } from './names.js'

export type { CallArgs, CallMap, ClientAnswer } from '../named-calls.js'

/** Answers a call of the server: with a value, a promise of one, or an async iterable. */
export type ClientHandler<C, K extends keyof C> = (
  ctx: {
    /** Aborted when the server waits no longer. */
    readonly signal: AbortSignal
  },
  ...args: CallArgs<C, K>
) => CallResult<C, K> | Promise<CallResult<C, K>>

/** What a client half has besides that answers calls; see `handling`. */
export interface PubSubHandlers<C> {
  /**
   * Answers the server's calls of a name; another handler takes the place of the one before.
   *
   * What it throws reaches the server with its code, or as `INTERNAL`. Names without one are `UNKNOWN_METHOD`.
   *
   * @returns a function that ends it
   */
  handle<K extends keyof C & string>(name: K, handler: ClientHandler<C, K>): () => void
}

/** The same where calls are declared, nothing where they are not. */
export type HandlersOf<C> = string extends keyof C ? unknown : PubSubHandlers<C>

/** Calls one client. */
export interface CallsOne<C> extends Pick<ClientCaller<C>, '~calls'> {
  /**
   * Calls the handler of a client of this server: a promise of its answer, or an async iterable of its items.
   *
   * Rejects with what the handler throws, `UNKNOWN_METHOD`, `NOT_CONNECTED`, `CONNECTION_LOST`, `TIMEOUT` (after 30 s),
   * `CANCELLED`, `OVERLOADED` past `limits.calls`, `UNENCODABLE`.
   *
   * @throws SocketStreamError `INVALID_ARGUMENTS` for the name
   */
  call<K extends keyof C & string>(connectionId: string, name: K, ...args: CallArgs<C, K>): ClientAnswer<C, K>
}

/** Calls several clients. */
export interface CallsMany<C> {
  /**
   * Calls the handler of each of them, of this server, and resolves when all have answered or cannot any more.
   *
   * One timeout is for all, default 30 s; 256 are called at the same time. Who is there is looked up once. Never rejects.
   *
   * @throws SocketStreamError `INVALID_ARGUMENTS` for the name
   */
  call<K extends keyof C & string>(name: K, ...args: CallArgs<C, K>): Promise<Answers<CallResult<C, K>>>
}

/** Makes the face of calls to one client. */
export function callsOne<C>(server: ServiceServer, options: ClientCallOptions = {}): CallsOne<C> {
  return {
    call: (connectionId, name, ...args) =>
      server.callClient(connectionId, toMessage(name, args), options) as Call as never,
  }
}
