import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { addressKey } from '../../src/actors/address-key.js'
import { type HandshakeBounds, HandshakeLimits } from '../../src/actors/handshake-limits.js'
import { Server } from '../../src/server.js'
import { manualClock } from '../../src/testing/manual-clock.js'
import { engineio } from '../../src/transports/engine-io.js'
import { boundedServer } from '../../src/transports/http.js'
import type { HttpOptions } from '../../src/transports/http-options.js'
import { sockjs } from '../../src/transports/sockjs.js'
import { sse } from '../../src/transports/sse.js'
import type { Transport } from '../../src/transports/transport.js'
import { ws } from '../../src/transports/ws.js'
import { testServer, WireClient } from '../support/wire.js'
import { exchange, http, Peer, parsed } from '../transports/raw-echo.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const WIDE: HandshakeBounds = {
  connections: 1_000_000,
  connectionsPerAddress: 1_000_000,
  handshakesPerSecond: 1_000_000,
  handshakesPerAddress: 1_000_000,
}
function limited(bounds: Partial<HandshakeBounds>) {
  const clock = manualClock()
  return { clock, limits: new HandshakeLimits({ ...WIDE, ...bounds }, clock.now) }
}

describe('an address', () => {
  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::ffff:c000:207', '192.0.2.7'],
    ['64:ff9b::192.0.2.7', '64:ff9b:0:0::/64'],
    ['', ''],
    ['unknown', 'unknown'],
    ['1:2:3', '1:2:3'],
    ['1::2::3', '1::2::3'],
    ['::12345', '::12345'],
    ['::1.2.3.256', '::1.2.3.256'],
    ['1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8:9'],
    ['x'.repeat(1000), 'x'.repeat(64)],
  ])('%s counts as %s', (address, key) => {
    expect(addressKey(address)).toBe(key)
  })

  test('is one with all of its /64, however it is written', () => {
    const group = fc.integer({ min: 0, max: 0xffff })
    fc.assert(
      fc.property(
        fc.array(group, { minLength: 4, maxLength: 4 }),
        fc.array(group, { minLength: 4, maxLength: 4 }),
        (net, host) => {
          const hex = (groups: number[]) => groups.map(one => one.toString(16)).join(':')
          const short = addressKey(`${hex(net)}::`)
          // All zeros before ffff is IPv4, which counts by itself.
          fc.pre(net.some(one => one !== 0))
          expect(addressKey(`${hex(net)}:${hex(host)}`)).toBe(short)
          expect(addressKey(`${hex(net)}:${hex(host)}`.toUpperCase())).toBe(short)
        },
      ),
    )
  })
})

