// @ts-check
/** Takes files of any size from a page, as fast as they can be stored. */
import { readdir, readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { Server } from 'socketstream-server'
import { ws } from 'socketstream-server/transports/ws'
import { store } from './store.js'

/** @typedef {Awaited<ReturnType<typeof createApp>>} UploadApp the server's type, from which clients are typed */

const PAGE = new URL('./page/', import.meta.url)
/** @type {Record<string, string>} */
const TYPES = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript' }

/**
 * Makes the app on an HTTP server; `start()` it, then let that server listen.
 *
 * @param {{ server: import('node:http').Server, storage: import('./storage.js').Storage, maxBytes?: number, handleSignals?: boolean }} options
 *   `maxBytes` of a file, default 1 GiB
 */
export async function createApp({ server, storage, maxBytes = 1024 ** 3, handleSignals = false }) {
  const app = new Server({ root: import.meta.dirname, transport: ws(), handleSignals })
    .attach(server)
    .service('files', store({ storage, maxBytes }))
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
