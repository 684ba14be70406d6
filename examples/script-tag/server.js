// @ts-check
/** Starts the page: `node examples/script-tag/server.js`, or with `PORT=8080` before it. */
import { createServer } from 'node:http'
import { createApp } from './app.js'

const server = createServer()
const app = await createApp({ server })
await app.start()
server.listen(Number(process.env.PORT || 3004), () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`The page is at http://localhost:${port}`)
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
