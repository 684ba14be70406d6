import { WebSocket } from 'ws'
import { json } from '../codec/json.js'
import { msgpack } from '../codec/msgpack.js'
import type { AnyServer, Client } from './client.js'
import { type FallbackClientOptions, fallbackClient } from './fallback-setup.js'
import { type WebSocketClass, webSocket } from './transport.js'

export { SocketStreamError } from '../errors.js'
export type {
  AnyServer,
  Client,
  ClientEvents,
  ClientOptions,
  ClientStatus,
  ReconnectOptions,
} from './client.js'
export type { FallbackEntry, FallbackOptions } from './fallback.js'
export type { FallbackClientOptions, TransportChoice, TransportName } from './fallback-setup.js'
export { type ClientLink, type ClientLinkHandler, type ClientTransport, webSocket } from './transport.js'

/**
 * Makes a client for Node that falls back when WebSockets are blocked, over the `ws` package.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function createClient<App extends AnyServer = never>(options: FallbackClientOptions): Client<App> {
  const ws = () => webSocket(WebSocket as unknown as WebSocketClass)
  return fallbackClient<App>(options, ws, { binary: msgpack(), text: json() })
}
