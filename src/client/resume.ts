import { json } from '../codec/json-portable.js'
import type { ReconnectOptions } from './client.js'
import { ResumableLinks, type ResumeOptions } from './resumable.js'
import type { ClientTransport } from './transport.js'

export type { ResumeOptions } from './resumable.js'

/**
 * Has a small client, which speaks JSON, resume lost connections; all others do so by themselves.
 *
 * @param options `minDelay` and `maxDelay` are those of the client's `reconnect`
 * @example createClient({ url, transport: resuming(webSocket()) })
 */
export function resuming(
  transport: ClientTransport,
  { bytes, ...reconnect }: ResumeOptions & ReconnectOptions = {},
): ClientTransport {
  return new ResumableLinks({ transport, codec: json(), reconnect, ...(bytes !== undefined && { bytes }) })
}
