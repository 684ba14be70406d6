// @ts-check
/** Starts the example: `node examples/todos/server.js`, or with `PORT=8080` before it. */
import { createServer } from 'node:http'
import { createApp } from './app.js'

const server = createServer()
const { app } = await createApp({ server, handleSignals: true })
await app.start()

server.once('error', error => {
  console.error(error.message)
  process.exit(1)
})

server.listen(Number(process.env.PORT || 3000), () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  console.log(`The todos are at http://localhost:${port}; open it twice (stop it with Ctrl+C)`)
})
