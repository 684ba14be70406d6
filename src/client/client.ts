import type { CodecFactory } from '../codec/codec.js'
import { SocketStreamError } from '../errors.js'
import { pubsubClient } from '../services/pubsub/client.js'
import { rpcClient } from '../services/rpc/client.js'
import type { CallOptions, ClientApi, ClientHalf, InboundCalls } from '../services/service.js'
import { ClientConnection, type ConnectionOwner, type Ending, type Welcome } from './connection.js'
import { type ServiceHandle, type Subscription, serviceHandle } from './service-handle.js'
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

/** Options with what an entry point adds to them. */
export type ClientSetup = ClientOptions & Required<Pick<ClientOptions, 'codec' | 'transport'>>

const BUILT_IN: Readonly<Record<string, ClientHalf>> = { rpc: rpcClient, pubsub: pubsubClient }

/** A client of one server: its services in `api`, its connection kept up. */
export class Client<App extends AnyServer> {
  readonly #core: ClientCore
  readonly #callOptions: CallOptions | undefined

  /** Use `createClient`. */
  constructor(core: ClientCore, callOptions?: CallOptions) {
    this.#core = core
    this.#callOptions = callOptions
    this.api = new Proxy({} as typeof this.api, {
      // `then` must be missing, or awaiting the API would call it.
      get: (_target, name) =>
        typeof name === 'string' && name !== 'then' ? core.half(name, callOptions) : undefined,
    })
  }

  /** The services, by name. To be used once connected. */
  declare readonly api: ClientApi<App['~services']>

  get status(): ClientStatus {
    return this.#core.status
  }

  /** The id that the server knows this connection by; undefined before the first. */
  get connectionId(): string | undefined {
    return this.#core.welcome?.cid
  }

  /**
   * Connects.
   *
   * Rejects when the first attempt fails; unless `reconnect` is false or the server refused for
   * good, further attempts follow by themselves.
   *
   * @throws SocketStreamError `NOT_CONNECTED`, with the close code in `data.code`
   */
  connect(): Promise<void> {
    return this.#core.connect()
  }

  /** Closes the connection and does not come back. Calls in flight fail with `CONNECTION_LOST`. */
  close(): void {
    this.#core.close()
  }

  /** Listens; returns how to stop it. */
  on<Event extends keyof ClientEvents>(event: Event, listener: ClientEvents[Event]): () => void {
    return this.#core.on(event, listener)
  }

  /** The same client, whose calls have these options. */
  with(options: CallOptions): Client<App> {
    return new Client<App>(this.#core, { ...this.#callOptions, ...options })
  }
}

/** What all views of one client share. */
export class ClientCore implements ConnectionOwner {
  status: ClientStatus = 'idle'
  declare welcome: Welcome | undefined
  declare inbound?: InboundCalls['inbound']
  /** Subscriptions that the server has agreed to, by the numbers of their topics on this connection. */
  readonly topics = new Map<number, Subscription>()
  readonly #options: ClientSetup
  readonly #listeners: { readonly [E in keyof ClientEvents]: Set<ClientEvents[E]> } = {
    status: new Set(),
    error: new Set(),
  }
  readonly #handles = new Map<string, ServiceHandle>()
  readonly #halves = new Map<string, unknown>()
  #connection: ClientConnection | undefined
  #attempts = 0
  #retry: ReturnType<typeof setTimeout> | undefined

  constructor(options: ClientSetup) {
    if (typeof options.url !== 'string') {
      throw new SocketStreamError('INVALID_OPTION', '`url` must be a text')
    }
    this.#options = options
  }

  on<Event extends keyof ClientEvents>(event: Event, listener: ClientEvents[Event]): () => void {
    const listeners = this.#listeners[event]
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }

  async connect(): Promise<void> {
    clearTimeout(this.#retry)
    return (this.#connection ?? this.#open()).ready
  }

  close(): void {
    clearTimeout(this.#retry)
    if (this.#connection) this.#connection.close()
    else if (this.status === 'waiting') this.#setStatus('closed')
  }

  /** The client half of a service; made once, or for each view if it keeps nothing. */
  half(name: string, options: CallOptions | undefined): unknown {
    const handle = this.#handles.get(name)
    if (!handle) {
      if (!this.welcome) throw this.#notConnected()
      throw new SocketStreamError('UNKNOWN_SERVICE', `No service "${name}"`)
    }
    const { type } = handle
    const half = this.#options.services?.[name] ?? BUILT_IN[type]
    if (!half?.client) {
      throw new SocketStreamError(
        'SERVICE_HALF_MISSING',
        `Give createClient({ services: { ${name} } }) its half`,
      )
    }
    if (half.stateless && options) {
      return half.client({
        ...handle,
        call: (payload, more) => handle.call(payload, { ...options, ...more }),
      })
    }
    if (!this.#halves.has(name)) this.#halves.set(name, half.client(handle))
    return this.#halves.get(name)
  }

  /** The connection, for handles. */
  get connected(): ClientConnection {
    if (this.#connection?.welcome) return this.#connection
    throw this.#notConnected()
  }

  // ---- the course of a connection -----------------------------------------------------------------

  #open(): ClientConnection {
    this.#setStatus('connecting')
    this.#connection = new ClientConnection({ ...this.#options, session: this.welcome?.session }, this)
    return this.#connection
  }

  welcomed(welcome: Welcome): void {
    this.welcome = welcome
    this.#attempts = 0
    // A service that is gone must not be called by an id that is another's now: 0 is nobody's.
    for (const handle of this.#handles.values()) handle.id = 0
    for (const line of welcome.services) {
      const handle = this.#handles.get(line.name)
      if (!handle) this.#handles.set(line.name, serviceHandle(this, line))
      else Object.assign(handle, line)
    }
    // Before anybody hears of it: what they then ask is answered after the subscriptions stand.
    for (const handle of this.#handles.values()) handle.renew()
    this.#setStatus('connected')
  }

  message(service: number, payload: unknown): void {
    // Few services, ids in order: cheaper than a second map to keep in step.
    for (const handle of this.#handles.values()) if (handle.id === service) return handle.onmessage?.(payload)
  }

  publication(topic: number, payload: unknown): void {
    this.topics.get(topic)?.handler(payload)
  }

  resuming(lost?: Ending): void {
    this.#setStatus(lost ? 'waiting' : 'connected', lost)
  }

  failed(error: Error): void {
    for (const listener of this.#listeners.error) listener(error)
  }

  closed(why: Ending, reconnect: boolean): void {
    const { reconnect: policy = {} } = this.#options
    this.#connection = undefined
    this.topics.clear()
    if (!reconnect || policy === false) return this.#setStatus('closed', why)
    const { minDelay = 250, maxDelay = 30_000 } = policy
    const delay = Math.min(minDelay * 2 ** this.#attempts++, maxDelay) * (0.5 + Math.random() / 2)
    this.#retry = setTimeout(() => this.#open(), delay)
    this.#setStatus('waiting', why)
  }

  #notConnected(): SocketStreamError {
    return new SocketStreamError('NOT_CONNECTED', `${this.status}: connect first`)
  }

  #setStatus(status: ClientStatus, why?: Ending): void {
    this.status = status
    for (const listener of this.#listeners.status) {
      try {
        listener(status, why)
      } catch (error) {
        this.failed(error as Error)
      }
    }
  }
}