describe('handshakes', () => {
  test('of an address may come at once for ten seconds of its rate, then one by one', () => {
    const { clock, limits } = limited({ handshakesPerAddress: 3 })
    for (let n = 0; n < 30; n++) expect(limits.take('192.0.2.1')).toBeUndefined()
    expect(limits.take('192.0.2.1')).toEqual({ why: 'handshakesPerAddress', retryAfter: 333 })
    expect(limits.take('192.0.2.2')).toBeUndefined()
    clock.advance(334)
    expect(limits.take('192.0.2.1')).toBeUndefined()
    expect(limits.take('192.0.2.1')).toMatchObject({ why: 'handshakesPerAddress' })
    clock.advance(60_000)
    for (let n = 0; n < 30; n++) expect(limits.take('192.0.2.1')).toBeUndefined()
    expect(limits.take('192.0.2.1')).toMatchObject({ why: 'handshakesPerAddress' })
  })

  test('of one address, refused, take nothing from the rate of all', () => {
    const { limits } = limited({ handshakesPerAddress: 1, handshakesPerSecond: 2 })
    for (let n = 0; n < 1000; n++) limits.take('192.0.2.1')
    for (let n = 0; n < 10; n++) expect(limits.take(`192.0.2.${n + 2}`)).toBeUndefined()
    expect(limits.take('192.0.2.99')).toMatchObject({ why: 'handshakes' })
  })

  test('are given back to the address of whoever resumes, and not to all', () => {
    const { limits } = limited({ handshakesPerAddress: 1, handshakesPerSecond: 11 })
    for (let n = 0; n < 100; n++) {
      expect(limits.take('192.0.2.1')).toBeUndefined()
      limits.exempt('192.0.2.1')
    }
    for (let n = 0; n < 10; n++) expect(limits.take('192.0.2.1')).toBeUndefined()
    expect(limits.take('192.0.2.1')).toMatchObject({ why: 'handshakesPerAddress' })
    expect(limits.take('192.0.2.2')).toMatchObject({ why: 'handshakes' })
  })

  test('are never more in any time than the burst and the rate allow', () => {
    const step = fc.record({
      wait: fc.integer({ min: 0, max: 4000 }),
      tries: fc.integer({ min: 1, max: 60 }),
    })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), fc.array(step, { maxLength: 30 }), (rate, steps) => {
        const { clock, limits } = limited({ handshakesPerAddress: rate })
        const taken: number[] = []
        for (const { wait, tries } of steps) {
          clock.advance(wait)
          for (let n = 0; n < tries; n++) if (limits.take('192.0.2.1') === undefined) taken.push(clock.now())
        }
        const tooMany = taken.filter((begin, from) =>
          taken.some((end, to) => to >= from && to - from > rate * 10 + ((end - begin) * rate) / 1000),
        )
        expect(tooMany).toEqual([])
      }),
      { numRuns: 50 },
    )
  })

  test('of any number of addresses are remembered within bounds', () => {
    const { limits } = limited({})
    for (let n = 0; n < 70_000; n++)
      limits.take(`2001:db8:${(n >> 8).toString(16)}:${(n & 255).toString(16)}::1`)
    expect(limits.addresses).toBe(65_536)
  })
})

describe('links', () => {
  test('are counted by address and in all, and free their place when they are gone', () => {
    const { limits } = limited({ connections: 3, connectionsPerAddress: 2 })
    expect(limits.opened('192.0.2.1')).toBe(true)
    expect(limits.opened('192.0.2.1')).toBe(true)
    expect(limits.take('192.0.2.1')).toMatchObject({ why: 'connectionsPerAddress' })
    expect(limits.take('192.0.2.2')).toBeUndefined()
    expect(limits.opened('192.0.2.2')).toBe(true)
    expect(limits.take('192.0.2.3')).toMatchObject({ why: 'connections' })
    expect(limits.opened('192.0.2.3')).toBe(false)
    limits.closed('192.0.2.3')
    limits.closed('192.0.2.1')
    expect(limits.take('192.0.2.1')).toBeUndefined()
    limits.closed('192.0.2.1')
    limits.closed('192.0.2.2')
    expect(limits.links).toBe(0)
  })

  test('that were let in together and are too many are closed as too many', async () => {
    let open = (_user: string): void => undefined
    const both = new Promise<string>(resolve => {
      open = resolve
    })
    const { app, transport } = testServer({ authenticate: () => both, limits: { connections: 1 } })
    await app.start()
    cleanups.push(() => app.stop())
    const waiting = [WireClient.silent(transport), WireClient.silent(transport)]
    open('ann')
    const [, second] = await Promise.all(waiting)
    await second!.ended()
    expect(second!.closed).toMatchObject({ code: 4505 })
    expect(app.statistics()).toMatchObject({ connections: { links: 1 }, overloads: 1 })
  })

  test('of a client that comes and goes leave nothing behind', async () => {
    const { app, transport } = testServer({ limits: { connectionsPerAddress: 1 } })
    await app.start()
    cleanups.push(() => app.stop())
    for (let n = 0; n < 20; n++) {
      const client = await WireClient.open(transport)
      await expect(WireClient.silent(transport)).rejects.toMatchObject({ data: { status: 429 } })
      client.send([22, 1000, null])
      await client.ended()
      while (app.statistics().connections.links > 0) await new Promise(resolve => setImmediate(resolve))
    }
    expect(app.statistics().connections).toMatchObject({
      open: 0,
      welcomed: 20,
      refused: { connectionsPerAddress: 20 },
    })
  })
})

