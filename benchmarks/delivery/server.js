/**
 * One server of the `delivery` benchmark, in a process of its own: `node server.js on|off`, for resume.
 *
 * Tells its port, then does what each message says and answers with the CPU time, memory and bytes so far.
 */
import { createServer } from 'node:http'
import { Server } from 'socketstream-server'
import { pubsub } from 'socketstream-server/services/pubsub'
import { rpc } from 'socketstream-server/services/rpc'
import { ws } from 'socketstream-server/transports/ws'

const resume = process.argv[2] === 'on'
if (process.send === undefined) {
  console.error('Started by benchmarks/delivery.js')
  process.exit(2)
}

const server = createServer()
/** @type {Set<import('node:net').Socket>} */
const sockets = new Set()
let written = 0
server.on('connection', socket => {
  sockets.add(socket)
  socket.on('close', () => {
    written += socket.bytesWritten
    sockets.delete(socket)
  })
})

const app = new Server({
  transport: ws({ server }),
  env: 'production',
  limits: { outboundBytes: 256 * 1024 },
  resume: resume ? { window: '2m' } : false,
})
  .service('rpc', rpc({ echo: (_ctx, message) => message }))
  .service('news', pubsub({}))
await app.start()
await new Promise(resolve => server.listen(0, '127.0.0.1', () => resolve(undefined)))

let published = 0
/** @type {NodeJS.Timeout | undefined} */
let timer

/** @param {number} perSecond @param {number} size */
function broadcast(perSecond, size) {
  clearInterval(timer)
  if (perSecond === 0) return
  const text = 'x'.repeat(size)
  const began = performance.now()
  let sent = 0
  timer = setInterval(() => {
    // As many as are due, but no more than a tenth of a second's: a server that lags does not catch up for ever.
    const due = Math.min(Math.floor(((performance.now() - began) / 1000) * perSecond) - sent, perSecond / 10)
    for (let n = 0; n < due; n++, sent++) app.api.news.publish.all('news', ++published, text)
  }, 10)
}

process.on('disconnect', () => process.exit())
process.on('message', order => {
  const {
    type,
    perSecond = 0,
    size = 0,
  } = /** @type {{ type?: string, perSecond?: number, size?: number }} */ (order)
  if (type === 'broadcast') broadcast(perSecond, size)
  if (type === 'cut') for (const socket of sockets) socket.destroy()
  let bytes = written
  for (const socket of sockets) bytes += socket.bytesWritten
  process.send?.({
    ...process.cpuUsage(),
    rss: process.memoryUsage.rss(),
    bytes,
    replayed: app.statistics().bytes.replayed,
    published,
    connections: app.connections().length,
  })
})
process.send({ port: /** @type {import('node:net').AddressInfo} */ (server.address()).port })
