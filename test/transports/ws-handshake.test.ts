import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer, get } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { describe, expect, test, vi } from 'vitest'
import { LinkRecorder } from '../../src/testing/link-recorder.js'
import { RecordingHost } from '../../src/testing/recording-host.js'
import { type WsOptions, ws } from '../../src/transports/ws.js'
import { connectWs, listeningServer, RawClient, startedWs } from './ws-client.js'

const wrong = (options: object) => () => ws(options as WsOptions)

describe('the options of ws()', () => {
  test.each([
    [{ host: '127.0.0.1' }, '`host` and `backlog` go with `port`'],
    [{ port: 1, server: createServer() }, 'both `port` and `server` are given'],
    [
      { port: '3001' },
      "ws: option `port` is '3001' (string); give a number from 0 to 65535, as in ws({ port: 3001 })",
    ],
    [{ port: 70_000 }, 'option `port` is 70000 (number)'],
    [{ server: () => undefined }, 'option `server` is a function; give the server itself'],
    [{ server: createServer(), host: '::1' }, '`host` and `backlog` go with `port`'],
    [{ port: 0, path: 'realtime' }, "option `path` is 'realtime' (string); give a path that begins with '/'"],
    [{ port: 0, maxPayload: 0 }, 'option `maxPayload` is 0 (number)'],
    [{ port: 0, heartbeat: '30s' }, "option `heartbeat` is '30s' (string); give milliseconds"],
    [{ port: 0, origins: ['example.com'] }, "option `origins` is 'example.com' (string)"],
    [{ port: 0, origins: 'https://example.com' }, "as in ws({ origins: ['https://example.com'] })"],
    [{ port: 0, trustProxy: 'nonsense' }, "option `trustProxy` is 'nonsense' (string)"],
    [{ port: 0, trustProxy: -1 }, 'option `trustProxy` is -1 (number)'],
    [{ port: 0, prot: 1 }, 'there is no option `prot`; the options are port, host,'],
  ])('are refused with the fix: %o', (options, message) => {
    expect(wrong(options)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(wrong(options)).toThrow(message)
  })
})

describe('the handshake of ws()', () => {
  test('describes the client to the host', async () => {
    const { host, url } = await startedWs({ path: '/realtime' })
    await connectWs(`${url}?token=1`, {}, ['a', 'b'], { headers: { 'X-Thing': 'y' } })
    expect(host.handshakes[0]).toMatchObject({
      transport: 'ws',
      url: '/realtime?token=1',
      clientIp: '127.0.0.1',
      secure: false,
      protocols: ['a', 'b'],
      headers: { 'x-thing': 'y' },
    })
  })

  test('answers a refusal with status, text and a closed socket', async () => {
    const { host, port } = await startedWs()
    host.decide = () => ({ accept: false, status: 401, message: 'Log in first' })
    const client = new RawClient(port).upgrade()
    await client.closed
    expect(client.received.toString()).toBe(
      'HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n' +
        'Content-Length: 12\r\n\r\nLog in first',
    )
  })

  test.each([
    ['a wrong key', { 'Sec-WebSocket-Key': 'short' }],
    ['a wrong version', { 'Sec-WebSocket-Version': '7' }],
    ['another protocol', { Upgrade: 'h2c' }],
  ])('answers 400 to %s, without asking the host', async (_what, headers) => {
    const { host, port } = await startedWs()
    const client = new RawClient(port).upgrade('/', headers)
    await client.closed
    expect(client.received.toString()).toMatch(/^HTTP\/1\.1 400 /)
    expect(host.calls).toEqual([])
  })

  test('answers 500 and logs when the host fails, or gives a header that cannot be sent', async () => {
    const { host, url } = await startedWs()
    host.decide = () => Promise.reject(new Error('broken'))
    await expect(connectWs(url)).rejects.toMatchObject({ data: { status: 500 } })
    host.decide = () => ({ accept: true, headers: { 'X-Split': 'a\r\nSet-Cookie: b' } })
    await expect(connectWs(url)).rejects.toMatchObject({ data: { status: 500 } })
    expect(host.logs.map(({ level }) => level)).toEqual(['error', 'error'])
    expect(host.links).toEqual([])
  })

  test('answers 408 when the host takes too long, and ignores its late verdict', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const { host, port } = await startedWs({ handshakeTimeout: 5000 })
    let accept: () => void = () => undefined
    host.decide = () => new Promise(resolve => (accept = () => resolve({ accept: true })))
    const client = new RawClient(port).upgrade()
    await vi.waitUntil(() => host.calls.length === 1)
    vi.advanceTimersByTime(5000)
    accept()
    await client.closed
    expect(client.received.toString()).toMatch(/^HTTP\/1\.1 408 /)
    expect(host.links).toEqual([])
  })

  test.each(['end', 'resetAndDestroy'] as const)(
    'does not connect a client that leaves during the verdict, by %s',
    async leave => {
      const { transport, host, port } = await startedWs()
      let accept: () => void = () => undefined
      const asked = new Promise<void>(resolve => {
        host.decide = () => {
          resolve()
          return new Promise(decided => (accept = () => decided({ accept: true })))
        }
      })
      const client = new RawClient(port).upgrade()
      await asked
      client.socket[leave]()
      // The server's end of the connection has to have noticed before the verdict is given.
      const other = new RawClient(port)
      await once(other.socket, 'connect')
      other.socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
      await other.closed
      accept()
      await client.closed
      await transport.stop()
      expect(host.links).toEqual([])
    },
  )

  test('answers 503 to more pending clients than allowed', async () => {
    const { host, port, url } = await startedWs({ maxPendingHandshakes: 1 })
    const asked = new Promise<void>(resolve => {
      host.decide = () => {
        resolve()
        return new Promise(() => undefined)
      }
    })
    new RawClient(port).upgrade()
    await asked
    await expect(connectWs(url)).rejects.toMatchObject({ data: { status: 503 } })
  })
})

