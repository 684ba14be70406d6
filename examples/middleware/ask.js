// @ts-check
/**
 * Asks the bank for this and that, and prints what comes of it.
 *
 * PORT=3003 TOKEN=token-of-ann node examples/middleware/ask.js
 */
import { createClient } from 'socketstream-server/client'

const { PORT = 3003, TOKEN = 'token-of-ann' } = process.env

/** @typedef {import('./app.js').BankApp} BankApp */
const client = /** @type {typeof createClient<BankApp>} */ (createClient)({
  url: `ws://localhost:${PORT}/?token=${TOKEN}`,
})
await client.connect()
const { bank, admin } = client.api

await show('balance', bank.balance())
await show('send 30 to bob', bank.send('bob', 30))
await show('send nothing to eve', bank.send(/** @type {never} */ ('eve'), 0))
await show('total', admin.total())
await show('audit', admin.audit())
client.close()

/** @param {string} what @param {Promise<unknown>} answer */
async function show(what, answer) {
  const text = await answer.catch(error => `${error.code}: ${error.message}`)
  console.log(`${what}: ${text}`)
}
