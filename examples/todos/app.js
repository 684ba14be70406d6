// @ts-check
/** Todos that everybody shares, in an SQL database. */
import { readdir, readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { Server } from 'socketstream-server'
import { model } from 'socketstream-server/services/model'
import { ws } from 'socketstream-server/transports/ws'
import { z } from 'zod'
import { openDatabase } from './database.js'
import { todoStorage } from './storage.js'

/** @typedef {Awaited<ReturnType<typeof createApp>>['app']} TodosApp the server's type, from which clients are typed */

const Todo = z.object({
  id: z.string(),
  text: z.string().trim().min(1, 'Say what there is to be done').max(200),
  done: z.boolean().default(false),
  at: z.number().default(() => Date.now()),
})

const PAGE = new URL('./page/', import.meta.url)
/** @type {Record<string, string>} */
const TYPES = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript' }

/**
 * Makes the app on an HTTP server; `start()` it, then let that server listen.
 *
 * @param {{ server: import('node:http').Server, handleSignals?: boolean }} options
 */
export async function createApp({ server, handleSignals = false }) {
  const database = await openDatabase()
  const app = new Server({ root: import.meta.dirname, transport: ws(), handleSignals })
    .attach(server)
    .service(
      'todos',
      model({
        ...(await todoStorage(database)),
        schema: Todo,
        // What is not done stays.
        authorize: (_ctx, action, todo) => action !== 'remove' || todo.done,
        // All see the same.
        viewer: () => 'everybody',
        queries: {
          all: { compare: (one, other) => one.at - other.at },
          open: { filter: todo => !todo.done, compare: (one, other) => one.at - other.at },
        },
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
  return { app, database }
}