describe('the origins of ws()', () => {
  const attempt = async (options: Partial<WsOptions>, headers: Record<string, string>) => {
    const { host, url } = await startedWs(options)
    try {
      await connectWs(url, {}, [], { headers })
      return { status: 101, host }
    } catch (error) {
      return { status: (error as { data: { status: number } }).data.status, host }
    }
  }
  const Host = 'example.com'

  test.each([
    ['takes no Origin', {}, {}, 101],
    ['takes the same host', {}, { Host, Origin: 'https://example.com' }, 101],
    [
      'takes the same host with the default port spelt out',
      {},
      { Host: 'example.com:443', Origin: 'https://example.com' },
      101,
    ],
    ['refuses another host', {}, { Host, Origin: 'https://evil.example' }, 403],
    ['refuses another port', {}, { Host, Origin: 'https://example.com:8443' }, 403],
    ['refuses a sandboxed page', {}, { Host, Origin: 'null' }, 403],
    [
      'does not believe a forwarded host',
      {},
      { Host, 'X-Forwarded-Host': 'a.example', Origin: 'https://a.example' },
      403,
    ],
    [
      'believes a trusted proxy',
      { trustProxy: true },
      { Host, 'X-Forwarded-Host': 'a.example', Origin: 'https://a.example' },
      101,
    ],
    [
      'takes a page on the list',
      { origins: ['https://A.example/'] },
      { Host, Origin: 'https://a.example' },
      101,
    ],
    [
      'refuses one that is not on it',
      { origins: ['https://a.example'] },
      { Host, Origin: 'https://example.com' },
      403,
    ],
    ['takes all', { origins: '*' as const }, { Host, Origin: 'null' }, 101],
    ['asks a function', { origins: (origin: string | undefined) => origin !== undefined }, {}, 403],
  ])('%s', async (_what, options, headers, expected) => {
    expect((await attempt(options, headers)).status).toBe(expected)
  })

  test('are named in the log with the way to allow them, once', async () => {
    const { host } = await attempt({}, { Host, Origin: 'https://evil.example' })
    expect(host.logs).toEqual([
      {
        level: 'warn',
        message:
          "Refused a page from https://evil.example; to allow it: ws({ origins: ['https://evil.example'] })",
      },
    ])
    expect(host.calls).toEqual([])
  })
})

describe('the client address of ws()', () => {
  const headers = { 'X-Forwarded-For': '1.1.1.1, 2.2.2.2', 'X-Forwarded-Proto': 'https' }

  test.each([
    [false, '127.0.0.1', false],
    [true, '1.1.1.1', true],
    [1, '2.2.2.2', true],
    ['loopback', '2.2.2.2', true],
    [['127.0.0.1/8', '2.2.2.2'], '1.1.1.1', true],
    ['10.0.0.0/8', '127.0.0.1', false],
    [(address: string) => address === '127.0.0.1', '2.2.2.2', true],
  ])('with trustProxy %o is %s', async (trustProxy, clientIp, secure) => {
    const { host, url } = await startedWs({ trustProxy })
    await connectWs(url, {}, [], { headers })
    expect(host.handshakes[0]).toMatchObject({ clientIp, secure })
  })
})

