import { once } from 'node:events'
import { Agent, createServer, get, request } from 'node:http'
import { type AddressInfo, connect, createServer as createNetServer } from 'node:net'
import { text } from 'node:stream/consumers'
import { describe, expect, onTestFinished, test } from 'vitest'
import { RecordingHost } from '../../src/testing/recording-host.js'
import { engineio } from '../../src/transports/engine-io.js'
import { sockjs } from '../../src/transports/sockjs.js'
import type { Transport } from '../../src/transports/transport.js'
import { ws } from '../../src/transports/ws.js'
import { ask, freshSession } from './sockjs-client.js'
import { connectWs, listeningServer, RawClient } from './ws-client.js'

const POLL = '/engine.io/?EIO=4&transport=polling'
const loopback = { host: '127.0.0.1' }

/** A port that nobody listens on. */
async function freePort(): Promise<number> {
  const server = createNetServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  return port
}

/** Transports to be stopped at the end of the test. */
function made<T extends Transport[]>(...transports: T): T {
  onTestFinished(async () => {
    await Promise.all(transports.map(transport => transport.stop()))
  })
  return transports
}

/** Three transports on one free port, or on a server. */
async function startedAll(place: { server?: ReturnType<typeof createServer> } = {}) {
  const options = place.server ? place : { port: 0, ...loopback }
  const host = new RecordingHost()
  const all = made(
    ws({ path: '/ws', ...options }),
    engineio(options),
    sockjs({ maxPayload: 100, ...options }),
  )
  for (const transport of all) await transport.start(host)
  return { host, all, port: all[0].address()?.port ?? 0 }
}

/** The status of a path, by a connection of its own. */
async function status(port: number, path: string): Promise<number> {
  const [response] = await once(get({ ...loopback, port, path, agent: false }), 'response')
  return response.resume().statusCode
}
const refused = { code: 'ECONNREFUSED' }

describe('transports with the same port', () => {
  test('share it, by one host if it is a free one', async () => {
    const { all, port, host } = await startedAll()
    expect(all.map(transport => transport.address()?.port)).toEqual([port, port, port])
    await connectWs(`ws://127.0.0.1:${port}/ws`)
    expect(await status(port, POLL)).toBe(200)
    expect(await status(port, '/sockjs/info')).toBe(200)
    expect(host.links).toHaveLength(2)
    const other = await startedAll()
    expect(other.port).not.toBe(port)
  })

  test('share it across hosts, each with clients of its own', async () => {
    const port = await freePort()
    const [first, second] = made(ws({ port, ...loopback }), sockjs({ port, ...loopback }))
    const hosts = [new RecordingHost(), new RecordingHost()] as const
    await Promise.all([first.start(hosts[0]), second.start(hosts[1])])
    await connectWs(`ws://127.0.0.1:${port}/`)
    expect((await ask(`http://127.0.0.1:${port}/sockjs/0/a/xhr`, { method: 'POST' })).body).toBe('o\n')
    expect(hosts.map(({ handshakes }) => handshakes.map(({ transport }) => transport))).toEqual([
      ['ws'],
      ['sockjs'],
    ])
  })

  test('stop one by one, the port with the last', async () => {
    const { all, port } = await startedAll()
    const [first, second, third] = all
    await first.stop()
    expect(first.address()).toBe(undefined)
    expect(await status(port, '/ws')).toBe(404)
    expect(await status(port, POLL)).toBe(200)
    await Promise.all([second.stop(), second.stop()])
    expect(await status(port, POLL)).toBe(404)
    expect(await status(port, '/sockjs')).toBe(200)
    await third.stop()
    await expect(status(port, '/sockjs')).rejects.toMatchObject(refused)
  })

  test('can be started again, on the same port, in another order', async () => {
    const port = await freePort()
    const all = made(ws({ port, path: '/ws', ...loopback }), engineio({ port, ...loopback }))
    for (const order of [all, all.toReversed(), all]) {
      await Promise.all(order.map(transport => transport.start(new RecordingHost())))
      await connectWs(`ws://127.0.0.1:${port}/ws`)
      expect(await status(port, POLL)).toBe(200)
      await Promise.all(order.map(transport => transport.stop()))
      await expect(status(port, POLL)).rejects.toMatchObject(refused)
    }
  })

  test('leave it as soon as none needs further connections, and clients stay', async () => {
    const { all, port, host } = await startedAll()
    const [webSockets, polling, other] = all
    const client = await connectWs(`ws://127.0.0.1:${port}/ws`)
    const { link, recorder } = await host.nextLink()
    webSockets.stopAccepting()
    await expect(connectWs(`ws://127.0.0.1:${port}/ws`)).rejects.toMatchObject({ data: { status: 503 } })
    expect(await status(port, '/sockjs/info')).toBe(200)
    await polling.stop()
    expect(await status(port, '/sockjs/info')).toBe(200)
    await other.stop()
    await expect(status(port, '/sockjs/info')).rejects.toMatchObject(refused)
    client.send('still here')
    expect(await recorder.received(1)).toEqual(['still here'])
    link.terminate()
  })

  test('are not put on a server that no longer listens', async () => {
    const port = await freePort()
    const [old, next, same] = made(
      ws({ port, ...loopback }),
      sockjs({ port, ...loopback }),
      ws({ port, ...loopback }),
    )
    const host = new RecordingHost()
    await old.start(host)
    const client = await connectWs(`ws://127.0.0.1:${port}/`)
    const { recorder } = await host.nextLink()
    old.stopAccepting()
    await next.start(new RecordingHost())
    expect(await status(port, '/sockjs')).toBe(200)
    await same.start(new RecordingHost())
    await connectWs(`ws://127.0.0.1:${port}/`)
    client.send('from before')
    expect(await recorder.received(1)).toEqual(['from before'])
    await old.stop()
    expect(await status(port, '/sockjs')).toBe(200)
  })

  test('leave nothing when they are stopped while they start', async () => {
    const port = await freePort()
    const all = made(
      ws({ port, ...loopback }),
      engineio({ port, ...loopback }),
      sockjs({ port, ...loopback }),
    )
    const starts = all.map(transport => transport.start(new RecordingHost()))
    await Promise.all([...starts, ...all.map(transport => transport.stop())])
    await expect(status(port, '/')).rejects.toMatchObject(refused)
    await all[0].start(new RecordingHost())
    await connectWs(`ws://127.0.0.1:${port}/`)
  })
})

