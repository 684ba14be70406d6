import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import type { LivereloadClient, LivereloadOptions } from '../../../src/services/livereload/index.js'
import { livereload } from '../../../src/services/livereload/index.js'
import { livereloadOf } from '../../../src/services/livereload/livereload.js'
import { chokidarWatch, type WatchHandler } from '../../../src/services/livereload/watcher.js'
import { manualClock } from '../../../src/testing/index.js'
import { TestBroker } from '../support.js'

const cleanups: (() => unknown)[] = []

afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup()
})

/** A folder with the folder `public` in it. */
function folder(): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'livereload-')))
  cleanups.push(() => rmSync(root, { recursive: true }))
  mkdirSync(join(root, 'public'))
  return root
}

/** The service in a broker in miniature, with a watcher that is told what to see. */
async function start(options: Partial<LivereloadOptions> = {}, env?: string, root = folder()) {
  const clock = manualClock()
  const watches: { paths: readonly string[]; ignores(path: string): boolean; handler: WatchHandler }[] = []
  let closed = 0
  const service = livereloadOf(
    { dirs: ['public'], ...options },
    {
      clock,
      async watch(folders, handler) {
        watches.push({ paths: folders.paths, ignores: path => folders.ignores(path), handler })
        return {
          async close() {
            closed++
          },
        }
      },
    },
  )
  const broker = new TestBroker(service, 'livereload', root, env)
  await broker.api.livereload
  const heard: unknown[] = []
  const api = broker.connect().api as LivereloadClient
  api.on('css', paths => heard.push(paths))
  api.on('reload', () => heard.push('reload'))
  const change = (path: string, removed = false) => watches[0]?.handler.changed(join(root, path), removed)
  return { broker, clock, root, watches, heard, change, closed: () => closed, watched: watches[0] }
}

describe('the service', () => {
  test('tells clients of style sheets by their paths from the folder', async () => {
    const { change, clock, heard } = await start()
    change('public/css/style.css')
    clock.advance(50)
    expect(heard).toEqual([['css/style.css']])
  })

  test('tells every client to reload for other files, and when a style sheet is gone', async () => {
    const { broker, change, clock, heard } = await start()
    const other = broker.connect()
    const messages: unknown[] = []
    other.onmessage = message => messages.push(message)
    change('public/index.html')
    clock.advance(50)
    change('public/style.css', true)
    clock.advance(1000)
    expect(heard).toEqual(['reload', 'reload'])
    expect(messages).toEqual([{ reload: true }, { reload: true }])
  })

  test('waits for the interval that it is given', async () => {
    const { change, clock, heard } = await start({ interval: 300 })
    change('public/a.css')
    clock.advance(50)
    change('public/b.css')
    clock.advance(299)
    expect(heard).toEqual([['a.css']])
    clock.advance(1)
    expect(heard).toEqual([['a.css'], ['b.css']])
  })

  test('names a file by the innermost of the folders that it is in', async () => {
    const root = folder()
    mkdirSync(join(root, 'public/css'))
    const { change, clock, heard, watched } = await start(
      { dirs: [root, 'public/css', 'public'] },
      undefined,
      root,
    )
    expect(watched?.paths).toEqual([root, join(root, 'public/css'), join(root, 'public')])
    change('public/css/a.css')
    change('public/b.css')
    change('c.css')
    clock.advance(50)
    expect(heard).toEqual([['a.css', 'b.css', 'c.css']])
  })

  test('watches where a link leads that is given as a folder', async () => {
    const root = folder()
    symlinkSync(join(root, 'public'), join(root, 'link'), 'junction')
    const { change, clock, heard, watched } = await start({ dirs: ['link'] }, undefined, root)
    expect(watched?.paths).toEqual([join(root, 'public')])
    change('public/a.css')
    clock.advance(50)
    expect(heard).toEqual([['a.css']])
  })

  test('does not mind what is outside of its folders', async () => {
    const { change, clock, heard } = await start()
    change('publicity.css')
    change('style.css')
    clock.advance(50)
    expect([heard, clock.timers]).toEqual([[], 0])
  })

  test('logs errors of the watcher, each code once, and goes on', async () => {
    const { broker, change, clock, heard, watched } = await start()
    const limit = Object.assign(new Error('no more watches'), { code: 'ENOSPC' })
    for (let i = 0; i < 3; i++) watched?.handler.failed(limit)
    watched?.handler.failed(new Error('something else'))
    expect(broker.lines).toEqual([
      { level: 'warn', message: expect.any(String), details: { name: 'test', error: limit } },
      { level: 'warn', message: expect.any(String), details: { name: 'test', error: expect.any(Error) } },
    ])
    change('public/a.css')
    clock.advance(50)
    expect(heard).toEqual([['a.css']])
  })

  test('stops watching with the server, and sends nothing afterwards', async () => {
    const { broker, change, clock, heard, closed } = await start()
    change('public/a.css')
    await broker.onstop?.()
    clock.advance(10_000)
    expect([heard, closed(), clock.timers]).toEqual([[], 1, 0])
  })

  test('names the file of its client half, which is there', async () => {
    const { clientModule } = livereload({ dirs: ['public'] })
    const module = await import(clientModule.url.href)
    expect(module[clientModule.export].client).toBeTypeOf('function')
  })
})

