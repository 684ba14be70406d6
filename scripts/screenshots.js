/**
 * Takes the pictures of the inspector that the docs show: `npm run screenshots`.
 *
 * A chat with clients that talk is started, and its inspector opened in the Chromium of the tests.
 */
import { mkdirSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { createClient } from 'socketstream-server/client'
import { createApp } from '../examples/chat/app.js'

const CLIENTS = 8
/** Milliseconds between two lines of the chat, and seconds of them in the charts. */
const PACE = 50
const SECONDS = 15
/** Bytes that a picture may have. */
const LIMIT = 150 * 1024

const images = fileURLToPath(new URL('../docs/images/', import.meta.url))
const silent = () => {}
const server = createServer()
const app = await createApp({ server, log: { debug: silent, info: silent, warn: silent, error: silent } })
app.inspector()
await app.start()
await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
const { port } = server.address()

const executablePath = process.env.CHROMIUM_PATH || '/usr/bin/chromium'
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-gpu'] })
const clients = Array.from({ length: CLIENTS }, () =>
  createClient({ url: `ws://127.0.0.1:${port}`, reconnect: false }),
)
let talk
try {
  for (const [index, client] of clients.entries()) {
    await client.connect()
    await client.api.rpc.join(`guest ${index + 1}`)
  }
  let said = 0
  talk = setInterval(() => {
    clients[said++ % CLIENTS].api.rpc.say(`line ${said}`).catch(silent)
  }, PACE)
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: 'light' })
  await page.goto(`http://127.0.0.1:${port}/_inspector/`)
  await page.locator(`.figures data[title="Connections: ${CLIENTS}"]`).waitFor()
  await new Promise(resolve => setTimeout(resolve, SECONDS * 1000))
  await take(page, 'overview')

  const path = `/connections/${clients[0].connectionId}`
  await page.goto(`http://127.0.0.1:${port}/_inspector/#actors/${encodeURIComponent(path)}`)
  await page.locator('[data-path="/connections"] .toggle').click()
  await page.locator(`[data-path="${path}"]`).waitFor()
  await page.getByRole('button', { name: 'Close connection' }).waitFor()
  await take(page, 'actors')
} finally {
  clearInterval(talk)
  for (const client of clients) client.close()
  await browser.close()
  await app.stop({ drain: 0 })
  server.close()
}

async function take(page, name) {
  mkdirSync(images, { recursive: true })
  const path = `${images}inspector-${name}.png`
  await page.screenshot({ path })
  const { size } = statSync(path)
  console.log(`docs/images/inspector-${name}.png: ${Math.ceil(size / 1024)} KiB`)
  if (size > LIMIT) throw new Error(`inspector-${name}.png has more than ${LIMIT} bytes`)
}
