// @ts-check
/** Who looks at this page at the moment, by name. */
import { readdir, readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { Server } from 'socketstream-server'
import { presence } from 'socketstream-server/services/presence'
import { ws } from 'socketstream-server/transports/ws'

/** @typedef {Awaited<ReturnType<typeof createApp>>} PresenceApp the server's type, from which clients are typed */
/** @typedef {{ name: string, typing: boolean }} Visitor what a device says of itself */

const PAGE = new URL('./page/', import.meta.url)
/** @type {Record<string, string>} */
const TYPES = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript' }

/**
 * Makes the app on an HTTP server; `start()` it, then let that server listen.
 *
 * @param {{ server: import('node:http').Server, grace?: import('socketstream-server').Duration, handleSignals?: boolean }} options
 */
export async function createApp({ server, grace = '5s', handleSignals = false }) {
  const app = new Server({ root: import.meta.dirname, transport: ws(), handleSignals })
    .attach(server)
    .service(
      'presence',
      /** @type {typeof presence<Visitor>} */ (presence)({
        grace,
        canJoin: (_ctx, channel, { name }) =>
          channel === 'page' && typeof name === 'string' && name.length <= 40,
      }),
    )
  /** @type {Map<string, Buffer>} */
  const files = new Map()
  for (const name of await readdir(PAGE)) files.set(`/${name}`, await readFile(new URL(name, PAGE)))
  server.on('request', (request, response) => {
    const path = request.url === '/' ? '/index.html' : (request.url ?? '')
    const body = request.method === 'GET' ? files.get(path) : undefined
    response.setHeader('Content-Type', `${(body && TYPES[extname(path)]) ?? 'text/plain'}; charset=utf-8`)
    response.setHeader('Content-Security-Policy', "default-src 'self'; img-src data:")
    response.writeHead(body ? 200 : 404).end(body ?? 'There is no such file here.')
  })
  return app
}
