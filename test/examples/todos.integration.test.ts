import { afterEach, expect, test } from 'vitest'
// @ts-expect-error: examples are JavaScript; their own jsconfig.json checks them
import { createApp } from '../../examples/todos/app.js'
import { describeBrowser } from '../support/browser.js'
import { openExample, startExample } from '../support/example.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start() {
  const { made, url } = await startExample(
    server => createApp({ server }),
    ({ app }) => app,
    cleanups,
  )
  return { ...made, url }
}

describeBrowser('the todos', browser => {
  test('are shared by all pages and kept in the database', async () => {
    const { app, database, url } = await start()
    const problems: string[] = []
    const [ann, ben] = await Promise.all([
      openExample(browser(), url, problems, cleanups),
      openExample(browser(), url, problems, cleanups),
    ])

    await ann.getByLabel('What is to be done?').fill('buy tea')
    await ann.keyboard.press('Enter')
    await ben.getByLabel('buy tea', { exact: true }).waitFor()
    expect(await database.all('SELECT text, done, version FROM todos')).toEqual([
      { text: 'buy tea', done: 0, version: 1 },
    ])

    await ann.keyboard.press('Enter')
    await ann.getByText('Say what there is to be done').waitFor()
    await ann.getByRole('button', { name: 'Remove buy tea' }).click()
    await ann.getByText('does not allow').waitFor()

    await ben.getByLabel('Open ones only').check()
    await ann.getByLabel('buy tea', { exact: true }).check()
    await ben.getByLabel('buy tea', { exact: true }).waitFor({ state: 'detached' })
    await ann.locator('li.done').waitFor()

    await database.run("UPDATE todos SET text = 'buy milk', done = 0, version = version + 1")
    const [{ id }] = await database.all('SELECT id FROM todos')
    await app.api.todos.changed(id)
    for (const page of [ann, ben]) await page.getByLabel('buy milk', { exact: true }).waitFor()

    await ben.getByLabel('Open ones only').uncheck()
    await ben.getByLabel('buy milk', { exact: true }).check()
    await ann.locator('li.done').waitFor()
    await ann.getByRole('button', { name: 'Remove buy milk' }).click()
    await ben.getByLabel('buy milk', { exact: true }).waitFor({ state: 'detached' })
    expect(await database.all('SELECT * FROM todos')).toEqual([])
    expect(problems).toEqual([])
  })
})
