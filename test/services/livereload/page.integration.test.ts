import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterEach, expect, test } from 'vitest'
// @ts-expect-error: examples are JavaScript; their own jsconfig.json checks them
import { createApp } from '../../../examples/livereload/app.js'
import { describeBrowser } from '../../support/browser.js'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** The example with a copy of its page, whose files can be changed. */
async function start(prepare: (page: { edit: typeof edit; folder: string }) => void = () => {}) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'livereload-')))
  cleanups.push(() => rmSync(folder, { recursive: true }))
  cpSync(join(root, 'examples/livereload/page'), folder, { recursive: true })
  prepare({ edit: (...args) => edit(...args), folder })
  const server = createServer()
  const app = createApp({ server, page: folder })
  await app.start()
  server.listen(0)
  await once(server, 'listening')
  cleanups.push(async () => {
    await app.stop()
    const closed = once(server.close(), 'close')
    server.closeAllConnections()
    await closed
  })
  return { folder, url: `http://localhost:${(server.address() as AddressInfo).port}`, edit }

  function edit(name: string, from: string, to: string) {
    const path = join(folder, name)
    const text = readFileSync(path, 'utf8')
    expect(text).toContain(from)
    writeFileSync(
      path,
      text.replace(from, () => to),
    )
  }
}

async function open(browser: Browser, url: string, visit: (page: Page) => unknown = () => {}) {
  const context = await browser.newContext({ viewport: { width: 800, height: 600 } })
  cleanups.push(() => context.close())
  const page = await context.newPage()
  const problems: string[] = []
  page.on('pageerror', error => problems.push(String(error)))
  await visit(page)
  await page.goto(url)
  await page.getByText('Connected', { exact: true }).waitFor()
  await page.evaluate('window.marker = 1')
  return { page, problems }
}

/** Waits until an element looks so. */
async function looks(page: Page, selector: string, property: string, value: string) {
  await page.waitForFunction(
    ([selector, property, value]) =>
      getComputedStyle(document.querySelector(selector!)!).getPropertyValue(property!) === value,
    [selector, property, value],
  )
}

/** What the links ask for, as in the page. */
const links = (page: Page): Promise<string[]> =>
  page.evaluate(
    `Array.from(document.querySelectorAll('link[rel=stylesheet]'), link => link.getAttribute('href'))`,
  )
/** How the page came to be, and whether it is the one it was. */
const history = (page: Page): Promise<unknown> =>
  page.evaluate(`[performance.getEntriesByType('navigation')[0].type, window.marker ?? 0]`)
const shoot = (page: Page, name: string) =>
  page.screenshot({ path: `${root}artifacts/livereload/${name}.png` })

const [GREEN, RED, BLUE] = ['rgb(27, 111, 95)', 'rgb(200, 30, 40)', 'rgb(20, 60, 200)']
const EDGE = 'border-top-color'

