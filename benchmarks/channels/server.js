/**
 * One server of the `channels` benchmark, in a process of its own: `node server.js NAME`.
 *
 * Tells its port when it listens. `{ publish: n }` publishes n messages in one turn; every message from the parent
 * is answered with the CPU time used so far, and how much the heap holds.
 */
import { createServer } from 'node:http'

/** What is published, but for its number. */
const TEXT = 'a line of text as people write it, of some sixty characters'

/**
 * Starters by name; each gives the port, and what publishes once to all.
 *
 * @type {Record<string, () => Promise<{ port: number, publish(count: number): void }>>}
 */
const starters = {
  /** Ours: a channel without a history. */
  socketstream: () => ours({}),
  /** Ours: a channel with a history. */
  history: () => ours({ history: { size: 1000 } }),

  /** The bare minimum on `ws`: the same bytes to all, encoded once. */
  async ws() {
    const { WebSocketServer } = await import('ws')
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false })
    await new Promise(resolve => server.once('listening', resolve))
    return {
      port: server.address().port,
      publish(count) {
        const data = JSON.stringify(['said', count, TEXT])
        for (const socket of server.clients) socket.send(data)
      },
    }
  },

  /** socket.io: a room, on WebSockets only. */
  async 'socket.io'() {
    const { Server } = await import('socket.io')
    const http = createServer()
    const io = new Server(http, { transports: ['websocket'], serveClient: false })
    io.on('connection', socket => socket.join('room'))
    await new Promise(resolve => http.listen(0, '127.0.0.1', () => resolve(undefined)))
    return {
      port: /** @type {import('node:net').AddressInfo} */ (http.address()).port,
      publish: count => void io.to('room').emit('said', count, TEXT),
    }
  },
}

/** @param {import('socketstream-server/services/pubsub').ChannelOptions} options */
async function ours(options) {
  const { Server } = await import('socketstream-server')
  const { pubsub } = await import('socketstream-server/services/pubsub')
  const { ws } = await import('socketstream-server/transports/ws')
  const app = new Server({ transport: ws({ port: 0, host: '127.0.0.1' }), env: 'production' }).service(
    'chat',
    pubsub({ channels: { room: options } }),
  )
  await app.start()
  return {
    port: /** @type {number} */ (app.address().port),
    publish: (/** @type {number} */ count) => app.api.chat.publish.channel('room', 'said', count, TEXT),
  }
}

const start = starters[process.argv[2] ?? '']
if (start === undefined || process.send === undefined) {
  console.error(`Started by benchmarks/channels.js, with one of ${Object.keys(starters).join(', ')}`)
  process.exit(2)
}
process.on('disconnect', () => process.exit())
const { port, publish } = await start()
let published = 0
process.on('message', message => {
  const { publish: count = 0 } = /** @type {{ publish?: number }} */ (message)
  for (let i = 0; i < count; i++) publish(++published)
  process.send?.(process.cpuUsage())
})
process.send({ port })
