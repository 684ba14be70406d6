/**
 * One side of `inspector`: the echo of `seed` over the memory transport, client and server in one process.
 *
 * Asked to send so many messages it answers with the CPU time that they took, in microseconds. What a viewer asks for
 * meanwhile is part of it: its requests are answered between the messages.
 */
import { Server } from 'socketstream-server'
import { createClient } from 'socketstream-server/client'
import { memoryClient } from 'socketstream-server/testing'
import { memory } from 'socketstream-server/transports/memory'
import { ws } from 'socketstream-server/transports/ws'

/** Messages in flight: all are sent, all come back, then come the next. */
const WINDOW = 1000

const [mounted] = process.argv.slice(2)
const texts = Array.from({ length: WINDOW }, (_, i) => `This is message ${i}`)
const transport = memory()
// All sides listen, so that the inspector is all that they differ in.
const door = ws({ port: 0, host: '127.0.0.1' })
const app = new Server({ transport: [transport, door] })
if (mounted === 'mounted') app.inspector()
app.service('echo', {
  /** @param {import('socketstream-server').ServiceServer} server */
  server(server) {
    server.onmessage = (message, req) => {
      server.send(req.connectionId, message)
    }
  },
})
await app.start()
const client = createClient({
  url: 'memory:',
  transport: memoryClient(transport),
  reconnect: false,
  services: { echo: { client: (/** @type {object} */ service) => service } },
})
await client.connect()
/** @type {import('socketstream-server').ServiceClient} */
const echo = client.api.echo

/** Sends a window and waits until it has come back. */
function sendWindow() {
  return new Promise((resolve, reject) => {
    let waiting = WINDOW
    echo.onmessage = answer => {
      if (--waiting > 0) return
      if (answer === texts[WINDOW - 1]) resolve(undefined)
      else reject(new Error(`${answer} came back`))
    }
    for (const text of texts) echo.send(text)
  })
}

process.on('message', async (/** @type {{ messages: number }} */ { messages }) => {
  const before = process.cpuUsage()
  for (let left = messages; left > 0; left -= WINDOW) await sendWindow()
  const { user, system } = process.cpuUsage(before)
  process.send?.({ cpu: user + system })
})
process.once('disconnect', () => process.exit())
process.send?.({ port: door.address()?.port, connection: client.connectionId })
