import { afterEach, beforeEach, describe, expect, expectTypeOf, test, vi } from 'vitest'
import type { Client, ClientStatus } from '../../src/client/client.js'
import * as browser from '../../src/client/index.js'
import * as browserJson from '../../src/client/json.js'
import * as node from '../../src/client/node.js'
import { json } from '../../src/codec/json.js'
import { SocketStreamError } from '../../src/errors.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { ServiceDefinition } from '../../src/services/service.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import type { MemoryClientLink } from '../../src/transports/memory.js'
import { LogLines, testServer } from '../support/wire.js'

interface Events {
  news: [{ title: string }]
  bye: []
}

const own = {
  use: { json: true, callbacks: true },
  server(server) {
    server.onmessage = (message, request, reply) => {
      if (request.kind === 'message') server.send(request.connectionId, message)
      else reply(message)
    }
    return { tell: (text: string) => server.broadcast(text) }
  },
  client(client) {
    const heard: unknown[] = []
    client.onmessage = message => heard.push(message)
    return {
      heard,
      say: (text: string) => client.send(text),
      ask: (text: string) => new Promise<unknown>(resolve => client.send(text, resolve)),
    }
  },
} satisfies ServiceDefinition

function createApp(options: Parameters<typeof testServer>[0] = {}) {
  const made = testServer(options)
  const streams = { sent: 0, cancelled: 0 }
  let release: (() => void) | undefined
  const app = made.app
    .service(
      'rpc',
      rpc({
        add: (_ctx, a: number, b: number) => a + b,
        fail: () => {
          throw new SocketStreamError('SOLD_OUT', 'none left', { data: { left: 0 }, retryAfter: 3 })
        },
        whoami: ctx => ctx.connectionId,
        hang: ctx =>
          new Promise<never>(() => {
            ctx.signal.addEventListener('abort', () => streams.cancelled++)
          }),
        wait: () =>
          new Promise<string>(resolve => {
            release = () => resolve('released')
          }),
        count: async function* (_ctx, n: number) {
          try {
            for (let i = 0; i < n; i++) {
              streams.sent = i + 1
              yield i
            }
          } finally {
            streams.cancelled++
          }
        },
        broken: async function* () {
          yield 1
          throw new SocketStreamError('FORBIDDEN', 'no more')
        },
        nested: { deep: (_ctx, x: string) => x },
      }),
    )
    .service(
      'chat',
      pubsub<Events>({ canSubscribe: (_ctx, channel) => channel !== 'secret', canPublish: () => true }),
    )
    .service('own', own)
  return { ...made, app, streams, release: () => release?.() }
}

type App = ReturnType<typeof createApp>['app']

const entries = [
  ['the browser client with msgpack', browser],
  ['the browser client with JSON', browserJson],
  ['the Node client', node],
] as const

