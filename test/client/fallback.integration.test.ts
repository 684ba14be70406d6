import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { createClient as createBrowserClient } from '../../src/client/fallback-client.js'
import { type Client, createClient, type FallbackClientOptions } from '../../src/client/fallback-node.js'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { engineio } from '../../src/transports/engine-io.js'
import { sockjs } from '../../src/transports/sockjs.js'
import { ws } from '../../src/transports/ws.js'
import { type UpgradeMode, UpgradeRefusingProxy } from '../support/upgrade-refusing-proxy.js'
import { LogLines } from '../support/wire.js'

const transports = ['ws', 'engineio', 'sockjs'] as const

/** A server with all transports on one HTTP server. */
async function started() {
  const server = createServer((_request, response) => response.writeHead(404).end())
  const transport = [ws({ server }), engineio({ server }), sockjs({ server })]
  const app = new Server({ transport, log: new LogLines().target, env: 'test' })
    .service('rpc', rpc({ echo: (_ctx, value: unknown) => value }))
    .service('chat', pubsub<{ line: [string] }>({ canPublish: () => true }))
  await app.start()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const stop = async () => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    await app.stop({ drain: 0 })
    server.closeAllConnections()
    await closed
  }
  onTestFinished(stop)
  return { app, stop, port: (server.address() as AddressInfo).port }
}

type App = Awaited<ReturnType<typeof started>>['app']

async function behindProxy(mode: UpgradeMode) {
  const served = await started()
  const proxy = await UpgradeRefusingProxy.listening(served.port, mode)
  onTestFinished(() => proxy.close())
  return { ...served, proxy }
}

function clientOf(
  proxy: UpgradeRefusingProxy,
  options: Partial<FallbackClientOptions> = {},
  make: typeof createClient = createClient,
) {
  const used: string[] = []
  const onTransport = (name: string) => void used.push(name)
  const client = make<App>({ url: `http://${proxy.host}`, transports, onTransport, ...options })
  onTestFinished(() => client.close())
  return { client, used }
}

async function expectToWork(app: App, client: Client<App>) {
  const bytes = Uint8Array.from({ length: 10_000 }, (_, i) => i % 256)
  expect(await client.api.rpc.echo(['hi', new Date(1)])).toEqual(['hi', new Date(1)])
  expect(Buffer.from((await client.api.rpc.echo(bytes)) as Uint8Array).equals(bytes)).toBe(true)
  const heard = new Promise<string>(resolve => client.api.chat.on('line', resolve))
  await client.api.chat.subscribe('room')
  app.api.chat.publish.channel('room', 'line', 'from the server')
  expect(await heard).toBe('from the server')
}

const makers = { 'the Node client': createClient, 'the browser client': createBrowserClient }

describe.each(Object.entries(makers))('%s', (_name, make) => {
  // Node has none before version 22.
  beforeEach(() => void vi.stubGlobal('WebSocket', WebSocket))
  afterEach(() => void vi.unstubAllGlobals())

  test('takes WebSockets where they pass', async () => {
    const { app, proxy } = await behindProxy('pass')
    const { client, used } = clientOf(proxy, {}, make)
    await client.connect()
    expect(used).toEqual(['ws'])
    expect(proxy.asked).toEqual(['UPGRADE /'])
    await expectToWork(app, client)
  })

  test('takes Engine.IO where upgrades are refused', async () => {
    const { app, proxy } = await behindProxy('refuse')
    const { client, used } = clientOf(proxy, {}, make)
    await client.connect()
    expect(used).toEqual(['engineio'])
    expect(proxy.asked.slice(0, 2)).toEqual(['UPGRADE /', 'GET /engine.io/'])
    await expectToWork(app, client)
  })

  test('takes SockJS over XHR with JSON where Engine.IO is blocked too', async () => {
    const { app, proxy } = await behindProxy('refuse')
    proxy.blocked = ['/engine.io']
    const { client, used } = clientOf(proxy, {}, make)
    await client.connect()
    expect(used).toEqual(['sockjs'])
    const last = proxy.asked.at(-1)
    expect(last).toMatch(/^POST \/sockjs\/\w+\/\w+\/xhr/)
    await expectToWork(app, client)
  })
})

test('the browser client takes the next where there is no WebSocket', async () => {
  const { app, proxy } = await behindProxy('pass')
  vi.stubGlobal('WebSocket', undefined)
  onTestFinished(() => void vi.unstubAllGlobals())
  const { client, used } = clientOf(proxy, {}, createBrowserClient)
  await client.connect()
  expect(used).toEqual(['engineio'])
  await expectToWork(app, client)
})

test('an upgrade that gets no answer is given up after the timeout', async () => {
  const { app, proxy } = await behindProxy('swallow')
  const { client, used } = clientOf(proxy)
  const swallowed = proxy.swallowed()
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
  const connected = client.connect()
  await swallowed
  vi.advanceTimersByTime(5000)
  vi.useRealTimers()
  await connected
  expect(used).toEqual(['engineio'])
  await expectToWork(app, client)
})

test('what worked is tried first after a restart of the server', async () => {
  const { stop, proxy } = await behindProxy('refuse')
  const { client, used } = clientOf(proxy, { reconnect: { minDelay: 60_000 } })
  await client.connect()
  const waiting = new Promise<void>(resolve =>
    client.on('status', status => status === 'waiting' && resolve()),
  )
  await stop()
  await waiting
  const { app, port } = await started()
  proxy.target = port
  proxy.asked.length = 0
  await client.connect()
  expect(proxy.asked).toContain('GET /engine.io/')
  expect(proxy.asked).not.toContain('UPGRADE /')
  expect(used).toEqual(['engineio', 'engineio'])
  await expectToWork(app, client)
})

test('what worked gives way to the others when it is blocked', async () => {
  const { app, proxy } = await behindProxy('refuse')
  const remember = { get: () => 'sockjs', set: vi.fn() }
  proxy.blocked = ['/sockjs']
  const { client, used } = clientOf(proxy, { fallback: { remember } })
  await client.connect()
  expect(used).toEqual(['engineio'])
  expect(remember.set.mock.calls).toEqual([['engineio']])
  expect(proxy.asked.slice(0, 3)).toEqual(['GET /sockjs/info', 'UPGRADE /', 'GET /engine.io/'])
  await expectToWork(app, client)
})

test('when all are blocked, the reason has each of them, and the client tries again', async () => {
  const { proxy } = await behindProxy('refuse')
  proxy.blocked = ['/engine.io', '/sockjs']
  const { client } = clientOf(proxy, { reconnect: { minDelay: 60_000 } })
  await expect(client.connect()).rejects.toMatchObject({
    code: 'NOT_CONNECTED',
    data: { code: 1006, reason: expect.stringMatching(/^ws: .*403; engineio: .+; sockjs: .+/) },
  })
  expect(client.status).toBe('waiting')
  client.close()
})

test('other paths are tried where they are given', async () => {
  const { proxy } = await behindProxy('refuse')
  const { client } = clientOf(proxy, {
    url: `ws://${proxy.host}/realtime`,
    transports: ['ws', { name: 'engineio', url: '/eio' }, { name: 'sockjs', url: '/sock' }],
    reconnect: false,
  })
  await expect(client.connect()).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
  expect(proxy.asked).toEqual(['UPGRADE /realtime', 'GET /eio/', 'GET /sock/info'])
})

test('a URL that is none ends the client at once', async () => {
  const client = createClient({ url: 'nowhere', transports })
  await expect(client.connect()).rejects.toMatchObject({ data: { code: 1002 } })
  expect(client.status).toBe('closed')
})
