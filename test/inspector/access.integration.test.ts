import type { IncomingMessage } from 'node:http'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { Access, isLocalHost, isLoopback } from '../../src/inspector/access.js'
import { inspectorSettings } from '../../src/inspector/options.js'
import { Server } from '../../src/server.js'
import { memory } from '../../src/transports/memory.js'
import { ask, inspected, viewer } from './support.js'

const TOKEN = 'a-token-of-some-length'
const bearer = { Authorization: `Bearer ${TOKEN}` }

/** The status that an upgrade is answered with. */
function upgrade(
  port: number,
  headers: Record<string, string> = {},
  path = '/_inspector/socket',
): Promise<number> {
  return new Promise(resolve => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, ['ss1.json'], { headers })
    socket.on('open', () => {
      socket.terminate()
      resolve(101)
    })
    socket.on('unexpected-response', (_request, response) => {
      resolve(response.statusCode!)
      socket.terminate()
    })
    socket.on('error', () => {})
  })
}

describe('without auth', () => {
  test('this machine is answered, at its loopback names', async () => {
    const { start } = inspected()
    const { port, origin } = await start()
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, 'inspector.localhost']) {
      expect(await ask(`${origin}/_inspector/api/hello`, { headers: { Host: host } })).toMatchObject({
        status: 200,
      })
      expect(await upgrade(port, { Host: host })).toBe(101)
    }
  })

  test.each([
    ['another name, as after DNS rebinding', { Host: 'example.com' }],
    ['a name that only looks local', { Host: 'localhost.example.com' }],
    ['Forwarded', { Forwarded: 'for=192.0.2.1' }],
    ['X-Forwarded-For', { 'X-Forwarded-For': '127.0.0.1' }],
    ['X-Forwarded-Host', { 'X-Forwarded-Host': 'localhost' }],
    ['X-Real-IP', { 'X-Real-IP': '127.0.0.1' }],
    ['Via', { Via: '1.1 proxy' }],
  ])('a request with %s is refused', async (_name, headers) => {
    const { start } = inspected()
    const { port, origin } = await start()
    for (const path of ['/', '/page.js', '/api/hello', '/api/nothing']) {
      expect(await ask(`${origin}/_inspector${path}`, { headers })).toMatchObject({ status: 403 })
    }
    expect(await upgrade(port, headers)).toBe(403)
  })

  test('another machine is refused', async () => {
    const access = new Access(inspectorSettings({}, 'development'), () => {})
    const from = (remoteAddress: string | undefined) =>
      access.decide({ socket: { remoteAddress }, headers: { host: 'localhost' } } as IncomingMessage, false)
    expect(await from('127.0.0.1')).toEqual({ allowed: true })
    expect(await from('192.0.2.7')).toMatchObject({ allowed: false, status: 403 })
    expect(await from('::ffff:192.0.2.7')).toMatchObject({ allowed: false, status: 403 })
    expect(await from(undefined)).toMatchObject({ allowed: false, status: 403 })
    expect([isLoopback('::1'), isLoopback('::ffff:127.3.2.1'), isLoopback('128.0.0.1')]).toEqual([
      true,
      true,
      false,
    ])
    expect([isLocalHost(undefined), isLocalHost('127.0.0.1.example.com'), isLocalHost('')]).toEqual([
      false,
      false,
      false,
    ])
  })

  test('pages of other origins neither connect nor act', async () => {
    const { start } = inspected()
    const { port, origin } = await start()
    expect(await upgrade(port, { Origin: 'https://example.com' })).toBe(403)
    expect(await upgrade(port, { Origin: `http://127.0.0.1:${port + 1}` })).toBe(403)
    expect(await upgrade(port, { Origin: 'null' })).toBe(403)
    expect(await upgrade(port, { Origin: origin })).toBe(101)
    const action = { method: 'POST', body: '{"type":"logLevel","level":"warn"}' }
    const json = { 'Content-Type': 'application/json' }
    const post = (headers: Record<string, string>) =>
      ask(`${origin}/_inspector/api/act`, { ...action, headers })
    expect(await post({ ...json, Origin: 'https://example.com' })).toMatchObject({ status: 403 })
    expect(await post({ ...json, 'Sec-Fetch-Site': 'cross-site' })).toMatchObject({ status: 403 })
    expect(await post({ 'Content-Type': 'text/plain', Origin: origin })).toMatchObject({ status: 400 })
    expect(await post({ ...json, Origin: origin })).toMatchObject({ status: 200 })
  })

  test('it is not mounted in production', () => {
    const app = new Server({ transport: memory(), env: 'production', log: () => {} })
    expect(() => app.inspector()).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(() => app.inspector({ auth: TOKEN })).not.toThrow()
  })
})

