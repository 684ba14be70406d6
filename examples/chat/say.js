// @ts-check
/**
 * Says one line in the chat, prints the last ones and exits. No browser needed.
 *
 * node examples/chat/say.js [--url http://localhost:3000] [--name terminal] "what to say"
 */
import { parseArgs } from 'node:util'
import { createClient } from 'socketstream-server/client'

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: 'string', default: `http://localhost:${process.env.PORT || 3000}` },
    name: { type: 'string', default: 'terminal' },
  },
})

/** @type {typeof createClient<import('./app.js').ChatApp>} */
const createChatClient = createClient
const client = createChatClient({ url: options.url.replace(/^http/, 'ws'), reconnect: false })

try {
  await client.connect()
  await client.api.rpc.join(options.name)
  await client.api.rpc.say(positionals.join(' '))
  const { lines } = await client.api.rpc.history()
  for (const { at, from, text } of lines.slice(-10)) {
    console.log(`${at.toTimeString().slice(0, 5)} ${from}: ${text}`)
  }
} catch (error) {
  const { code, message } = /** @type {Error & { code?: string }} */ (error)
  console.error(
    code === 'NOT_CONNECTED' ? `${message}. Is the chat running? Start it with: npm start` : message,
  )
  process.exitCode = 1
} finally {
  client.close()
}
