// A server that is asked to end while a service has not finished.
import { Server } from 'socketstream-server'
import { ws } from 'socketstream-server/transports/ws'

const app = new Server({ transport: ws({ port: 0 }), handleSignals: true }).service('slow', {
  server(server) {
    server.ondrain = () => {
      process.send('draining')
      // As work does that goes on.
      return new Promise(() => setInterval(() => {}, 1000))
    }
  },
})
await app.start()
process.send('started')
