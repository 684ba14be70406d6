import { once } from 'node:events'
import { type OutgoingHttpHeaders, request } from 'node:http'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { RecordingHost } from '../../src/testing/recording-host.js'
import { engineio } from '../../src/transports/engine-io.js'
import { cookieCheck, type Origins } from '../../src/transports/origin.js'
import { sockjs } from '../../src/transports/sockjs.js'
import type { Handshake, Transport } from '../../src/transports/transport.js'
import { ws } from '../../src/transports/ws.js'
import { RawClient } from '../transports/ws-client.js'

/** What the check looks at. */
interface Asked {
  readonly origin?: string
  /** The `Host` header. */
  readonly host?: string | undefined
  readonly secure?: boolean
  /** `Sec-Fetch-Site`. */
  readonly site?: string
  /** Over HTTP, not an upgrade to WebSocket. */
  readonly http?: boolean
}

/** Whether a cookie counts, for a client with these headers. */
function counts(origins: Origins | undefined, { origin, secure = true, site, http, ...rest }: Asked) {
  const host = 'host' in rest ? rest.host : 'example.com'
  const headers = {
    ...(origin !== undefined && { origin }),
    ...(site !== undefined && { 'sec-fetch-site': site }),
    ...(!http && { upgrade: 'websocket' }),
  }
  const handshake: Handshake = {
    transport: 'ws',
    url: '/',
    headers,
    clientIp: '127.0.0.1',
    secure,
    cookies: true,
    protocols: [],
  }
  return cookieCheck('ws', origins)(handshake, host)
}

describe('a cookie counts', () => {
  test.each<[string, Asked]>([
    ['of the same scheme and host', { origin: 'https://example.com' }],
    ['over plain HTTP to a plain server', { origin: 'http://example.com', secure: false }],
    ['with the default port spelt out in Host', { origin: 'https://example.com', host: 'example.com:443' }],
    ['on the same port', { origin: 'https://example.com:8443', host: 'example.com:8443' }],
    ['in upper case', { origin: 'HTTPS://EXAMPLE.COM', host: 'Example.Com' }],
    ['at an IPv6 address', { origin: 'http://[::1]:3001', host: '[::1]:3001', secure: false }],
    ['at an IPv6 address written at length', { origin: 'https://[::1]', host: '[0:0:0:0:0:0:0:1]:443' }],
    [
      'at a name in other letters',
      { origin: 'https://xn--bcher-kva.example', host: 'xn--bcher-kva.example' },
    ],
  ])('from a page %s', (_what, asked) => {
    expect(counts(undefined, asked)).toBe(true)
    expect(counts('*', asked)).toBe(true)
    expect(counts(['https://other.example'], asked)).toBe(true)
    expect(counts(undefined, { ...asked, http: true })).toBe(true)
  })

  test('from a page that is listed, or that the function passes', () => {
    const asked = { origin: 'https://app.example' }
    expect(counts(['https://APP.example:443/'], asked)).toBe(true)
    expect(counts(['https://app.example'], { ...asked, origin: 'HTTPS://App.Example' })).toBe(true)
    expect(counts(origin => origin === 'https://app.example', asked)).toBe(true)
    expect(counts(['app://shell'], { origin: 'app://shell' })).toBe(true)
    // Listed, it may be of another site.
    expect(counts(['https://app.example'], { ...asked, http: true, site: 'cross-site' })).toBe(true)
  })

  test('without an Origin for a WebSocket, which is no browser, and where a browser vouches over HTTP', () => {
    expect(counts(undefined, {})).toBe(true)
    expect(counts(undefined, { http: true, site: 'same-origin' })).toBe(true)
    expect(counts(['https://other.example'], { http: true, site: 'same-origin' })).toBe(true)
  })
})

