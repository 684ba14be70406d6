import type { CodecFactory } from '../codec/codec.js'
import { SocketStreamError } from '../errors.js'
import { pubsubClient } from '../services/pubsub/client.js'
import { rpcClient } from '../services/rpc/client.js'
import type { Call, CallOptions, ClientApi, ClientHalf } from '../services/service.js'
import { failedCall } from './call.js'
import { ClientConnection, type Welcome } from './connection.js'
import { ServiceHandle } from './service-handle.js'
import { Subscriptions } from './subscriptions.js'
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
  /** Credentials for the server's `authenticate` hook. */
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

/** What an entry point brings: defaults for codec and transport. */
export interface ClientDefaults {
  readonly codec: () => CodecFactory
  readonly transport: () => ClientTransport
}

const BUILT_IN: Readonly<Record<string, ClientHalf>> = { rpc: rpcClient, pubsub: pubsubClient }

/** A client of one server: its services in `api`, its connection kept up. */
export class Client<App extends AnyServer> {
  readonly #core: ClientCore
  readonly #callOptions: CallOptions

  /** Use `createClient`. */
  constructor(core: ClientCore, callOptions: CallOptions = {}) {
    this.#core = core
    this.#callOptions = callOptions
    this.api = new Proxy(Object.create(null), {
      get: (_target, name) => (typeof name === 'string' ? core.half(name, callOptions) : undefined),
    })
  }

  /** The services, by name. To be used once connected. */
  readonly api: ClientApi<App['~services']>

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
export class ClientCore {
  status: ClientStatus = 'idle'
  welcome: Welcome | undefined
  readonly #options: ClientOptions
  readonly #defaults: ClientDefaults
  readonly #listeners: { [E in keyof ClientEvents]: Set<ClientEvents[E]> } = {
    status: new Set(),
    error: new Set(),
  }
  readonly #handles = new Map<string, ServiceHandle>()
  readonly #halves = new Map<string, unknown>()
  readonly #subscriptions = new Subscriptions(this)
  #connection: ClientConnection | undefined
  #attempts = 0
  #retry: ReturnType<typeof setTimeout> | undefined
  #connecting: { promise: Promise<void>; resolve(): void; reject(error: Error): void } | undefined

  constructor(options: ClientOptions, defaults: ClientDefaults) {
    if (typeof options?.url !== 'string') {
      throw new SocketStreamError('INVALID_OPTION', "`url` must be a text; give url: 'ws://localhost:3001'")
    }
    this.#options = options
    this.#defaults = defaults
  }

  on<Event extends keyof ClientEvents>(event: Event, listener: ClientEvents[Event]): () => void {
    this.#listeners[event].add(listener)
    return () => void this.#listeners[event].delete(listener)
  }

