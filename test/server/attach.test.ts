import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createNetServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { serve } from '@hono/node-server'
import { Server as SocketIo } from 'socket.io'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { engineIo } from '../../src/client/engine-io.js'
import { createClient as createJsonClient } from '../../src/client/json-node.js'
import { createClient } from '../../src/client/node.js'
import { sockJs } from '../../src/client/sockjs.js'
import { Server } from '../../src/server.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { ServiceDefinition } from '../../src/services/service.js'
import { LinkRecorder } from '../../src/testing/link-recorder.js'
import { RecordingHost } from '../../src/testing/recording-host.js'
import { engineio } from '../../src/transports/engine-io.js'
import { sockjs } from '../../src/transports/sockjs.js'
import type { Transport } from '../../src/transports/transport.js'
import { ws } from '../../src/transports/ws.js'
import { connectWs, listeningServer } from '../transports/ws-client.js'

const page = (request: IncomingMessage, response: ServerResponse) =>
  void response.end(`a page on ${request.url}`)
const loopback = { host: '127.0.0.1' }

/** A server with its transports, that is stopped at the end of the test. */
function madeApp(...transport: Transport[]) {
  const app = new Server({ transport, log: () => undefined }).service(
    'rpc',
    rpc({ add: (_ctx, a: number, b: number) => a + b }),
  )
  onTestFinished(() => app.stop())
  return app
}
type App = ReturnType<typeof madeApp>

/** Calls by each of the three transports. */
async function call(port: number): Promise<number[]> {
  const url = `http://127.0.0.1:${port}`
  const clients = [
    createClient<App>({ url: `ws://127.0.0.1:${port}/ws` }),
    createClient<App>({ url, transport: engineIo({ transports: ['polling'] }) }),
    createJsonClient<App>({ url: `${url}/sockjs`, transport: sockJs({ transports: 'xhr-polling' }) }),
  ]
  try {
    await Promise.all(clients.map(client => client.connect()))
    return await Promise.all(clients.map(({ api }) => api.rpc.add(1, 2)))
  } finally {
    for (const client of clients) client.close()
  }
}

const get = async (port: number, path: string) => (await fetch(`http://127.0.0.1:${port}${path}`)).text()

describe('app.attach()', () => {
  test('refuses what is no HTTP server, and comes before start()', async () => {
    const app = madeApp(ws())
    const express = () => undefined
    expect(() => app.attach(express as never)).toThrow(
      expect.objectContaining({
        code: 'INVALID_OPTION',
        message: expect.stringContaining('http.createServer'),
      }),
    )
    await app.attach(createServer()).start()
    expect(() => app.attach(createServer())).toThrow(expect.objectContaining({ code: 'INVALID_STATE' }))
  })

  test('is asked for when a transport has nowhere to listen', async () => {
    const app = madeApp(sockjs({ port: 0, ...loopback }), ws())
    await expect(app.start()).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringContaining('call app.attach(server) first'),
    })
    expect(app.address('sockjs')).toBe(undefined)
  })

  test('works before the server listens, and after', async () => {
    const server = createServer(page)
    const early = madeApp(ws({ path: '/ws' }), engineio(), sockjs()).attach(server)
    await early.start()
    expect(early.address()).toBe(undefined)
    const { port } = await listeningServer(server)
    expect(early.address()).toEqual({ url: `ws://127.0.0.1:${port}/ws`, port })
    expect(early.address('engineio')).toEqual({ url: `http://127.0.0.1:${port}/engine.io`, port })
    expect(early.address('sockjs')?.url).toBe(`http://127.0.0.1:${port}/sockjs`)
    expect(early.address('nothing')).toBe(undefined)
    expect(await call(port)).toEqual([3, 3, 3])
    await early.stop()
    const late = madeApp(ws({ path: '/ws' }), engineio(), sockjs()).attach(server)
    await late.start()
    expect(await call(port)).toEqual([3, 3, 3])
  })

  test('is for the transports that have no place of their own', async () => {
    const { server, port } = await listeningServer(createServer(page))
    const other = await listeningServer(createServer(page))
    const app = madeApp(
      ws({ path: '/ws' }),
      sockjs({ port: 0, ...loopback }),
      engineio({ server: other.server }),
    )
    await app.attach(server).start()
    expect(app.address('ws')?.port).toBe(port)
    expect(app.address('engineio')?.port).toBe(other.port)
    expect([port, other.port]).not.toContain(app.address('sockjs')?.port)
    expect(await get(port, '/sockjs')).toBe('a page on /sockjs')
  })

  test('shares the server with another Server, by path', async () => {
    const { server, port } = await listeningServer(createServer(page))
    const first = madeApp(ws({ path: '/ws' }), engineio()).attach(server)
    const second = madeApp(sockjs()).attach(server)
    await Promise.all([first.start(), second.start()])
    expect(await call(port)).toEqual([3, 3, 3])
    const third = madeApp(ws({ path: '/third' }), sockjs({ prefix: '/sockjs/below' })).attach(server)
    await expect(third.start()).rejects.toMatchObject({
      code: 'INVALID_OPTION',
      message: expect.stringMatching(/^sockjs: sockjs has the path \/sockjs of this server/),
    })
    await expect(connectWs(`ws://127.0.0.1:${port}/third`)).rejects.toMatchObject({ data: { status: 404 } })
    expect(await call(port)).toEqual([3, 3, 3])
  })

  test('keeps its paths from listeners that are added later', async () => {
    const { server, port } = await listeningServer(createServer(page))
    await madeApp(ws({ path: '/ws' }), engineio(), sockjs())
      .attach(server)
      .start()
    const seen = new Set<string>()
    for (const event of ['request', 'upgrade'] as const) {
      server.on(event, ({ url }: IncomingMessage) => seen.add(`${event} ${url}`))
      server.prependListener(event, ({ url }: IncomingMessage) => seen.add(`${event} ${url}`))
    }
    expect(await call(port)).toEqual([3, 3, 3])
    expect(await get(port, '/page')).toBe('a page on /page')
    expect([...seen]).toEqual(['request /page'])
  })

  test('leaves the requests of the server alone when it stops', async () => {
    const held: ServerResponse[] = []
    let arrived = (): void => undefined
    const { server, port } = await listeningServer(
      createServer((_request, response) => {
        held.push(response)
        arrived()
      }),
    )
    const app = madeApp(ws({ path: '/ws' }), engineio(), sockjs()).attach(server)
    await app.start()
    const waiting = new Promise<void>(resolve => (arrived = resolve))
    const answer = get(port, '/slow')
    await waiting
    await app.stop()
    held[0]?.end('done at last')
    expect(await answer).toBe('done at last')
    expect(server.listening).toBe(true)
    expect(server.listenerCount('upgrade')).toBe(0)
  })

  test('works with the server that `serve` of Hono returns', async () => {
    const fetch = () => new Response('a page')
    const server = await new Promise<ReturnType<typeof createServer>>(resolve => {
      const made = serve({ fetch, port: 0, hostname: '127.0.0.1' }, () => resolve(made as never))
    })
    onTestFinished(() => void server.close())
    await madeApp(ws({ path: '/ws' }), engineio(), sockjs())
      .attach(server)
      .start()
    const { port } = server.address() as AddressInfo
    expect(await call(port)).toEqual([3, 3, 3])
    expect(await get(port, '/')).toBe('a page')
    await expect(connectWs(`ws://127.0.0.1:${port}/nothing`)).rejects.toThrow()
    server.closeAllConnections()
  })
})