describe('a cookie does not count', () => {
  test.each<[string, Asked]>([
    ['of another host', { origin: 'https://evil.example' }],
    ['of a host that begins so', { origin: 'https://example.com.evil.example' }],
    ['of a host that ends so', { origin: 'https://evilexample.com' }],
    ['of a subdomain', { origin: 'https://www.example.com' }],
    ['of the host above', { origin: 'https://example.com', host: 'www.example.com' }],
    ['of another port', { origin: 'https://example.com:8443' }],
    ['of no port where one was asked for', { origin: 'https://example.com', host: 'example.com:8443' }],
    ['of the other default port', { origin: 'https://example.com', host: 'example.com:80' }],
    ['of plain HTTP to a server behind TLS', { origin: 'http://example.com' }],
    ['of HTTPS to a server that knows of no TLS', { origin: 'https://example.com', secure: false }],
    ['of another IPv6 address', { origin: 'https://[::1]', host: '[::2]' }],
    ['without an origin of its own', { origin: 'null' }],
    ['without an origin of its own, in upper case', { origin: 'NULL' }],
    ['of a file', { origin: 'file://' }],
    ['of an extension', { origin: 'chrome-extension://example.com' }],
    ['of a WebSocket address', { origin: 'wss://example.com' }],
    ['with a path', { origin: 'https://example.com/' }],
    ['with a user', { origin: 'https://example.com@evil.example' }],
    ['with two origins', { origin: 'https://example.com https://evil.example' }],
    ['with an empty Origin', { origin: '' }],
    ['asking for no host', { origin: 'https://example.com', host: undefined }],
    ['asking for an empty host', { origin: 'https://example.com', host: '' }],
    ['asking for no host that there is', { origin: 'https://example.com', host: 'exa mple.com' }],
  ])('from a page %s', (_what, asked) => {
    for (const origins of [undefined, '*', ['https://other.example']] as const) {
      expect(counts(origins, asked)).toBe(false)
      expect(counts(origins, { ...asked, http: true })).toBe(false)
    }
  })

  test('from a page without an origin, also when null is listed or passed', () => {
    expect(counts(['null'], { origin: 'null' })).toBe(false)
    expect(counts(() => true, { origin: 'null' })).toBe(false)
    expect(counts(() => true, { origin: 'null', http: true, site: 'same-origin' })).toBe(false)
  })

  test.each([undefined, 'cross-site', 'same-site', 'none', ''])(
    'over HTTP without an Origin and with %s as Sec-Fetch-Site',
    site => {
      for (const origins of [undefined, '*', ['https://example.com'], () => true] as const) {
        expect(counts(origins, { http: true, ...(site !== undefined && { site }) })).toBe(false)
      }
    },
  )

  test.each(['cross-site', 'same-site'])(
    'over HTTP from a page that names our host as a proxy would, of which the browser says %s',
    site => {
      expect(counts('*', { origin: 'https://evil.example', host: 'evil.example', http: true, site })).toBe(
        false,
      )
    },
  )
})

// ---- over real sockets --------------------------------------------------------------------------

/** A transport on a free port for one test, and its host. */
async function started(transport: Transport) {
  const host = new RecordingHost()
  await transport.start(host)
  onTestFinished(() => transport.stop())
  return { host, port: transport.address()?.port ?? 0 }
}

/** Makes a request as a browser would; resolves when the host has been asked. */
async function ask(port: number, path: string, headers: OutgoingHttpHeaders, method = 'GET') {
  const sent = request({ port, host: '127.0.0.1', path, method, headers: { Cookie: 'sid=1', ...headers } })
  sent.end()
  const [response] = await once(sent, 'response')
  response.destroy()
}

const local = { port: 0, host: '127.0.0.1' }
const own = (port: number) => `http://127.0.0.1:${port}`

describe('of the cookies over ws()', () => {
  test.each<[string, (port: number) => Record<string, string>, boolean]>([
    ['no browser', () => ({}), true],
    ['a page of the same host and port', port => ({ Origin: own(port), Host: `127.0.0.1:${port}` }), true],
    [
      'a page of HTTPS where TLS ends at a proxy that is not trusted',
      () => ({ Origin: 'https://example.com', Host: 'example.com', 'X-Forwarded-Proto': 'https' }),
      false,
    ],
  ])('those of %s are handed on or left out', async (_who, headers, expected) => {
    const { host, port } = await started(ws(local))
    await new RawClient(port).upgrade('/', { Cookie: 'sid=1', 'X-A': 'b', ...headers(port) }).upgraded()
    const [handshake] = host.handshakes
    expect(handshake?.cookies).toBe(expected)
    expect(handshake?.headers.cookie).toBe(expected ? 'sid=1' : undefined)
    expect(handshake?.headers['x-a']).toBe('b')
  })

  test('those of a page behind a trusted proxy count by what the proxy says', async () => {
    const { host, port } = await started(ws({ ...local, trustProxy: 'loopback' }))
    const proxied = {
      Cookie: 'sid=1',
      Host: 'inside:3001',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'example.com',
    }
    await new RawClient(port).upgrade('/', { ...proxied, Origin: 'https://example.com' }).upgraded()
    await new RawClient(port).upgrade('/', { ...proxied, Origin: 'http://example.com' }).upgraded()
    expect(host.handshakes.map(({ cookies }) => cookies)).toEqual([true, false])
  })

  test('those of foreign pages are left out though all may connect', async () => {
    const { host, port } = await started(ws({ ...local, origins: '*' }))
    const headers = { Cookie: 'sid=1', Origin: 'https://evil.example' }
    await new RawClient(port).upgrade('/', headers).upgraded()
    expect(host.handshakes[0]).toMatchObject({ cookies: false })
    expect(host.handshakes[0]?.headers).not.toHaveProperty('cookie')
  })

  test('null may connect when it is listed, without its cookies', async () => {
    const { host, port } = await started(ws({ ...local, origins: ['null'] }))
    await new RawClient(port).upgrade('/', { Cookie: 'sid=1', Origin: 'null' }).upgraded()
    expect(host.handshakes[0]).toMatchObject({ cookies: false })
    expect(host.handshakes[0]?.headers).not.toHaveProperty('cookie')
  })
})