describe.each(entries)('%s', (_name, { createClient }) => {
  let made: ReturnType<typeof createApp>
  let client: Client<App>
  const errors: Error[] = []

  beforeEach(async () => {
    errors.length = 0
    made = createApp()
    await made.app.start()
    client = createClient<App>({ url: 'memory:', transport: memoryClient(made.transport), services: { own } })
    client.on('error', error => errors.push(error))
    await client.connect()
  })

  afterEach(async () => {
    client.close()
    await made.app.stop({ drain: 0 })
    expect(errors).toEqual([])
  })

  test('calls methods, nested ones too', async () => {
    expect(await client.api.rpc.add(1, 2)).toBe(3)
    expect(await client.api.rpc.nested.deep('x')).toBe('x')
    expect(await client.api.rpc.whoami()).toBe(client.connectionId)
    expectTypeOf(client.api.rpc.add).parameters.toEqualTypeOf<[a: number, b: number]>()
    expectTypeOf(client.api.rpc.add).returns.toEqualTypeOf<Promise<number>>()
    expectTypeOf(client.with({ timeout: 5 }).api.rpc.nested.deep).returns.toEqualTypeOf<Promise<string>>()
  })

  test('rejects with the code, data and retryAfter of the error', async () => {
    await expect(client.api.rpc.fail()).rejects.toMatchObject({
      code: 'SOLD_OUT',
      message: 'none left',
      data: { left: 0 },
      retryAfter: 3,
    })
  })

  test('takes streams, as many items as there are', async () => {
    const items: number[] = []
    for await (const item of client.api.rpc.count(1000)) items.push(item)
    expect(items).toEqual(Array.from({ length: 1000 }, (_, i) => i))
  })

  test('lets the server run ahead no further than the credit', async () => {
    const iterator = client.api.rpc.count(1000)[Symbol.asyncIterator]()
    await iterator.next()
    await client.api.rpc.add(0, 0)
    expect(made.streams.sent).toBeLessThanOrEqual(65)
    await iterator.return?.()
    await client.api.rpc.add(0, 0)
    expect(made.streams.cancelled).toBe(1)
  })

  test('gives a stream to whoever awaits its call', async () => {
    const items: number[] = []
    for await (const item of await client.api.rpc.count(3)) items.push(item)
    expect(items).toEqual([0, 1, 2])
  })

  test('throws a stream’s error where it is iterated, after its items', async () => {
    const items: number[] = []
    const iterate = async () => {
      for await (const item of client.api.rpc.broken()) items.push(item)
    }
    await expect(iterate()).rejects.toMatchObject({ code: 'FORBIDDEN' })
    expect(items).toEqual([1])
  })

  test('says so when what is iterated is no stream', async () => {
    const call = client.api.rpc.add(1, 2) as unknown as AsyncIterable<number>
    await expect(call[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'STREAM_EXPECTED' })
  })

  test('cancels a call at both ends by its signal', async () => {
    const controller = new AbortController()
    const call = client.with({ signal: controller.signal }).api.rpc.hang()
    await client.api.rpc.add(0, 0)
    controller.abort('enough')
    await expect(call).rejects.toMatchObject({ code: 'CANCELLED', cause: 'enough' })
    await client.api.rpc.add(0, 0)
    expect(made.streams.cancelled).toBe(1)
    await expect(client.with({ signal: controller.signal }).api.rpc.hang()).rejects.toMatchObject({
      code: 'CANCELLED',
    })
  })

  test('subscribes, hears channels and broadcasts, and unsubscribes', async () => {
    const titles: string[] = []
    const off = client.api.chat.on('news', ({ title }) => titles.push(title))
    await client.api.chat.subscribe('sport')
    made.app.api.chat.publish.channel('sport', 'news', { title: 'a' })
    made.app.api.chat.publish.channel('other', 'news', { title: 'not for us' })
    made.app.api.chat.publish.all('news', { title: 'b' })
    made.app.api.chat.publish.connection(client.connectionId as string, 'news', { title: 'c' })
    await client.api.rpc.add(0, 0)
    expect(titles).toEqual(['a', 'b', 'c'])
    client.api.chat.unsubscribe('sport')
    await client.api.rpc.add(0, 0)
    made.app.api.chat.publish.channel('sport', 'news', { title: 'd' })
    off()
    made.app.api.chat.publish.all('news', { title: 'e' })
    await client.api.rpc.add(0, 0)
    expect(titles).toEqual(['a', 'b', 'c'])
  })

  test('hears a publication that comes in the same batch as the answer to its subscribe', async () => {
    const titles: string[] = []
    client.api.chat.on('news', ({ title }) => titles.push(title))
    const subscribed = client.api.chat.subscribe('fast')
    const published = client.api.chat.publish('fast', 'news', { title: 'at once' })
    await Promise.all([subscribed, published])
    expect(titles).toEqual(['at once'])
  })

  test('is refused where it may not subscribe', async () => {
    await expect(client.api.chat.subscribe('secret')).rejects.toMatchObject({ code: 'FORBIDDEN' })
  })

  test('uses services of its own', async () => {
    expect(await client.api.own.ask('q')).toBe('q')
    client.api.own.say('hello')
    made.app.api.own.tell('all')
    await client.api.rpc.add(0, 0)
    expect(client.api.own.heard.sort()).toEqual(['all', 'hello'])
  })

  test('refuses by name what cannot be sent', async () => {
    await expect(client.api.rpc.nested.deep((() => 1) as never)).rejects.toMatchObject({
      code: 'UNENCODABLE',
      message: expect.stringContaining('function'),
    })
    expect(() => client.api.own.say(new Map() as never)).toThrow('Map')
  })

  test('keeps calls within the window, and the order', async () => {
    const calls = Array.from({ length: 3000 }, (_, i) => client.api.rpc.add(i, 0))
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 3000 }, (_, i) => i))
  })

  test('fails what is in flight when it closes', async () => {
    const call = client.api.rpc.hang()
    client.close()
    await expect(call).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    expect(client.status).toBe('closed')
    await expect(client.api.rpc.add(1, 2)).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
    await client.connect()
    expect(await client.api.rpc.add(1, 2)).toBe(3)
  })
})

