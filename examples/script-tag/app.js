// @ts-check
/**
 * A page with a plain script tag: its client comes from the server, with nothing to install or to build.
 *
 * `rpc` is asked, `news` is heard, and `counter` is a service of our own with a client half in a file.
 */
import { readFile } from 'node:fs/promises'
import { Server, SocketStreamError } from 'socketstream-server'
import { pubsub } from 'socketstream-server/services/pubsub'
import { rpc } from 'socketstream-server/services/rpc'
import { ws } from 'socketstream-server/transports/ws'
import { counter } from './counter.js'

/** @typedef {{ greeted: [name: string] }} Events */

/**
 * Makes the app on an HTTP server; `start()` it, then let that server listen.
 *
 * @param {{ server: import('node:http').Server }} options
 */
export async function createApp({ server }) {
  const page = await readFile(new URL('./index.html', import.meta.url))
  const app = new Server({ root: import.meta.dirname, transport: ws() })
    .attach(server)
    .service('news', /** @type {typeof pubsub<Events>} */ (pubsub)())
    .service('counter', counter)
    .service(
      'rpc',
      rpc({
        /**
         * Greets, and tells everybody.
         *
         * @param {unknown} name
         * @returns {{ text: string, count: number }}
         */
        greet(_ctx, name) {
          if (typeof name !== 'string' || name.trim() === '' || name.length > 40) {
            throw new SocketStreamError('INVALID_ARGUMENTS', 'A name has 1 to 40 characters')
          }
          app.api.news.publish.all('greeted', name.trim())
          return { text: `Hello, ${name.trim()}`, count: app.api.counter.get() }
        },
      }),
    )

  server.on('request', (request, response) => {
    const found = request.url === '/' && request.method === 'GET'
    response.writeHead(found ? 200 : 404, { 'Content-Type': 'text/html; charset=utf-8' })
    response.end(found ? page : 'There is no such page here.')
  })
  return app
}
