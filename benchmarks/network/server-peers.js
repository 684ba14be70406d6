/** The controls of the `network` benchmark: what others make of the same calls and publications. */
import { createServer } from 'node:http'

const HOST = '127.0.0.1'
const BACKLOG = 4096

/** @type {Record<string, () => Promise<import('./server.js').Subject>>} */
export const peers = {
  /** The bare minimum on `ws`: the same bytes back, nothing looked at; a publication is encoded once. */
  async ws() {
    const { WebSocketServer } = await import('ws')
    const server = new WebSocketServer({ port: 0, host: HOST, backlog: BACKLOG, perMessageDeflate: false })
    server.on('connection', socket => {
      socket.on('message', (data, binary) => socket.send(data, { binary }))
    })
    await new Promise(resolve => server.once('listening', resolve))
    return {
      port: /** @type {import('node:net').AddressInfo} */ (server.address()).port,
      publish(text) {
        const data = JSON.stringify(['said', text])
        for (const socket of server.clients) socket.send(data)
      },
    }
  },

  'socket.io': () => socketIo({}),
  'socket.io-msgpack': async () => socketIo({ parser: (await import('socket.io-msgpack-parser')).default }),

  /** engine.io by itself: what socket.io is built on. */
  async 'engine.io'() {
    const { Server } = await import('engine.io')
    const http = createServer()
    const engine = new Server({ transports: ['websocket'], perMessageDeflate: false })
    engine.attach(http)
    const sockets = new Set()
    engine.on('connection', socket => {
      sockets.add(socket)
      socket.on('message', data => socket.send(data))
      socket.once('close', () => sockets.delete(socket))
    })
    return {
      port: await listening(http),
      publish(text) {
        const data = JSON.stringify(['said', text])
        for (const socket of sockets) socket.send(data)
      },
    }
  },

  /** sockjs by itself, over its WebSockets. */
  async sockjs() {
    const sockjs = (await import('sockjs')).default
    const http = createServer()
    const server = sockjs.createServer({ prefix: '/sockjs', log() {} })
    const connections = new Set()
    server.on('connection', connection => {
      connections.add(connection)
      connection.on('data', data => connection.write(data))
      connection.once('close', () => connections.delete(connection))
    })
    server.installHandlers(http)
    return {
      port: await listening(http),
      publish(text) {
        const data = JSON.stringify(['said', text])
        for (const connection of connections) connection.write(data)
      },
    }
  },
}

/**
 * socket.io with an acknowledgement, on WebSockets only, and a room with everybody.
 *
 * @param {object} options
 */
async function socketIo(options) {
  const { Server } = await import('socket.io')
  const http = createServer()
  const io = new Server(http, { transports: ['websocket'], serveClient: false, ...options })
  io.on('connection', socket => {
    socket.join('room')
    socket.on('echo', (message, ack) => ack(message))
  })
  return {
    port: await listening(http),
    publish: (/** @type {object} */ text) => void io.to('room').emit('said', text),
  }
}

/**
 * @param {import('node:http').Server} http
 * @returns {Promise<number>}
 */
async function listening(http) {
  await new Promise(resolve =>
    http.listen({ port: 0, host: HOST, backlog: BACKLOG }, () => resolve(undefined)),
  )
  return /** @type {import('node:net').AddressInfo} */ (http.address()).port
}
