// @ts-check
/** Starts the example: `node examples/login/server.js`, or with `PORT=8080` before it. */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { createApp } from './app.js'

const port = Number(process.env.PORT || 3000)
const secret = process.env.SESSION_SECRET || randomBytes(32).toString('base64url')

const server = createServer()
const app = await createApp({ server, secret, log: { debug() {}, info: show, warn: show, error: show } })
await app.start()

server.once('error', error => {
  console.error(error.message)
  process.exit(1)
})

server.listen(port, () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`Log in at http://localhost:${port} as ann or ben, with the password "please"`)
  console.log('Then open it in a second tab, and log out in one of them (stop it with Ctrl+C)')
})

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  process.once(signal, async () => {
    console.log('Stopping')
    await app.stop()
    server.close()
    // Browsers hold connections that they have not used yet, and would be waited for.
    server.closeAllConnections()
  })
}

/** @param {object} details @param {string} message */
function show(details, message) {
  console.log(message, details)
}
