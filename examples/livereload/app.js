// @ts-check
/**
 * A page whose files may be changed while it is open.
 *
 * Files are read anew for each request, or there would be nothing new to load.
 */
import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { Server } from 'socketstream-server'
import { livereload } from 'socketstream-server/services/livereload'
import { ws } from 'socketstream-server/transports/ws'

/** @typedef {ReturnType<typeof createApp>} App the server's type, from which clients are typed */

/** @type {Record<string, string>} */
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
}

/**
 * Makes the server on an HTTP server; `start()` it, then let that server listen.
 *
 * @param {{
 *   server: import('node:http').Server,
 *   page?: string,
 *   log?: import('socketstream-server').LogTarget,
 * }} options `page` is the folder of the page
 */
export function createApp({ server, page = join(import.meta.dirname, 'page'), log }) {
  const app = new Server({ transport: ws(), ...(log && { log }) })
    .service('livereload', livereload({ dirs: [page] }))
    .attach(server)

  server.on('request', async (request, response) => {
    const path = (request.url ?? '/').replace(/\?.*/, '')
    const body = await read(page, path === '/' ? '/index.html' : path)
    response.setHeader('Cache-Control', 'no-cache')
    response.setHeader('X-Content-Type-Options', 'nosniff')
    response.setHeader('Content-Type', TYPES[path === '/' ? '.html' : extname(path)] ?? 'text/plain')
    if (body === undefined) response.writeHead(404)
    response.end(body ?? 'There is no such file here.')
  })
  return app
}

/**
 * Reads a file of the folder; what is not in it cannot be asked for.
 *
 * @param {string} folder @param {string} path
 * @returns {Promise<Buffer | undefined>}
 */
async function read(folder, path) {
  try {
    const name = decodeURIComponent(path.slice(1))
    return (await readdir(folder)).includes(name) ? await readFile(join(folder, name)) : undefined
  } catch {
    // Gone since, or no path at all.
    return undefined
  }
}
