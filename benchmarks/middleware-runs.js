/** The chains of `middleware`: a server with some of them, and a client that calls through it. */
import { Server } from 'socketstream-server'
import { createClient } from 'socketstream-server/client'
import { memoryClient } from 'socketstream-server/testing'
import { memory } from 'socketstream-server/transports/memory'

/** Connections, so that an asynchronous chain waits as with many clients: each holds its own back. */
const CLIENTS = 50
/** Calls in flight: all are sent, all are answered, then come the next. */
export const WINDOW = 500

/** @typedef {import('socketstream-server').ServiceServer} ServiceServer */

const echo = {
  use: { json: true, callbacks: true },
  /** @param {ServiceServer} server */
  server(server) {
    server.oncall = (request, responder) => responder.reply(request.message)
  },
}

/** Each is a function of its own, as in an application: one shared would be easier on the compiler. */
const synchronous = () =>
  /** @type {import('socketstream-server').Middleware} */ (
    (_req, _res, next) => {
      next()
    }
  )
const asynchronous = () =>
  /** @type {import('socketstream-server').Middleware} */ (
    async (_req, _res, next) => {
      await undefined
      next()
    }
  )

/**
 * Starts a server with a chain, and its clients.
 *
 * @param {{ count: number, waits: boolean }} chain how many middlewares, and whether each waits a turn
 * @returns {Promise<{ send(calls: number): Promise<void>, stop(): Promise<void> }>}
 */
export async function startChain({ count, waits }) {
  const transport = memory()
  const app = new Server({ transport, env: 'production' })
  for (let i = 0; i < count; i++) app.use(waits ? asynchronous() : synchronous())
  app.service('echo', echo)
  await app.start()
  const clients = Array.from({ length: CLIENTS }, () =>
    createClient({
      url: 'memory:',
      transport: memoryClient(transport),
      reconnect: false,
      services: { echo: { client: (/** @type {object} */ service) => service } },
    }),
  )
  await Promise.all(clients.map(client => client.connect()))
  /** @type {import('socketstream-server').ServiceClient[]} */
  const services = clients.map(client => client.api.echo)
  return {
    async send(calls) {
      for (let left = calls; left > 0; left -= WINDOW) await sendWindow(services, Math.min(WINDOW, left))
    },
    async stop() {
      for (const client of clients) client.close()
      await app.stop({ drain: 1000 })
    },
  }
}

/**
 * @param {readonly import('socketstream-server').ServiceClient[]} services
 * @param {number} size
 * @returns {Promise<void>}
 */
function sendWindow(services, size) {
  return new Promise((resolve, reject) => {
    let waiting = size
    for (let i = 0; i < size; i++) {
      services[i % services.length].send(i, answer => {
        if (answer !== i) reject(new Error(`Sent ${i}, but ${answer} came back`))
        else if (--waiting === 0) resolve()
      })
    }
  })
}
