// @ts-check
/**
 * Pages and SocketStream over HTTPS: `KEY=key.pem CERT=cert.pem PORT=3443 node examples/http-servers/https.js`.
 *
 * To try it: openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { fileURLToPath } from 'node:url'
import { Server } from 'socketstream-server'
import { rpc } from 'socketstream-server/services/rpc'
import { engineio } from 'socketstream-server/transports/engine-io'
import { sockjs } from 'socketstream-server/transports/sockjs'
import { ws } from 'socketstream-server/transports/ws'

/**
 * Serves both; gives what there is, and `stop`.
 *
 * @param {number} port 0 takes a free one
 * @param {import('node:tls').SecureContextOptions} secrets key and certificate
 */
export async function start(port, secrets) {
  const server = createServer(secrets, (request, response) => {
    response.statusCode = request.url === '/' ? 200 : 404
    response.end(request.url === '/' ? 'A page over HTTPS' : 'No page')
  })
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
  const { KEY = 'key.pem', CERT = 'cert.pem', PORT = 3443 } = process.env
  const secrets = { key: readFileSync(KEY), cert: readFileSync(CERT) }
  const { app, stop } = await start(Number(PORT), secrets)
  process.once('SIGINT', stop).once('SIGTERM', stop)
  console.log(`Pages at https://localhost:${app.address()?.port}, clients at ${app.address()?.url}`)
}
