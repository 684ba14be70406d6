// @ts-check
/** Fastify 5 and SocketStream on one port: `PORT=3000 node examples/http-servers/fastify.js`. */
import { fileURLToPath } from 'node:url'
import fastify from 'fastify'
import { Server } from 'socketstream-server'
import { rpc } from 'socketstream-server/services/rpc'
import { engineio } from 'socketstream-server/transports/engine-io'
import { sockjs } from 'socketstream-server/transports/sockjs'
import { ws } from 'socketstream-server/transports/ws'

/** Serves both; gives what there is, and `stop`. @param {number} port 0 takes a free one */
export async function start(port) {
  const web = fastify({ forceCloseConnections: true })
  web.get('/', () => 'A page of Fastify')

  const { server } = web
  const app = new Server({ transport: [ws({ path: '/ws' }), engineio(), sockjs()] })
    .service('rpc', rpc({ add: (_ctx, a, b) => a + b }))
    .attach(server)
  // Before Fastify waits for its connections to end: those of SocketStream would not.
  web.addHook('preClose', () => app.stop())
  await app.start()
  // Fastify's default, `localhost`, has two servers where there is IPv6, and only one is attached to.
  await web.listen({ port, host: '::' })

  return { app, server, stop: () => web.close() }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { app, stop } = await start(Number(process.env.PORT || 3000))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  console.log(`Pages at http://localhost:${app.address()?.port}, clients at ${app.address()?.url}`)
}
