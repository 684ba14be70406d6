import { once } from 'node:events'
import { createServer } from 'node:http'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { RecordingHost } from '../../src/testing/recording-host.js'
import { engineio } from '../../src/transports/engine-io.js'
import type { HttpOptions } from '../../src/transports/http-options.js'
import { sockjs } from '../../src/transports/sockjs.js'
import type { Transport } from '../../src/transports/transport.js'
import { ws } from '../../src/transports/ws.js'
import { exchange, http, Peer, parsed } from './raw-echo.js'
import { listeningServer } from './ws-client.js'

const UPGRADE = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version': '13',
}
const EIO = '/engine.io/?EIO=4&transport='

let names = 0
const session = () => `/sockjs/0/bad-${names++}`

/** How each transport is opened by hand: the request, what says that it is open, and a message. */
interface Way {
  readonly make: (options: HttpOptions) => Transport
  readonly open: () => Buffer
  readonly opened: string
  /** Whether the answer is that of an upgrade. */
  readonly upgrades: boolean
}

const WAYS: Record<string, Way> = {
  ws: {
    make: ws,
    open: () => http('GET', '/', UPGRADE),
    opened: '\r\n\r\n',
    upgrades: true,
  },
  'engineio by WebSocket': {
    make: engineio,
    open: () => http('GET', `${EIO}websocket`, UPGRADE),
    opened: '}',
    upgrades: true,
  },
  'engineio by polling': {
    make: engineio,
    open: () => http('GET', `${EIO}polling`),
    opened: '}',
    upgrades: false,
  },
  'sockjs by WebSocket': {
    make: sockjs,
    open: () => http('GET', `${session()}/websocket`, UPGRADE),
    opened: '\x81\x01o',
    upgrades: true,
  },
  'sockjs by xhr': {
    make: sockjs,
    open: () => http('POST', `${session()}/xhr`, {}, ''),
    opened: 'o\n',
    upgrades: false,
  },
  'sockjs by streaming': {
    make: sockjs,
    open: () => http('POST', `${session()}/xhr_streaming`, {}, ''),
    opened: 'o\n',
    upgrades: false,
  },
}
const EACH = Object.entries(WAYS)

async function started({ make }: Pick<Way, 'make'>, options: HttpOptions = {}) {
  const transport = make({ port: 0, host: '127.0.0.1', ...options })
  const host = new RecordingHost()
  await transport.start(host)
  onTestFinished(() => transport.stop())
  return { transport, host, port: transport.address()?.port ?? 0 }
}

/** Opens one client by hand; gives its link. */
async function connected(way: Way, { host, port }: Awaited<ReturnType<typeof started>>) {
  const peer = new Peer(port).say(way.open())
  onTestFinished(() => peer.leave())
  await peer.until(way.opened)
  return { peer, ...(await host.nextLink()) }
}

const turn = () => new Promise(resolve => setImmediate(resolve))

describe.each(EACH)('a request of %s', (_name, way) => {
  test('with slow headers is dropped, and the others go on', async () => {
    const place = await started(way, { handshakeTimeout: 500 })
    const { recorder } = await connected(way, place)
    const slow = new Peer(place.port).say('GET / HTTP/1.1\r\nHost: x\r\n')
    expect(await slow.end()).toMatch(/^HTTP\/1\.1 408 /)
    await connected(way, place)
    expect(recorder.endings).toEqual([])
  })

  test('that is no HTTP is answered 400', async () => {
    const place = await started(way)
    const peer = new Peer(place.port).say('\x16\x03\x01\x02\x00 this is no request\r\n\r\n')
    expect(await peer.end()).toMatch(/^HTTP\/1\.1 400 /)
    await connected(way, place)
  })

  test('with headers without end is answered 431', async () => {
    const place = await started(way)
    const peer = new Peer(place.port).say(`GET / HTTP/1.1\r\nX: ${'x'.repeat(100_000)}`)
    expect(await peer.end()).toMatch(/^HTTP\/1\.1 431 /)
    await connected(way, place)
  })
})

