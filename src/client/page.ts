import { type AnyServer, type Client, createClient as create, type ResumableClientOptions } from './index.js'

export { SocketStreamError, webSocket } from './index.js'

/** Path of the WebSocket transport: the first line of the built file says it. */
declare const PATH: string

/**
 * Makes a client of the server that the page has this module from, which speaks msgpack.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function createClient<App extends AnyServer = never>(
  options: Partial<ResumableClientOptions> = {},
): Client<App> {
  return create<App>({ url: import.meta.url.replace(/^http(s?:..[^/]*).*/, `ws$1${PATH}`), ...options })
}
