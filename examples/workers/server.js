// @ts-check
/**
 * What each worker runs: a chat and a call, on a port that all of them share.
 *
 * It also runs by itself: PORT=3003 REDIS=redis://localhost:6379 node examples/workers/server.js
 */
import { Server } from 'socketstream-server'
import { redis } from 'socketstream-server/engines/redis'
import { pubsub } from 'socketstream-server/services/pubsub'
import { rpc } from 'socketstream-server/services/rpc'
import { ws } from 'socketstream-server/transports/ws'

const engine = redis({ url: process.env.REDIS || 'redis://localhost:6379', prefix: 'workers' })
export const app = new Server({
  transport: ws({ port: Number(process.env.PORT || 3003) }),
  engine,
  // The same for all, so that a client is known to whichever it comes to.
  sessions: { secret: process.env.SESSION_SECRET || 'only for this example' },
  handleSignals: { drain: '10s' },
})
  .service('chat', pubsub({ canPublish: () => true }))
  .service(
    'rpc',
    rpc({
      whoAreYou: () => process.pid,
      /** Computes for some milliseconds, as an example of what takes a core. */
      compute(_ctx, /** @type {number} */ ms) {
        const end = performance.now() + ms
        while (performance.now() < end);
        return process.pid
      },
    }),
  )
await app.start()
