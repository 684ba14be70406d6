import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { setup } from 'xstate'
import { createClient, webSocket } from '../../src/client/node.js'
import type { WebSocketClass } from '../../src/client/transport.js'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/pubsub.js'
import { rpc } from '../../src/services/rpc/rpc.js'
import { ws } from '../../src/transports/ws.js'
import { describeBrowser } from '../support/browser.js'

const CALLS = 200
const TOKEN = 'a-token-of-some-length'
const PANELS = [
  'overview',
  'actors',
  'sequence',
  'services',
  'channels',
  'connections',
  'sessions',
  'dead-letters',
  'log',
]

const order = setup({}).createMachine({
  id: 'order',
  initial: 'open',
  states: { open: { on: { PAY: 'paid' } }, paid: {} },
})

/** A server with something to look at in every panel. */
async function makeServer() {
  const transport = ws({ port: 0, host: '127.0.0.1' })
  const app = new Server({
    transport,
    env: 'test',
    log: () => {},
    limits: { outboundBytes: 64 * 1024 * 1024 },
  })
    .inspector()
    .service(
      'rpc',
      rpc({
        add: (_ctx, a: number, b: number) => a + b,
        fail: () => {
          throw new Error('broken')
        },
      }),
    )
    .service('chat', pubsub({ channels: { 'kept:*': { history: { size: 10 } }, '*': {} } }))
  await app.start()
  const { port = 0 } = transport.address() ?? {}
  const sockets: WebSocket[] = []
  const Socket = class extends WebSocket {
    constructor(url: string, protocols?: string | string[]) {
      super(url, protocols)
      sockets.push(this)
    }
  }
  const clients = Array.from({ length: 3 }, () =>
    createClient<typeof app>({
      url: `ws://127.0.0.1:${port}`,
      reconnect: false,
      transport: webSocket(Socket as unknown as WebSocketClass),
    }),
  )
  for (const client of clients) {
    await client.connect()
    await client.api.rpc.add(1, 2)
    await client.api.chat.subscribe('kept:news')
  }
  return { app, port, origin: `http://127.0.0.1:${port}`, clients, sockets }
}

