import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { Server } from '../../src/server.js'
import { livereload } from '../../src/services/livereload/index.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { type EngineIoOptions, engineio } from '../../src/transports/engine-io.js'
import { type SockJsOptions, sockjs } from '../../src/transports/sockjs.js'
import { sse } from '../../src/transports/sse.js'
import { ws } from '../../src/transports/ws.js'
import { describeBrowser } from '../support/browser.js'
import { type UpgradeMode, UpgradeRefusingProxy } from '../support/upgrade-refusing-proxy.js'
import { afterwards } from './support.js'

const PAGES = fileURLToPath(new URL('./transports-page/', import.meta.url))
const SHOTS = fileURLToPath(new URL('../../artifacts/transports/', import.meta.url))
const TYPES: Readonly<Record<string, string>> = { html: 'text/html', js: 'text/javascript', css: 'text/css' }

interface StartOptions {
  readonly port?: number
  /** Transports of the client; all unless given. */
  readonly transports?: readonly string[]
  readonly engineIo?: EngineIoOptions
  readonly sockJs?: SockJsOptions
}

/** The pages, and an app with all transports, on one HTTP server. */
async function startApp({ port = 0, transports, engineIo, sockJs }: StartOptions = {}, folder = PAGES) {
  const server = createServer(({ url = '/' }, response) => {
    const name = url.replace(/[?].*/, '').slice(1)
    const type = TYPES[name.split('.')[1] ?? '']
    // Such as what transports have been asked for once they have stopped.
    if (type === undefined) return void response.writeHead(404).end()
    response.writeHead(200, { 'Cache-Control': 'no-cache', 'Content-Type': type })
    response.end(readFileSync(join(folder, name)))
  })
  const app = new Server({
    env: 'test',
    transport: [ws(), engineio(engineIo), sockjs(sockJs), sse()],
    client: transports ? { transports } : {},
  })
    .service(
      'rpc',
      rpc({
        add: (_ctx, a: number, b: number) => a + b,
        sum: (_ctx, bytes: Uint8Array) => bytes.reduce((sum, byte) => sum + byte),
        echo: (_ctx, value: unknown) => value,
        transport: ctx => ctx.connection.transport,
        connectionId: ctx => ctx.connectionId,
        async *count(_ctx, to: number) {
          for (let i = 1; i <= to; i++) yield i
        },
      }),
    )
    .service('news', pubsub<{ said: [string] }>({ canPublish: () => true }))
  // Without it the client of ws is the one that the package was built with, as in most apps.
  if (folder !== PAGES) app.service('livereload', livereload({ dirs: [folder] }))
  await app.attach(server).start()
  await once(server.listen(port, '127.0.0.1'), 'listening')
  const stop = async () => {
    if (!server.listening) return
    const closed = once(server.close(), 'close')
    await app.stop({ drain: 0 })
    server.closeAllConnections()
    await closed
  }
  afterwards(stop)
  return { app, stop, port: (server.address() as AddressInfo).port }
}

/** A tab at an app that is behind a proxy. */
async function behindProxy(browser: Browser, mode: UpgradeMode) {
  const { port } = await startApp()
  const proxy = await UpgradeRefusingProxy.listening(port, mode)
  afterwards(() => proxy.close())
  return { proxy, ...(await openTab(browser)) }
}

/** A tab, with what its console complains of and what it asks for. */
async function openTab(browser: Browser) {
  const context = await browser.newContext({ viewport: { width: 800, height: 720 } })
  afterwards(() => context.close())
  const page = await context.newPage()
  const problems: string[] = []
  const asked: string[] = []
  const sockets: string[] = []
  page.on('pageerror', error => problems.push(String(error)))
  page.on('console', message => {
    if (message.type() === 'error') problems.push(`${message.text()} ${message.location().url}`)
  })
  page.on('request', request => asked.push(pathOf(request.url())))
  page.on('websocket', socket => sockets.push(pathOf(socket.url())))
  return { page, problems, asked, sockets }
}

/** Waits for so many lines that begin so, or for one that tells of a failure. */
async function line(page: Page, start: string, count = 1) {
  await page.waitForFunction(
    ([start, count]) => {
      const all = [...document.querySelectorAll('#log li')]
      const failed = all.some(({ className }) => className === 'failed')
      return failed || all.filter(({ textContent }) => textContent.startsWith(start)).length >= count
    },
    [start, count] as const,
  )
}

/** The lines of these kinds. */
const lines = (page: Page, ...kinds: string[]): Promise<string[]> =>
  page.locator(kinds.map(kind => `#log .${kind}`).join()).allTextContents()
const shoot = (page: Page, name: string) => page.screenshot({ path: `${SHOTS}${name}.png`, fullPage: true })
const pathOf = (url: string) => new URL(url).pathname

const STATUSES =
  /^connecting,connected,waiting 4501 the server is stopping(,connecting,waiting 1006[^,]*)+,connecting,connected$/
/** What browsers say of a server that stops, and then is not there. */
const GONE =
  /net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING)|status of (404|503)/
/** What they say of what the proxy answers 403. */
const BLOCKED = /WebSocket connection to '.*' failed: .*: 403 |status of 403 .*\/(engine\.io|sockjs)\//

interface Case extends StartOptions {
  readonly transport: string
  /** Where WebSockets are opened. */
  readonly sockets: RegExp | undefined
  /** A path that only this way asks for. */
  readonly request?: RegExp
}

