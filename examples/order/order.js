// @ts-check
/**
 * Follows an order in the terminal, and sends what is typed: `add tea`, `place`, `pay`, `cancel`.
 *
 * node examples/order/order.js [key] [--url ws://localhost:3002]
 */
import { randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { createClient } from 'socketstream-server/client'
import { machineClient } from 'socketstream-server/services/machine/client'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { url: { type: 'string', default: `ws://localhost:${process.env.PORT || 3002}` } },
})
const [key = randomUUID()] = positionals

/** @type {typeof createClient<import('./app.js').OrderApp>} */
const createOrderClient = createClient
const client = createOrderClient({ url: options.url, services: { order: machineClient } })
await client.connect()
client.on('status', status => console.log(`(${status})`))

const order = client.api.order.get(key)
order.subscribe(() => {
  const view = order.getSnapshot()
  console.log(`${view?.value}: ${view?.items.join(', ') || 'nothing yet'}`)
})
console.log(`Order ${key}. From another terminal: node examples/order/order.js ${key}`)

const lines = createInterface({ input: process.stdin })
lines.on('line', async line => {
  const [type = '', ...rest] = line.trim().split(' ')
  const event = type === 'add' ? { type, item: rest.join(' ') } : { type }
  try {
    // What is typed is not checked here: the server refuses what it does not know.
    const sent = /** @type {import('./machine.js').OrderEvent} */ (event)
    if (await order.can(sent)) await order.send(sent)
    else console.log(`"${line}" is not possible now`)
  } catch (error) {
    console.log(/** @type {Error} */ (error).message)
  }
})
lines.once('close', () => client.close())

try {
  await order.done()
  console.log('The order is done')
} catch (error) {
  console.error(/** @type {Error} */ (error).message)
  process.exitCode = 1
}
lines.close()
