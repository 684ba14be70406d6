// @ts-check
/**
 * The chat: its page, and two services on one realtime server.
 *
 * `rpc` is what a client asks for, `chat` is what it is told without asking.
 */
import { randomUUID } from 'node:crypto'
import { Server, SocketStreamError } from 'socketstream-server'
import { pubsub } from 'socketstream-server/services/pubsub'
import { rpc } from 'socketstream-server/services/rpc'
import { ws } from 'socketstream-server/transports/ws'
import { readFiles, serveFiles } from './files.js'

/** @typedef {{ id: string, by: string, from: string, text: string, at: Date }} Line `by` is a connection */
/** @typedef {{ said: [line: Line], online: [count: number] }} Events */
/** @typedef {Awaited<ReturnType<typeof createApp>>} ChatApp the server's type, from which clients are typed */

/** Lines kept for those who come later. */
const HISTORY = 50

/**
 * Makes the chat on an HTTP server; `start()` it, then let that server listen.
 *
 * @param {object} options
 * @param {import('node:http').Server} options.server
 * @param {import('socketstream-server').LogTarget} [options.log]
 * @param {boolean} [options.handleSignals] whether Ctrl+C stops it
 */
export async function createApp({ server, log, handleSignals = false }) {
  /** @type {Line[]} */
  const lines = []
  let online = 0

  const app = new Server({ transport: ws(), handleSignals, health: true, ...(log && { log }) })
    .attach(server)
    .service('chat', /** @type {typeof pubsub<Events>} */ (pubsub)())
    .service(
      'rpc',
      rpc({
        /** Gives this connection a name. @param {unknown} name */
        join(ctx, name) {
          const cleaned = clean(name, 'Your name', 40)
          ctx.connection.data.name = cleaned
          return cleaned
        },

        /** Says something to all in the room. @param {unknown} text */
        say(ctx, text) {
          const from = ctx.connection.data.name
          if (typeof from !== 'string') throw new SocketStreamError('NOT_JOINED', 'Join with a name first')
          const said = clean(text, 'A message', 500)
          const line = { id: randomUUID(), by: ctx.connectionId, from, text: said, at: new Date() }
          lines.push(line)
          if (lines.length > HISTORY) lines.shift()
          app.api.chat.publish.channel('room', 'said', line)
        },

        /** What was said last, and how many clients are connected. */
        history: () => ({ lines, online }),
      }),
    )

  app.events.on('client:connect', () => app.api.chat.publish.all('online', ++online))
  app.events.on('client:disconnect', () => app.api.chat.publish.all('online', --online))

  server.on('request', serveFiles(await readFiles()))
  return app
}

/**
 * Checks a text that a client sent: never trust it to be one.
 *
 * @param {unknown} text @param {string} what @param {number} max
 */
function clean(text, what, max) {
  // Control characters could do things to a terminal that shows the line.
  const cleaned = typeof text === 'string' ? text.replace(/\p{Cc}+/gu, ' ').trim() : ''
  if (cleaned !== '' && cleaned.length <= max) return cleaned
  throw new SocketStreamError('INVALID_ARGUMENTS', `${what} must have 1 to ${max} characters`)
}