const fallbacks: [string, () => Transport, string, string][] = [
  ['engineio()', () => engineio(local), '/engine.io?EIO=4&transport=polling', 'GET'],
  ['sockjs()', () => sockjs(local), '/sockjs/0/x/xhr', 'POST'],
]

describe.each(fallbacks)('of the cookies over %s by HTTP', (_name, make, path, method) => {
  test.each<[string, (port: number) => Record<string, string>, boolean]>([
    ['a page of the same origin', port => ({ Origin: own(port), Referer: `${own(port)}/` }), true],
    [
      'a request that the browser calls same-origin',
      port => ({ 'Sec-Fetch-Site': 'same-origin', Referer: `${own(port)}/` }),
      true,
    ],
    ['a request of which nobody says where it comes from', () => ({}), false],
    ['a request that the browser calls cross-site', () => ({ 'Sec-Fetch-Site': 'cross-site' }), false],
  ])('those of %s are handed on or left out', async (_who, headers, expected) => {
    const { host, port } = await started(make())
    await ask(port, path, headers(port), method)
    expect(host.handshakes.map(({ cookies }) => cookies)).toEqual([expected])
    expect(host.handshakes[0]?.headers.cookie).toBe(expected ? 'sid=1' : undefined)
  })
})

describe('of the cookies over sockjs()', () => {
  test.each([
    ['JSONP', 'jsonp?c=back', 'GET', {}],
    ['an iframe that is a file', 'htmlfile?c=back', 'GET', {}],
    ['what may be an iframe, as it has no referrer,', 'xhr', 'POST', {}],
    ['an iframe that polls', 'xhr', 'POST', { Referer: 'http://127.0.0.1/sockjs/iframe.html' }],
    ['an iframe with events', 'eventsource', 'GET', { Referer: 'http://127.0.0.1/sockjs/iframe-1.html#x' }],
  ])('those of %s never count', async (_what, way, method, headers) => {
    const { host, port } = await started(sockjs(local))
    const vouched = { Origin: own(port), 'Sec-Fetch-Site': 'same-origin', ...headers }
    await ask(port, `/sockjs/0/x/${way}`, vouched, method)
    expect(host.handshakes).toMatchObject([{ cookies: false }])
    expect(host.handshakes[0]?.headers).not.toHaveProperty('cookie')
    // The operator could do nothing about it.
    expect(host.logs.filter(({ level }) => level === 'warn')).toEqual([])
  })

  test('those of a page that claims to come through a proxy from our host do not count', async () => {
    const { host, port } = await started(sockjs({ ...local, origins: '*', trustProxy: true }))
    const headers = {
      Origin: 'https://evil.example',
      'X-Forwarded-Host': 'evil.example',
      'X-Forwarded-Proto': 'https',
      'Sec-Fetch-Site': 'cross-site',
    }
    await ask(port, '/sockjs/0/x/xhr', headers, 'POST')
    expect(host.handshakes).toMatchObject([{ cookies: false, secure: true }])
  })
})

describe('a cookie that is left out', () => {
  /** A handshake of a foreign page. */
  const visit = (port: number, headers: Record<string, string> = { Cookie: 'sid=1' }) =>
    new RawClient(port).upgrade('/', { Origin: 'https://app.example', ...headers }).upgraded()

  test('is told to the operator with what to do, at most once a minute', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000 })
    onTestFinished(() => void vi.useRealTimers())
    const { host, port } = await started(ws({ ...local, origins: '*' }))
    const details: object[] = []
    host.log = (level, message, more = {}) => {
      host.logs.push({ level, message })
      details.push(more)
    }
    await visit(port)
    await visit(port)
    vi.setSystemTime(1_059_999)
    await visit(port)
    expect(host.logs).toEqual([{ level: 'warn', message: expect.stringContaining('Cookies were left out') }])
    expect(details[0]).toMatchObject({
      times: 1,
      origin: 'https://app.example',
      host: '127.0.0.1',
      secure: false,
      hint: expect.stringContaining('trustProxy'),
    })
    vi.setSystemTime(1_060_000)
    await visit(port)
    expect(details).toEqual([expect.anything(), expect.objectContaining({ times: 3 })])
  })

  test('is not told of where there was none', async () => {
    const { host, port } = await started(ws({ ...local, origins: '*' }))
    await visit(port, {})
    expect(host.handshakes).toMatchObject([{ cookies: false }])
    expect(host.logs).toEqual([])
  })
})