describe.each(EACH)('the verdict on a client of %s', (_name, way) => {
  test('that takes too long is a 408, whatever comes later', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const place = await started(way, { handshakeTimeout: 5_000 })
    let accept: () => void = () => undefined
    const asked = new Promise<void>(resolve => {
      place.host.decide = () => {
        resolve()
        return new Promise(decided => (accept = () => decided({ accept: true })))
      }
    })
    const peer = new Peer(place.port).say(way.open())
    await asked
    vi.advanceTimersByTime(5_000)
    expect(await peer.end()).toMatch(/^HTTP\/1\.1 408 /)
    accept()
    vi.useRealTimers()
    place.host.decide = () => ({ accept: true })
    await connected(way, place)
    expect(place.host.links).toHaveLength(1)
  })

  test('is not given to more clients at once than allowed: 503', async () => {
    const place = await started(way, { maxPendingHandshakes: 1 })
    let accept: () => void = () => undefined
    const asked = new Promise<void>(resolve => {
      place.host.decide = () => {
        resolve()
        return new Promise(decided => (accept = () => decided({ accept: true })))
      }
    })
    const first = new Peer(place.port).say(way.open())
    onTestFinished(() => first.leave())
    await asked
    expect(await new Peer(place.port).say(way.open()).end()).toMatch(/^HTTP\/1\.1 503 /)
    accept()
    await first.until(way.opened)
    expect(place.host.links).toHaveLength(1)
  })

  test.each(['destroy', 'resetAndDestroy'] as const)(
    'comes too late for one that left by %s',
    async leave => {
      const place = await started(way)
      let accept: () => void = () => undefined
      const asked = new Promise<void>(resolve => {
        place.host.decide = () => {
          resolve()
          return new Promise(decided => (accept = () => decided({ accept: true })))
        }
      })
      const peer = new Peer(place.port).say(way.open())
      await asked
      peer.socket[leave]()
      await peer.end()
      // A later connection's answer: the server has noticed by then.
      await exchange(place.port, 'GET', '/nothing')
      await turn()
      accept()
      await place.transport.stop()
      expect(place.host.calls).toEqual(['authorize'])
    },
  )

  test('has headers for the answer, of upgrades too', async () => {
    const place = await started(way)
    place.host.decide = () => ({ accept: true, headers: { 'Set-Cookie': 'sid=1; HttpOnly' } })
    const { peer } = await connected(way, place)
    expect(parsed(peer.heard).headers['set-cookie']).toBe('sid=1; HttpOnly')
    place.host.decide = () => ({ accept: true })
    const other = await connected(way, place)
    expect(parsed(other.peer.heard).headers['set-cookie']).toBe(undefined)
  })
})

