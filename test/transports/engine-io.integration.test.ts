import { describe, expect, onTestFinished, test } from 'vitest'
import { engineIo } from '../../src/client/engine-io.js'
import { createClient as createBrowserClient } from '../../src/client/index.js'
import { createClient as createJsonClient } from '../../src/client/json-node.js'
import { type Client, createClient } from '../../src/client/node.js'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { engineio } from '../../src/transports/engine-io.js'
import { LogLines } from '../support/wire.js'

async function started(port = 0) {
  const transport = engineio({ port, host: '127.0.0.1' })
  const app = new Server({ transport, log: new LogLines().target, env: 'test' })
    .service('rpc', rpc({ echo: (_ctx, value: unknown) => value }))
    .service('chat', pubsub<{ line: [string] }>({ canPublish: () => true }))
  await app.start()
  onTestFinished(() => app.stop({ drain: 0 }))
  return { app, port: transport.address()?.port ?? 0, url: transport.address()?.url ?? '' }
}

type App = Awaited<ReturnType<typeof started>>['app']

const WAYS = {
  polling: { transports: ['polling'] },
  WebSocket: { transports: ['websocket'] },
  'polling, then WebSocket': {},
}

describe.each(Object.entries(WAYS))('a server and its client over Engine.IO by %s', (_way, options) => {
  const makers = { createClient, createBrowserClient, createJsonClient }

  test.each(Object.entries(makers))('call, publish and carry bytes, by %s', async (_name, make) => {
    const { app, url } = await started()
    const client: Client<App> = make<App>({ url, transport: engineIo(options) })
    onTestFinished(() => client.close())
    await client.connect()
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 256)
    expect(await client.api.rpc.echo(['hi', 1])).toEqual(['hi', 1])
    expect(Buffer.from((await client.api.rpc.echo(bytes)) as Uint8Array).equals(bytes)).toBe(true)
    const heard = new Promise<string>(resolve => client.api.chat.on('line', resolve))
    await client.api.chat.subscribe('room')
    app.api.chat.publish.channel('room', 'line', 'from the server')
    expect(await heard).toBe('from the server')
  })

  test('connect again after a restart', async () => {
    const { app, port } = await started()
    const client = createClient<App>({
      url: `http://127.0.0.1:${port}`,
      transport: engineIo(options),
      reconnect: { minDelay: 1, maxDelay: 20 },
    })
    onTestFinished(() => client.close())
    await client.connect()
    const waiting = new Promise<void>(resolve =>
      client.on('status', status => status === 'waiting' && resolve()),
    )
    await app.stop({ drain: 0 })
    await waiting
    const connected = new Promise<void>(resolve =>
      client.on('status', status => status === 'connected' && resolve()),
    )
    await started(port)
    await connected
    expect(await client.api.rpc.echo('back')).toBe('back')
  })
})

describe('engineIo()', () => {
  test('closes with 1006 where nothing listens, and 1002 for a URL that is none', async () => {
    const ending = (url: string) =>
      new Promise<number>(resolve => {
        engineIo().open(url, [], { opened() {}, frame() {}, closed: resolve })
      })
    expect(await ending('http://127.0.0.1:1')).toBe(1006)
    expect(await ending('nowhere')).toBe(1002)
  })
})