describe('transports that cannot have their place', () => {
  test('reject with the cause, both of two that start at once, and start once the port is free', async () => {
    const { server, port } = await listeningServer(createServer())
    const all = made(ws({ port, ...loopback }), sockjs({ port, ...loopback }))
    const host = new RecordingHost()
    const results = await Promise.allSettled(all.map(transport => transport.start(host)))
    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'EADDRINUSE', port } })
    }
    expect(all.map(transport => transport.address())).toEqual([undefined, undefined])
    await once(server.close(), 'close')
    await Promise.all(all.map(transport => transport.start(host)))
    await connectWs(`ws://127.0.0.1:${port}/`)
    expect(await status(port, '/sockjs')).toBe(200)
  })

  test('reject with the cause when the address is not of this machine', async () => {
    const [transport] = made(ws({ port: 0, host: '192.0.2.1' }))
    await expect(transport.start(new RecordingHost())).rejects.toMatchObject({ code: 'EADDRNOTAVAIL' })
    await transport.stop()
  })

  test('are in use when another host has the path on the port', async () => {
    const port = await freePort()
    const [first, second] = made(ws({ port, ...loopback }), ws({ port, ...loopback }))
    await first.start(new RecordingHost())
    await expect(second.start(new RecordingHost())).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await connectWs(`ws://127.0.0.1:${port}/`)
    await first.stop()
    await second.start(new RecordingHost())
    await connectWs(`ws://127.0.0.1:${port}/`)
  })

  test.each([
    ['the same path', { path: '/engine.io' }, 'ws: engineio has the path /engine.io of this '],
    ['one below', { path: '/engine.io/' }, 'ws: engineio has the path /engine.io of this '],
  ])('are told who has it on a server or in a list: %s', async (_what, options, message) => {
    const { server } = await listeningServer(createServer())
    const places = [
      { place: { server }, kind: 'server' },
      { place: { port: await freePort(), ...loopback }, kind: 'port' },
    ]
    for (const { place, kind } of places) {
      const host = new RecordingHost()
      const [first, second] = made(engineio(place), ws({ ...options, ...place }))
      await first.start(host)
      await expect(second.start(host)).rejects.toMatchObject({
        code: 'INVALID_OPTION',
        message: `${message}${kind}; give another \`path\``,
      })
      await second.stop()
      await first.stop()
      await second.start(host)
    }
  })
})

/** What is answered to a request written by hand. */
async function answerTo(port: number, head: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`${head}\r\nHost: x\r\nConnection: close\r\n\r\n`)
  return text(socket)
}

