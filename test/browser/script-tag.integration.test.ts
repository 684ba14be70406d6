import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Browser } from 'playwright-core'
import { expect, test } from 'vitest'
// @ts-expect-error: examples are JavaScript; their own jsconfig.json checks them
import { createApp } from '../../examples/script-tag/app.js'
import { rpc } from '../../src/services/rpc/index.js'
import { engineio } from '../../src/transports/engine-io.js'
import { sockjs } from '../../src/transports/sockjs.js'
import { sse } from '../../src/transports/sse.js'
import { ws } from '../../src/transports/ws.js'
import { describeBrowser } from '../support/browser.js'
import { afterwards, serve } from './support.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

describeBrowser('a page with a script tag', browser => {
  test('makes calls, hears events and uses a service of its own', async () => {
    const url = await startExample()
    const [ann, ben] = [await open(browser(), url), await open(browser(), url)]
    for (const { page } of [ann, ben]) await page.getByText('connected', { exact: true }).waitFor()

    await ann.page.getByLabel('Your name').fill('Ann')
    await ann.page.getByRole('button', { name: 'Greet' }).click()
    await ann.page.getByText('Hello, Ann').waitFor()
    for (const { page } of [ann, ben]) await page.getByText('Ann was greeted').waitFor()

    await ann.page.getByRole('button', { name: 'Add one' }).click()
    await ben.page.getByRole('button', { name: 'Add one' }).click()
    for (const { page } of [ann, ben]) await page.locator('#count', { hasText: '2' }).waitFor()

    await ben.page.getByRole('button', { name: 'Greet' }).click()
    await ben.page.getByText('A name has 1 to 40 characters').waitFor()
    for (const [width, height] of [
      [1280, 800],
      [390, 844],
    ] as const) {
      await ann.page.setViewportSize({ width, height })
      await ann.page.screenshot({ path: `${root}artifacts/script-tag/page-${width}.png` })
    }
    expect([...ann.problems, ...ben.problems]).toEqual([])
  }, 60_000)

  test('of another origin, with a strict policy, reaches the server over each transport', async () => {
    for (const transport of ['ws', 'engineio', 'sockjs', 'sse']) {
      const { app, http, origin } = await serve(
        server => [
          ws({ server, origins: '*' }),
          engineio({ server, origins: '*' }),
          sockjs({ server, origins: '*' }),
          sse({ server, origins: '*' }),
        ],
        { rpc: rpc({ echo: (_ctx, bytes: Uint8Array) => bytes }) },
      )
      const handler = app.clientHandler({ transports: [transport] })
      http.on('request', (request, response) => handler(request, response, () => {}))
      const script = `
        import { createClient } from '${origin}/socketstream/client.js'
        const client = createClient()
        await client.connect()
        document.title = [...await client.api.rpc.echo(new Uint8Array([7, 8]))].join()`
      const url = await startPage(origin, script)
      const { page, problems } = await open(browser(), url)
      await page.waitForFunction(
        () => (globalThis as unknown as { document: Document }).document.title === '7,8',
      )
      expect([transport, problems]).toEqual([transport, []])
    }
  }, 60_000)
})

/** The example on a free port. */
async function startExample(): Promise<string> {
  const server = createServer()
  const app = await createApp({ server })
  await app.start()
  return listen(server, () => app.stop({ drain: 0 }))
}

/** A page whose scripts may evaluate nothing; gives its URL. */
function startPage(origin: string, script: string): Promise<string> {
  const server = createServer(({ url }, response) => {
    const isScript = url === '/page.js'
    response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html')
    response.setHeader('Content-Security-Policy', `script-src 'self' ${origin}`)
    const link = '<link rel="icon" href="data:,">'
    response.end(isScript ? script : `<!doctype html>${link}<script type="module" src="page.js"></script>`)
  })
  return listen(server)
}

async function listen(server: ReturnType<typeof createServer>, before?: () => unknown): Promise<string> {
  await once(server.listen(0), 'listening')
  afterwards(async () => {
    await before?.()
    const closed = once(server.close(), 'close')
    // Browsers hold connections that they have not used yet.
    server.closeAllConnections()
    await closed
  })
  return `http://localhost:${(server.address() as AddressInfo).port}/`
}

async function open(browser: Browser, url: string) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
  afterwards(() => context.close())
  const page = await context.newPage()
  const problems: string[] = []
  page.on('pageerror', error => problems.push(String(error)))
  page.on('console', message => {
    if (message.type() === 'error') problems.push(message.text())
  })
  await page.goto(url)
  return { page, problems }
}