describeBrowser('the page of the inspector', browser => {
  let server: Awaited<ReturnType<typeof makeServer>>
  let page: Page
  const errors: string[] = []

  beforeAll(async () => {
    server = await makeServer()
    page = await browser().newPage({ viewport: { width: 1280, height: 800 }, colorScheme: 'light' })
    page.setDefaultTimeout(9000)
    page.on('pageerror', error => errors.push(String(error)))
    page.on('console', line => line.type() === 'error' && errors.push(line.text()))
    await page.goto(`${server.origin}/_inspector/`)
    await status('connected').waitFor()
  }, 30_000)
  afterAll(async () => {
    await page?.close()
    for (const socket of server.sockets) socket.terminate()
    await server.app.stop({ drain: 0 })
  })

  const status = (name: string) => page.locator(`[data-status=${name}]`)
  /** A number on the page, once it is this one. */
  const shown = (name: string, value: number) =>
    page.locator(`data[title="${name}: ${value}"]`).first().waitFor()
  const row = (path: string) => page.locator(`[data-path="${path}"]`)
  const go = async (panel: string, chosen?: string) => {
    const hash = chosen === undefined ? `#${panel}` : `#${panel}/${encodeURIComponent(chosen)}`
    await page.evaluate(to => {
      location.hash = to
    }, hash)
    await page.locator(`nav a[href="#${panel}"][aria-current=page]`).waitFor()
  }
  const cell = (path: string, column: string, text: string) =>
    row(path).locator(`[data-column="${column}"]:text-is("${text}")`).waitFor()

  test('has the figures of a server under load, each its own counter', async () => {
    const { app, clients } = server
    const before = app.statistics().messages
    const fragile = app.spawn<{ type: string }, undefined>(
      'fragile',
      {
        receive() {
          throw new Error('on purpose')
        },
      },
      { onCrash: 'restart', restart: { delay: 0 } },
    )
    fragile.tell({ type: 'BREAK' })
    const gone = app.spawn('gone', { receive() {} })
    gone.stop()
    gone.tell({ type: 'LATE', amount: 3 } as never)
    app.log.warn('the kettle boils', { password: 'x' })

    await go('services')
    await page.locator('[aria-label="Service rpc"]', { hasText: 'methods counted since' }).waitFor()
    await Promise.all(
      clients.map(async ({ api }) => {
        for (let n = 0; n < CALLS; n++) expect(await api.rpc.add(n, 1)).toBe(n + 1)
      }),
    )
    await expect(clients[0]!.api.rpc.fail()).rejects.toThrow()
    const add = page.locator('tr[data-method=add]')
    await add.locator(`data[title="Calls: ${CALLS * 3}"]`).waitFor()
    await add.locator(`[aria-label="Times of ${CALLS * 3} calls"]`).waitFor()
    await page.locator('tr[data-method=fail] data[title="Errors: 1"]').waitFor()
    await shown('rpc handled', app.actors.find('/services/rpc')!.handled)

    await go('overview')
    const { messages, connections } = app.statistics()
    await shown('in', messages.in - before.in)
    await shown('out', messages.out - before.out)
    await shown('Connections', connections.open)
    await shown('Sessions', 3)
    await shown('Actors', app.actors.counters.actors)
    await shown('Crashes', 1)
    await shown('Dead letters', app.actors.counters.deadLetters)
    await page.locator('.chart canvas').nth(7).waitFor()

    await go('channels')
    const news = page.locator('tr', { hasText: 'kept:news' })
    await news.locator('data[title="Subscribers: 3"]').waitFor()
    await app.api.chat.publish.acknowledged('kept:news', 'said', 'x')
    await news.locator('td:text-is("1")').waitFor()

    await go('connections')
    expect(await page.locator('table[aria-label=Connections] tbody tr').count()).toBe(3)
    await go('sessions')
    await page.locator('table[aria-label=Sessions] tbody tr').nth(2).waitFor()
    await go('dead-letters')
    const letter = page.locator('tr', { hasText: '/app/gone' })
    await letter.locator('summary').click()
    expect(await letter.locator('pre').textContent()).toContain('"amount": 3')
    await go('log')
    const line = page.locator('tr', { hasText: 'the kettle boils' })
    await line.locator('summary').click()
    expect(await line.locator('pre').textContent()).toContain('… redacted')
  })

  test('has the tree, and each actor in full', async () => {
    const { app, clients } = server
    const [client] = clients
    const path = `/connections/${client!.connectionId}`
    const [connection] = app.connections().filter(({ id }) => id === client!.connectionId)
    await go('actors')
    await row('/app').locator('.toggle').click()
    await cell('/app/fragile', 'Restarts', '1')
    await cell('/router', 'Handled', String(app.actors.find('/router')!.handled))

    const session = String(connection!.session.id)
    await page.getByRole('searchbox').fill(session)
    await row(path).waitFor()
    await row(`/sessions/${session}`).waitFor()
    await page.getByRole('searchbox').fill('')

    await go('actors', path)
    const { messages } = app.statistics()
    expect(messages.in).toBeGreaterThan(CALLS * 3)
    const facts = page.locator('.actor')
    await facts.locator(`data[title="Received: ${CALLS + 3}"]`).waitFor()
    await facts.locator('dd', { hasText: 'ws, msgpack' }).waitFor()
    await facts.locator('dd', { hasText: session }).waitFor()
    await shown('Memory queued', 0)
    // Nothing of the tree is cut off beside what was chosen.
    const sides = await page.locator('.tree-head > :last-child').evaluate(head => {
      const { right } = head.getBoundingClientRect()
      return {
        head: right,
        tree: head.closest('.tree')!.getBoundingClientRect().right,
        cut: head.scrollWidth > head.clientWidth,
      }
    })
    expect(sides.head).toBeLessThanOrEqual(sides.tree)
    expect(sides.cut).toBe(false)

    const ref = app.spawn('order', order)
    await go('actors', '/app/order')
    await page.locator('[data-state="order.open"].active').waitFor()
    await page.getByRole('textbox', { name: 'Message as JSON' }).fill('{ "type": "PAY" }')
    await page.getByRole('button', { name: 'Send' }).click()
    await page.locator('dialog button.primary').click()
    await page.locator('[data-state="order.paid"].active').waitFor()
    await page.locator('.edge.last[data-event=PAY]').waitFor()
    expect(ref.getSnapshot().value).toBe('paid')
  })

  test("draws a connection's messages across actors, from now on", async () => {
    const [client] = server.clients
    await go('sequence', client!.connectionId!)
    await page.locator('.note', { hasText: '0 messages' }).waitFor()
    const labels = page.locator('.message[data-label]')
    // The trace has begun when calls take part in it.
    while ((await labels.count()) === 0) await client!.api.rpc.add(1, 1)
    await page.locator('[data-label="call rpc.add"]').nth(1).waitFor()
    await page.getByRole('button', { name: 'Pause' }).click()
    await page.getByRole('button', { name: 'Go on' }).waitFor()
    const seen = await labels.evaluateAll(all => all.map(one => one.getAttribute('data-label')))
    // It may begin in the midst of a call.
    const first = seen.indexOf('call rpc')
    expect(seen.slice(first, first + 5)).toEqual([
      'call rpc',
      'call rpc.add',
      'call rpc.add',
      'reply',
      'reply',
    ])
    await page
      .locator('[role=option]', { has: page.locator('[data-label="call rpc.add"]') })
      .first()
      .click()
    expect(await page.locator('.picked pre').textContent()).toContain('"add"')
    const count = page.locator('.note', { hasText: 'paused' })
    const before = await count.textContent()
    await client!.api.rpc.add(1, 1)
    await page.getByRole('searchbox', { name: 'Filter messages' }).fill('reply')
    await page.getByRole('searchbox', { name: 'Filter messages' }).fill('')
    expect(await count.textContent()).toBe(before)

    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save trace' }).click(),
    ])
    await page.getByLabel('A trace or a snapshot').setInputFiles(await file.path())
    await status('offline').waitFor()
    await page.locator('[data-label="call rpc.add"]').first().waitFor()
    expect(await page.locator('.note').textContent()).toContain(before!.split(' ')[0])
    await go('actors')
    await row('/router').waitFor()
    await page.getByRole('button', { name: 'Close file' }).click()
    await status('connected').waitFor()
  })

  test('shows a client that does not read as a growing queue', async () => {
    const { app, clients, sockets } = server
    await go('actors', `/connections/${clients[2]!.connectionId}`)
    const queued = page.locator('data[title^="Queued bytes: "]')
    await queued.waitFor()
    sockets[2]!.pause()
    let last = 0
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 12; n++) app.api.chat.publish.all('said', 'x'.repeat(500_000))
      await page.waitForFunction(
        than => Number(document.querySelector('data[title^="Queued bytes: "]')?.getAttribute('value')) > than,
        last,
      )
      last = Number(await queued.getAttribute('value'))
      expect(last).toBeGreaterThan(1_000_000)
    }
    await page.locator('.facts strong', { hasText: 'slow' }).waitFor()
    sockets[2]!.terminate()
    await page.locator('.warning', { hasText: 'there is no actor' }).waitFor()
  })

  test('fits 1,280 and 390 pixels, is dark where that is wanted, and reached by keys', async () => {
    const overflow = () =>
      page.evaluate(() => {
        const inner = '.table-box, .tree, .sequence-box, .statechart, .json, .plot, nav'
        const wide = [...document.querySelectorAll('body *')].filter(
          element => element.getBoundingClientRect().right > innerWidth + 1 && !element.closest(inner),
        )
        const all = document.documentElement.scrollWidth
        return all > innerWidth
          ? [`${all} pixels`]
          : wide.map(({ className, tagName }) => `${tagName} ${className}`)
      })
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const places = [
      ...PANELS,
      `actors/${encodeURIComponent('/app/order')}`,
      `sequence/${server.clients[0]!.connectionId}`,
    ]
    for (const [width, colorScheme] of [
      [1280, 'light'],
      [390, 'dark'],
    ] as const) {
      await page.setViewportSize({ width, height: 800 })
      await page.emulateMedia({ colorScheme })
      expect(await paper()).toBe(colorScheme === 'dark' ? 'rgb(13, 17, 23)' : 'rgb(255, 255, 255)')
      for (const place of places) {
        const [panel = '', chosen] = place.split('/')
        await go(panel, chosen && decodeURIComponent(chosen))
        expect([width, place, await overflow()]).toEqual([width, place, []])
      }
    }
    await page.setViewportSize({ width: 1280, height: 800 })
    await go('actors')
    await row('/app').waitFor()
    await page.getByRole('searchbox').focus()
    for (let tabs = 0; tabs < 14; tabs++) {
      await page.keyboard.press('Tab')
      if (await page.evaluate(() => document.activeElement?.getAttribute('role') === 'row')) break
    }
    await page.keyboard.press('End')
    await page.locator('[data-path="/app"]:focus').waitFor()
    await page.keyboard.press('ArrowRight')
    await page.locator('[data-path="/app"][aria-expanded=true]').waitFor()
    await page.keyboard.press('ArrowRight')
    await page.locator('[data-path="/app/fragile"]:focus').waitFor()
    await page.keyboard.press('Enter')
    await page.locator('.actor h2', { hasText: '/app/fragile' }).waitFor()
  })

  test('opens, searches and scrolls 50,000 actors', async () => {
    const { app } = server
    const parent = app.spawn('many', { receive() {} } as never)
    for (let n = 0; n < 50_000; n++) parent.spawn(`a${n}`, { receive() {} } as never)
    // Anew: what is measured has the page's own start in it.
    await page.goto(`${server.origin}/_inspector/?many#actors`)
    await row('/app').locator('.toggle').click()
    await row('/app/many').locator('.toggle').click()
    await page.locator('[role=treegrid] [aria-setsize="50000"]').first().waitFor()
    await page.evaluate(() => {
      const longest = { ms: 0 }
      Object.assign(window, { longest })
      new PerformanceObserver(list => {
        for (const { duration } of list.getEntries()) longest.ms = Math.max(longest.ms, duration)
      }).observe({ type: 'longtask', buffered: true })
      const tree = document.querySelector('[role=treegrid]')!
      tree.scrollTop = tree.scrollHeight
    })
    await row('/app/many/a49999').waitFor()
    await page.getByRole('searchbox').fill('MANY/a2500')
    await page.locator('[role=treegrid] [aria-setsize="11"]').first().waitFor()
    await page.getByRole('searchbox').fill('')
    await row('/app').waitFor()
    await page.getByRole('button', { name: 'Actor' }).click()
    await page.locator('[aria-sort=ascending]', { hasText: 'Actor' }).waitFor()
    const longest = await page.evaluate(() => (window as unknown as { longest: { ms: number } }).longest.ms)
    console.info(`longest task: ${longest.toFixed(0)} ms`)
    expect(longest).toBeLessThan(2000)
    parent.stop()
  })

  test('closes a connection once that was confirmed, and comes back to a server that was started anew', async () => {
    const { app, clients, port } = server
    await go('actors', `/connections/${clients[1]!.connectionId}`)
    const closed = new Promise<void>(resolve =>
      clients[1]!.on('status', status => status === 'closed' && resolve()),
    )
    const button = page.getByRole('button', { name: 'Close connection' })
    await button.click()
    await page.locator('dialog[open]').waitFor()
    await page.keyboard.press('Escape')
    await page.locator('dialog').waitFor({ state: 'detached' })
    expect(clients[1]!.status).toBe('connected')
    await button.click()
    await page.locator('dialog button.primary').click()
    await closed
    await page.locator('.notice', { hasText: 'Done' }).waitFor()
    expect(errors).toEqual([])

    await go('overview')
    const again = async (before: { stop(options: { drain: number }): Promise<void> }, options: object) => {
      await before.stop({ drain: 0 })
      await status('lost').waitFor()
      const transport = ws({ port, host: '127.0.0.1' })
      const next = new Server({ transport, env: 'test', log: () => {} })
        .inspector(options)
        .service('rpc', rpc({}))
      await next.start()
      return next
    }
    const readOnly = await again(app, { readOnly: true })
    await status('connected').waitFor()
    await shown('Connections', 0)
    await shown('Actors', readOnly.actors.counters.actors)
    readOnly.spawn('worker', { receive() {} })
    await go('actors', '/app/worker')
    const stop = page.getByRole('button', { name: 'Stop' })
    await stop.waitFor()
    expect([await stop.isDisabled(), await stop.getAttribute('title')]).toEqual([
      true,
      'Not now: this inspector is read-only',
    ])

    const locked = await again(readOnly, { auth: TOKEN })
    await status('denied').waitFor()
    await page.getByRole('link', { name: 'Sign in again' }).click()
    const form = async (token: string) => {
      await page.locator('input[name=token]').fill(token)
      await page.keyboard.press('Enter')
    }
    await form('wrong')
    await page.getByText('This is not the token.').waitFor()
    await form(TOKEN)
    await status('connected').waitFor()
    await locked.stop({ drain: 0 })
  })
})
