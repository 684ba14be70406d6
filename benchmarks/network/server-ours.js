/** Our own server, as the `network` benchmark has it: each option switches on what is measured by itself. */
import { Server } from 'socketstream-server'
import { pubsub } from 'socketstream-server/services/pubsub'
import { rpc } from 'socketstream-server/services/rpc'
import { CountingStore, cookieOf, SECRET } from '../sessions/stored.js'

/** What is measured does not exist in this version; says what. */
export class Unavailable extends Error {}

/**
 * @param {{ transport?: 'ws' | 'engine-io' | 'sockjs', textWire?: boolean, sessions?: boolean, middleware?: number,
 *   inspector?: boolean, services?: number }} options
 * @returns {Promise<import('./server.js').Subject>}
 */
export async function socketstream({
  transport = 'ws',
  textWire = false,
  sessions = false,
  middleware = 0,
  inspector = false,
  services = 1,
}) {
  const store = new CountingStore()
  const app = new Server({
    transport: await transportOf(transport),
    env: 'production',
    textWire,
    ...(sessions ? { sessionStore: store, sessions: { secret: SECRET } } : {}),
    // A ping of SockJS may share a frame with answers, which the load does not look into.
    ...(transport === 'sockjs' ? { limits: { ping: 3_600_000 } } : {}),
  })
  // Each is a function of its own, as in an application.
  for (let i = 0; i < middleware; i++) app.use((_req, _res, next) => next())
  if (inspector) mountInspector(app)
  const echo = sessions
    ? (/** @type {any} */ ctx, /** @type {unknown} */ message) => {
        if (ctx.session.user !== 'ada') throw new Error('The session is missing')
        return message
      }
    : (/** @type {unknown} */ _ctx, /** @type {unknown} */ message) => message
  app.service('rpc', rpc({ echo }))
  // Ids go by the order: the load calls services 1 to `services`, and subscribes to the second of two.
  if (services === 1) app.service('chat', pubsub())
  for (let i = 2; i <= services; i++) app.service(`rpc${i}`, rpc({ echo }))
  await app.start()
  const { publish } = /** @type {any} */ (app.api).chat ?? {}
  return {
    port: /** @type {number} */ (app.address()?.port),
    publish: textWire ? text => publish.all('said', text) : text => publish.channel('room', 'said', text),
    publishTo: (channel, text) => publish.channel(channel, 'said', text),
    sessions: count => store.fill(count).map(cookieOf),
  }
}

/** @param {'ws' | 'engine-io' | 'sockjs'} name */
async function transportOf(name) {
  const place = { port: 0, host: '127.0.0.1', backlog: 4096 }
  if (name === 'ws') return (await import('socketstream-server/transports/ws')).ws(place)
  if (name === 'sockjs') return (await import('socketstream-server/transports/sockjs')).sockjs(place)
  return (await import('socketstream-server/transports/engine-io')).engineio(place)
}

/** Mounts the dev inspector, which nobody watches. @param {any} app */
function mountInspector(app) {
  if (typeof app.inspector !== 'function') throw new Unavailable('this version has no app.inspector')
  app.inspector({ auth: 'a token of the benchmark' })
}
