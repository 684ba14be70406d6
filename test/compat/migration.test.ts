import { type EventEmitter, once } from 'node:events'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Socket } from 'engine.io-client'
import SockJs from 'sockjs-client'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { createClient } from '../../src/client/node.js'
import { rateLimiter } from '../../src/middleware/rate-limiter.js'
import { Server } from '../../src/server.js'
import { livereload } from '../../src/services/livereload/index.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { engineio } from '../../src/transports/engine-io.js'
import { sockjs } from '../../src/transports/sockjs.js'
import type { Transport } from '../../src/transports/transport.js'
import { ws } from '../../src/transports/ws.js'
import { quoted, readPage, root, tableRows } from '../docs/markdown.js'
import { testServer } from '../support/wire.js'
import { ClassicClient, type Loose } from './classic-client.js'

const load = createRequire(import.meta.url)
const folder = join(import.meta.dirname, 'app')
const { answer } = ClassicClient
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function started(app: Server): Promise<Loose> {
  cleanups.push(() => app.stop({ drain: 0 }))
  return app.start()
}

/** A client of 0.4 that has discovered what a server has. */
async function discovered(made: ReturnType<typeof testServer>): Promise<ClassicClient> {
  const client = ClassicClient.on(await made.transport.connect())
  await client.connect()
  await client.discover()
  return client
}

/** Has an unmodified service of 0.4 answer a client of 0.4, over a socket of the transport's own client. */
async function overSocket(transport: Transport, open: (url: string) => Promise<ClassicClient>) {
  const app = new Server({ root: folder, env: 'test', textWire: true, transport })
  app.service('echo', load('./services/echo.cjs')())
  await started(app)
  const client = await open(transport.address()!.url)
  await client.connect()
  await client.discover()
  expect(await answer(done => client.api.echo({ do: 'reply', value: 1 }, done))).toEqual([{ you: 1 }])
}