/** The status of an upgrade; 101 when it is done. */
async function upgradeTo(port: number, path: string, headers = {}, version = '1.1'): Promise<number> {
  const client = new RawClient(port)
  const all = {
    Host: 'x',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    ...headers,
  }
  const lines = Object.entries({ 'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==', ...all })
  client.socket.write(
    `GET ${path} HTTP/${version}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
  )
  await client.upgraded()
  client.socket.destroy()
  return Number(client.received.subarray(9, 12).toString())
}

describe('an HTTP server of the transports', () => {
  // [request line, status on a server of their own, status on one whose app answers 299]
  test.each([
    ['GET /nothing HTTP/1.1', 404, 299],
    ['GET /ws HTTP/1.1', 426, 299],
    ['GET /ws?a HTTP/1.0', 426, 299],
    ['GET /sockjs HTTP/1.0', 200, 200],
    ['GET /nothing HTTP/1.0', 404, 299],
    ['GET http://example.com/sockjs HTTP/1.1', 200, 200],
    ['GET HTTP://example.com/sockjs/info?a HTTP/1.1', 200, 200],
    [`GET http://example.com${POLL} HTTP/1.1`, 200, 200],
    ['GET http://example.com/nothing HTTP/1.1', 404, 299],
    ['GET http://example.com HTTP/1.1', 404, 299],
    ['GET http://example.com?/sockjs HTTP/1.1', 404, 299],
    ['OPTIONS * HTTP/1.1', 404, 299],
    ['GET // HTTP/1.1', 404, 299],
    ['GET //example.com/sockjs HTTP/1.1', 404, 299],
    ['GET /%73ockjs HTTP/1.1', 404, 299],
    ['GET /SOCKJS HTTP/1.1', 404, 299],
    ['GET /sockjsx HTTP/1.1', 404, 299],
    ['GET /x/../sockjs HTTP/1.1', 404, 299],
    ['GET /sockjs/../x HTTP/1.1', 404, 404],
    ['GET /sockjs/%zz HTTP/1.1', 404, 404],
    ['GET /sockjs//// HTTP/1.1', 404, 404],
    ['GET /engine.io/../x HTTP/1.1', 404, 299],
    ['GET /engine.io/%00 HTTP/1.1', 404, 299],
    ['BREW /sockjs HTTP/1.1', 400, 400],
    ['GET nowhere HTTP/1.1', 400, 400],
  ])('answers %s with %i, and with %i if it was given', async (line, own, given) => {
    expect(await answerTo((await startedAll()).port, line)).toMatch(new RegExp(`^HTTP/1.1 ${own} `))
    const { server, port } = await listeningServer(
      createServer((_request, response) => response.writeHead(299).end()),
    )
    await startedAll({ server })
    expect(await answerTo(port, line)).toMatch(new RegExp(`^HTTP/1.1 ${given} `))
  })

  // [path, headers, version, status on a server of their own, status on one that was given]
  test.each([
    ['/ws', {}, '1.1', 101, 101],
    ['http://example.com/ws?a', {}, '1.1', 101, 101],
    ['http://example.com/engine.io/?EIO=4&transport=websocket', {}, '1.1', 101, 101],
    ['http://example.com/sockjs/0/absolute/websocket', {}, '1.1', 101, 101],
    ['/nothing', {}, '1.1', 404, 404],
    ['*', {}, '1.1', 404, 404],
    ['//', {}, '1.1', 404, 404],
    ['/%77s', {}, '1.1', 404, 404],
    ['/sockjs/../ws', {}, '1.1', 404, 404],
    ['/ws', {}, '1.0', 400, 400],
    ['/ws', { 'Sec-WebSocket-Key': 'short' }, '1.1', 400, 400],
    ['/ws', { Upgrade: 'h2c' }, '1.1', 400, 400],
    ['/nothing', { Upgrade: 'h2c' }, '1.1', 404, 299],
    ['/sockjs', { Upgrade: 'h2c' }, '1.1', 200, 200],
    [POLL, { Upgrade: 'h2c' }, '1.1', 200, 200],
    ['/sockjs', { Upgrade: 'h2c', 'Content-Length': '9' }, '1.1', 404, 404],
  ])('answers an upgrade on %s with %j by HTTP/%s', async (path, headers, version, own, given) => {
    expect(await upgradeTo((await startedAll()).port, path, headers, version)).toBe(own)
    const { server, port } = await listeningServer(
      createServer((_request, response) => response.writeHead(299).end()),
    )
    await startedAll({ server })
    expect(await upgradeTo(port, path, headers, version)).toBe(given)
    server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 298 Other\r\n\r\n'))
    const others = [404, 299].includes(given) && !path.startsWith('/sockjs') ? 298 : given
    expect(await upgradeTo(port, path, headers, version)).toBe(others)
  })
})

