import { WebSocket } from 'ws'
import { msgpack } from '../codec/msgpack.js'
import { type AnyServer, type Client, clientOf } from './client.js'
import { type ResumableClientOptions, resumableCore } from './resumable-core.js'
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
export type { ResumeOptions } from './resumable.js'
export type { ResumableClientOptions } from './resumable-core.js'
export { type ClientLink, type ClientLinkHandler, type ClientTransport, webSocket } from './transport.js'

/**
 * Makes a client for Node: the same as the browser's, over the `ws` package and msgpackr.
 *
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function createClient<App extends AnyServer = never>({
  codec = msgpack(),
  transport = webSocket(WebSocket as unknown as WebSocketClass),
  ...options
}: ResumableClientOptions): Client<App> {
  return clientOf(resumableCore({ ...options, codec, transport }))
}
