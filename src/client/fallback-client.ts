import { json } from '../codec/json-portable.js'
import { msgpack } from '../codec/msgpack-portable.js'
import type { AnyServer, Client } from './client.js'
import { type FallbackClientOptions, fallbackClient } from './fallback-setup.js'
import { webSocket } from './transport.js'

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
 * Makes a client that falls back when WebSockets are blocked, for browsers.
 *
 * It speaks msgpack, and JSON on transports that carry text only. `engineio` needs the package
 * `engine.io-client`, `sockjs` needs `sockjs-client`; one that is not installed is passed over.
 *
 * @example
 * const client = createClient<typeof app>({ url: 'https://example.com', transports: ['ws', 'engineio'] })
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function createClient<App extends AnyServer = never>(options: FallbackClientOptions): Client<App> {
  return fallbackClient<App>(options, () => webSocket(), { binary: msgpack(), text: json() })
}
