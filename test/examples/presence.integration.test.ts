import type { Page } from 'playwright-core'
import { afterEach, expect, test } from 'vitest'
// @ts-expect-error: examples are JavaScript; their own jsconfig.json checks them
import { createApp } from '../../examples/presence/app.js'
import { describeBrowser } from '../support/browser.js'
import { openExample, startExample } from '../support/example.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

describeBrowser('the page of who is here', browser => {
  test('shows everybody once, through a reload, until they have gone', async () => {
    const { made: app, url } = await startExample(
      server => createApp({ server, grace: '1m' }),
      made => made,
      cleanups,
    )
    const told: string[] = []
    app.api.presence.on('joined', (channel: string) => told.push(`joined ${channel}`))
    app.api.presence.on('left', (channel: string) => told.push(`left ${channel}`))
    const problems: string[] = []
    const [ann, ben] = [
      await openExample(browser(), url, problems, cleanups),
      await openExample(browser(), url, problems, cleanups),
    ]
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

  async function join(page: Page, name: string) {
    await page.getByLabel('Your name').fill(name)
    await page.keyboard.press('Enter')
    await page.getByRole('listitem').filter({ hasText: name }).waitFor()
  }
})