describe('before a connection', () => {
  test('says what to do', async () => {
    const made = createApp()
    const client = node.createClient<App>({ url: 'memory:', transport: memoryClient(made.transport) })
    expect(client.status).toBe('idle')
    expect(() => client.api.rpc.add(1, 2)).toThrow('idle: connect first')
    await made.app.start()
    await client.connect()
    expect(() => (client.api as unknown as { nope: unknown }).nope).toThrow('No service "nope"')
    expect(() => client.api.own).toThrow('createClient() needs services.own')
    expect((client.api as unknown as { then?: unknown }).then).toBeUndefined()
    client.close()
    await made.app.stop()
  })

  test('refuses options without a URL', () => {
    expect(() => node.createClient({} as never)).toThrow('`url` must be a text')
  })

  test('rejects when the first attempt fails, and goes on trying', async () => {
    const made = createApp()
    const client = node.createClient<App>({
      url: 'memory:',
      transport: memoryClient(made.transport),
      reconnect: { minDelay: 1, maxDelay: 1 },
    })
    await expect(client.connect()).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
    const connected = new Promise<void>(resolve =>
      client.on('status', status => status === 'connected' && resolve()),
    )
    await made.app.start()
    await connected
    expect(await client.api.rpc.add(2, 2)).toBe(4)
    client.close()
    await made.app.stop()
  })

  test('stays away with reconnect: false', async () => {
    const made = createApp()
    const client = node.createClient({
      url: 'memory:',
      transport: memoryClient(made.transport),
      reconnect: false,
    })
    await expect(client.connect()).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
    expect(client.status).toBe('closed')
  })
})

describe('after a loss', () => {
  test('comes back, with its subscriptions, listeners and session', async () => {
    const made = createApp()
    await made.app.start()
    const statuses: ClientStatus[] = []
    const links: MemoryClientLink[] = []
    const transport = memoryClient({
      async connect(options) {
        const link = await made.transport.connect(options)
        links.push(link)
        return link
      },
    })
    const client = node.createClient<App>({
      url: 'memory:',
      codec: json(),
      transport,
      reconnect: { minDelay: 1, maxDelay: 1 },
      resume: false,
    })
    client.on('status', status => statuses.push(status))
    await client.connect()
    const titles: string[] = []
    client.api.chat.on('news', ({ title }) => titles.push(title))
    await client.api.chat.subscribe('sport')
    const before = client.connectionId
    const { rpc } = client.api
    const call = rpc.hang()
    const again = new Promise<void>(resolve =>
      client.on('status', status => status === 'connected' && resolve()),
    )
    links.at(-1)?.terminate()
    await expect(call).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    await again
    expect(statuses.slice(0, 3)).toEqual(['connecting', 'connected', 'waiting'])
    expect(client.connectionId).not.toBe(before)
    await rpc.add(0, 0)
    made.app.api.chat.publish.channel('sport', 'news', { title: 'after' })
    await rpc.add(0, 0)
    expect(titles).toEqual(['after'])
    client.close()
    await made.app.stop()
  })

  test('a subscription refused after a reconnect is told of, and may be asked for again', async () => {
    const made = testServer()
    let open = true
    const app = made.app.service('chat', pubsub<Events>({ canSubscribe: () => open }))
    await app.start()
    let link: MemoryClientLink | undefined
    const transport = memoryClient({
      connect: async options => {
        link = await made.transport.connect(options)
        return link
      },
    })
    const client = node.createClient<typeof app>({
      url: 'memory:',
      transport,
      reconnect: { minDelay: 1, maxDelay: 1 },
      resume: false,
    })
    await client.connect()
    await client.api.chat.subscribe('sport')
    open = false
    const refused = new Promise<Error>(resolve => client.on('error', resolve))
    link?.terminate()
    expect(await refused).toMatchObject({ code: 'FORBIDDEN' })
    await expect(client.api.chat.subscribe('sport')).rejects.toMatchObject({ code: 'FORBIDDEN' })
    open = true
    await client.api.chat.subscribe('sport')
    const titles: string[] = []
    client.api.chat.on('news', ({ title }) => titles.push(title))
    app.api.chat.publish.channel('sport', 'news', { title: 'again' })
    await client.api.chat.subscribe('other')
    expect(titles).toEqual(['again'])
    client.close()
    await app.stop()
  })

  test('what a status listener asks comes after the subscriptions stand', async () => {
    const made = createApp()
    await made.app.start()
    let link: MemoryClientLink | undefined
    const transport = memoryClient({
      connect: async options => {
        link = await made.transport.connect(options)
        return link
      },
    })
    const client = node.createClient<App>({
      url: 'memory:',
      transport,
      reconnect: { minDelay: 1, maxDelay: 1 },
      resume: false,
    })
    await client.connect()
    await client.api.chat.subscribe('sport')
    const titles: string[] = []
    client.api.chat.on('news', ({ title }) => titles.push(title))
    const heard = new Promise<void>(resolve => {
      client.on('status', async status => {
        if (status !== 'connected') return
        await client.api.rpc.add(0, 0)
        made.app.api.chat.publish.channel('sport', 'news', { title: 'in time' })
        await client.api.rpc.add(0, 0)
        resolve()
      })
    })
    link?.terminate()
    await heard
    expect(titles).toEqual(['in time'])
    client.close()
    await made.app.stop()
  })

  test('a status listener that throws keeps nothing from going on', async () => {
    const made = createApp()
    await made.app.start()
    const client = node.createClient<App>({ url: 'memory:', transport: memoryClient(made.transport) })
    const errors: Error[] = []
    client.on('error', error => errors.push(error))
    client.on('status', status => {
      if (status === 'connected') throw new Error('listener')
    })
    await client.connect()
    expect(await client.api.rpc.add(1, 1)).toBe(2)
    expect(errors).toEqual([new Error('listener')])
    client.close()
    await made.app.stop()
  })

  test('stays away when the server says that nothing would change', async () => {
    const made = testServer()
    made.app.service('own', {
      server(server) {
        server.onmessage = (_message, request) => request.connection.close('banned')
      },
      client: client => ({ go: () => client.send('go') }),
    })
    await made.app.start()
    const client = node.createClient({
      url: 'memory:',
      transport: memoryClient(made.transport),
      services: { own: { client: service => ({ go: () => service.send('go') }) } },
    })
    await client.connect()
    const closed = new Promise(resolve =>
      client.on('status', (status, why) => status === 'closed' && resolve(why)),
    )
    ;(client.api as unknown as { own: { go(): void } }).own.go()
    expect(await closed).toEqual({ code: 4404, reason: 'banned' })
    await made.app.stop()
  })

  test('notices a server that has gone silent', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    try {
      const made = createApp({ limits: { ping: 10_000_000 } })
      await made.app.start()
      const client = node.createClient<App>({
        url: 'memory:',
        transport: memoryClient(made.transport),
        reconnect: false,
      })
      await client.connect()
      const closed = new Promise(resolve =>
        client.on('status', status => status === 'closed' && resolve(status)),
      )
      vi.advanceTimersByTime(15_000_000)
      expect(client.status).toBe('connected')
      vi.advanceTimersByTime(15_000_000)
      expect(await closed).toBe('closed')
      vi.useRealTimers()
      await made.app.stop()
    } finally {
      vi.useRealTimers()
    }
  })
})

