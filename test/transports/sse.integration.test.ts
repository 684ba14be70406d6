import { describe, expect, onTestFinished, test } from 'vitest'
import { createClient as createFallbackClient } from '../../src/client/fallback-node.js'
import { createClient as createBrowserClient } from '../../src/client/index.js'
import { createClient as createJsonClient } from '../../src/client/json-node.js'
import { type Client, createClient } from '../../src/client/node.js'
import { sse as sseLinks } from '../../src/client/sse.js'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { sse } from '../../src/transports/sse.js'
import { LogLines } from '../support/wire.js'

async function started(port = 0) {
  const transport = sse({ port, host: '127.0.0.1' })
  const app = new Server({ transport, log: new LogLines().target, env: 'test' })
    .service('rpc', rpc({ echo: (_ctx, value: unknown) => value, bye: ctx => ctx.connection.close('go') }))
    .service('chat', pubsub<{ line: [unknown] }>({ canPublish: () => true }))
  await app.start()
  onTestFinished(() => app.stop({ drain: 0 }))
  return { app, port: transport.address()?.port ?? 0, url: transport.address()?.url ?? '' }
}

type App = Awaited<ReturnType<typeof started>>['app']

/** Resolves once the client has this status. */
function status(client: Client<App>, wanted: string): Promise<void> {
  return new Promise(resolve => client.on('status', now => now === wanted && resolve()))
}

describe('a server and its client over SSE', () => {
  const makers = { createClient, createBrowserClient, createJsonClient }

  test.each(Object.entries(makers))('call, publish and carry bytes, by %s', async (_name, make) => {
    const { app, url } = await started()
    const client: Client<App> = make<App>({ url, transport: sseLinks() })
    onTestFinished(() => client.close())
    await client.connect()
    const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 256)
    expect(await client.api.rpc.echo(['grüße 👋\r\n', 1])).toEqual(['grüße 👋\r\n', 1])
    expect(Buffer.from((await client.api.rpc.echo(bytes)) as Uint8Array).equals(bytes)).toBe(true)
    const heard = new Promise<unknown>(resolve => client.api.chat.on('line', resolve))
    await client.api.chat.subscribe('room')
    app.api.chat.publish.channel('room', 'line', { from: 'the server' })
    expect(await heard).toEqual({ from: 'the server' })
  })

  test('keep the order of many calls at once', async () => {
    const { url } = await started()
    const client = createClient<App>({ url, transport: sseLinks() })
    onTestFinished(() => client.close())
    await client.connect()
    const calls = Array.from({ length: 3000 }, (_, i) => client.api.rpc.echo(i))
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 3000 }, (_, i) => i))
  })

  test('connect again after a restart, with the same status events as over ws', async () => {
    const { app, port, url } = await started()
    const client = createClient<App>({
      url,
      transport: sseLinks(),
      reconnect: { minDelay: 1, maxDelay: 20 },
    })
    onTestFinished(() => client.close())
    const seen: string[] = []
    client.on('status', now => seen.push(now))
    await client.connect()
    const waiting = status(client, 'waiting')
    await app.stop({ drain: 0 })
    await waiting
    const connected = status(client, 'connected')
    await started(port)
    await connected
    expect(await client.api.rpc.echo('back')).toBe('back')
    expect(seen.slice(0, 4)).toEqual(['connecting', 'connected', 'waiting', 'connecting'])
    expect(seen.at(-1)).toBe('connected')
  })

  test('end a connection that the server closes for good', async () => {
    const { url } = await started()
    const client = createClient<App>({ url, transport: sseLinks() })
    const closed = status(client, 'closed')
    await client.connect()
    await expect(client.api.rpc.bye()).rejects.toThrow()
    await closed
    expect(client.status).toBe('closed')
  })

  test('are one of the ways of the fallback client', async () => {
    const { url } = await started()
    const used: string[] = []
    const client = createFallbackClient<App>({
      url: new URL(url).origin,
      transports: ['ws', 'sse'],
      onTransport: name => used.push(name),
    })
    onTestFinished(() => client.close())
    await client.connect()
    expect(await client.api.rpc.echo(Uint8Array.of(1))).toEqual(Uint8Array.of(1))
    expect(used).toEqual(['sse'])
  })
})
