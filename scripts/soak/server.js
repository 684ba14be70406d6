/**
 * The server of the soak test, in a process of its own: `node server.js`.
 *
 * Tells its port, then answers every message with what it holds.
 */
import { Server } from 'socketstream-server'
import { pubsub } from 'socketstream-server/services/pubsub'
import { rpc } from 'socketstream-server/services/rpc'
import { ws } from 'socketstream-server/transports/ws'
import { LIMITS, RESUME } from './limits.js'

/** Bytes of one broadcast. */
const NOISE = 1024

const app = new Server({
  transport: ws({ port: 0, host: '127.0.0.1' }),
  env: 'production',
  limits: LIMITS,
  resume: RESUME,
})
  .service('rpc', rpc({ echo: (_ctx, message) => message }))
  .service('noise', pubsub({}))

if (process.send === undefined) {
  console.error('Started by scripts/soak.js')
  process.exit(2)
}
await app.start()

/** @type {NodeJS.Timeout | undefined} */
let noise
const text = 'x'.repeat(NOISE)

process.on('disconnect', () => process.exit())
process.on('message', asked => {
  const { broadcasts } = /** @type {{ broadcasts?: number }} */ (asked)
  if (broadcasts !== undefined) {
    clearInterval(noise)
    if (broadcasts > 0) {
      const each = Math.max(1, Math.round(broadcasts / 100))
      noise = setInterval(() => {
        for (let n = 0; n < each; n++) app.api.noise.publish.all('noise', text)
      }, 10)
    }
  }
  const { detached, closed } = app.statistics().connections
  process.send?.({
    rss: process.memoryUsage.rss(),
    connections: app.connections().length,
    detached,
    // Lost, and given up: the window is longer than an attack.
    givenUp: closed[1006] ?? 0,
  })
})
process.send({ port: app.address()?.port })