describe('with a token', () => {
  test('whoever sends it is let in, and nobody else, also behind a proxy', async () => {
    const { start } = inspected({ auth: TOKEN })
    const { port, origin } = await start()
    const hello = `${origin}/_inspector/api/hello`
    expect(await ask(hello, { headers: { ...bearer, Host: 'example.com', Via: '1.1 proxy' } })).toMatchObject(
      { status: 200 },
    )
    for (const headers of [
      {},
      { Authorization: `Bearer ${TOKEN}x` },
      { Authorization: 'Bearer ' },
      { Authorization: `Basic ${TOKEN}` },
    ]) {
      expect(await ask(hello, { headers })).toMatchObject({
        status: 401,
        headers: { 'www-authenticate': 'Bearer' },
      })
      expect(await upgrade(port, headers)).toBe(401)
    }
    expect(await upgrade(port, bearer)).toBe(101)
    expect(await upgrade(port, { ...bearer, Origin: 'https://example.com' })).toBe(403)
    expect(await ask(`${origin}/_inspector/api/act`, { method: 'POST' })).toMatchObject({ status: 401 })
  })

  test('a browser logs in by a form, for which it gets a cookie of this path alone, and out again', async () => {
    const { start } = inspected({ auth: TOKEN })
    const { port, origin } = await start()
    const page = await ask(`${origin}/_inspector/`)
    expect(page).toMatchObject({ status: 401, headers: { 'content-type': 'text/html; charset=utf-8' } })
    expect(page.body).toContain('action="/_inspector/login"')
    const login = (token: string, headers = {}) =>
      ask(`${origin}/_inspector/login`, {
        method: 'POST',
        headers,
        body: `token=${encodeURIComponent(token)}`,
      })
    expect(await login('wrong')).toMatchObject({ status: 401 })
    expect(await login(TOKEN, { Origin: 'https://example.com' })).toMatchObject({ status: 403 })
    const done = await login(TOKEN, { Origin: origin })
    expect(done).toMatchObject({ status: 303, headers: { location: '/_inspector/' } })
    const [cookie = ''] = done.headers['set-cookie'] ?? []
    expect(cookie).toMatch(/; Path=\/_inspector; Max-Age=43200; HttpOnly; SameSite=Strict$/)
    const [pair = ''] = cookie.split(';')
    expect(await ask(`${origin}/_inspector/api/hello`, { headers: { Cookie: pair } })).toMatchObject({
      status: 200,
    })
    expect(await upgrade(port, { Cookie: pair, Origin: origin })).toBe(101)
    // Neither another time nor another signature counts.
    const [name, value = ''] = pair.split('=')
    const [until, signature] = value.split('.')
    for (const forged of [`${Number(until) + 1}.${signature}`, `${until}.${signature}x`, until, '', 'x.y']) {
      expect(
        await ask(`${origin}/_inspector/api/hello`, { headers: { Cookie: `${name}=${forged}` } }),
      ).toMatchObject({ status: 401 })
    }
    const out = await ask(`${origin}/_inspector/logout`, { method: 'POST', headers: { Cookie: pair } })
    expect(out.headers['set-cookie']?.[0]).toContain('socketstream_inspector=; Path=/_inspector; Max-Age=0')
  })
})