describeBrowser('livereload, in a browser', browser => {
  test('a style sheet is swapped in place, and the page keeps what was typed', async () => {
    const { url, edit } = await start()
    const { page, problems } = await open(browser(), url)
    await page.getByLabel('A text').fill('half a sentence')
    await looks(page, 'main', EDGE, GREEN)
    await shoot(page, 'before')
    // every colour that is painted, frame by frame: no moment without a style
    await page.evaluate(`
      window.seen = []
      requestAnimationFrame(function look() {
        const color = getComputedStyle(document.querySelector('main')).borderTopColor
        if (seen.at(-1) !== color) seen.push(color)
        requestAnimationFrame(look)
      })`)

    edit('style.css', '#1b6f5f', RED)
    await looks(page, 'main', EDGE, RED)
    await page.getByText('Swapped style.css').waitFor()
    await page.waitForFunction(`document.querySelectorAll('link[rel=stylesheet]').length === 1`)
    await shoot(page, 'swapped')
    edit('style.css', RED, BLUE)
    await looks(page, 'main', EDGE, BLUE)
    await page.waitForFunction(`document.querySelectorAll('link[rel=stylesheet]').length === 1`)

    expect(await links(page)).toEqual([expect.stringMatching(/\/style\.css\?livereload=\w+$/)])
    expect(await page.getByLabel('A text').inputValue()).toBe('half a sentence')
    expect(await history(page)).toEqual(['navigate', 1])
    await page.waitForFunction('window.seen.length === 3')
    expect(await page.evaluate('window.seen')).toEqual([GREEN, RED, BLUE])
    expect(problems).toEqual([])
  })

  test('a style sheet that another one imports is swapped, too', async () => {
    const { url, edit } = await start()
    const { page } = await open(browser(), url)
    edit('text.css', 'margin: 0;', 'margin: 7px;')
    await looks(page, 'h1', 'margin-top', '7px')
    expect(await history(page)).toEqual(['navigate', 1])
  })

  test('anything else reloads the page', async () => {
    const { url, edit } = await start()
    const { page, problems } = await open(browser(), url)
    edit('index.html', '<h1>Livereload</h1>', '<h1>Another title</h1>')
    await page.getByText('Another title').waitFor()
    await page.getByText('Connected', { exact: true }).waitFor()
    expect(await history(page)).toEqual(['reload', 0])
    await shoot(page, 'reloaded')
    // and what has been reloaded listens again
    edit('style.css', '#1b6f5f', RED)
    await looks(page, 'main', EDGE, RED)
    expect(problems).toEqual([])
  })

  test('only the links to the file are swapped, those of other sites never', async () => {
    const name = 'it\'s "ä" 100% a#b?c&d.css'
    const { url, edit } = await start(({ edit, folder }) => {
      writeFileSync(join(folder, name), 'main { outline: 1px solid rgb(1, 1, 1) }')
      const hrefs = [encodeURIComponent(name), 'http://elsewhere.test/style.css', 'style.css?v=1&w=a%20b']
      const added = hrefs.map(href => `<link rel="stylesheet" href="${href.replaceAll('&', '&amp;')}">`)
      const off = '<link rel="stylesheet" href="text.css" disabled>'
      edit('index.html', '<link rel="stylesheet"', `${added.join('')}${off}<link rel="stylesheet"`)
    })
    const { page } = await open(browser(), url, page =>
      page.route('http://elsewhere.test/**', route => route.fulfill({ contentType: 'text/css', body: '' })),
    )
    const before = await links(page)
    expect(before).toHaveLength(5)
    edit(name, 'rgb(1, 1, 1)', 'rgb(2, 2, 2)')
    await looks(page, 'main', 'outline-color', 'rgb(2, 2, 2)')
    await page.waitForFunction(`document.querySelectorAll('link[rel=stylesheet]').length === 5`)
    const [own, ...others] = await links(page)
    expect(own).toContain(`${encodeURIComponent(name)}?livereload=`)
    expect(others).toEqual(before.slice(1))

    edit('style.css', '#1b6f5f', RED)
    await looks(page, 'main', EDGE, RED)
    await page.waitForFunction(`document.querySelectorAll('link[rel=stylesheet]').length === 5`)
    expect(await links(page)).toEqual([
      own,
      'http://elsewhere.test/style.css',
      expect.stringMatching(/\/style\.css\?v=1&w=a%20b&livereload=\w+$/),
      'text.css',
      expect.stringMatching(/\/style\.css\?livereload=\w+$/),
    ])

    // one that is off has nothing to load, and stays off
    edit('text.css', 'margin: 0;', 'margin: 7px;')
    await looks(page, 'h1', 'margin-top', '0px')
    await page.waitForFunction(`document.querySelector('link[disabled]').href.includes('livereload')`)
    expect(await links(page)).toHaveLength(5)
    expect(await history(page)).toEqual(['navigate', 1])
  })

  test('a style sheet that cannot be loaded leaves the old one', async () => {
    const { url, edit } = await start()
    const { page } = await open(browser(), url)
    const pattern = '**/style.css?livereload=*'
    await page.route(pattern, route => route.fulfill({ status: 500 }))
    edit('style.css', '#1b6f5f', RED)
    await page.waitForResponse(response => response.status() === 500)
    await page.waitForFunction(`document.querySelectorAll('link[rel=stylesheet]').length === 1`)
    expect(await links(page)).toEqual(['style.css'])
    await looks(page, 'main', EDGE, GREEN)

    await page.unroute(pattern)
    edit('style.css', RED, BLUE)
    await looks(page, 'main', EDGE, BLUE)
    expect(await history(page)).toEqual(['navigate', 1])
  })

  test('a style sheet that changes while it is loaded anew is loaded once more', async () => {
    const { url, edit } = await start()
    const { page } = await open(browser(), url)
    const held: (() => Promise<void>)[] = []
    await page.route('**/style.css?livereload=*', route => void held.push(() => route.continue()))
    edit('style.css', '#1b6f5f', RED)
    await page.waitForRequest('**/style.css?livereload=*')
    edit('style.css', RED, BLUE)
    await page.waitForRequest('**/style.css?livereload=*')
    expect((await links(page)).length).toBe(2)
    for (const go of held) await go().catch(() => {})
    await looks(page, 'main', EDGE, BLUE)
    await page.waitForFunction(`document.querySelectorAll('link[rel=stylesheet]').length === 1`)
  })
})