describe('a connection that is kept', () => {
  interface Ask {
    path: string
    method?: string
    headers?: Record<string, string>
    body?: string
  }

  /** Sends a request by an agent; tells which of its sockets it went by. */
  async function send(agent: Agent, port: number, { path, body, ...options }: Ask) {
    const sent = request({ host: '127.0.0.1', port, path, agent, ...options })
    const response = once(sent, 'response')
    sent.end(body)
    const [answer] = await response
    const via = answer.socket.localPort as number
    return { status: answer.statusCode as number, body: await text(answer), via }
  }

  test('is used again, and by no answer out of step after one that was refused', async () => {
    const { port } = await startedAll()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    const elsewhere = { Origin: 'https://evil.example' }
    const post = { method: 'POST' }
    const refusals: [Ask, number][] = [
      [{ path: '/nothing' }, 404],
      [{ path: '/nothing', ...post, body: 'x'.repeat(100_000) }, 404],
      [{ path: '/sockjs/nothing' }, 404],
      [{ path: `/sockjs${freshSession()}/xhr_send`, ...post, body: '["x"]' }, 404],
      [{ path: `/sockjs${freshSession()}/xhr_send`, ...post, body: 'x'.repeat(1000) }, 413],
      [{ path: `/sockjs${freshSession()}/xhr`, ...post, headers: elsewhere }, 403],
      [{ path: `/sockjs${freshSession()}/xhr_send`, ...post, headers: elsewhere, body: '["x"]' }, 403],
      [{ path: POLL, headers: elsewhere }, 403],
      [{ path: `${POLL}&sid=unknown` }, 400],
      [{ path: `${POLL}&sid=unknown`, ...post, body: '4x' }, 400],
      [{ path: '/ws' }, 426],
    ]
    const sockets: number[] = []
    for (const [refusal, expected] of refusals) {
      const session = `/sockjs${freshSession()}`
      const opened = await send(agent, port, { path: `${session}/xhr`, ...post })
      const told = await send(agent, port, { path: `${session}/xhr_send`, ...post, body: '["hi"]' })
      const polled = await send(agent, port, { path: POLL })
      expect([opened.body, told.status, told.body, polled.body[0]]).toEqual(['o\n', 204, '', '0'])
      expect([told.via, polled.via]).toEqual([opened.via, opened.via])
      sockets.push(opened.via)
      expect([refusal.path, (await send(agent, port, refusal)).status]).toEqual([refusal.path, expected])
    }
    // Those that the server answers without reading on close their connection.
    expect(new Set(sockets).size).toBeLessThan(sockets.length)
  })

  test('carries many requests at once, one after the other', async () => {
    const { port } = await startedAll()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        send(agent, port, { path: index % 2 === 0 ? POLL : `/sockjs/info?${index}` }),
      ),
    )
    expect(answers.map(({ status, body }) => [status, body[0]])).toEqual(
      answers.map((_, index) => [200, index % 2 === 0 ? '0' : '{']),
    )
    expect(new Set(answers.map(({ via }) => via)).size).toBe(1)
  })

  test('answers a large body that it refuses before it is whole', async () => {
    const { port } = await startedAll()
    for (const path of [`/sockjs${freshSession()}/xhr_send`, POLL, '/nothing']) {
      const client = new RawClient(port)
      client.socket.write(
        `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\r\n${'x'.repeat(1000)}`,
      )
      await client.upgraded()
      expect(client.received.toString()).toMatch(/^HTTP\/1\.1 4\d\d /)
      client.socket.destroy()
    }
  })

  test('answers requests that came at once in their order', async () => {
    const { port } = await startedAll()
    const targets = ['GET /sockjs', `GET ${POLL}`, `POST /sockjs${freshSession()}/xhr`, 'GET /sockjs/info']
    const head = (line: string) => `${line} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n`
    const requests = [...targets, ...targets.slice(0, 2)].map(line => `${head(line)}\r\n`)
    const socket = connect(port, '127.0.0.1')
    socket.write(`${requests.join('')}${head('GET /sockjs')}Connection: close\r\n\r\n`)
    const answers = (await text(socket)).split('HTTP/1.1 ').slice(1)
    const bodies = answers.map(answer => /Welcome|"sid"|\bo\n|entropy/.exec(answer)?.[0])
    expect(bodies).toEqual(['Welcome', '"sid"', 'o\n', 'entropy', 'Welcome', '"sid"', 'Welcome'])
  })

  test('answers nothing after a refusal that ends it', async () => {
    const { port, host } = await startedAll()
    const socket = connect(port, '127.0.0.1')
    const open = `POST /sockjs${freshSession()}/xhr HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n`
    socket.write(`${open}POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: ${open.length}\r\n\r\n${open}`)
    const answers = (await text(socket)).split('HTTP/1.1 ').slice(1)
    expect(answers.map(answer => answer.slice(0, 3))).toEqual(['200', '404'])
    // The body looked like a request, and was none.
    expect(host.handshakes).toHaveLength(1)
  })
})
