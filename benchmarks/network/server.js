/**
 * One server of the `network` benchmark, in a process of its own: `node server.js NAME`.
 *
 * Tells its port when it listens. Every message from the parent asks for the CPU time used so far.
 */
import { createServer } from 'node:http'

/**
 * Starters by name; each gives the port.
 *
 * @type {Record<string, () => Promise<number>>}
 */
const starters = {
  /** Ours: RPC over msgpack. */
  async socketstream() {
    const { Server } = await import('socketstream-server')
    const { rpc } = await import('socketstream-server/services/rpc')
    const { ws } = await import('socketstream-server/transports/ws')
    const transport = ws({ port: 0, host: '127.0.0.1' })
    const app = new Server({ transport, env: 'production' }).service(
      'rpc',
      rpc({ echo: (_ctx, message) => message }),
    )
    await app.start()
    return app.address().port
  },

  /** The bare minimum on `ws`: the same bytes back, nothing looked at. */
  async ws() {
    const { WebSocketServer } = await import('ws')
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    server.on('connection', socket => {
      socket.on('message', (data, binary) => socket.send(data, { binary }))
    })
    await new Promise(resolve => server.once('listening', resolve))
    return server.address().port
  },

  /** socket.io with an acknowledgement, on WebSockets only. */
  async 'socket.io'() {
    const { Server } = await import('socket.io')
    const http = createServer()
    const io = new Server(http, { transports: ['websocket'], serveClient: false })
    io.on('connection', socket => {
      socket.on('echo', (message, ack) => ack(message))
    })
    await new Promise(resolve => http.listen(0, '127.0.0.1', resolve))
    return http.address().port
  },
}

const name = process.argv[2] ?? ''
const start = starters[name]
if (start === undefined || process.send === undefined) {
  console.error(`Started by benchmarks/network.js, with one of ${Object.keys(starters).join(', ')}`)
  process.exit(2)
}
process.on('disconnect', () => process.exit())
process.on('message', () => process.send?.(process.cpuUsage()))
process.send({ port: await start() })
