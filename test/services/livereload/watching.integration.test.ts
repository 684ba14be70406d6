import { mkdirSync, mkdtempSync, realpathSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { createClient } from '../../../src/client/node.js'
import { Server } from '../../../src/server.js'
import { livereloadClient } from '../../../src/services/livereload/client.js'
import { type LivereloadOptions, livereload } from '../../../src/services/livereload/index.js'
import { ws } from '../../../src/transports/ws.js'

const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

type Heard = readonly string[] | 'reload'

/** A folder with these empty files, in the folder `public` of it. */
function folder(...names: string[]) {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'livereload-')))
  cleanups.push(() => rmSync(root, { recursive: true, force: true }))
  const write = (name: string, text = '') => {
    const path = join(root, 'public', name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  mkdirSync(join(root, 'public'))
  for (const name of names) write(name)
  return { root, public: join(root, 'public'), write }
}

/** A server that watches `public`, and what a client of it hears. */
async function start(root: string, options: Partial<LivereloadOptions> = {}) {
  const lines: unknown[] = []
  const app = new Server({ root, transport: ws({ port: 0 }), log: (...line) => lines.push(line) }).service(
    'livereload',
    livereload({ dirs: ['public'], interval: 200, ...options }),
  )
  cleanups.push(() => app.stop())
  await app.start()
  const client = createClient<typeof app>({
    url: `ws://localhost:${app.address()?.port}`,
    services: { livereload: livereloadClient },
  })
  cleanups.push(() => client.close())
  await client.connect()
  const heard: Heard[] = []
  let wake = () => {}
  const hear = (what: Heard) => {
    heard.push(what)
    wake()
  }
  client.api.livereload.on('css', hear)
  client.api.livereload.on('reload', () => hear('reload'))
  /** The next message. */
  const next = async (): Promise<Heard> => {
    while (heard.length === 0) {
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
    return heard.shift()!
  }
  /** The next message like this, whatever comes before. */
  const until = async (wanted: Heard) => {
    while (JSON.stringify(await next()) !== JSON.stringify(wanted)) {}
  }
  return { app, next, until, lines }
}

test('a style sheet that is written, in place or over a rename, is told of by its path', async () => {
  const { root, public: dir, write } = folder('css/style.css')
  const { next } = await start(root)
  write('css/style.css', 'a {}')
  expect(await next()).toEqual(['css/style.css'])
  write('css/.style.css.tmp', 'b {}')
  renameSync(join(dir, 'css/.style.css.tmp'), join(dir, 'css/style.css'))
  expect(await next()).toEqual(['css/style.css'])
})

test('other files reload: written, added and removed', async () => {
  const { root, public: dir, write } = folder('index.html')
  const { next } = await start(root)
  write('index.html', '<p>')
  expect(await next()).toBe('reload')
  write('new/page.html')
  expect(await next()).toBe('reload')
  rmSync(join(dir, 'new/page.html'))
  expect(await next()).toBe('reload')
})

const NAMES = [
  'it\'s "so".css',
  'a b.css',
  'ä é 日本 🙂.css',
  '100%.css',
  'a#b?c=d&e.css',
  '%2e%2e.css',
  '$&.css',
]

test.skipIf(process.platform === 'win32').each(NAMES)('a file may be named %s', async name => {
  const { root, write } = folder(name)
  const { next } = await start(root)
  write(name, 'a {}')
  expect(await next()).toEqual([name])
})

test('dotfiles, node_modules and what is ignored are not told of', async () => {
  const { root, write } = folder('.git/HEAD', 'node_modules/a.js', 'a.map', 'style.css')
  const { next } = await start(root, { ignored: /\.map$/ })
  write('.git/HEAD', 'x')
  write('.env', 'x')
  write('node_modules/a.js', 'x')
  write('a.map', 'x')
  write('style.css', 'x')
  expect(await next()).toEqual(['style.css'])
})

test('a function that fails to say what is ignored is logged, and ignores nothing', async () => {
  const { root, write } = folder('style.css')
  const fail = () => {
    throw new Error('what is a path?')
  }
  const { next, lines } = await start(root, { ignored: fail })
  write('style.css', 'x')
  expect(await next()).toEqual(['style.css'])
  expect(lines).toEqual([[expect.stringContaining('[livereload] warn'), { error: expect.any(Error) }]])
})

test('links that go in a circle are not followed', async () => {
  const { root, public: dir, write } = folder('css/style.css')
  symlinkSync(dir, join(dir, 'css/loop'), 'junction')
  const { next } = await start(root)
  write('css/style.css', 'x')
  expect(await next()).toEqual(['css/style.css'])
})

test('many files at once are one reload', async () => {
  const { root, public: dir, write } = folder('style.css')
  mkdirSync(join(root, 'new'))
  for (let i = 0; i < 2000; i++) writeFileSync(join(root, 'new', `${i}.js`), '')
  const { next } = await start(root)
  renameSync(join(root, 'new'), join(dir, 'new'))
  expect(await next()).toBe('reload')
  // Had there been more to tell of, this would be a reload too.
  write('style.css', 'x')
  expect(await next()).toEqual(['style.css'])
})

test('a folder that is removed and comes back is watched again', async () => {
  const { root, public: dir, write } = folder('a.css', 'css/b.css')
  const { until, next } = await start(root)
  rmSync(dir, { recursive: true })
  expect(await next()).toBe('reload')
  write('c.css')
  await until(['c.css'])
  write('c.css', 'x')
  await until(['c.css'])
})

test('a folder that goes with all that it is in leaves the server as it is', async () => {
  const { root } = folder('deep/index.html')
  const { app, next } = await start(root, { dirs: ['public/deep'] })
  rmSync(root, { recursive: true })
  expect(await next()).toBe('reload')
  await app.stop()
})

test('a folder that is replaced at once is watched on', async () => {
  const { root, public: dir, write } = folder('a.css', 'css/b.css')
  const { until } = await start(root)
  rmSync(dir, { recursive: true })
  write('c.css')
  await until('reload')
  write('c.css', 'x')
  await until(['c.css'])
})

test('a server that stops, or fails to start, watches no more', async () => {
  const { root } = folder()
  const watches = () => process.getActiveResourcesInfo().filter(kind => kind === 'FSEventWrap').length
  // A watch that was closed is there for another turn or two.
  const ended = async () => {
    while (watches() > 0) await setImmediate()
  }
  await ended()
  const { app } = await start(root)
  expect(watches()).toBeGreaterThan(0)
  await app.stop()
  await ended()

  const failing = new Server({ root, transport: ws({ port: 0 }) })
    .service('livereload', livereload({ dirs: ['public'] }))
    .service('broken', {
      server() {
        expect(watches()).toBeGreaterThan(0)
        throw new Error('not today')
      },
    })
  await expect(failing.start()).rejects.toThrow('not today')
  await ended()
})
