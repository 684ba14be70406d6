import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterEach, describe, expect, test } from 'vitest'
// @ts-expect-error: examples are JavaScript; their own jsconfig.json checks them
import { createApp } from '../../examples/chat/app.js'
import { createClient } from '../../src/client/node.js'
import type { PubSubService } from '../../src/services/pubsub/index.js'
import type { RpcService } from '../../src/services/rpc/index.js'
import { describeBrowser } from '../support/browser.js'

interface Line {
  readonly id: string
  readonly by: string
  readonly from: string
  readonly text: string
  readonly at: Date
}

interface ChatApp {
  readonly '~services': {
    readonly chat: PubSubService<{ said: [line: Line]; online: [count: number] }>
    readonly rpc: RpcService<{
      join(ctx: unknown, name: string): string
      say(ctx: unknown, text: string): void
      history(ctx: unknown): { lines: Line[]; online: number }
    }>
  }
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** The chat in this process, on a free port or a given one. */
async function startChat(port = 0) {
  const server = createServer()
  const app = await createApp({ server })
  await app.start()
  server.listen(port)
  await once(server, 'listening')
  let stopped: Promise<unknown> | undefined
  const stop = () => {
    stopped ??= (async () => {
      await app.stop()
      const closed = once(server.close(), 'close')
      // Browsers hold connections that they have not used yet.
      server.closeAllConnections()
      await closed
    })()
    return stopped
  }
  cleanups.push(stop)
  const bound = (server.address() as AddressInfo).port
  return { port: bound, url: `http://localhost:${bound}`, stop }
}

async function join(port: number, name: string) {
  const client = createClient<ChatApp>({ url: `ws://localhost:${port}` })
  cleanups.push(() => client.close())
  await client.connect()
  await client.api.rpc.join(name)
  await client.api.chat.subscribe('room')
  return client
}

describe('the chat, from Node', () => {
  test('two clients talk', async () => {
    const { port } = await startChat()
    const ann = await join(port, '  Ann ')
    const ben = await join(port, 'Ben')
    const heard = new Promise<Line>(resolve => ben.api.chat.once('said', resolve))
    await ann.api.rpc.say('Hello Ben\u001b[2J')
    expect(await heard).toMatchObject({ from: 'Ann', text: 'Hello Ben [2J', by: ann.connectionId })
    const answered = new Promise<Line>(resolve => ann.api.chat.once('said', resolve))
    await ben.api.rpc.say('Hello Ann')
    expect((await answered).text).toBe('Hello Ann')
    const { lines, online } = await ann.api.rpc.history()
    expect(lines.map(line => line.from)).toEqual(['Ann', 'Ben'])
    expect(lines[0]?.at).toBeInstanceOf(Date)
    expect(online).toBe(2)
  })

  test('the online count follows who comes and goes', async () => {
    const { port } = await startChat()
    const ann = await join(port, 'Ann')
    const counts: number[] = []
    let leave!: () => void
    const left = new Promise<void>(resolve => {
      leave = resolve
    })
    ann.api.chat.on('online', count => {
      counts.push(count)
      if (counts.length > 1 && count === 1) leave()
    })
    const ben = await join(port, 'Ben')
    ben.close()
    await left
    expect(counts.slice(-2)).toEqual([2, 1])
  })

  test('names and texts that do not fit are refused with a code', async () => {
    const { port } = await startChat()
    const client = await join(port, 'Ann')
    const { rpc } = client.api
    await expect(rpc.join(' ')).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
    await expect(rpc.join('x'.repeat(41))).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
    await expect(rpc.join({ name: 1 } as unknown as string)).rejects.toThrow('1 to 40 characters')
    await expect(rpc.say('')).rejects.toThrow('1 to 500 characters')
    await expect(rpc.say('x'.repeat(501))).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
    const stranger = createClient<ChatApp>({ url: `ws://localhost:${port}` })
    cleanups.push(() => stranger.close())
    await stranger.connect()
    await expect(stranger.api.rpc.say('hello')).rejects.toMatchObject({ code: 'NOT_JOINED' })
  })

  test('the last 50 lines are kept', async () => {
    const { port } = await startChat()
    const ann = await join(port, 'Ann')
    await Promise.all(Array.from({ length: 53 }, (_, index) => ann.api.rpc.say(`line ${index}`)))
    const { lines } = await ann.api.rpc.history()
    expect(lines.map(line => line.text)).toEqual(
      Array.from({ length: 50 }, (_, index) => `line ${index + 3}`),
    )
  })
})

describe('the chat, over HTTP', () => {
  test('serves the page and the client, with their types', async () => {
    const { url } = await startChat()
    const types: Record<string, string> = {
      '/': 'text/html; charset=utf-8',
      '/?from=mail': 'text/html; charset=utf-8',
      '/style.css': 'text/css; charset=utf-8',
      '/app.js': 'text/javascript; charset=utf-8',
      '/icon.svg': 'image/svg+xml',
      '/socketstream/client.js': 'text/javascript; charset=utf-8',
      '/socketstream/client.js.map': 'application/json; charset=utf-8',
    }
    for (const [path, type] of Object.entries(types)) {
      const response = await fetch(url + path)
      expect([path, response.status, response.headers.get('content-type')]).toEqual([path, 200, type])
      expect((await response.text()).length).toBeGreaterThan(0)
    }
  })

  test('answers HEAD without a body, and other methods with 405', async () => {
    const { url } = await startChat()
    const head = await fetch(url, { method: 'HEAD' })
    expect(head.status).toBe(200)
    expect(Number(head.headers.get('content-length'))).toBeGreaterThan(500)
    expect(await head.text()).toBe('')
    const post = await fetch(url, { method: 'POST', body: 'x' })
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })

  test.each(['/../app.js', '/%2e%2e/app.js', '/page/../../server.js', '//etc/passwd', '/nothing', '*'])(
    'has no file at %s',
    async path => {
      const { port } = await startChat()
      // Not `fetch`, which would tidy up the path.
      const socket = connect(port, 'localhost').end(
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
      )
      expect(await text(socket)).toMatch(/^HTTP\/1.1 404 .*text\/plain/s)
    },
  )
})

describe('the chat, as a command', () => {
  test('prints its URL, is called from a terminal and stops with 0', async () => {
    const { child, url } = await startCommand()
    const said = await say('--url', url, 'hello from the terminal')
    expect(said).toMatchObject({ code: 0, stderr: '' })
    expect(said.stdout).toMatch(/^\d\d:\d\d terminal: hello from the terminal\n$/)
    const again = await say('--url', url, '--name', 'Ann', 'me too')
    expect(again.stdout.split('\n')).toEqual([
      expect.stringContaining('terminal: hello from the terminal'),
      expect.stringContaining('Ann: me too'),
      '',
    ])
    expect(await say('--url', url, ' ')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: 'A message must have 1 to 500 characters\n',
    })
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
    const refused = await say('--url', url, 'anybody?')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('npm start')
  })

  test('stops with 0 on SIGINT while a client is connected', async () => {
    const { child, url } = await startCommand()
    const client = await join(Number(new URL(url).port), 'Ann')
    const closed = new Promise<unknown>(resolve => {
      client.on('status', (status, why) => status === 'waiting' && resolve(why))
    })
    child.kill('SIGINT')
    expect(await closed).toMatchObject({ code: 4501 })
    expect(await once(child, 'exit')).toEqual([0, null])
  })

  test('says that its port is in use, and which number a port is', async () => {
    const { port } = await startChat()
    const taken = await run('server.js', [], String(port))
    expect(taken).toMatchObject({ code: 1, stderr: expect.stringContaining(`Port ${port} is in use`) })
    expect(await run('server.js', [], '99999')).toMatchObject({
      code: 1,
      stderr: 'PORT must be a number from 0 to 65535\n',
    })
  })

  async function startCommand() {
    const child = spawn(process.execPath, ['examples/chat/server.js'], {
      cwd: root,
      env: { ...process.env, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    cleanups.push(() => child.kill('SIGKILL'))
    let printed = ''
    for await (const line of createInterface(child.stdout)) {
      printed += `${line}\n`
      if (line.includes('say.js')) break
    }
    child.stdout.resume()
    const url = /http:\/\/localhost:\d+/.exec(printed)?.[0]
    if (url === undefined) throw new Error(`no URL in: ${printed}`)
    expect(printed).toContain(`node examples/chat/say.js --url ${url} "hello from the terminal"`)
    return { child, url }
  }

  const say = (...args: string[]) => run('say.js', args)

  function run(file: string, args: string[], port?: string) {
    return new Promise<{ code: unknown; stdout: string; stderr: string }>(resolve => {
      const env = { ...process.env, ...(port === undefined ? {} : { PORT: port }) }
      execFile(
        process.execPath,
        [`examples/chat/${file}`, ...args],
        { cwd: root, env },
        (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }),
      )
    })
  }
})

describeBrowser('the chat, in a browser', browser => {
  test('two pages talk, and talk again after the server has restarted', { timeout: 60_000 }, async () => {
    const { url, port, stop } = await startChat()
    const console = { problems: [] as string[], outage: false }
    const ann = await open(browser(), url, console)
    await shoot(ann, 'join')

    // what the server refuses is shown where it was entered
    await ann.getByRole('button', { name: 'Join' }).click()
    await ann.getByRole('alert').getByText('Your name must have 1 to 40 characters').waitFor()
    await shoot(ann, 'refused')
    await enter(ann, 'Ann')
    await ann.getByText('Nobody has said anything yet').waitFor()
    await shoot(ann, 'empty')

    const ben = await open(browser(), url, console)
    await enter(ben, 'Ben')
    await ann.getByText('2 online').waitFor()
    await ben.getByText('2 online').waitFor()

    await write(ann, 'Good morning, is anybody here?')
    await heard(ben, 'Ann', 'Good morning, is anybody here?')
    await write(ben, 'I am')
    await write(ben, 'Shall we try the thing with the script?')
    await heard(ann, 'Ben', 'Shall we try the thing with the script?')

    const script = '<script>document.title = "x"</script><img src=x onerror="document.title = 1">'
    await write(ann, script)
    await heard(ben, 'Ann', script)
    expect(await ben.title()).toBe('Chat · SocketStream')
    expect(await ben.locator('#lines img, #lines script').count()).toBe(0)

    await write(ben, `A long one: ${'every word of it has to find its place on a small screen. '.repeat(5)}`)
    await write(ben, 'ohne-einen-einzigen-Umbruch-'.repeat(6))
    await write(ann, 'It does 👍')
    await heard(ben, 'Ann', 'It does 👍')
    expect(await ann.locator('#lines .own').count()).toBe(3)
    expect(await ben.locator('#lines .own').count()).toBe(4)
    await shoot(ann, 'room')

    // a text that is refused stays in the input
    await ann.getByLabel('Message', { exact: true }).fill('   ')
    await ann.getByRole('button', { name: 'Send' }).click()
    await ann.getByRole('alert').getByText('A message must have 1 to 500 characters').waitFor()
    await shoot(ann, 'refused-text')
    await ann.getByLabel('Message', { exact: true }).fill('')

    console.outage = true
    await stop()
    for (const page of [ann, ben]) await page.getByText('No connection').waitFor()
    expect(await ann.getByRole('button', { name: 'Send' }).isDisabled()).toBe(true)
    await shoot(ann, 'lost')
    await startChat(port)
    for (const page of [ann, ben]) await page.getByText('Connected', { exact: true }).waitFor()
    await ann.getByText('2 online').waitFor()
    console.outage = false

    await write(ben, 'There we are again')
    await heard(ann, 'Ben', 'There we are again')
    await write(ann, 'As if nothing had happened')
    await heard(ben, 'Ann', 'As if nothing had happened')
    expect(await ann.locator('#lines li').count()).toBe(9)

    // whoever comes later sees what was said before
    const cleo = await open(browser(), url, console)
    await enter(cleo, 'Cleo')
    await heard(cleo, 'Ann', 'As if nothing had happened')
    await ann.getByText('3 online').waitFor()
    expect(console.problems).toEqual([])
  })

  test('a reader who has scrolled up is not pulled down', async () => {
    const { url, port } = await startChat()
    const console = { problems: [] as string[], outage: false }
    const talker = await join(port, 'Talker')
    await Promise.all(Array.from({ length: 40 }, (_, index) => talker.api.rpc.say(`line ${index}`)))
    const page = await open(browser(), url, console)
    await enter(page, 'Reader')
    const log = page.locator('#log')
    const fromEnd = () => log.evaluate(e => Math.round(e.scrollHeight - e.scrollTop - e.clientHeight))
    expect(await fromEnd()).toBeLessThan(2)

    await log.focus()
    // Listening before the key is pressed: a short scroll may have ended before anybody asks.
    const scrolled = await log.evaluateHandle(e => {
      const ended = new Promise(done => e.addEventListener('scrollend', () => done(e.scrollTop)))
      return { ended }
    })
    await page.keyboard.press('Home')
    expect(await scrolled.evaluate(({ ended }) => ended)).toBe(0)
    await talker.api.rpc.say('news')
    await page.getByRole('button', { name: 'New messages' }).click()
    await page.getByText('news', { exact: true }).waitFor()
    expect(await fromEnd()).toBeLessThan(2)
    expect(await page.locator('#newer').isHidden()).toBe(true)
    expect(console.problems).toEqual([])
  })

  async function open(browser: Browser, url: string, console: { problems: string[]; outage: boolean }) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
    cleanups.push(() => context.close())
    const page = await context.newPage()
    page.on('pageerror', error => console.problems.push(String(error)))
    page.on('console', message => {
      // While there is no server, the browser itself reports each attempt to reach it.
      const expected = console.outage && message.text().startsWith('WebSocket connection to')
      if (message.type() === 'error' && !expected) console.problems.push(message.text())
    })
    await page.goto(url)
    await page.getByText('Connected', { exact: true }).waitFor()
    return page
  }

  async function enter(page: Page, name: string) {
    await page.getByLabel('Your name').fill(name)
    await page.keyboard.press('Enter')
    await page.getByLabel('Message', { exact: true }).waitFor()
  }

  async function write(page: Page, line: string) {
    await page.getByLabel('Message', { exact: true }).fill(line)
    await page.keyboard.press('Enter')
    await page.locator('#lines .own').getByText(line.trim(), { exact: true }).waitFor()
  }

  async function heard(page: Page, from: string, line: string) {
    const item = page.locator('#lines li:not(.own)').filter({ hasText: line })
    await item.waitFor()
    expect(await item.locator('.from').textContent()).toBe(from)
  }

  /** Pictures for people to look at. */
  async function shoot(page: Page, name: string) {
    for (const width of [1280, 390]) {
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize({ width, height: width === 390 ? 844 : 800 })
        await page.emulateMedia({ colorScheme })
        await page.screenshot({ path: `${root}artifacts/chat/${name}-${width}-${colorScheme}.png` })
        const wide = await page.evaluate('document.documentElement.scrollWidth > innerWidth')
        expect(wide, `${name} at ${width} is wider than the screen`).toBe(false)
      }
    }
    await page.setViewportSize({ width: 1280, height: 800 })
  }
})