describe('an upgrade', () => {
  const UPGRADES = EACH.filter(([, way]) => way.upgrades)
  const WRONG = [
    ['a wrong key', { 'Sec-WebSocket-Key': 'short' }],
    ['no key', { 'Sec-WebSocket-Key': '' }],
    ['a wrong version', { 'Sec-WebSocket-Version': '7' }],
  ] as const

  test.each(
    UPGRADES.flatMap(([name, way]) => WRONG.map(([what, headers]) => [name, what, way, headers] as const)),
  )('of %s with %s is refused', async (name, _what, way, headers) => {
    const place = await started(way)
    const path = way.open().toString().split(' ')[1] ?? ''
    const peer = new Peer(place.port).say(http('GET', path, { ...UPGRADE, ...headers }))
    const key = 'Sec-WebSocket-Key' in headers
    // faye-websocket takes any key but answers what no client would believe.
    if (name.startsWith('sockjs') && key) {
      await peer.until('\r\n\r\n')
      peer.leave()
      expect(peer.heard).not.toContain('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
    } else expect(await peer.end()).toMatch(/^HTTP\/1\.1 4\d\d /)
    await connected(way, place)
  })
})

describe.each(EACH)('a client of %s that never reads', (name, way) => {
  test('fills its link, costs the others nothing, and leaves nothing behind', async () => {
    const highWaterMark = 100_000
    const place = await started(way, { highWaterMark })
    const { peer, link, recorder } = await connected(way, place)
    peer.socket.pause()
    const frame = 'x'.repeat(50_000)
    // Past what the system buffers on its way.
    for (let sent = 0; link.send(frame) && sent < 2_000; sent++) await turn()
    const waiting = link.bufferedBytes
    expect(waiting).toBeGreaterThan(highWaterMark)
    expect(waiting).toBeLessThan(highWaterMark + 2 * frame.length)
    expect(link.send('x')).toBe(false)
    expect(recorder.drains).toBe(0)
    // The others are let in, and get what is sent to them.
    const other = await connected(way, place)
    other.link.send('for you')
    if (name.startsWith('engineio by WebSocket') || name === 'ws') await other.peer.until('for you')
    if (name === 'sockjs by WebSocket' || name.endsWith('streaming')) await other.peer.until('a["for you"]')
    expect(other.link.bufferedBytes).toBeLessThan(100)
    link.terminate()
    expect(await recorder.ended()).toEqual({ code: 1006, reason: '' })
    expect(link.bufferedBytes).toBe(0)
    expect(link.send('x')).toBe(false)
  })
})

describe('polling that is left half open', () => {
  test.each(['engineio by polling', 'sockjs by xhr'])('by a slow body for %s is dropped', async name => {
    const place = await started(WAYS[name]!, { handshakeTimeout: 500 })
    const { peer } = await connected(WAYS[name]!, place)
    const other = await connected(WAYS[name]!, place)
    const sid = /"sid":"([\w-]+)"/.exec(peer.heard)?.[1]
    const path = sid ? `${EIO}polling&sid=${sid}` : `${session()}/xhr_send`
    const slow = new Peer(place.port).say(http('POST', path, { 'Content-Length': '9' }))
    expect(await slow.end()).toMatch(/^(HTTP\/1\.1 408 |$)/)
    expect(other.recorder.endings).toEqual([])
  })

  test('ends a client of engineio that does not poll, nor answer pings', async () => {
    const place = await started({
      make: options => engineio({ ...options, pingInterval: 20, pingTimeout: 20 }),
    })
    const { recorder } = await connected(WAYS['engineio by polling']!, place)
    expect(await recorder.ended()).toEqual({ code: 1006, reason: '' })
  })

  test('ends one by WebSocket that answers no pings', async () => {
    const place = await started({
      make: options => engineio({ ...options, pingInterval: 20, pingTimeout: 20 }),
    })
    const { recorder } = await connected(WAYS['engineio by WebSocket']!, place)
    expect(await recorder.ended()).toEqual({ code: 1006, reason: '' })
  })

  test('ends an upgrade of engineio that goes no further, and not its session', async () => {
    const place = await started({ make: options => engineio({ ...options, upgradeTimeout: 20 }) })
    const { peer, recorder } = await connected(WAYS['engineio by polling']!, place)
    const sid = /"sid":"([\w-]+)"/.exec(peer.heard)?.[1]
    const trial = new Peer(place.port).say(http('GET', `${EIO}websocket&sid=${sid}`, UPGRADE))
    await trial.until('\r\n\r\n')
    await trial.until('\x88')
    trial.leave()
    expect(recorder.endings).toEqual([])
    const sent = await exchange(place.port, 'POST', `${EIO}polling&sid=${sid}`, {}, '4hi')
    expect(parsed(sent).body).toBe('ok')
    expect(recorder.frames).toEqual(['hi'])
  })

  test('ends a client of sockjs that does not come back', async () => {
    const place = await started({ make: options => sockjs({ ...options, disconnect_delay: 20 }) })
    const { recorder } = await connected(WAYS['sockjs by xhr']!, place)
    expect(await recorder.ended()).toEqual({ code: 1006, reason: '' })
  })
})

describe('a message that is too large', () => {
  test('for sockjs is closed with 1009 by WebSocket, and the others go on', async () => {
    const way = WAYS['sockjs by WebSocket']!
    const place = await started({ make: options => sockjs({ ...options, maxPayload: 100 }) })
    const { peer, recorder } = await connected(way, place)
    const other = await connected(way, place)
    // A header that tells of 64 KiB.
    peer.say(Buffer.from('81ff000000000001000000000000', 'hex'))
    expect(await peer.end()).toContain('\x03\xf1')
    await recorder.ended()
    expect(recorder.frames).toEqual([])
    other.link.send('hi')
    await other.peer.until('a["hi"]')
    expect(other.recorder.endings).toEqual([])
  })

  test.each(['engineio by polling', 'sockjs by xhr'])(
    'is 413 for %s, also without a told length',
    async name => {
      const way = WAYS[name]!
      const small = name.startsWith('engineio')
        ? { maxHttpBufferSize: 100 }
        : { maxPayload: 100, disconnect_delay: 500 }
      const place = await started({ make: options => way.make({ ...options, ...small } as HttpOptions) })
      const request = way.open()
      const peer = new Peer(place.port).say(request)
      await peer.until(way.opened)
      const { recorder } = await place.host.nextLink()
      const other = await connected(way, place)
      const sid = /"sid":"([\w-]+)"/.exec(peer.heard)?.[1]
      const path = sid
        ? `${EIO}polling&sid=${sid}`
        : `${request.toString().split(' ')[1]?.replace(/xhr$/, 'xhr_send')}`
      const post = new Peer(place.port).say(
        `POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`,
      )
      const chunk = `3e8\r\n${'4'.repeat(1000)}\r\n`
      await post.say(chunk).until('\r\n\r\n')
      post.leave()
      expect(post.heard).toMatch(/^HTTP\/1\.1 413 /)
      expect((await recorder.ended()).code).toBe(1009)
      expect(recorder.frames).toEqual([])
      expect(other.recorder.endings).toEqual([])
    },
  )
})

describe('several transports on one server', () => {
  test('each take what is theirs, and give it back', async () => {
    const { server, port } = await listeningServer(
      createServer((_request, response) => response.end('a page')),
    )
    const hosts = [new RecordingHost(), new RecordingHost(), new RecordingHost(), new RecordingHost()]
    const transports = [
      ws({ server, path: '/ws' }),
      engineio({ server }),
      sockjs({ server }),
      sockjs({ server, prefix: '/other' }),
    ]
    for (const [i, transport] of transports.entries()) await transport.start(hosts[i]!)
    const peers = [
      http('GET', '/ws', UPGRADE),
      http('GET', `${EIO}websocket`, UPGRADE),
      http('GET', `${session()}/websocket`, UPGRADE),
      http('GET', '/other/0/a/websocket', UPGRADE),
    ].map(request => new Peer(port).say(request))
    await Promise.all(hosts.map(host => host.nextLink()))
    expect(hosts.map(host => host.calls)).toEqual(hosts.map(() => ['authorize', 'connect']))
    const greeting = async (path: string) => parsed(await exchange(port, 'GET', path)).body
    expect(await greeting('/sockjs')).toBe('Welcome to SockJS!\n')
    expect(await greeting('/other')).toBe('Welcome to SockJS!\n')
    expect(await greeting('/')).toBe('a page')
    await transports[2]!.stop()
    expect(await greeting('/sockjs')).toBe('a page')
    expect(await greeting('/other')).toBe('Welcome to SockJS!\n')
    expect(parsed(await exchange(port, 'GET', `${EIO}polling`)).status).toBe(200)
    for (const transport of transports) await transport.stop()
    expect(await greeting('/other')).toBe('a page')
    await Promise.all(peers.map(peer => peer.end()))
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  })
})
