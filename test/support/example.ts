import { once } from 'node:events'
import { createServer, type Server as HttpServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, Page } from 'playwright-core'

/** What an example gives back. */
// biome-ignore lint/suspicious/noExplicitAny: examples are JavaScript; their own jsconfig.json checks them
type Example = any

/** The app that it has made on an HTTP server. */
interface App {
  start(): Promise<unknown>
  stop(): Promise<void>
}

/**
 * Starts an example in this process, on a free port.
 *
 * @param cleanups what stops it again is added
 */
export async function startExample(
  make: (server: HttpServer) => Promise<Example>,
  appOf: (made: Example) => App,
  cleanups: (() => unknown)[],
): Promise<{ made: Example; url: string }> {
  const server = createServer()
  const made = await make(server)
  await appOf(made).start()
  server.listen(0)
  await once(server, 'listening')
  cleanups.push(async () => {
    await appOf(made).stop()
    const closed = once(server.close(), 'close')
    server.closeAllConnections()
    await closed
  })
  return { made, url: `http://localhost:${(server.address() as AddressInfo).port}` }
}

/**
 * Opens the page of an example in a context of its own, and waits until it is connected.
 *
 * @param problems what the page reports as an error is added
 */
export async function openExample(
  browser: Browser,
  url: string,
  problems: string[],
  cleanups: (() => unknown)[],
): Promise<Page> {
  const context = await browser.newContext()
  cleanups.push(() => context.close())
  const page = await context.newPage()
  page.on('pageerror', error => problems.push(String(error)))
  page.on('console', message => {
    if (message.type() === 'error') problems.push(message.text())
  })
  await page.goto(url)
  await page.getByText('Connected', { exact: true }).waitFor()
  return page
}
