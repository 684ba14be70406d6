// @ts-check
/** Starts the chat: `npm start`, or `PORT=8080 npm start`. */
import { createServer } from 'node:http'
import { createApp } from './app.js'

const port = Number(process.env.PORT || 3000)
if (!Number.isInteger(port) || port < 0 || port > 65535) fail(`PORT must be a number from 0 to 65535`)

const server = createServer()
const log = { debug() {}, info: show, warn: show, error: show }
const app = await createApp({ server, log, handleSignals: true })
// Every actor, at /_inspector: from this machine only, and in production not without a token.
if (process.env.NODE_ENV !== 'production') app.inspector()
await app.start()

server.once('error', error => {
  const inUse = /** @type {NodeJS.ErrnoException} */ (error).code === 'EADDRINUSE'
  fail(inUse ? `Port ${port} is in use. Take another one: PORT=${port + 1} npm start` : error.message)
})

server.listen(port, () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  const url = `http://localhost:${port}`
  const to = port === 3000 ? '' : `--url ${url} `
  console.log(`The chat is at ${url} (stop it with Ctrl+C)`)
  console.log(`From another terminal: node examples/chat/say.js ${to}"hello from the terminal"`)
})

/** @param {object} details @param {string} message */
function show(details, message) {
  console.log(message, details)
}

/** @param {string} why @returns {never} */
function fail(why) {
  console.error(why)
  process.exit(1)
}
