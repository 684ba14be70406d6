// @ts-check
/** Koa and SocketStream on one port: `PORT=3000 node examples/http-servers/koa.js`. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import Koa from 'koa'
import { Server } from 'socketstream-server'
import { rpc } from 'socketstream-server/services/rpc'
import { engineio } from 'socketstream-server/transports/engine-io'
import { sockjs } from 'socketstream-server/transports/sockjs'
import { ws } from 'socketstream-server/transports/ws'

/** Serves both; gives what there is, and `stop`. @param {number} port 0 takes a free one */
export async function start(port) {
  const web = new Koa()
  web.use(context => {
    if (context.path === '/') context.body = 'A page of Koa'
  })

  // `attach` takes the HTTP server, which `web.listen()` would make by itself.
  const server = createServer(web.callback())
  const app = new Server({ transport: [ws({ path: '/ws' }), engineio(), sockjs()] })
    .service('rpc', rpc({ add: (_ctx, a, b) => a + b }))
    .attach(server)
  await app.start()
  server.listen(port)
  await once(server, 'listening')

  return {
    app,
    server,
    async stop() {
      await app.stop()
      const closed = once(server.close(), 'close')
      // Browsers hold connections that they have not used yet, and would be waited for.
      server.closeAllConnections()
      await closed
    },
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { app, stop } = await start(Number(process.env.PORT || 3000))
  process.once('SIGINT', stop).once('SIGTERM', stop)
  console.log(`Pages at http://localhost:${app.address()?.port}, clients at ${app.address()?.url}`)
}
