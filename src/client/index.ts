import { msgpack } from '../codec/msgpack-portable.js'
import { type AnyServer, type Client, clientOf } from './client.js'
import { type ResumableClientOptions, resumableCore } from './resumable-core.js'
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
export type { ResumeOptions } from './resumable.js'
export type { ResumableClientOptions } from './resumable-core.js'
export { type ClientLink, type ClientLinkHandler, type ClientTransport, webSocket } from './transport.js'

/**
 * Makes a client that speaks msgpack, for browsers and wherever there is a global `WebSocket`.
 *
 * @example
 * const client = createClient<typeof app>({ url: 'ws://localhost:3001' })
 * await client.connect()
 * await client.api.rpc.add(1, 2)
 * @throws SocketStreamError `INVALID_OPTION`
 */
export function createClient<App extends AnyServer = never>({
  codec = msgpack(),
  transport = webSocket(),
  ...options
}: ResumableClientOptions): Client<App> {
  return clientOf(resumableCore({ ...options, codec, transport }))
}