describe('with a function', () => {
  test('it decides on every request and upgrade; what it throws is a no', async () => {
    const asked: (string | undefined)[] = []
    const lines: unknown[] = []
    const auth = async ({ url, headers }: IncomingMessage): Promise<boolean> => {
      asked.push(url)
      if (headers['x-user'] === 'broken') throw new Error('no database')
      return headers['x-user'] === 'admin' || ('truthy' as never)
    }
    const { start } = inspected({ auth }, { log: (...line: unknown[]) => lines.push(line) })
    const { port, origin } = await start()
    const hello = `${origin}/_inspector/api/hello`
    expect(await ask(hello, { headers: { 'X-User': 'admin' } })).toMatchObject({ status: 200 })
    expect(await ask(hello)).toMatchObject({ status: 401 })
    expect(await ask(hello, { headers: { 'X-User': 'broken' } })).toMatchObject({ status: 401 })
    expect(JSON.stringify(lines)).toContain('`inspector.auth` failed')
    expect(await upgrade(port, { 'X-User': 'admin' })).toBe(101)
    expect(await upgrade(port)).toBe(401)
    expect(asked).toHaveLength(5)
  })
})

describe('what is served', () => {
  test('cannot be framed, kept or run beside its own scripts', async () => {
    const { start } = inspected()
    const { origin } = await start()
    const { headers } = await ask(`${origin}/_inspector/api/hello`)
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'x-frame-options': 'DENY',
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'same-origin',
    })
    expect(headers['content-security-policy']).toContain(
      "default-src 'none'; script-src 'self'; style-src 'self'",
    )
    expect(await ask(`${origin}/_inspector`)).toMatchObject({
      status: 308,
      headers: { location: '/_inspector/' },
    })
    expect(await ask(`${origin}/_inspector/../package.json`)).toMatchObject({ status: 404 })
    expect(await ask(`${origin}/_inspector/api/constructor`)).toMatchObject({ status: 404 })
    expect(await ask(`${origin}/_inspector/api/hello`, { method: 'DELETE' })).toMatchObject({ status: 405 })
    expect(await ask(`${origin}/_inspector/api/actors?limit=x`)).toMatchObject({ status: 400 })
    expect(await ask(`${origin}/_inspector/api/actor?path=/nobody`)).toMatchObject({ status: 404 })
  })

  test('is at the path of the option, and nowhere else', async () => {
    const { start } = inspected({ path: '/ops/look' })
    const { origin } = await start()
    expect(await ask(`${origin}/ops/look/api/hello`)).toMatchObject({ status: 200 })
    expect(await ask(`${origin}/_inspector/api/hello`)).toMatchObject({ status: 404 })
    expect(await ask(`${origin}/ops/lookout`)).toMatchObject({ status: 404 })
  })

  test('is out of reach for clients of the server', async () => {
    const { app, start } = inspected()
    const { port } = await start()
    expect(app.publicServices()).toEqual([])
    const { client, api } = await viewer(port)
    expect((await api.hello()).services).toEqual([])
    expect(app.connections()).toEqual([])
    expect(client.status).toBe('connected')
    expect(await upgrade(port, {}, '/')).toBe(101)
    expect(await upgrade(port, {}, '/_inspector/other')).toBe(404)
  })
})

test.each([
  [{ path: 'x' }, '`inspector.path`'],
  [{ path: '/x/' }, '`inspector.path`'],
  [{ auth: 'short' }, '`inspector.auth` has fewer than 16'],
  [{ auth: 7 }, '`inspector.auth`'],
  [{ readOnly: 'yes' }, '`inspector.readOnly`'],
  [{ redact: {} }, '`inspector.redact`'],
  [{ history: 1 }, '`inspector.history`'],
  [{ port: 1 }, 'no option `port`'],
  [null, 'takes an object'],
])('options %j are refused by name', (options, message) => {
  expect(() => inspectorSettings(options as never, 'test')).toThrow(message)
})