describe('what is ignored', () => {
  const ignored = async (path: string, option?: LivereloadOptions['ignored'], dirs = ['public']) => {
    const root = folder()
    mkdirSync(join(root, 'node_modules/pack'), { recursive: true })
    const { watched } = await start({ dirs, ...(option && { ignored: option }) }, undefined, root)
    return watched?.ignores(join(root, path))
  }

  test.each([
    ['public', false],
    ['public/a.css', false],
    ['public/a.b/c..css', false],
    ['public/..a.css', true],
    ['public/.env', true],
    ['public/.git/HEAD', true],
    ['public/a/.b/c.css', true],
    ['public/node_modules', true],
    ['public/a/node_modules/b.css', true],
    ['public/my_node_modules/b.css', false],
    ['public/node_modules.css', false],
    ['publicity', true],
    ['', false],
  ])('of %j: %s', async (path, verdict) => {
    expect(await ignored(path)).toBe(verdict)
  })

  test('does not depend on where the folder is', async () => {
    expect(await ignored('node_modules/pack/a.css', undefined, ['node_modules/pack'])).toBe(false)
  })

  test('is what the option matches, besides', async () => {
    expect(await ignored('public/a.map', /\.map$/g)).toBe(true)
    expect(await ignored('public/a.css', /\.map$/g)).toBe(false)
    expect(await ignored('public/.env', /\.map$/g)).toBe(true)
    const asked: string[] = []
    const ask = (path: string) => asked.push(path) > 0
    expect(await ignored('public/css/a.css', ask)).toBe(true)
    expect(asked).toEqual(['css/a.css'])
  })

  test('is so each time, by an expression that is global', async () => {
    const { root, watched } = await start({ ignored: /map/g })
    const path = join(root, 'public/a.map')
    expect([watched?.ignores(path), watched?.ignores(path)]).toEqual([true, true])
  })
})

describe('in production', () => {
  test('nothing is watched, and the log says so once', async () => {
    const { broker, watches } = await start({ dirs: ['not/there'] }, 'production')
    expect([watches, broker.onstop]).toEqual([[], undefined])
    expect(broker.lines).toEqual([
      { level: 'debug', message: expect.stringContaining('force: true'), details: { name: 'test' } },
    ])
  })

  test('it watches if forced', async () => {
    const { change, clock, heard } = await start({ force: true }, 'production')
    change('public/a.css')
    clock.advance(50)
    expect(heard).toEqual([['a.css']])
  })
})

describe('bad options', () => {
  test.each([
    [undefined, '`dirs`'],
    [{}, '`dirs`'],
    [{ dirs: 'public' }, '`dirs`'],
    [{ dirs: [] }, '`dirs`'],
    [{ dirs: [''] }, '`dirs`'],
    [{ dirs: ['a\0b'] }, '`dirs`'],
    [{ dirs: [7] }, '`dirs`'],
    [{ dirs: ['a'], ignored: '*.map' }, '`ignored`'],
    [{ dirs: ['a'], interval: 0 }, '`interval`'],
    [{ dirs: ['a'], interval: 1.5 }, '`interval`'],
    [{ dirs: ['a'], interval: 2 ** 31 }, '`interval`'],
    [{ dirs: ['a'], force: 'yes' }, '`force`'],
    [{ dirs: ['a'], dir: 'b' }, "'dir'"],
  ])('%j are refused, by name', (options, name) => {
    expect(() => livereload(options as LivereloadOptions)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(name) }),
    )
  })

  test('folders that are not there, and files, are refused at the start', async () => {
    const root = folder()
    writeFileSync(join(root, 'file'), '')
    for (const dir of ['not/there', 'file', join(root, 'file/x')]) {
      await expect(start({ dirs: ['public', dir] }, undefined, root)).rejects.toMatchObject({
        code: 'INVALID_OPTION',
        message: expect.stringMatching(/`dirs`.*(there|file)/),
      })
    }
  })

  test('without chokidar the start says what to install', async () => {
    const cause = Object.assign(new Error("Cannot find package 'chokidar'"), { code: 'ERR_MODULE_NOT_FOUND' })
    const watch = chokidarWatch(() => Promise.reject(cause))
    const service = livereloadOf({ dirs: ['public'] }, { clock: manualClock(), watch })
    const broker = new TestBroker(service, 'livereload', folder())
    await expect(broker.api.livereload).rejects.toMatchObject({
      code: 'PACKAGE_MISSING',
      message: expect.stringContaining('npm install chokidar'),
      cause,
    })
  })
})