  connect(): Promise<void> {
    if (this.status === 'connected') return Promise.resolve()
    if (this.#connecting === undefined) {
      let resolve!: () => void
      let reject!: (error: Error) => void
      const promise = new Promise<void>((yes, no) => {
        resolve = yes
        reject = no
      })
      this.#connecting = { promise, resolve, reject }
      clearTimeout(this.#retry)
      this.#open()
    }
    return this.#connecting.promise
  }

  close(): void {
    clearTimeout(this.#retry)
    if (this.#connection !== undefined) this.#connection.close()
    else if (this.status !== 'idle') this.#setStatus('closed')
  }

  /** The client half of a service; made once, or for each view if it keeps nothing. */
  half(name: string, options: CallOptions): unknown {
    if (name === 'then') return undefined
    const shared = this.#halves.get(name)
    const own = Object.keys(options).length > 0
    if (shared !== undefined && !own) return shared
    const handle = this.#handles.get(name)
    if (handle === undefined) {
      if (this.welcome === undefined) {
        throw new SocketStreamError('NOT_CONNECTED', `api.${name}: await client.connect() first`)
      }
      throw new SocketStreamError('UNKNOWN_SERVICE', `The server offers no service "${name}"`)
    }
    const half = this.#options.services?.[name] ?? BUILT_IN[handle.type]
    if (half?.client === undefined) {
      throw new SocketStreamError(
        'SERVICE_HALF_MISSING',
        `Service "${name}" is of type "${handle.type}": give createClient({ services: { ${name}: … } }) its client half` +
          (handle.type === 'custom' ? '' : `, from "socketstream-server/services/${handle.type}/client"`),
      )
    }
    if (own && half.stateless) return half.client(handle.with(options))
    if (shared !== undefined) return shared
    const made = half.client(handle)
    this.#halves.set(name, made)
    return made
  }

  /** The connection, for handles. */
  get connected(): ClientConnection {
    if (this.status === 'connected') return this.#connection!
    throw new SocketStreamError('NOT_CONNECTED', `There is no connection (${this.status})`)
  }

  /** Sends a call to a service; what keeps it from being sent rejects it. */
  call(
    kind: number,
    service: ServiceHandle,
    payload: unknown,
    options: CallOptions,
    onreply?: (value: unknown) => void,
  ): Call {
    try {
      return this.connected.call(kind, service.id, payload, options, onreply)
    } catch (error) {
      return failedCall(error)
    }
  }

  /** Subscriptions of all services. */
  get subscriptions(): Subscriptions {
    return this.#subscriptions
  }

  /** Reports what answers no call. */
  failed(error: Error): void {
    for (const listener of this.#listeners.error) listener(error)
  }

  // ---- the course of a connection -----------------------------------------------------------------

  #open(): void {
    this.#setStatus('connecting')
    const { url, codec, transport, auth, timeout = 30_000 } = this.#options
    this.#connection = new ClientConnection(
      {
        url,
        codec: codec ?? this.#defaults.codec(),
        transport: transport ?? this.#defaults.transport(),
        auth,
        session: this.welcome?.session,
        timeout,
      },
      {
        welcomed: welcome => this.#welcomed(welcome),
        message: (service, payload) => this.#handle(service)?.onmessage?.(payload),
        publication: (topic, payload) => this.#subscriptions.publication(topic, payload),
        failed: error => this.failed(error),
        closed: (code, reason, reconnect) => this.#closed(code, reason, reconnect),
      },
    )
  }

  #welcomed(welcome: Welcome): void {
    this.welcome = welcome
    this.#attempts = 0
    for (const line of welcome.services) {
      const handle = this.#handles.get(line.name)
      if (handle === undefined) this.#handles.set(line.name, new ServiceHandle(this, line))
      else handle.line = line
    }
    this.#setStatus('connected')
    this.#connecting?.resolve()
    this.#connecting = undefined
    this.#subscriptions.renew()
  }

  #handle(id: number): ServiceHandle | undefined {
    // Few services, ids in order: cheaper than a second map to keep in step.
    for (const handle of this.#handles.values()) if (handle.id === id) return handle
    return undefined
  }

  #closed(code: number, reason: string, reconnect: boolean): void {
    this.#connection = undefined
    this.#subscriptions.lost()
    const { reconnect: policy = {} } = this.#options
    const again = reconnect && policy !== false
    this.#setStatus(again ? 'waiting' : 'closed', { code, reason })
    this.#connecting?.reject(
      new SocketStreamError('NOT_CONNECTED', `No connection to ${this.#options.url} (${code} ${reason})`, {
        data: { code, reason },
      }),
    )
    this.#connecting = undefined
    if (!again) return
    const { minDelay = 250, maxDelay = 30_000 } = policy
    const delay = Math.min(minDelay * 2 ** this.#attempts++, maxDelay)
    this.#retry = setTimeout(() => this.#open(), delay * (0.5 + Math.random() / 2))
  }

  #setStatus(status: ClientStatus, why?: { code: number; reason: string }): void {
    this.status = status
    for (const listener of this.#listeners.status) listener(status, why)
  }
}
