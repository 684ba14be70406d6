import { json } from '../codec/json-portable.js'
import { type AnyServer, type Client, type ClientOptions, clientOf } from './client.js'
import { clientCore } from './core.js'
import { webSocket } from './transport.js'

export { SocketStreamError } from '../errors.js'
export { webSocket } from './transport.js'

/** Path of the WebSocket transport: the first line of the built file says it. */
declare const PATH: string

/**
 * Makes a client of the server that the page has this module from, which speaks JSON.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function createClient<App extends AnyServer = never>({
  url = import.meta.url.replace(/^http(s?:..[^/]*).*/, `ws$1${PATH}`),
  codec = json(),
  transport = webSocket(),
  ...options
}: Partial<ClientOptions> = {}): Client<App> {
  return clientOf(clientCore({ ...options, url, codec, transport }))
}
