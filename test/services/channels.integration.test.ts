import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createClient as createJsonClient } from '../../src/client/json-node.js'
import { createClient } from '../../src/client/node.js'
import type { Engine } from '../../src/engines/engine.js'
import { lmdb } from '../../src/engines/lmdb.js'
import { Server } from '../../src/server.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import { type PubSubContext, pubsub, type Recovered } from '../../src/services/pubsub/index.js'
import { ws } from '../../src/transports/ws.js'
import { afterwards, likeBrowser, load, serve } from '../browser/support.js'
import { testServer, WireClient } from '../support/wire.js'

type Events = { said: [what: unknown] }

const chat = () =>
  pubsub<Events>({ canPublish: () => true, channels: { 'room:*': { history: { size: 100 } } } })

/** A server that listens when it is told to, so that something can be published before anybody is back. */
async function start(engine?: Engine) {
  const http = createServer()
  const app = new Server({
    transport: ws({ server: http }),
    env: 'test',
    client: false,
    ...(engine && { engine }),
  }).service('chat', chat())
  await app.start()
  const stop = async () => {
    await app.stop({ drain: 0 })
    if (!http.listening) return
    const closed = once(http.close(), 'close')
    http.closeAllConnections()
    await closed
  }
  afterwards(stop)
  const listen = async (port = 0) => {
    await once(http.listen(port, '127.0.0.1'), 'listening')
    return (http.address() as AddressInfo).port
  }
  return { app, listen, stop }
}

type App = Awaited<ReturnType<typeof start>>['app']

async function connect(port: number, create: typeof createClient = createClient) {
  const client = create<App>({
    url: `ws://127.0.0.1:${port}`,
    services: { chat: channelsClient },
    reconnect: { minDelay: 5, maxDelay: 20 },
  })
  afterwards(() => client.close())
  await client.connect()
  const { chat } = client.api
  const heard: unknown[] = []
  const waiting: { readonly what: unknown; readonly resolve: () => void }[] = []
  chat.on('said', what => {
    heard.push(what)
    for (const each of waiting) if (each.what === what) each.resolve()
  })
  const hears = (what: unknown) =>
    new Promise<void>(resolve => (heard.includes(what) ? resolve() : waiting.push({ what, resolve })))
  const recovery = () =>
    new Promise<Recovered>(resolve => {
      const off = chat.onrecovered((_channel, how) => {
        off()
        resolve(how)
      })
    })
  return { client, chat, heard, hears, recovery }
}

const clients = [
  ['msgpack', createClient],
  ['JSON', createJsonClient],
] as const

test.each(clients)('a client with %s misses nothing over a restart with lmdb', async (_name, create) => {
  const path = mkdtempSync(join(tmpdir(), 'channels-'))
  afterwards(() => rmSync(path, { recursive: true }))
  const before = lmdb({ path })
  const first = await start(before)
  const port = await first.listen()
  const one = await connect(port, create)
  await one.chat.subscribe('room:1')
  const place = await one.chat.publish('room:1', 'said', new Date(1))
  expect(place).toMatchObject({ offset: 1, duplicate: false })
  const recovery = one.recovery()
  await first.stop()
  await before.close()

  const after = lmdb({ path })
  const second = await start(after)
  afterwards(() => after.close())
  await second.app.api.chat.publish.acknowledged('room:1', 'said', 'meanwhile')
  await second.listen(port)
  expect(await recovery).toEqual({ recovered: true, count: 1 })
  second.app.api.chat.publish.channel('room:1', 'said', 'after')
  await one.hears('after')
  expect(one.heard).toEqual([new Date(1), 'meanwhile', 'after'])
  expect(one.chat.position('room:1')).toEqual({ epoch: place?.epoch, offset: 3 })
})

test('over a restart with the engine in memory a client is told that something is missing', async () => {
  const first = await start()
  const port = await first.listen()
  const one = await connect(port)
  await one.chat.subscribe('room:1')
  await one.chat.publish('room:1', 'said', 'before')
  const recovery = one.recovery()
  await first.stop()
  const second = await start()
  await second.app.api.chat.publish.acknowledged('room:1', 'said', 'meanwhile')
  await second.listen(port)
  expect(await recovery).toEqual({ recovered: false, reason: 'epoch', count: 0 })
  await second.app.api.chat.publish.acknowledged('room:1', 'said', 'after')
  await one.hears('after')
  expect(one.heard).toEqual(['before', 'after'])
})

test('the plain half is beside the recovering one on a channel, live', async () => {
  const { app, listen } = await start()
  const port = await listen()
  const one = await connect(port)
  await one.chat.subscribe('room:1')
  const plain = createClient<App>({ url: `ws://127.0.0.1:${port}` })
  afterwards(() => plain.close())
  await plain.connect()
  const heard = new Promise(resolve => plain.api.chat.once('said', resolve))
  await plain.api.chat.subscribe('room:1')
  await app.api.chat.publish.acknowledged('room:1', 'said', 'to both')
  expect(await heard).toBe('to both')
  await one.hears('to both')
})

test('everybody is published to but for one connection', async () => {
  const { app, listen } = await start()
  const port = await listen()
  const [one, two] = [await connect(port), await connect(port)]
  const [first, second] = [one.client.connectionId!, two.client.connectionId!]
  const { publish } = app.api.chat
  const spare = publish.with({ except: first })
  expect(spare.connection(first, 'said', 'to nobody')).toBe(false)
  expect(spare.connection(second, 'said', 'to the other')).toBe(true)
  spare.all('said', 'to the other')
  publish.all('said', 'to both')
  await Promise.all([one.hears('to both'), two.hears('to both')])
  expect([one.heard, two.heard]).toEqual([['to both'], ['to the other', 'to the other', 'to both']])
})

test('a session is published to but for one of its connections', async () => {
  const { app, transport } = testServer()
  let id = ''
  const canPublish = (ctx: PubSubContext) => {
    id = ctx.session.id
    return true
  }
  const { api } = app.service('chat', pubsub<Events>({ canPublish }))
  await app.start()
  afterwards(() => app.stop({ drain: 0 }))
  const one = await WireClient.open(transport)
  one.send([1, 1, 1, ['publish', 'nowhere', 'said', 0]])
  await one.next()
  const two = await WireClient.open(transport, { session: one.welcome.session })
  const { publish } = api.chat
  expect(publish.with({ except: one.welcome.cid as string }).session(id, 'said', 1)).toBe(1)
  expect(publish.session(id, 'said', 2)).toBe(2)
  expect((await one.received(3)).at(-1)).toEqual(['said', 2])
  expect((await two.received(3)).at(-1)).toEqual(['said', 2])
})

test('a built client has the half, and recovers', async () => {
  likeBrowser()
  const { app, origin } = await serve(server => [ws({ server })], { chat: chat() })
  const { publish } = (app as unknown as App).api.chat
  const since = await publish.acknowledged('room:1', 'said', 'first')
  await publish.acknowledged('room:1', 'said', 'second')
  const { code } = await app.buildClient()
  const client = (await load(code, origin)).createClient()
  afterwards(() => client.close())
  await client.connect()
  const heard: unknown[] = []
  client.api.chat.on('said', (what: unknown) => heard.push(what))
  expect(await client.api.chat.subscribe('room:1', { since })).toMatchObject({ recovered: true, count: 1 })
  expect(heard).toEqual(['second'])
  expect((await client.api.chat.history('room:1')).entries).toHaveLength(2)
})
