import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { createClient as createBrowserClient, webSocket } from '../../src/client/index.js'
import { createClient as createJsonClient } from '../../src/client/json-node.js'
import { type Client, createClient } from '../../src/client/node.js'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { ws } from '../../src/transports/ws.js'
import { LogLines } from '../support/wire.js'

const stops: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function start(options: Parameters<typeof ws>[0] = { port: 0, host: '127.0.0.1' }) {
  const log = new LogLines()
  const app = new Server({ transport: ws(options), log: log.target, env: 'test' })
    .service(
      'rpc',
      rpc({
        echo: (_ctx, value: unknown) => value,
        where: ctx => ctx.clientIp,
        count: async function* (_ctx, n: number) {
          for (let i = 0; i < n; i++) yield i
        },
      }),
    )
    .service('chat', pubsub<{ line: [string] }>({ canPublish: () => true }))
  await app.start()
  stops.push(() => app.stop({ drain: 0 }))
  return { app, log, url: app.address()?.url as string }
}

type App = Awaited<ReturnType<typeof start>>['app']

const makers = [
  ['the Node client', (url: string): Client<App> => createClient<App>({ url })],
  ['the Node client with JSON', (url: string): Client<App> => createJsonClient<App>({ url })],
  [
    'the browser client',
    (url: string): Client<App> => createBrowserClient<App>({ url, transport: webSocket(WebSocket as never) }),
  ],
] as const

const values = {
  nothing: null,
  yes: true,
  number: -1.5,
  big: 2n ** 63n,
  negative: -(2n ** 63n),
  text: 'æøå 漢字 🎈',
  bytes: new Uint8Array([0, 1, 254, 255]),
  date: new Date(1_700_000_000_123),
  list: [1, [2, [3]]],
  set: new Set([1, 'two', new Set([3])]),
  infinity: Number.POSITIVE_INFINITY,
}

describe.each(makers)('%s over a real WebSocket', (_name, make) => {
  test('calls, streams, subscribes and carries every agreed value both ways', async () => {
    const { app, url } = await start()
    const client = make(url)
    stops.push(() => client.close())
    await client.connect()
    expect(await client.api.rpc.echo(values)).toEqual(values)
    expect(await client.api.rpc.echo('x'.repeat(500_000))).toHaveLength(500_000)
    const items: number[] = []
    for await (const item of client.api.rpc.count(200)) items.push(item)
    expect(items).toHaveLength(200)
    const lines: string[] = []
    client.api.chat.on('line', line => lines.push(line))
    await client.api.chat.subscribe('room')
    app.api.chat.publish.channel('room', 'line', 'from the server')
    await client.api.chat.publish('room', 'line', 'from a client')
    expect(lines).toEqual(['from the server', 'from a client'])
  })

  test('refuses what is too big for the server, and goes on', async () => {
    const { url } = await start()
    const client = make(url)
    stops.push(() => client.close())
    await client.connect()
    const inFlight = client.api.rpc.echo('small')
    await expect(client.api.rpc.echo('x'.repeat(1_100_000))).rejects.toMatchObject({ code: 'FRAME_TOO_BIG' })
    expect(await inFlight).toBe('small')
    expect(client.status).toBe('connected')
  })

  test('says what is wrong with a URL, and with a server that is not there', async () => {
    const nowhere = make('nonsense')
    await expect(nowhere.connect()).rejects.toMatchObject({
      code: 'NOT_CONNECTED',
      message: expect.stringContaining('nonsense'),
    })
    expect(nowhere.status).toBe('closed')
    const { app, url } = await start()
    await app.stop()
    const client = make(url)
    stops.push(() => client.close())
    await expect(client.connect()).rejects.toMatchObject({ message: expect.stringContaining('ECONNREFUSED') })
    expect(client.status).toBe('waiting')
  })

  test('never calls another service than it means after a reconnect', async () => {
    const services = (names: string[]) => {
      const app = new Server({ transport: ws({ port, host: '127.0.0.1' }) })
      for (const name of names) app.service(name, rpc({ who: () => name }))
      return app
    }
    let port = 0
    const first = services(['users', 'temp'])
    await first.start()
    port = first.address()?.port as number
    const client = make(first.address()?.url as string) as unknown as Client<never>
    stops.push(() => client.close())
    await client.connect()
    const api = client.api as unknown as Record<string, { who(): Promise<string> }>
    const { users, temp } = api
    expect(await temp?.who()).toBe('temp')
    const again = new Promise<void>(resolve => {
      let lost = false
      client.on('status', status => {
        lost ||= status === 'waiting'
        if (lost && status === 'connected') resolve()
      })
    })
    await first.stop()
    const second = services(['other', 'users'])
    await second.start()
    stops.push(() => second.stop({ drain: 0 }))
    await again
    expect(await users?.who()).toBe('users')
    await expect(temp?.who()).rejects.toMatchObject({ code: 'UNKNOWN_SERVICE' })
  })

  test('comes back when the server has been restarted', async () => {
    const first = await start()
    const port = first.app.address()?.port as number
    const client = make(first.url)
    stops.push(() => client.close())
    await client.connect()
    const waiting = new Promise<void>(resolve =>
      client.on('status', status => status === 'waiting' && resolve()),
    )
    const again = new Promise<void>(resolve =>
      client.on('status', status => status === 'connected' && resolve()),
    )
    await first.app.stop()
    await waiting
    await start({ port, host: '127.0.0.1' })
    await again
    expect(await client.api.rpc.echo(1)).toBe(1)
  })
})

