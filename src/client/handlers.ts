import { SocketStreamError } from '../errors.js'
import { pubsubClient } from '../services/pubsub/client.js'
import type { PubSubHandlers } from '../services/pubsub/client-calls.js'
import type { ClientHalf, ServiceClient } from '../services/service.js'
import { answerCalls } from './answer-calls.js'

type Untyped = (ctx: { readonly signal: AbortSignal }, ...args: unknown[]) => unknown

/**
 * A client half of pubsub that answers calls of the server: the usual one, or `channelsClient`, with `handle`.
 *
 * @example
 * const client = createClient<typeof app>({ url, services: { chat: handling() } })
 * await client.connect()
 * client.api.chat.handle('ask', async (ctx, question) => prompt(question))
 */
export function handling<Api extends object>(
  half: ClientHalf<Api> = pubsubClient as unknown as ClientHalf<Api>,
): ClientHalf<Api & PubSubHandlers<Record<string, (...args: unknown[]) => unknown>>> {
  return {
    ...half,
    client(service: ServiceClient) {
      if (half.client === undefined) {
        throw new SocketStreamError(
          'INVALID_OPTION',
          'handling() takes a client half, such as channelsClient',
        )
      }
      const handlers = new Map<string, Untyped>()
      answerCalls(service, (payload, ctx) => {
        const [name, ...args] = payload as [string, ...unknown[]]
        const handler = handlers.get(name)
        if (handler === undefined) {
          throw new SocketStreamError('UNKNOWN_METHOD', 'This client has no handler of this name')
        }
        return handler(ctx, ...args)
      })
      return Object.assign(half.client(service), {
        handle(name: string, handler: Untyped) {
          handlers.set(name, handler)
          return () => {
            if (handlers.get(name) === handler) handlers.delete(name)
          }
        },
      }) as never
    },
  }
}
