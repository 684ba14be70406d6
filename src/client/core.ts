import { SocketStreamError } from '../errors.js'
import { pubsubClient } from '../services/pubsub/client.js'
import { rpcClient } from '../services/rpc/client.js'
import type { CallOptions, ClientHalf, InboundCalls } from '../services/service.js'
import type { ClientEvents, ClientOptions, ClientStatus } from './client.js'
import {
  type ClientConnection,
  type ConnectionOwner,
  clientConnection,
  type Ending,
  type Welcome,
} from './connection.js'
import { type ServiceHandle, type Subscription, serviceHandle } from './service-handle.js'

/** Options with what an entry point adds to them. */
export type ClientSetup = ClientOptions & Required<Pick<ClientOptions, 'codec' | 'transport'>>

/** What all faces of one client share. */
export interface ClientCore extends ConnectionOwner, InboundCalls {
  status: ClientStatus
  welcome?: Welcome
  /** The connection. @throws SocketStreamError `NOT_CONNECTED` */
  readonly connected: ClientConnection
  /** Subscriptions that the server has agreed to, by the numbers of their topics on this connection. */
  readonly topics: Map<number, Subscription>
  connect(): Promise<void>
  close(): void
  on<Event extends keyof ClientEvents>(event: Event, listener: ClientEvents[Event]): () => void
  /** The client half of a service; made once, or for each view if it keeps nothing. */
  half(name: string, options: CallOptions | undefined): unknown
}

const BUILT_IN: Readonly<Record<string, ClientHalf>> = { rpc: rpcClient, pubsub: pubsubClient }

/** Keeps a connection up, and the services that the server has. @throws SocketStreamError `INVALID_OPTION` */
export function clientCore(options: ClientSetup): ClientCore {
  if (typeof options.url !== 'string') {
    throw new SocketStreamError('INVALID_OPTION', '`url` must be a text')
  }
  const listeners: { readonly [E in keyof ClientEvents]: Set<ClientEvents[E]> } = {
    status: new Set(),
    error: new Set(),
  }
  const handles = new Map<string, ServiceHandle>()
  let connection: ClientConnection | undefined
  let attempts = 0
  let retry: ReturnType<typeof setTimeout> | undefined

  const core: ClientCore = {
    status: 'idle',
    topics: new Map(),
    get connected() {
      if (connection?.welcome) return connection
      throw notConnected()
    },
    async connect() {
      clearTimeout(retry)
      return (connection ?? open()).ready
    },
    close() {
      clearTimeout(retry)
      if (connection) connection.close()
      else if (core.status === 'waiting') setStatus('closed')
    },
    on(event, listener) {
      listeners[event].add(listener)
      return () => void listeners[event].delete(listener)
    },
    half(name, callOptions) {
      const handle = handles.get(name)
      if (!handle) {
        throw core.welcome ? new SocketStreamError('UNKNOWN_SERVICE', `No service "${name}"`) : notConnected()
      }
      const half = options.services?.[name] ?? BUILT_IN[handle.type]
      if (!half?.client) {
        throw new SocketStreamError('SERVICE_HALF_MISSING', `createClient() needs services.${name}`)
      }
      if (half.stateless && callOptions) {
        return half.client({
          ...handle,
          send: (message, callback, more) => handle.send(message, callback, { ...callOptions, ...more }),
          call: (payload, more) => handle.call(payload, { ...callOptions, ...more }),
        })
      }
      if (!('half' in handle)) handle.half = half.client(handle)
      return handle.half
    },
    welcomed(welcome) {
      core.welcome = welcome
      attempts = 0
      // A service that is gone must not be called by an id that is another's now: 0 is nobody's.
      for (const handle of handles.values()) handle.id = 0
      for (const line of welcome.services) {
        handles.set(line.name, Object.assign(handles.get(line.name) ?? serviceHandle(core), line))
      }
      // Before anybody hears of it: what they then ask is answered after the subscriptions stand.
      for (const handle of handles.values()) handle.renew()
      setStatus('connected')
    },
    message(service, payload) {
      // Few services, ids in order: cheaper than a second map to keep in step.
      for (const handle of handles.values()) if (handle.id === service) return handle.onmessage?.(payload)
    },
    publication(topic, payload) {
      core.topics.get(topic)?.handler(payload)
    },
    resuming(lost) {
      setStatus(lost ? 'waiting' : 'connected', lost)
    },
    failed(error) {
      for (const listener of listeners.error) listener(error)
    },
    closed(why, reconnect) {
      const { reconnect: policy = {} } = options
      connection = undefined
      core.topics.clear()
      if (!reconnect || !policy) return setStatus('closed', why)
      const { minDelay = 250, maxDelay = 30_000 } = policy
      const delay = Math.min(minDelay * 2 ** attempts++, maxDelay) * (0.5 + Math.random() / 2)
      retry = setTimeout(open, delay)
      setStatus('waiting', why)
    },
  }
  return core

  function open(): ClientConnection {
    setStatus('connecting')
    connection = clientConnection({ ...options, session: core.welcome?.session }, core)
    return connection
  }

  function notConnected(): SocketStreamError {
    return new SocketStreamError('NOT_CONNECTED', `${core.status}: connect first`)
  }

  function setStatus(status: ClientStatus, why?: Ending): void {
    core.status = status
    for (const listener of listeners.status) {
      try {
        listener(status, why)
      } catch (error) {
        core.failed(error as Error)
      }
    }
  }
}
