// @ts-check
/** A service of our own: a number that all pages see and can add to. */
import { SocketStreamError } from 'socketstream-server'
import half from './counter-client.js'

export const counter = {
  use: { json: true, callbacks: true },
  ...half,
  clientModule: { url: new URL('./counter-client.js', import.meta.url) },

  /** @param {import('socketstream-server').ServiceServer} server */
  server(server) {
    let count = 0
    server.oncall = (request, responder) => {
      const by = request.message
      if (typeof by !== 'number' || !Number.isSafeInteger(count + by)) {
        throw new SocketStreamError('INVALID_ARGUMENTS', 'Add a whole number')
      }
      count += by
      server.broadcast(count)
      responder.reply(count)
    }
    return { get: () => count }
  },
}
