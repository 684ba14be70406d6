import { describe, expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../src/client/json.js'
import { createClient as createMsgpackClient } from '../../src/client/node.js'
import { sockJs } from '../../src/client/sockjs.js'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { sockjs } from '../../src/transports/sockjs.js'

async function startedApp(port = 0, services: { websocket?: boolean } = {}) {
  const app = new Server({
    log: () => undefined,
    transport: sockjs({ port, host: '127.0.0.1', ...services }),
  })
    .service('rpc', rpc({ add: (_ctx, a: number, b: number) => a + b }))
    .service('pubsub', pubsub<{ news: [unknown] }>())
  await app.start()
  onTestFinished(() => app.stop())
  const address = app.address()
  return { app, url: address?.url ?? '', port: address?.port ?? 0 }
}

describe.each(['websocket', 'xhr-streaming', 'xhr-polling', 'eventsource'])('the JSON client by %s', way => {
  test('calls and is published to', async () => {
    const { app, url } = await startedApp()
    const client = createClient<typeof app>({ url, transport: sockJs({ transports: way }) })
    onTestFinished(() => client.close())
    await client.connect()
    expect(await client.api.rpc.add(1, 2)).toBe(3)
    await client.api.pubsub.subscribe('room')
    const heard = new Promise(resolve => client.api.pubsub.on('news', resolve))
    app.api.pubsub.publish.channel('room', 'news', { grüße: '👋' })
    expect(await heard).toEqual({ grüße: '👋' })
  })

  test('comes back to a server that was restarted', async () => {
    const first = await startedApp()
    const client = createClient<typeof first.app>({
      url: first.url,
      transport: sockJs({ transports: way }),
      reconnect: { minDelay: 1, maxDelay: 10 },
    })
    onTestFinished(() => client.close())
    await client.connect()
    const states: string[] = []
    const back = new Promise<void>(resolve => {
      client.on('status', status => {
        states.push(status)
        if (status === 'connected') resolve()
      })
    })
    await first.app.stop()
    await startedApp(first.port)
    await back
    expect(states.slice(0, 2)).toEqual(['waiting', 'connecting'])
    expect(await client.api.rpc.add(2, 3)).toBe(5)
  })
})

describe('sockJs()', () => {
  test('falls back to HTTP where the server takes no WebSockets', async () => {
    const { app, url } = await startedApp(0, { websocket: false })
    const client = createClient<typeof app>({ url, transport: sockJs() })
    onTestFinished(() => client.close())
    await client.connect()
    expect(await client.api.rpc.add(1, 2)).toBe(3)
  })

  test('says 1006 when nothing is there', async () => {
    const client = createClient({ url: 'http://127.0.0.1:1/sockjs', transport: sockJs(), reconnect: false })
    await expect(client.connect()).rejects.toMatchObject({ code: 'NOT_CONNECTED', data: { code: 1006 } })
  })

  test('says what a URL lacks, and does not try again', async () => {
    const client = createClient({ url: 'nowhere', transport: sockJs() })
    await expect(client.connect()).rejects.toMatchObject({ code: 'NOT_CONNECTED', data: { code: 1002 } })
    expect(client.status).toBe('closed')
  })

  test('sends a client that speaks bytes to the JSON one', async () => {
    const { url } = await startedApp()
    const client = createMsgpackClient({ url, transport: sockJs({ transports: 'websocket' }) })
    await expect(client.connect()).rejects.toThrow('socketstream-server/client/json')
    expect(client.status).toBe('closed')
  })
})

describe('the options of sockjs()', () => {
  test.each([
    [{ port: 1, prefix: 'sockjs' }, "prefix: '/sockjs'"],
    [{ port: 1, websocket: 'no' }, 'websocket: false'],
    [{ port: 1, jsessionid: 1 }, 'jsessionid: true'],
    [{ port: 1, sockjs_url: '"><script>' }, 'sockjs_url: '],
    [{ port: 1, path: '/x' }, 'there is no option `path`'],
  ])('refuse %j', (options, message) => {
    expect(() => sockjs(options as { port: number })).toThrow(message)
  })
})