const UPGRADE = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version': '13',
}
let names = 0
const WAYS: Record<string, [make: (options: HttpOptions) => Transport, request: () => Buffer]> = {
  ws: [ws, () => http('GET', '/', UPGRADE)],
  sse: [sse, () => http('GET', '/sse', { Accept: 'text/event-stream' })],
  'sockjs by WebSocket': [sockjs, () => http('GET', '/sockjs/0/a/websocket', UPGRADE)],
  'sockjs by xhr': [sockjs, () => http('POST', `/sockjs/0/s${names++}/xhr`, {}, '')],
  'engineio by WebSocket': [engineio, () => http('GET', '/engine.io/?EIO=4&transport=websocket', UPGRADE)],
  'engineio by polling': [engineio, () => http('GET', '/engine.io/?EIO=4&transport=polling')],
}

describe.each(Object.entries(WAYS))('over %s', (_name, [make, request]) => {
  async function served(limits: object) {
    const app = new Server({
      transport: make({ port: 0, host: '127.0.0.1', trustProxy: true }),
      env: 'production',
      limits,
    })
    await app.start()
    cleanups.push(() => app.stop({ drain: 0 }))
    return { app, port: app.address()!.port! }
  }

  test('a client too many of its address is answered 429, of all 503, and when to come again', async () => {
    const { app, port } = await served({ handshakesPerAddress: 1, connections: 11 })
    const from = (address: string) => {
      const [head, ...rest] = request().toString('latin1').split('\r\n')
      return [head, `X-Forwarded-For: ${address}`, ...rest].join('\r\n')
    }
    for (let n = 0; n < 10; n++) {
      const peer = new Peer(port).say(from('192.0.2.1'))
      cleanups.push(() => peer.leave())
      expect(await peer.until(/^HTTP\/1.1 (101|200)[\s\S]*\r\n\r\n/)).toMatch(/^HTTP\/1.1 (101|200)/)
    }
    const refused = parsed(await new Peer(port).say(from('192.0.2.1')).end())
    expect(refused).toMatchObject({
      status: 429,
      headers: { 'retry-after': expect.stringMatching(/^[12]$/) },
    })
    const other = new Peer(port).say(from('192.0.2.2'))
    cleanups.push(() => other.leave())
    await other.until(/^HTTP\/1.1 (101|200)/)
    while (
      app.statistics().connections.links < 11 &&
      app.statistics().connections.refused.connections === 0
    ) {
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(parsed(await new Peer(port).say(from('192.0.2.3')).end())).toMatchObject({
      status: 503,
      headers: { 'retry-after': '5' },
    })
    expect(app.statistics()).toMatchObject({
      connections: { refused: { handshakesPerAddress: 1, connections: 1 } },
      overloads: 2,
    })
  })
})

describe('an HTTP server of the transports', () => {
  test('refuses headers past 16 KiB', async () => {
    const app = new Server({ transport: ws({ port: 0, host: '127.0.0.1' }), env: 'production' })
    await app.start()
    cleanups.push(() => app.stop())
    const port = app.address()!.port!
    expect(await exchange(port, 'GET', '/', { 'X-Long': 'x'.repeat(17 * 1024) })).toMatch(/^HTTP\/1.1 431/)
    expect(await exchange(port, 'GET', '/', { 'X-Long': 'x'.repeat(15 * 1024) })).toMatch(/^HTTP\/1.1 426/)
  })

  test('gives requests a time to come whole, and a connection 10,000 of them', () => {
    expect(boundedServer(3000)).toMatchObject({
      headersTimeout: 3000,
      requestTimeout: 3000,
      maxRequestsPerSocket: 10_000,
    })
  })
})