const cases: Record<string, () => Promise<void>> = {
  async 'socketstream-client'() {
    const transport = ws({ port: 0 })
    const app = new Server({ root: folder, env: 'test', transport })
    app.service('echo', load('./services/echo.cjs')())
    await started(app)
    const half = { client: load('./services/echo-client.cjs') }
    const client = createClient({ url: transport.address()!.url, services: { echo: half } })
    cleanups.push(() => client.close())
    await client.connect()
    const { echo } = client.api as Loose
    expect(await answer(done => echo({ do: 'reply', value: 1 }, done))).toEqual([{ you: 1 }])
    const heard = new Promise(resolve => {
      echo.wake = resolve
    })
    echo({ do: 'broadcast' })
    await heard
    expect(echo.heard).toEqual([{ to: 'all' }])
  },

  'rtt-ws': () =>
    overSocket(ws({ port: 0 }), async url => {
      const socket = new WebSocket(url)
      cleanups.push(() => socket.terminate())
      await once(socket, 'open')
      const client = new ClassicClient(frame => socket.send(frame))
      socket.on('message', data => client.process(String(data)))
      return client
    }),

  'rtt-engineio': () =>
    overSocket(engineio({ port: 0 }), async url => {
      const { origin, pathname } = new URL(url)
      const socket = new Socket(origin, { path: pathname, transports: ['websocket'] })
      cleanups.push(() => socket.close())
      await new Promise(resolve => socket.once('open', () => resolve(undefined)))
      const client = new ClassicClient(frame => socket.send(frame))
      socket.on('message', data => client.process(String(data)))
      return client
    }),

  'rtt-sockjs': () =>
    overSocket(sockjs({ port: 0 }), async url => {
      const socket = new SockJs(url, undefined, { transports: ['websocket'] })
      cleanups.push(() => socket.close())
      await new Promise(resolve => {
        socket.onopen = resolve
      })
      const client = new ClassicClient(frame => socket.send(frame))
      socket.onmessage = ({ data }) => client.process(String(data))
      return client
    }),

  async 'rts-rpc'() {
    const made = testServer({ root: folder, textWire: true })
    made.app.service('rpc', rpc())
    await started(made.app)
    const client = await discovered(made)
    expect(await answer(done => client.api.rpc('demo.square', 7, done))).toEqual([49])
    expect(await answer(done => client.api.rpc('admin.users.list', done))).toEqual([['ann', 'bob']])
  },

  async 'rts-pubsub'() {
    const made = testServer({ root: folder, textWire: true })
    made.app.service('pubsub', pubsub()).service('news', load('./services/news.cjs')())
    const api = await started(made.app as unknown as Server)
    const client = await discovered(made)
    const heard: unknown[] = []
    for (const name of ['pubsub', 'news']) client.api[name].on('hello', (args: unknown) => heard.push(args))
    api.pubsub.publish.all('hello', 'new', 1)
    api.news.all('hello', 'old', 1)
    await client.until(() => heard.length === 2)
    expect(heard).toEqual([
      ['new', 1],
      ['old', 1],
    ])
  },

  async 'rts-livereload'() {
    const made = testServer({ root: folder, textWire: true })
    made.app
      .service('reload', load('./services/reload.cjs')({ dirs: ['client'] }))
      .service('livereload', livereload({ dirs: ['services'] }))
    const api = await started(made.app as unknown as Server)
    expect(api.reload.dirs).toEqual([join(folder, 'services', 'client')])
    const client = await discovered(made)
    const reloaded = new Promise<void>(resolve => {
      vi.stubGlobal('window', { location: { reload: resolve } })
    })
    cleanups.push(() => vi.unstubAllGlobals())
    api.reload.changed()
    await reloaded
    expect(client.frames.at(-1)).toBe('1|reload')
  },

  async 'rts-stream'() {
    const made = testServer({ root: folder, textWire: true })
    made.app.service('stream', load('./services/stream.cjs')())
    const api = await started(made.app as unknown as Server)
    const client = await discovered(made)
    const down: string[] = []
    client.api.stream.on('data', (text: string) => down.push(text))
    api.stream.write('down')
    await client.until(() => down.length > 0)
    expect(down).toEqual(['down'])
    const up = once(api.stream as EventEmitter, 'data')
    client.api.stream.write('up')
    expect(String(await up)).toBe('up')
  },

  async 'ss-rate-limiter'() {
    const made = testServer({ root: folder, textWire: true })
    made.app
      .use(rateLimiter({ maxRequestsPerSecond: 1, burst: 2, now: () => 0 }))
      .use(load('./services/limiter.cjs')({ max: 100 }))
      .service('shout', load('./services/shout.cjs')())
    await started(made.app)
    const client = await discovered(made)
    for (const text of ['a', 'b', 'c']) client.api.shout.say(text)
    await client.until(() => client.errors.length > 0)
    expect(client.api.shout.heard).toHaveLength(2)
    expect(client.errors[0]?.code).toBe('OVERLOADED')
  },
}

describe('the packages of 0.4', () => {
  const rows = tableRows(readPage('docs/migrating-from-0.4.md'), 'Packages').slice(1)

  test('each have a row in the docs, and a case here', () => {
    expect(rows.map(([name]) => quoted(name))).toEqual(Object.keys(cases))
  })

  test.each(rows)('%s: what takes its place is there', async (_name, place = '') => {
    const [, name, path] = /`(\w+)` of `socketstream-server(\/[^`]+)`/.exec(place) ?? []
    const { exports } = load(join(root, 'package.json')) as {
      exports: Record<string, Record<string, string>>
    }
    const target = exports[`.${path}`]!
    const file = (target.node ?? target.default)!.replace('./dist/', '../../src/').replace(/js$/, 'ts')
    expect(await import(file)).toHaveProperty(name!)
  })

  test.each(Object.entries(cases))('%s: what was written for it works', async (_name, run) => {
    await run()
  })
})
