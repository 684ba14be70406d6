import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterEach, describe, expect, test } from 'vitest'
// @ts-expect-error: examples are JavaScript; their own jsconfig.json checks them
import { createApp } from '../../examples/login/app.js'
import { createClient } from '../../src/client/node.js'
import type { RpcService } from '../../src/services/rpc/index.js'
import { describeBrowser } from '../support/browser.js'
import { startExample } from '../support/example.js'

interface LoginApp {
  readonly '~services': {
    readonly rpc: RpcService<{
      room(ctx: unknown): { user: { id: string }; said: number; lines: { text: string }[] } | null
      say(ctx: unknown, text: string): void
    }>
  }
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** The example in this process, on a free port. */
async function startLogin() {
  const { url } = await startExample(
    server => createApp({ server, secret: 'a secret of this test' }),
    made => made,
    cleanups,
  )
  return url
}

/** Posts a form as a page of the same origin does; follows nothing. */
function post(
  url: string,
  path: string,
  fields: Record<string, string>,
  headers: Record<string, string> = {},
) {
  const body = new URLSearchParams(fields)
  return fetch(url + path, { method: 'POST', body, headers, redirect: 'manual' })
}

const cookieOf = (response: Response) => response.headers.get('set-cookie')?.split(';')[0] ?? ''

/** A client with the session of a cookie, as programs have it. */
function client(url: string, cookie: string) {
  const session = decodeURIComponent(cookie.replace('connect.sid=', ''))
  const made = createClient<LoginApp>({ url: url.replace('http', 'ws'), auth: { session } })
  cleanups.push(() => made.close())
  return made
}

describe('the login, over HTTP', () => {
  test('lets in who has the password, under a new id, and nobody else', async () => {
    const url = await startLogin()
    const refused = await post(url, '/login', { name: 'ann', password: 'no' })
    expect(refused.status).toBe(401)
    expect(await refused.text()).toContain('There is no such name with this password.')
    expect((await post(url, '/login', { name: 'nobody', password: 'please' })).status).toBe(401)
    expect((await post(url, '/login', {})).status).toBe(401)

    const first = await post(url, '/login', { name: 'Ann', password: 'please' })
    expect([first.status, first.headers.get('location')]).toEqual([303, '/'])
    expect(first.headers.get('set-cookie')).toMatch(/; HttpOnly; SameSite=Lax$/)
    const page = await fetch(url, { headers: { cookie: cookieOf(first) } })
    expect(await page.text()).toContain('Log out')

    const again = await post(url, '/login', { name: 'ann', password: 'please' }, { cookie: cookieOf(first) })
    expect(cookieOf(again)).not.toBe(cookieOf(first))
    const old = await fetch(url, { headers: { cookie: cookieOf(first) } })
    expect(await old.text()).not.toContain('Log out')
  })

  test('takes no forms from pages of others', async () => {
    const url = await startLogin()
    const fields = { name: 'ann', password: 'please' }
    for (const site of ['cross-site', 'same-site', 'none']) {
      expect((await post(url, '/login', fields, { 'Sec-Fetch-Site': site })).status).toBe(403)
    }
  })

  test('gives a program the session of its cookie, until that is logged out', async () => {
    const url = await startLogin()
    const cookie = cookieOf(await post(url, '/login', { name: 'ben', password: 'please' }))
    const ben = client(url, cookie)
    await ben.connect()
    await ben.api.rpc.say('hello')
    expect(await ben.api.rpc.room()).toMatchObject({
      user: { id: 'ben' },
      said: 1,
      lines: [{ text: 'hello' }],
    })
    const ended = new Promise(resolve => ben.on('status', (status, why) => resolve([status, why?.code])))
    await post(url, '/logout', {}, { cookie })
    expect(await ended).toEqual(['closed', 4405])

    const stranger = client(url, 'connect.sid=s:forged.signature')
    await stranger.connect()
    expect(await stranger.api.rpc.room()).toBeNull()
    await expect(stranger.api.rpc.say('hello')).rejects.toMatchObject({ code: 'LOG_IN_FIRST' })
  })

  test('starts as a command, and stops with 0', async () => {
    const child = spawn(process.execPath, ['examples/login/server.js'], {
      cwd: root,
      env: { ...process.env, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    cleanups.push(() => child.kill('SIGKILL'))
    let url: string | undefined
    for await (const line of createInterface(child.stdout)) {
      url = /http:\/\/localhost:\d+/.exec(line)?.[0]
      if (url !== undefined) break
    }
    child.stdout.resume()
    expect((await fetch(`${url}/`)).status).toBe(200)
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
  })
})

describeBrowser('the login, in a browser', browser => {
  test('two tabs share a session, and a log-out in one ends both', { timeout: 60_000 }, async () => {
    const url = await startLogin()
    const problems: string[] = []
    const context = await newContext(browser(), problems)
    const first = await context.newPage()
    await first.goto(url)
    await shoot(first, 'login')
    await logIn(first, 'ann', 'wrong')
    await first.getByRole('alert').getByText('There is no such name with this password.').waitFor()
    await shoot(first, 'refused')
    // The browser itself reports the status of the page.
    expect(problems.splice(0)).toEqual([expect.stringContaining('401')])
    await logIn(first, 'ann', 'please')
    await connected(first)
    await first.getByText('Nobody has said anything yet').waitFor()
    await shoot(first, 'empty')

    const second = await context.newPage()
    await second.goto(url)
    await connected(second)
    await say(first, 'Good morning')
    await second.locator('#lines').getByText('Good morning').waitFor()
    await say(second, 'From the other tab')
    for (const page of [first, second]) await page.getByText('Ann · 2 messages').waitFor()

    // Somebody else, in a browser of their own, is told but not logged out.
    const others = await newContext(browser(), problems)
    const ben = await others.newPage()
    await ben.goto(url)
    await logIn(ben, 'ben', 'please')
    await connected(ben)
    await say(ben, 'Hello Ann, this one is longer than the others, as it has something to say about wrapping')
    await first.locator('#lines li:not(.own)').getByText('Hello Ann').waitFor()
    await say(first, '<img src=x onerror="document.title = 1">')
    await ben.locator('#lines').getByText('<img src=x').waitFor()
    expect(await ben.title()).toBe('Chat · SocketStream')
    await shoot(first, 'room')

    // What is in the session is there after a reload, which HTTP answers.
    await second.reload()
    await second.getByText('Ann · 3 messages').waitFor()

    await first.getByRole('button', { name: 'Log out' }).click()
    for (const page of [first, second]) await page.getByRole('heading', { name: 'Log in' }).waitFor()
    await shoot(second, 'logged-out')
    await ben.getByText('Ben · 1 message').waitFor()
    expect(await ben.locator('#status').textContent()).toBe('Connected')
    expect(problems).toEqual([])
  })

  test('who logs in anew in one tab is somebody else in the other', { timeout: 60_000 }, async () => {
    const url = await startLogin()
    const problems: string[] = []
    const context = await newContext(browser(), problems)
    const page = await context.newPage()
    await page.goto(url)
    await logIn(page, 'ann', 'please')
    await connected(page)
    await say(page, 'I am Ann')
    // As a form in another tab does.
    const status = await page.evaluate(
      "fetch('/login', { method: 'POST', body: new URLSearchParams({ name: 'ben', password: 'please' }) }).then(({ status }) => status)",
    )
    expect(status).toBe(200)
    await page.getByText('Ben · 0 messages').waitFor()
    await page.locator('#lines li:not(.own)').getByText('I am Ann').waitFor()
    expect(problems).toEqual([])
  })

  async function newContext(browser: Browser, problems: string[]) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
    cleanups.push(() => context.close())
    context.on('page', page => {
      page.on('pageerror', error => problems.push(String(error)))
      page.on('console', message => message.type() === 'error' && problems.push(message.text()))
    })
    return context as BrowserContext
  }

  async function logIn(page: Page, name: string, password: string) {
    await page.getByLabel('Name').fill(name)
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Log in' }).click()
  }

  const connected = (page: Page) => page.locator('#status[data-status="connected"]').waitFor()

  async function say(page: Page, text: string) {
    await page.getByLabel('Message', { exact: true }).fill(text)
    await page.keyboard.press('Enter')
    await page.locator('#lines .own').getByText(text, { exact: true }).waitFor()
  }

  /** Pictures for people to look at. */
  async function shoot(page: Page, name: string) {
    for (const width of [1280, 390]) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize({ width, height: width === 390 ? 844 : 800 })
        await page.emulateMedia({ colorScheme })
        await page.screenshot({ path: `${root}artifacts/login/${name}-${width}-${colorScheme}.png` })
        const wide = await page.evaluate('document.documentElement.scrollWidth > innerWidth')
        expect(wide, `${name} at ${width} is wider than the screen`).toBe(false)
      }
    }
    await page.setViewportSize({ width: 1280, height: 800 })
  }
})