describe('an attached server with others on it', () => {
  const attachOurs = async (server: ReturnType<typeof createServer>) => {
    const app = madeApp(ws({ path: '/ws' }), engineio(), sockjs()).attach(server)
    await app.start()
    return app
  }
  const attachWs = async (server: ReturnType<typeof createServer>) => {
    const other = new WebSocketServer({ server, path: '/other' })
    other.on('connection', socket => socket.send('from ws'))
    onTestFinished(() => other.close())
  }
  const attachSocketIo = async (server: ReturnType<typeof createServer>) => {
    const io = new SocketIo(server, { destroyUpgradeTimeout: 1, serveClient: false })
    onTestFinished(() => void io.close())
  }

  const others = async (port: number, has: { ws: boolean; io: boolean }) => {
    if (has.ws) {
      expect(await firstFrame(`ws://127.0.0.1:${port}/other`)).toBe('from ws')
    }
    if (!has.io) return
    expect(await get(port, '/socket.io/?EIO=4&transport=polling')).toMatch(/^0\{"sid":/)
    const url = `ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`
    expect(await firstFrame(url)).toMatch(/^0\{"sid":/)
  }

  test.each([
    ['ws before', [attachWs, attachOurs], { ws: true, io: false }],
    ['ws after', [attachOurs, attachWs], { ws: true, io: false }],
    ['Socket.IO before', [attachSocketIo, attachOurs], { ws: false, io: true }],
    ['Socket.IO after', [attachOurs, attachSocketIo], { ws: false, io: true }],
  ])('serves them all: %s', async (_what, attachAll, has) => {
    const { server, port } = await listeningServer(createServer(page))
    let ours: App | undefined
    for (const attach of attachAll) ours = (await attach(server)) ?? ours
    await others(port, has)
    expect(await call(port)).toEqual([3, 3, 3])
    expect(await get(port, '/')).toBe('a page on /')
    await ours?.stop()
    await others(port, has)
    expect(await get(port, '/sockjs')).toBe('a page on /sockjs')
    await attachOurs(server)
    await others(port, has)
    expect(await call(port)).toEqual([3, 3, 3])
  })

  test('has time to decide on a client, though Socket.IO ends upgrades that it does not know', async () => {
    const { server, port } = await listeningServer(createServer())
    const transport = ws({ server, path: '/ws' })
    onTestFinished(() => transport.stop())
    const host = new RecordingHost()
    let accept = (): void => undefined
    const asked = new Promise<void>(resolve => {
      host.decide = () => {
        resolve()
        return new Promise(decided => (accept = () => decided({ accept: true })))
      }
    })
    await transport.start(host)
    await attachSocketIo(server)
    const client = connectWs(`ws://127.0.0.1:${port}/ws`)
    await asked
    // This one came later, and has been ended: so would the other have been, that came by then.
    await expect(connectWs(`ws://127.0.0.1:${port}/unknown`)).rejects.toThrow()
    accept()
    expect((await client).socket.readyState).toBe(1)
  })
})

describe('a start() that cannot have a port', () => {
  const life: string[] = []
  const service = {
    server(server) {
      life.push('started')
      server.onstop = () => void life.push('stopped')
      return {}
    },
  } satisfies ServiceDefinition

  test('stops services, unbinds the other transports and tells the cause', async () => {
    life.length = 0
    const foreign = createNetServer().listen(0, '127.0.0.1')
    await once(foreign, 'listening')
    const { port } = foreign.address() as AddressInfo
    const own = createNetServer().listen(0, '127.0.0.1')
    await once(own, 'listening')
    const { port: free } = own.address() as AddressInfo
    await once(own.close(), 'close')

    const build = () =>
      madeApp(
        sockjs({ port: free, ...loopback }),
        ws({ port: free, ...loopback }),
        engineio({ port, ...loopback }),
      ).service('life', service)
    const app = build()
    await expect(app.start()).rejects.toMatchObject({ code: 'EADDRINUSE', port })
    expect(life).toEqual(['started', 'stopped'])
    expect(app.address()).toBe(undefined)
    await expect(connectWs(`ws://127.0.0.1:${free}/`)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await once(foreign.close(), 'close')
    const again = build()
    await again.start()
    expect([again.address('ws')?.port, again.address('engineio')?.port]).toEqual([free, port])
    await again.stop()
    const last = build()
    await last.start()
    await connectWs(`ws://127.0.0.1:${free}/`)
  })

  test('fails for the second of two servers on one port and path, and leaves the first alone', async () => {
    const first = madeApp(ws({ port: 0, ...loopback }))
    await first.start()
    const port = first.address()?.port ?? 0
    const second = madeApp(sockjs({ port: 0, ...loopback }), ws({ port, ...loopback }))
    await expect(second.start()).rejects.toMatchObject({ code: 'EADDRINUSE' })
    expect(second.address()).toBe(undefined)
    await second.stop()
    await connectWs(`ws://127.0.0.1:${port}/`)
  })

  test('gives an attached server back when a port fails', async () => {
    const { server, port } = await listeningServer(createServer(page))
    const app = madeApp(ws({ path: '/ws' }), sockjs({ port, ...loopback })).attach(server)
    await expect(app.start()).rejects.toMatchObject({ code: 'EADDRINUSE' })
    expect(server.listenerCount('upgrade')).toBe(0)
    expect(await get(port, '/ws')).toBe('a page on /ws')
    await madeApp(ws({ path: '/ws' }))
      .attach(server)
      .start()
    await connectWs(`ws://127.0.0.1:${port}/ws`)
  })
})

test.each([
  ['a port', ''],
  ['an attached server', '.attach(server)'],
])('a process that has started and stopped on %s ends by itself', async (_what, attach) => {
  const script = `
    import { createServer } from 'node:http'
    import { Server } from 'socketstream-server'
    import { createClient } from 'socketstream-server/client'
    import { engineIo } from 'socketstream-server/client/transports/engine-io'
    import { engineio } from 'socketstream-server/transports/engine-io'
    import { sockjs } from 'socketstream-server/transports/sockjs'
    import { ws } from 'socketstream-server/transports/ws'
    const server = createServer()
    const place = ${attach === '' ? '{ port: 0 }' : '{}'}
    const app = new Server({ transport: [ws({ path: '/ws', ...place }), engineio(place), sockjs(place)] })${attach}
    await app.start()
    ${attach === '' ? '' : 'await new Promise(done => server.listen(0, done))'}
    const options = { url: 'http://localhost:' + app.address().port, reconnect: false }
    const clients = [
      createClient({ ...options, url: app.address().url }),
      createClient({ ...options, transport: engineIo({ transports: ['polling'] }) }),
    ]
    await Promise.all(clients.map(client => client.connect()))
    await app.stop()
    server.close()
    server.closeAllConnections()
    console.log('stopped')`
  const cwd = fileURLToPath(new URL('../../', import.meta.url))
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { cwd })
  onTestFinished(() => void child.kill('SIGKILL'))
  const printed = Promise.all([text(child.stdout), text(child.stderr)])
  expect(await once(child, 'exit')).toEqual([0, null])
  expect(await printed).toEqual(['stopped\n', ''])
})

/** The first frame that a WebSocket server sends. */
async function firstFrame(url: string): Promise<unknown> {
  const seen = new LinkRecorder()
  const { socket } = await connectWs(url, seen)
  const [frame] = await seen.received(1)
  socket.terminate()
  return frame
}
