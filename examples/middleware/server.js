// @ts-check
/**
 * Starts the bank: PORT=3003 node examples/middleware/server.js
 */
import { createApp } from './app.js'

const app = createApp({ port: Number(process.env.PORT || 3003), log: console.log })
await app.start()
console.log(`The bank is at ws://localhost:${app.address()?.port}; ask it: node examples/middleware/ask.js`)

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) process.once(signal, () => app.stop())