describe('the HTTP server of ws()', () => {
  const answer = async (port: number, path: string) => {
    const [response] = await once(get({ host: '127.0.0.1', port, path, agent: false }), 'response')
    response.resume()
    return response.statusCode
  }

  test('answers 426 on its path and 404 elsewhere', async () => {
    const { port, transport } = await startedWs({ path: '/realtime' })
    expect(await answer(port, '/realtime?x')).toBe(426)
    expect(await answer(port, '/other')).toBe(404)
    expect(transport.address()).toEqual({ url: `ws://127.0.0.1:${port}/realtime`, port })
  })

  test('answers 404 to an upgrade elsewhere', async () => {
    const { url } = await startedWs({ path: '/realtime' })
    await expect(connectWs(url.replace('/realtime', '/other'))).rejects.toMatchObject({
      data: { status: 404 },
    })
  })

  test('is called localhost when bound to every address', async () => {
    const transport = ws({ port: 0 })
    await transport.start(new RecordingHost())
    expect(transport.address()?.url).toMatch(/^ws:\/\/localhost:\d+\/$/)
    await transport.stop()
    expect(transport.address()).toBe(undefined)
  })

  test('can be stopped long after it stopped accepting', async () => {
    const { transport, url } = await startedWs()
    transport.stopAccepting()
    await expect(connectWs(url)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await transport.stop()
    expect(transport.address()).toBe(undefined)
  })

  test('is released at stop, whoever is connected to it', async () => {
    const { transport, host, port, url } = await startedWs()
    await connectWs(url)
    host.decide = () => new Promise(() => undefined)
    const clients = [new RawClient(port), new RawClient(port).upgrade()]
    await vi.waitUntil(() => host.calls.filter(call => call === 'authorize').length === 2)
    await transport.stop()
    await Promise.all(clients.map(({ closed }) => closed))
    const again = createServer()
    again.listen(port, '127.0.0.1')
    await once(again, 'listening')
    again.close()
  })
})

describe('a server given to ws()', () => {
  test('keeps its requests, and only lends its upgrades while started', async () => {
    const { server, port } = await listeningServer(createServer((_request, response) => response.end('app')))
    const { transport, host, url } = await startedWs({ server })
    expect(url).toBe(`ws://127.0.0.1:${port}/`)
    const seen = new LinkRecorder()
    await connectWs(url, seen)
    const { link } = await host.nextLink()
    link.send('hi')
    await seen.received(1)
    expect(server.listenerCount('upgrade')).toBe(1)
    await transport.stop()
    expect(server.listenerCount('upgrade')).toBe(0)
    expect(server.listening).toBe(true)
    const [response] = await once(get({ host: '127.0.0.1', port, agent: false }), 'response')
    expect(response.resume().statusCode).toBe(200)
  })

  test('answers 404 to unknown paths if no one else listens, and leaves them to others', async () => {
    const { server } = await listeningServer(createServer())
    const { url } = await startedWs({ server, path: '/a' })
    const other = url.replace('/a', '/b')
    await expect(connectWs(other)).rejects.toMatchObject({ data: { status: 404 } })
    const { host } = await startedWs({ server, path: '/b' })
    await connectWs(other)
    expect(host.links).toHaveLength(1)
  })

  test('gets a 503 for its clients once no more are accepted', async () => {
    const { server } = await listeningServer(createServer())
    const { transport, url } = await startedWs({ server })
    transport.stopAccepting()
    await expect(connectWs(url)).rejects.toMatchObject({ data: { status: 503 } })
  })

  test('may listen after start', async () => {
    const server = createServer()
    const { transport } = await startedWs({ server })
    expect(transport.address()).toBe(undefined)
    const { port } = await listeningServer(server)
    await connectWs(`ws://127.0.0.1:${port}/`)
    expect(transport.address()).toEqual({ url: `ws://127.0.0.1:${port}/`, port })
  })

  test('may speak TLS, with a heartbeat', async ({ skip }) => {
    const pem = selfSigned()
    if (!pem) return skip('there is no openssl to make a certificate with')
    const { server, port } = await listeningServer(createSecureServer({ key: pem, cert: pem }))
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const { transport, host, url } = await startedWs({ server, heartbeat: 1000 })
    expect(url).toBe(`wss://127.0.0.1:${port}/`)
    const seen = new LinkRecorder()
    const client = await connectWs(url, seen, [], { rejectUnauthorized: false })
    const { link, recorder } = await host.nextLink()
    expect(host.handshakes[0]?.secure).toBe(true)
    const frames = ['hi', Buffer.alloc(300_000, 1), 'bye']
    for (const frame of frames) {
      link.send(frame)
      client.send(frame)
    }
    expect(await seen.received(3)).toEqual(frames)
    expect(await recorder.received(3)).toEqual(frames)
    for (let pings = 1; pings <= 3; pings++) {
      const pinged = once(client.socket, 'ping')
      vi.advanceTimersByTime(2000)
      await pinged
      client.send('after the pong')
      await recorder.received(3 + pings)
    }
    expect(recorder.endings).toEqual([])
    await transport.stop()
    expect(server.listening).toBe(true)
  })
})

/** A key and a certificate for it, in one PEM. */
function selfSigned(): string | undefined {
  const options = '-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost'
  try {
    const out = ['-keyout', '-', '-out', '-']
    return execFileSync('openssl', ['req', ...options.split(' '), ...out], { stdio: 'pipe' }).toString()
  } catch {
    return undefined
  }
}
