import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { Server } from '../../src/server.js'
import { rpc } from '../../src/services/rpc/rpc.js'
import { ws } from '../../src/transports/ws.js'
import { describeBrowser } from '../support/browser.js'
import { cleanup, inspected } from './support.js'

describeBrowser('the page of the inspector', browser => {
  async function open(origin: string, panel: string) {
    const page = await browser().newPage({ viewport: { width: 1280, height: 800 } })
    page.setDefaultTimeout(9000)
    cleanup(() => page.close())
    const errors: string[] = []
    page.on('pageerror', error => errors.push(String(error)))
    page.on('console', line => line.type() === 'error' && errors.push(line.text()))
    await page.goto(`${origin}/_inspector/#${panel}`)
    await page.locator('[data-status=connected]').waitFor()
    return { page, errors }
  }

  const figure = (page: Page, name: string) => page.locator(`.figures data[title^="${name}:"]`)

  async function busy(options: Parameters<typeof inspected>[0] = {}) {
    const { app, start } = inspected(options)
    const typed = app.service('rpc', rpc({ add: (_ctx, a: number, b: number) => a + b }))
    const place = await start()
    const clients = Array.from({ length: 3 }, () => createClient<typeof typed>({ url: place.url }))
    for (const client of clients) {
      cleanup(() => client.close())
      await client.connect()
      await client.api.rpc.add(1, 2)
    }
    return { app: typed, clients, ...place }
  }

  test('shows true numbers, in each panel, without an error', async () => {
    const { app, origin, clients } = await busy()
    const { page, errors } = await open(origin, 'overview')
    await page.locator('.figures data[title="Connections: 3"]').waitFor()
    expect(Number(await figure(page, 'Actors').getAttribute('value'))).toBe(app.actors.counters.actors)
    for (const panel of [
      'actors',
      'sequence',
      'services',
      'channels',
      'connections',
      'sessions',
      'dead-letters',
      'log',
    ]) {
      await page.evaluate(to => {
        location.hash = to
      }, panel)
      await page.locator(`nav a[href="#${panel}"][aria-current=page]`).waitFor()
    }
    await page.evaluate(() => {
      location.hash = 'connections'
    })
    await page.locator('table[aria-label=Connections] tbody tr').nth(2).waitFor()
    await page.evaluate(() => {
      location.hash = 'services'
    })
    await page.locator('[aria-label="Service rpc"]', { hasText: 'methods counted since' }).waitFor()
    for (let n = 0; n < 5; n++) await clients[0]!.api.rpc.add(n, 1)
    await page.locator('tr[data-method=add] data[title="Calls: 5"]').waitFor()
    expect(errors).toEqual([])
  })

  test('shows a crash as a restart, and a tree of 50,000 actors that scrolls', async () => {
    const { app, origin } = await busy()
    const parent = app.spawn('many', { receive() {} } as never)
    for (let n = 0; n < 50_000; n++) parent.spawn(`a${n}`, { receive() {} } as never)
    const crashing = {
      receive() {
        throw new Error('on purpose')
      },
    }
    const shaky = app.spawn<{ type: string }, undefined>('shaky', crashing, { onCrash: 'restart' })
    shaky.tell({ type: 'crash' })
    const { page, errors } = await open(origin, 'actors')
    await page.locator('[data-path="/app"] .toggle').click()
    const row = page.locator('[data-path="/app/shaky"]')
    await row.waitFor()
    await row.locator('[role=gridcell]:last-child:text-is("1")').waitFor()
    await page.locator('[data-path="/app/many"] .toggle').click()
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
    await row.waitFor()
    await page.getByRole('searchbox').fill('a49999')
    await page.locator('[data-path="/app/many/a49999"]').waitFor()
    const longest = await page.evaluate(() => (window as unknown as { longest: { ms: number } }).longest.ms)
    console.info(`longest task: ${longest.toFixed(0)} ms`)
    expect(longest).toBeLessThan(2000)
    expect(errors).toEqual([])
  })

  async function openConnection(options: Parameters<typeof inspected>[0] = {}) {
    const made = await busy(options)
    const path = `/connections/${made.clients[0]!.connectionId}`
    const { page } = await open(made.origin, `actors/${encodeURIComponent(path)}`)
    return { ...made, page, button: page.getByRole('button', { name: 'Close connection' }) }
  }

  test('closes a connection, once that was confirmed', async () => {
    const { clients, page, button } = await openConnection()
    const closed = new Promise<void>(resolve =>
      clients[0]!.on('status', status => status === 'closed' && resolve()),
    )
    await button.click()
    await page.locator('dialog button.primary').click()
    await closed
    await page.locator('.notice', { hasText: 'Done' }).waitFor()
  })

  test('does nothing when it is read-only, and says so', async () => {
    const { button } = await openConnection({ readOnly: true })
    await button.waitFor()
    expect(await button.isDisabled()).toBe(true)
    expect(await button.getAttribute('title')).toMatch('read-only')
  })

  test('comes back to a server that was started anew, and shows that one', async () => {
    const { app, port, origin, clients } = await busy()
    const { page } = await open(origin, 'overview')
    await page.locator('.figures data[title="Connections: 3"]').waitFor()
    for (const client of clients) client.close()
    await app.stop({ drain: 0 })
    await page.locator('[data-status=lost]').waitFor()
    const transport = ws({ port, host: '127.0.0.1' })
    const next = new Server({ transport, env: 'test' }).inspector()
    cleanup(() => next.stop({ drain: 0 }))
    await next.start()
    await page.locator('[data-status=connected]').waitFor()
    await page.locator('.figures data[title="Connections: 0"]').waitFor()
    expect(Number(await figure(page, 'Actors').getAttribute('value'))).toBe(next.actors.counters.actors)
  })
})
