import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser } from 'playwright-core'
import { afterEach, expect, test } from 'vitest'
// @ts-expect-error: examples are JavaScript; their own jsconfig.json checks them
import { createApp } from '../../examples/presence/app.js'
import { describeBrowser } from '../support/browser.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

describeBrowser('the page of who is here', browser => {
  test('shows everybody once, through a reload, until they have gone', async () => {
    const server = createServer()
    const app = await createApp({ server, grace: '1m' })
    await app.start()
    server.listen(0)
    await once(server, 'listening')
    cleanups.push(async () => {
      await app.stop()
      const closed = once(server.close(), 'close')
      server.closeAllConnections()
      await closed
    })
    const url = `http://localhost:${(server.address() as AddressInfo).port}`
    const told: string[] = []
    app.api.presence.on('joined', (channel: string) => told.push(`joined ${channel}`))
    app.api.presence.on('left', (channel: string) => told.push(`left ${channel}`))
    const problems: string[] = []
    const [ann, ben] = [await open(browser(), url, problems), await open(browser(), url, problems)]
    await join(ann, 'Ann')
    await join(ben, 'Ben')
    for (const page of [ann, ben]) {
      await page.getByText('2 here').waitFor()
      await page.getByRole('listitem').filter({ hasText: 'Ann' }).waitFor()
      await page.getByRole('listitem').filter({ hasText: 'Ben' }).waitFor()
    }
    await ann.screenshot({ path: 'artifacts/presence/two.png' })
    await ann.reload()
    await ben.getByText('Somebody who is coming back').waitFor()
    await ben.getByText('2 here').waitFor()
    await join(ann, 'Ann again')
    await ben.getByRole('listitem').filter({ hasText: 'Ann again' }).waitFor()
    expect(told).toEqual(['joined page', 'joined page'])
    await app.api.presence.remove('page', (await app.api.presence.list('page')).members[0].user)
    await ben.getByText('1 here').waitFor()
    expect(told).toEqual(['joined page', 'joined page', 'left page'])
    expect(problems).toEqual([])
  })

  async function join(page: Awaited<ReturnType<typeof open>>, name: string) {
    await page.getByLabel('Your name').fill(name)
    await page.keyboard.press('Enter')
    await page.getByRole('listitem').filter({ hasText: name }).waitFor()
  }

  async function open(browser: Browser, url: string, problems: string[]) {
    const context = await browser.newContext()
    context.setDefaultTimeout(4000)
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
})
