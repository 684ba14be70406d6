/**
 * Takes the pictures of the inspector that the README and the docs show: `npm run screenshots`.
 *
 * A chat with clients that talk is started, and its inspector opened in the Chromium of the tests.
 */
import { mkdirSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import { createClient } from 'socketstream-server/client'
import { setup } from 'xstate'
import { createApp } from '../examples/chat/app.js'

const CLIENTS = 8
/** Milliseconds between two lines of the chat, and seconds of them in the charts. */
const PACE = 50
const SECONDS = 31
/** Bytes that a picture may have. */
const LIMIT = 150 * 1024

/** Something with states, for the statechart. */
const order = setup({}).createMachine({
  id: 'order',
  initial: 'open',
  context: { articles: 3, total: 42, cardToken: 'not shown' },
  states: {
    open: { on: { PAY: 'paying' }, after: { 60000: 'closed' } },
    paying: {
      initial: 'card',
      states: { card: { on: { REFUSED: 'transfer' } }, transfer: {} },
      on: { PAID: 'sent' },
    },
    sent: { on: { ARRIVED: 'closed' } },
    closed: { type: 'final' },
  },
})

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
  const ref = app.spawn('order:1042', order)
  const page = await browser.newPage({ viewport: { width: 1280, height: 720 }, colorScheme: 'light' })
  await page.goto(`http://127.0.0.1:${port}/_inspector/`)
  await page.locator(`.figures data[title="Connections: ${CLIENTS}"]`).waitFor()
  await new Promise(resolve => setTimeout(resolve, SECONDS * 1000))
  await take(page, 'overview')

  await go(page, 'actors', ref.path)
  await page.locator('[data-path="/app"] .toggle').click()
  await page.locator('[data-path="/services"] .toggle').click()
  await page.locator('[data-state="order.open"].active').waitFor()
  // Until it is tapped nobody sees what leads to the next state.
  while ((await page.locator('.edge.last').count()) === 0) {
    ref.tell({ type: ref.getSnapshot().value === 'open' ? 'PAY' : 'REFUSED' })
    await page.waitForTimeout(1200)
  }
  await take(page, 'actors')

  await go(page, 'sequence', clients[0].connectionId)
  await page.locator('[data-label="call rpc.say"]').nth(8).waitFor()
  await page.locator('[role=option]').nth(1).click()
  await page.getByRole('button', { name: 'Pause' }).click()
  await take(page, 'sequence')

  await page.setViewportSize({ width: 390, height: 720 })
  await page.emulateMedia({ colorScheme: 'dark' })
  await go(page, 'overview')
  await page.locator('.chart canvas').first().waitFor()
  await take(page, 'narrow')
} finally {
  clearInterval(talk)
  for (const client of clients) client.close()
  await browser.close()
  await app.stop({ drain: 0 })
  server.close()
}

async function go(page, panel, chosen) {
  const hash = chosen === undefined ? `#${panel}` : `#${panel}/${encodeURIComponent(chosen)}`
  await page.evaluate(to => {
    location.hash = to
  }, hash)
}

async function take(page, name) {
  mkdirSync(images, { recursive: true })
  const path = `${images}inspector-${name}.png`
  await page.screenshot({ path })
  const { size } = statSync(path)
  console.log(`docs/images/inspector-${name}.png: ${Math.ceil(size / 1024)} KiB`)
  if (size > LIMIT) throw new Error(`inspector-${name}.png has more than ${LIMIT} bytes`)
}
