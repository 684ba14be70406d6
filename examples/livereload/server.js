// @ts-check
/**
 * Starts the page: `node examples/livereload/server.js`, then change a file in `page/`.
 *
 * Another port: PORT=8080 node examples/livereload/server.js
 */
import { createServer } from 'node:http'
import { createApp } from './app.js'

const server = createServer()
const app = createApp({ server, log: { debug() {}, info: show, warn: show, error: show } })
await app.start()

server.listen(Number(process.env.PORT || 3005), () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`The page is at http://localhost:${port} (stop it with Ctrl+C)`)
  console.log('Change a file in examples/livereload/page and look at it')
})

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  // Once: whoever presses Ctrl+C again does not want to wait.
  process.once(signal, async () => {
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
