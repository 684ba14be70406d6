// @ts-check
/**
 * A chat behind a login: Express and the realtime server share each user's session.
 *
 * Whoever logs out in one tab is logged out in all of them, at once.
 */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import express from 'express'
import session from 'express-session'
import { Server, SocketStreamError } from 'socketstream-server'
import { pubsub } from 'socketstream-server/services/pubsub'
import { rpc } from 'socketstream-server/services/rpc'
import { ws } from 'socketstream-server/transports/ws'
import { findUser } from './users.js'

/** @typedef {import('./users.js').User} User */
/** @typedef {{ id: string, by: string, from: string, text: string }} Line `by` is a user */
/** @typedef {{ said: [line: Line], you: [said: number] }} Events */
/** @typedef {Awaited<ReturnType<typeof createApp>>} LoginApp the server's type, from which clients are typed */

/** Lines kept for those who come later. */
const HISTORY = 50

/**
 * Makes the web app and the realtime server on an HTTP server; `start()` the latter, then let it listen.
 *
 * @param {{ server: import('node:http').Server, secret: string, secure?: boolean | 'auto',
 *   log?: import('socketstream-server').LogTarget }} options
 */
export async function createApp({ server, secret, secure = false, log }) {
  /** One object for both. */
  const sessions = {
    secret,
    resave: false,
    saveUninitialized: false,
    cookie: { sameSite: /** @type {const} */ ('lax'), maxAge: 8 * 60 * 60 * 1000, secure },
  }
  const store = new session.MemoryStore()
  /** @type {Line[]} */
  const lines = []

  const app = new Server({ transport: ws(), sessionStore: store, sessions, ...(log && { log }) })
    .attach(server)
    .service(
      'chat',
      /** @type {typeof pubsub<Events>} */ (pubsub)({
        canSubscribe: ctx => userOf(ctx.session) !== undefined,
      }),
    )
    .service(
      'rpc',
      rpc({
        /** Who is logged in, and what was said last; null for nobody. */
        room: ctx => {
          const user = userOf(ctx.session)
          return user ? { user, said: saidIn(ctx.session), lines } : null
        },

        /** Says something to all who are logged in. @param {unknown} text */
        async say(ctx, text) {
          const user = userOf(ctx.session)
          if (user === undefined) throw new SocketStreamError('LOG_IN_FIRST', 'Log in first')
          const said = saidIn(ctx.session) + 1
          const line = { id: randomUUID(), by: user.id, from: user.name, text: clean(text) }
          ctx.session.said = said
          // By itself it would be saved after this; nobody shall hear of what could not be.
          await ctx.session.save()
          lines.push(line)
          if (lines.length > HISTORY) lines.shift()
          app.api.chat.publish.channel('room', 'said', line)
          app.api.chat.publish.session(ctx.session.id, 'you', said)
        },
      }),
    )

  // Its own store, so that the realtime server hears of a log-out.
  server.on('request', await createWeb(session({ ...sessions, store: app.sessions.store })))
  return app
}

/**
 * The pages, with the login.
 *
 * @param {express.RequestHandler} sessions
 */
async function createWeb(sessions) {
  const view = (/** @type {string} */ name) =>
    readFile(new URL(`./views/${name}.html`, import.meta.url), 'utf8')
  const [login, chat] = [await view('login'), await view('chat')]
  const web = express().disable('x-powered-by')

  web.use((_req, res, next) => {
    res.set({ 'Content-Security-Policy': "default-src 'self'", 'X-Content-Type-Options': 'nosniff' })
    next()
  })
  web.use(express.static(fileURLToPath(new URL('./page/', import.meta.url)), { index: false }))

  web.use(sessions)
  web.get('/', (req, res) => {
    // Nothing that somebody else would be shown by the button for the page before.
    res.set('Cache-Control', 'no-store').send(userOf(req.session) ? chat : login)
  })

  web.use(ownPagesOnly)
  web.post('/login', express.urlencoded({ extended: false }), async (req, res) => {
    const user = await findUser(req.body?.name, req.body?.password)
    if (user === undefined) {
      return res
        .status(401)
        .send(login.replace('<!-- error -->', 'There is no such name with this password.'))
    }
    // Another id: whoever has planted the old one must not share what is logged in to now.
    await done(then => req.session.regenerate(then))
    Object.assign(req.session, { user })
    await done(then => req.session.save(then))
    res.redirect(303, '/')
  })
  web.post('/logout', async (req, res) => {
    await done(then => req.session.destroy(then))
    res.clearCookie('connect.sid').redirect(303, '/')
  })
  return web
}

/**
 * Other sites can send forms with our cookies; browsers say who does.
 *
 * @param {express.Request} req @param {express.Response} res @param {express.NextFunction} next
 */
function ownPagesOnly(req, res, next) {
  const site = req.get('Sec-Fetch-Site') ?? 'same-origin'
  if (req.method === 'POST' && site !== 'same-origin') res.status(403).send('Not from another page.')
  else next()
}

/**
 * A method with a callback, as a promise.
 *
 * @param {(then: (error?: unknown) => void) => void} call
 * @returns {Promise<void>}
 */
function done(call) {
  return new Promise((resolve, reject) => call(error => (error ? reject(error) : resolve())))
}

/** @param {object} session @returns {User | undefined} */
function userOf(session) {
  return /** @type {{ user?: User }} */ (session).user
}

/** How much was said in a session. @param {object} session @returns {number} */
function saidIn(session) {
  return /** @type {{ said?: number }} */ (session).said ?? 0
}

/** Checks a text that a client sent: never trust it to be one. @param {unknown} text */
function clean(text) {
  const cleaned = typeof text === 'string' ? text.replace(/\p{Cc}+/gu, ' ').trim() : ''
  if (cleaned !== '' && cleaned.length <= 500) return cleaned
  throw new SocketStreamError('INVALID_ARGUMENTS', 'A message must have 1 to 500 characters')
}