const CASES: Readonly<Record<string, Case>> = {
  ws: { transport: 'ws', sockets: /^\/$/ },
  engineio: { transport: 'engineio', sockets: /^\/engine\.io\/$/ },
  'engineio by polling': {
    transport: 'engineio',
    engineIo: { transports: ['polling'] },
    sockets: undefined,
  },
  sockjs: { transport: 'sockjs', sockets: /^\/sockjs\/.+\/websocket$/ },
  'sockjs by xhr-streaming': {
    transport: 'sockjs',
    sockJs: { websocket: false },
    sockets: undefined,
    request: /\/xhr_streaming$/,
  },
  sse: { transport: 'sse', sockets: undefined, request: /^\/sse$/ },
}

describeBrowser('in Chromium', browser => {
  test.each(Object.entries(CASES))(
    'a page does all over %s, and again when the server is back',
    async (name, { transport, sockets, request, ...options }) => {
      const first = await startApp({ transports: [transport], ...options })
      const tab = await openTab(browser())
      const { page, problems } = tab
      const upgraded = sockets && page.waitForEvent('websocket', socket => sockets.test(pathOf(socket.url())))
      await page.goto(`http://127.0.0.1:${first.port}/steps.html`)
      await line(page, 'listening')
      first.app.api.news.publish.channel('all', 'said', 'the server')
      await line(page, 'heard: the server')
      await upgraded
      expect(problems).toEqual([])

      await first.stop()
      await line(page, 'waiting', 2)
      const second = await startApp({ port: first.port, transports: [transport], ...options })
      await line(page, 'listening again')
      const refused = problems.splice(0)
      second.app.api.news.publish.channel('all', 'said', 'the server again')
      await line(page, 'heard: the server again')

      await shoot(page, name.replaceAll(' ', '-'))
      expect(await lines(page, 'step', 'failed')).toEqual([
        `over ${transport}`,
        '2 + 3 = 5',
        '65536 bytes there, 8355840 in sum, and back',
        '1970-01-02T00:00:00.000Z, 4611686018427387904, a and 1',
        'a stream of 1 2 3 4 5',
        'heard: the page',
        'listening',
        'heard: the server',
        'a call meanwhile: NOT_CONNECTED',
        '3 + 4 = 7',
        'heard: the page again',
        'listening again',
        'heard: the server again',
      ])
      expect((await lines(page, 'status')).join()).toMatch(STATUSES)
      expect(refused.filter(problem => !GONE.test(problem))).toEqual([])
      expect(problems).toEqual([])
      if (sockets === undefined) expect(tab.sockets).toEqual([])
      if (request !== undefined) expect(tab.asked).toContainEqual(expect.stringMatching(request))
    },
  )

  test('a page takes what a proxy lets through, and first what worked before', async () => {
    const { page, problems, proxy } = await behindProxy(browser(), 'refuse')
    const ways = { engineio: '/engine.io', sockjs: '/sockjs', sse: '/sse' }
    for (const [way, path] of Object.entries(ways)) {
      const reached = [`onTransport: ${way}`, `2 + 3 = 5 over ${way}`]
      await page.goto(`http://${proxy.host}/ways.html`)
      await line(page, '2 + 3')
      await shoot(page, `upgrades-refused-${way}`)
      expect(await lines(page, 'step', 'failed')).toEqual(reached)

      proxy.asked.length = 0
      await page.reload()
      await line(page, '2 + 3')
      expect(await lines(page, 'step', 'failed')).toEqual(reached)
      const first = proxy.asked.find(asked => !/\.(html|css|js)$/.test(asked))
      expect(first).toMatch(`GET ${path}`)
      expect(proxy.asked).not.toContain('UPGRADE /')
      proxy.blocked = [...proxy.blocked, path]
    }
    // Each names what was blocked: the upgrades, and the two paths.
    expect(problems.filter(problem => !BLOCKED.test(problem))).toEqual([])
    expect(problems).toContainEqual(expect.stringMatching(/status of 403 .*\/sockjs\/info/))
  })

  test('a page goes on where upgrades get no answer', async () => {
    const { page, problems, proxy } = await behindProxy(browser(), 'swallow')
    await page.clock.install()
    const swallowed = proxy.swallowed()
    await page.goto(`http://${proxy.host}/ways.html`)
    await swallowed
    await page.clock.fastForward(5000)
    await line(page, '2 + 3')
    await shoot(page, 'upgrades-swallowed')
    expect(await lines(page, 'step', 'failed')).toEqual(['onTransport: engineio', '2 + 3 = 5 over engineio'])
    expect(problems).toEqual([])
  })

  test('a page swaps a style sheet without being told to', async () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'transports-')))
    afterwards(() => rmSync(folder, { recursive: true }))
    cpSync(PAGES, folder, { recursive: true })
    const { port } = await startApp({}, folder)
    const { page, problems } = await openTab(browser())
    await page.goto(`http://127.0.0.1:${port}/quiet.html`)
    await line(page, 'connected')
    const css = join(folder, 'page.css')
    writeFileSync(css, readFileSync(css, 'utf8').replace('#1b6f5f', 'rgb(200, 30, 40)'))
    await page.waitForFunction(
      () => getComputedStyle(document.querySelector('h1')!).borderBottomColor === 'rgb(200, 30, 40)',
    )
    await shoot(page, 'style-swapped')
    // The page is the one it was.
    expect(await lines(page, 'status', 'failed')).toEqual(['connecting', 'connected'])
    expect(await page.evaluate(`performance.getEntriesByType('navigation')[0].type`)).toBe('navigate')
    expect(problems).toEqual([])
  })
})