describe('a server on ws', () => {
  test('serves clients of several codecs at once, one broadcast reaching all', async () => {
    const { app, url } = await start()
    const heard: string[] = []
    const clients = makers.map(([, make]) => make(url))
    for (const [index, client] of clients.entries()) {
      stops.push(() => client.close())
      await client.connect()
      client.api.chat.on('line', line => heard.push(`${index} ${line}`))
      await client.api.chat.subscribe('room')
    }
    app.api.chat.publish.channel('room', 'line', 'to all')
    app.api.chat.publish.all('line', 'everyone')
    for (const client of clients) await client.api.rpc.echo(0)
    expect(heard.sort()).toEqual(clients.flatMap((_, i) => [`${i} everyone`, `${i} to all`]).sort())
  })

  test('shares an http.Server and leaves it open', async () => {
    const server = createServer((_req, res) => res.end('page'))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    stops.push(() => server.close())
    const { port } = server.address() as AddressInfo
    const { app } = await start({ server, path: '/realtime' })
    const client = createClient<App>({ url: `ws://127.0.0.1:${port}/realtime` })
    await client.connect()
    expect(await client.api.rpc.where()).toBe('127.0.0.1')
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('page')
    client.close()
    await app.stop()
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toBe('page')
    server.closeAllConnections()
  })

  test('fails to start when the port is taken, with the cause, and can be stopped', async () => {
    const { app } = await start()
    const rival = new Server({ transport: ws({ port: app.address()?.port as number, host: '127.0.0.1' }) })
    await expect(rival.start()).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await rival.stop()
  })

  test('answers a message that shares its packet with a close frame', async () => {
    const { url } = await start()
    const socket = new WebSocket(url, 'ss1.json')
    await once(socket, 'open')
    socket.send('[16,{"v":1}]')
    await once(socket, 'message')
    const answers: string[] = []
    socket.on('message', data => answers.push(String(data)))
    socket.send('[1,1,1,["echo","last words"]]')
    socket.close(1000)
    await once(socket, 'close')
    expect(answers).toContain('[2,1,"last words"]')
  })

  test('survives hostile frames, each closing only its sender', async () => {
    const { url } = await start()
    const bystander = createClient<App>({ url })
    stops.push(() => bystander.close())
    await bystander.connect()
    const frames = [
      'c1',
      '93',
      '940101',
      'dd7fffffff',
      `${'91'.repeat(1000)}c0`,
      '9310c0',
      '9200',
      'd47200',
      '',
    ]
    for (const hex of frames) {
      const socket = new WebSocket(url, 'ss1.msgpack')
      await once(socket, 'open')
      socket.send(Buffer.from(hex, 'hex'))
      const [code] = (await once(socket, 'close')) as [number]
      expect([hex, code]).toEqual([hex, 4400])
    }
    expect(await bystander.api.rpc.echo('alive')).toBe('alive')
  })
})
