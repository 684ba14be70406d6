import { json } from '../codec/json-portable.js'
import { type AnyServer, type Client, type ClientOptions, clientOf } from './client.js'
import { clientCore } from './core.js'
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
export { type ClientLink, type ClientLinkHandler, type ClientTransport, webSocket } from './transport.js'

/**
 * Makes a client that speaks JSON: half the size of the msgpack one, the same values.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function createClient<App extends AnyServer = never>({
  codec = json(),
  transport = webSocket(),
  ...options
}: ClientOptions): Client<App> {
  return clientOf(clientCore({ ...options, codec, transport }))
}
