/**
 * The four runs of `seed`: each a service with its client half, and what is sent through it.
 *
 * One server and one client carry all four, over the memory transport: client, codec, connection
 * actor, router, service actor, handler, and all the way back.
 */
import { isDeepStrictEqual } from 'node:util'
import { Server } from 'socketstream-server'
import { createClient } from 'socketstream-server/client'
import { memoryClient } from 'socketstream-server/testing'
import { memory } from 'socketstream-server/transports/memory'

/** Messages in flight: all are sent, all are answered, then come the next. */
export const WINDOW = 1000

/**
 * @typedef {object} Run
 * @property {string} name
 * @property {number} original messages per second of the 2013 original
 * @property {(count: number) => Promise<void>} send sends this many messages and waits for the answers
 *
 * @typedef {import('socketstream-server').ServiceServer} ServiceServer
 * @typedef {import('socketstream-server').ServiceClient} ServiceClient
 */

const texts = Array.from({ length: WINDOW }, (_, i) => `This is message ${i}`)
const objects = Array.from({ length: WINDOW }, (_, i) => ({
  id: i,
  user: 'ada',
  text: `This is message ${i}`,
  tags: ['a', 'b'],
}))

const echo = {
  /** @param {ServiceServer} server */
  server(server) {
    server.onmessage = (message, req) => {
      server.send(req.connectionId, message)
    }
  },
}

const services = {
  echo,
  json: { use: { json: true }, ...echo },
  callbacks: {
    use: { callbacks: true },
    /** @param {ServiceServer} server */
    server(server) {
      server.onmessage = (message, _req, reply) => reply(message)
    },
  },
  sessions: {
    use: { sessions: true },
    /** @param {ServiceServer} server */
    server(server) {
      server.onmessage = (message, req) => {
        if (req.session.id === undefined) throw new Error('The session is missing')
        server.send(req.connectionId, message)
      }
    },
  },
}

/**
 * Starts the server, connects the client and makes the runs.
 *
 * @returns {Promise<{ runs: Run[], stop(): Promise<void> }>}
 */
export async function startSeed() {
  const transport = memory()
  const app = new Server({ transport, env: 'production' })
  for (const [name, definition] of Object.entries(services)) app.service(name, definition)
  await app.start()
  const half = { client: (/** @type {object} */ service) => service }
  const client = createClient({
    url: 'memory:',
    transport: memoryClient(transport),
    reconnect: false,
    services: Object.fromEntries(Object.keys(services).map(name => [name, half])),
  })
  client.on('error', error => {
    throw error
  })
  await client.connect()
  const { api } = client
  const runs = [
    { name: 'echo', original: 440_000, send: sender(api.echo, texts) },
    { name: 'echo, objects', original: 190_000, send: sender(api.json, objects) },
    { name: 'echo, callbacks', original: 260_000, send: caller(api.callbacks, texts) },
    { name: 'echo, sessions', original: 467_000, send: sender(api.sessions, texts) },
  ]
  return {
    runs,
    async stop() {
      client.close()
      await app.stop({ drain: 1000 })
    },
  }
}

/**
 * Sends messages that come back as messages.
 *
 * @param {ServiceClient} service
 * @param {readonly unknown[]} messages a window of them
 * @returns {Run['send']}
 */
function sender(service, messages) {
  return count =>
    inWindows(count, (size, done) => {
      let waiting = size
      service.onmessage = answer => {
        if (--waiting === 0) done(answer, messages[size - 1])
      }
      for (let i = 0; i < size; i++) service.send(messages[i])
    })
}

/**
 * Sends messages that are answered through their callbacks.
 *
 * @param {ServiceClient} service
 * @param {readonly unknown[]} messages a window of them
 * @returns {Run['send']}
 */
function caller(service, messages) {
  return count =>
    inWindows(count, (size, done) => {
      let waiting = size
      for (let i = 0; i < size; i++) {
        service.send(messages[i], answer => {
          if (--waiting === 0) done(answer, messages[size - 1])
        })
      }
    })
}

/**
 * Sends `count` messages, a window at a time, each when the one before is answered.
 *
 * @param {number} count
 * @param {(size: number, done: (answer: unknown, sent: unknown) => void) => void} sendWindow calls
 *   `done` with the last answer and what it should be
 * @returns {Promise<void>}
 */
function inWindows(count, sendWindow) {
  return new Promise((resolve, reject) => {
    let left = count
    const next = () => {
      const size = Math.min(WINDOW, left)
      left -= size
      sendWindow(size, (answer, sent) => {
        if (!isDeepStrictEqual(answer, sent)) reject(new Error(`Sent ${sent}, but ${answer} came back`))
        else if (left === 0) resolve()
        else next()
      })
    }
    next()
  })
}