describe('timeouts', () => {
  test.each([
    ['the default', undefined, 30_000],
    ['one of its own', { timeout: 500 }, 500],
  ])('%s fails the call and cancels it on the server', async (_what, options, after) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
    try {
      const made = createApp()
      await made.app.start()
      const client = node.createClient<App>({ url: 'memory:', transport: memoryClient(made.transport) })
      await client.connect()
      const view = options === undefined ? client : client.with(options)
      const call = view.api.rpc.hang()
      const failed = expect(call).rejects.toMatchObject({ code: 'TIMEOUT' })
      await client.api.rpc.add(0, 0)
      vi.advanceTimersByTime(after + 2000)
      await failed
      vi.useRealTimers()
      await client.api.rpc.add(0, 0)
      expect(made.streams.cancelled).toBe(1)
      client.close()
      await made.app.stop({ drain: 0 })
    } finally {
      vi.useRealTimers()
    }
  })

  test('are for the beginning of a stream, not for its length', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
    try {
      const made = createApp()
      await made.app.start()
      const client = node.createClient<App>({ url: 'memory:', transport: memoryClient(made.transport) })
      await client.connect()
      const iterator = client.api.rpc.count(100)[Symbol.asyncIterator]()
      expect(await iterator.next()).toEqual({ done: false, value: 0 })
      vi.advanceTimersByTime(36_000)
      const rest: number[] = []
      for await (const item of { [Symbol.asyncIterator]: () => iterator }) rest.push(item)
      expect(rest).toHaveLength(99)
      vi.useRealTimers()
      client.close()
      await made.app.stop({ drain: 0 })
    } finally {
      vi.useRealTimers()
    }
  })

  test('0 means none', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] })
    try {
      const made = createApp()
      await made.app.start()
      const client = node.createClient<App>({
        url: 'memory:',
        transport: memoryClient(made.transport),
        timeout: 0,
      })
      await client.connect()
      const call = client.api.rpc.wait()
      await client.api.rpc.add(0, 0)
      vi.advanceTimersByTime(36_000)
      made.release()
      expect(await call).toBe('released')
      vi.useRealTimers()
      client.close()
      await made.app.stop({ drain: 0 })
    } finally {
      vi.useRealTimers()
    }
  })
})

test('LogLines keeps nothing when nothing goes wrong', async () => {
  const log = new LogLines()
  const made = createApp({ log: log.target })
  await made.app.start()
  const client = node.createClient<App>({ url: 'memory:', transport: memoryClient(made.transport) })
  await client.connect()
  await client.api.rpc.add(1, 1)
  client.close()
  await made.app.stop()
  expect(log.of('error')).toEqual([])
  expect(log.of('warn')).toEqual([])
})
