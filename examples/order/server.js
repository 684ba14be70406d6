// @ts-check
/**
 * Starts the orders.
 *
 * PORT=3002 DATA=./orders SHIPPING=10000 node examples/order/server.js
 */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from './app.js'

const port = Number(process.env.PORT || 3002)
const shipping = Number(process.env.SHIPPING || 10_000)
const path = process.env.DATA || join(tmpdir(), 'socketstream-orders')

const { app, engine } = createApp({ port, path, shipping })
await app.start()
const address = app.address()
console.log(`The orders are at ws://localhost:${address?.port}`)
console.log('Follow one from two terminals: node examples/order/order.js')

for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM'])) {
  // Once: whoever presses Ctrl+C again does not want to wait.
  process.once(signal, async () => {
    await app.stop()
    await engine.close()
  })
}
