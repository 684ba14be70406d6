// @ts-check
/** A chat that is small enough to be tested whole: `rpc` to say something, `chat` to hear it. */
import { Server, SocketStreamError } from 'socketstream-server'
import { pubsub } from 'socketstream-server/services/pubsub'
import { rpc } from 'socketstream-server/services/rpc'

/** @typedef {{ said: [from: string, text: string] }} Events */

/**
 * Makes the chat on any transport: `ws` to serve it, `memory` to test it.
 *
 * @param {import('socketstream-server').Transport} transport
 */
export function createApp(transport) {
  const app = new Server({ transport })
    .service('chat', /** @type {typeof pubsub<Events>} */ (pubsub)({ canSubscribe: () => true }))
    .service(
      'rpc',
      rpc({
        /** @param {string} name */
        join(ctx, name) {
          ctx.connection.data.name = name
        },
        /** @param {string} text */
        say(ctx, text) {
          const { name } = ctx.connection.data
          if (typeof name !== 'string') throw new SocketStreamError('NOT_JOINED', 'Join with a name first')
          app.api.chat.publish.channel('room', 'said', name, text)
        },
      }),
    )
  return app
}
