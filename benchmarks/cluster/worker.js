/** A worker: a call that takes CPU. */
import { Server } from 'socketstream-server'
import { rpc } from 'socketstream-server/services/rpc'
import { ws } from 'socketstream-server/transports/ws'

/** About what a core does in a millisecond: the same work for every call, however busy the machine is. */
const PER_MS = 500_000

/** @param {number} rounds */
function work(rounds) {
  let value = 1
  for (let i = 0; i < rounds; i++) value = (Math.imul(value, 1103515245) + 12345) >>> 1
  return value | 1
}

const port = Number(process.argv[2])
const echo = (/** @type {unknown} */ _ctx, /** @type {number} */ ms) => work(ms * PER_MS)
await new Server({ transport: ws({ port, host: '127.0.0.1' }), env: 'production' })
  .service('rpc', rpc({ echo }))
  .start()
