import type { CodecFactory } from '../codec/codec.js'
import type { CallOptions, ClientApi, ClientHalf } from '../services/service.js'
import type { ClientCore } from './core.js'
import type { ClientTransport } from './transport.js'

/** A server, as far as a client's types need it: `typeof app`. */
export interface AnyServer {
  readonly '~services': unknown
}

/** Options of `createClient`. */
export interface ClientOptions {
  /** Where the server is, such as `ws://localhost:3001`. */
  readonly url: string
  /** The codec. Default the entry point's: msgpack, or JSON from `socketstream-server/client/json`. */
  readonly codec?: CodecFactory
  /** How links are made. Default WebSockets. */
  readonly transport?: ClientTransport
  /** Sent with the hello, for the server to authenticate by. */
  readonly auth?: unknown
  /** How to come back after a loss, or `false` to stay away. */
  readonly reconnect?: false | ReconnectOptions
  /** Milliseconds until a call fails with `TIMEOUT`; 0: never. Default 30,000. */
  readonly timeout?: number
  /**
   * Bytes, or characters of JSON, that may wait for the link to come back and for the window of calls; past it calls and
   * messages fail with `OVERLOADED`. Default 8 MiB.
   */
  readonly queueBytes?: number
  /** Client halves by service name, besides those of `rpc` and `pubsub`. */
  readonly services?: Readonly<Record<string, ClientHalf>>
}

/** Exponential backoff: the delay doubles up to the maximum, and half of it is random. */
export interface ReconnectOptions {
  /** Milliseconds before the first attempt. Default 250. */
  readonly minDelay?: number
  /** Milliseconds between attempts at the most. Default 30,000. */
  readonly maxDelay?: number
}

/**
 * The state of a client: `idle` before `connect()`, `waiting` between attempts, `closed` after
 * `close()` or a refusal that trying again would not change.
 */
export type ClientStatus = 'idle' | 'connecting' | 'connected' | 'waiting' | 'closed'

/** What can be listened to. */
export interface ClientEvents {
  /** The status changed; with the code and reason when a connection ended. */
  status: (status: ClientStatus, why?: { readonly code: number; readonly reason: string }) => void
  /** Something failed that answers no call: a refused message, a broken frame. */
  error: (error: Error) => void
}

/** A client of one server: its services in `api`, its connection kept up. */
export interface Client<App extends AnyServer> {
  /** The services, by name. To be used once connected. */
  readonly api: ClientApi<App['~services']>
  readonly status: ClientStatus
  /** The id that the server knows this connection by; undefined before the first. */
  readonly connectionId: string | undefined
  /**
   * Connects.
   *
   * Rejects when the first attempt fails; unless `reconnect` is false or the server refused for
   * good, further attempts follow by themselves.
   *
   * @throws SocketStreamError `NOT_CONNECTED`, with the close code in `data.code`
   */
  connect(): Promise<void>
  /** Closes the connection and does not come back. Calls in flight fail with `CONNECTION_LOST`. */
  close(): void
  /** Listens; returns how to stop it. */
  on<Event extends keyof ClientEvents>(event: Event, listener: ClientEvents[Event]): () => void
  /** The same client, whose calls have these options. */
  with(options: CallOptions): Client<App>
}

/** Makes the face of a client, or another one whose calls have options. */
export function clientOf<App extends AnyServer>(core: ClientCore, options?: CallOptions): Client<App> {
  const { connect, close, on } = core
  return {
    api: new Proxy({} as ClientApi<App['~services']>, {
      // `then` must be missing, or awaiting the API would call it.
      get: (_target, name) =>
        typeof name === 'string' && name !== 'then' ? core.half(name, options) : undefined,
    }),
    get status() {
      return core.status
    },
    get connectionId() {
      return core.welcome?.cid
    },
    connect,
    close,
    on,
    with: more => clientOf(core, { ...options, ...more }),
  }
}
