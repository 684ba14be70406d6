import { writeFileSync } from 'node:fs'
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { ClientHandlerOptions } from '../../src/index.js'
import { Server } from '../../src/server.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { ServiceDefinition } from '../../src/services/service.js'
import { ws } from '../../src/transports/ws.js'
import { folder, serve } from './support.js'

const services = { rpc: rpc({ one: () => 1 }) }

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: Buffer
  text: string
}

/** The handler on a server that listens; gives how to ask it. */
async function handle(
  options: ClientHandlerOptions = {},
  { more = {}, env = 'test' }: { more?: Record<string, ServiceDefinition>; env?: string } = {},
) {
  const { app, http, origin, log } = await serve(
    server => [ws({ server })],
    { ...services, ...more },
    { env },
  )
  const handler = app.clientHandler(options)
  http.on('request', (request, response) => handler(request, response))
  const ask = (path: string, headers = {}, method = 'GET'): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const asked = httpRequest(`${origin}/`, { path, headers, method }, async response => {
        const body = await buffer(response)
        resolve({ status: response.statusCode!, headers: response.headers, body, text: body.toString() })
      })
      asked.on('error', reject).end()
    })
  return { app, http, handler, ask, log, origin }
}

const CLIENT = '/socketstream/client.js'

describe('the handler', () => {
  test('serves the client, its map and its declarations', async () => {
    const { app, ask } = await handle()
    const { code, map, types } = await app.buildClient()
    const client = await ask(CLIENT)
    expect(client).toMatchObject({
      status: 200,
      text: code,
      headers: {
        'content-type': 'text/javascript; charset=utf-8',
        'content-length': String(Buffer.byteLength(code)),
        'cache-control': 'no-cache',
        vary: 'Accept-Encoding',
        'x-content-type-options': 'nosniff',
        'access-control-allow-origin': '*',
        'cross-origin-resource-policy': 'cross-origin',
        sourcemap: `${CLIENT}.map`,
        etag: expect.stringMatching(/^"[\w-]{22}"$/),
      },
    })
    expect(client.headers['content-encoding']).toBe(undefined)
    expect(await ask(`${CLIENT}.map`)).toMatchObject({
      status: 200,
      text: map,
      headers: { 'content-type': 'application/json; charset=utf-8' },
    })
    expect(await ask('/socketstream/client.d.ts')).toMatchObject({
      status: 200,
      text: types,
      headers: { 'content-type': 'application/typescript; charset=utf-8' },
    })
  })

  test('answers 304 to who has it', async () => {
    const { ask } = await handle()
    const { headers } = await ask(CLIENT)
    const etag = headers.etag!
    for (const value of [etag, `W/${etag}`, `"other", ${etag}`, `"a",W/${etag},"b"`, '*']) {
      const again = await ask(CLIENT, { 'If-None-Match': value })
      expect([value, again.status, again.text]).toEqual([value, 304, ''])
      expect(again.headers).toMatchObject({ etag, 'cache-control': 'no-cache', vary: 'Accept-Encoding' })
      expect(again.headers['content-length']).toBe(undefined)
    }
    for (const value of ['"other"', etag.slice(1, -1), '""', 'W/"', etag.toLowerCase().replace('"', '"x')]) {
      expect((await ask(CLIENT, { 'If-None-Match': value })).status).toBe(200)
    }
    // Another encoding is another representation.
    expect((await ask(CLIENT, { 'If-None-Match': etag, 'Accept-Encoding': 'br' })).status).toBe(200)
  })

  test('compresses as is asked for', async () => {
    const { ask } = await handle()
    const { text } = await ask(CLIENT)
    const bodies = {
      br: (body: Buffer) => brotliDecompressSync(body).toString(),
      gzip: (body: Buffer) => gunzipSync(body).toString(),
    }
    const tags = new Set()
    for (const encoding of ['br', 'gzip'] as const) {
      const { headers, body } = await ask(CLIENT, { 'Accept-Encoding': encoding })
      expect(headers).toMatchObject({ 'content-encoding': encoding, 'content-length': String(body.length) })
      expect(body.length).toBeLessThan(text.length / 2)
      expect(bodies[encoding](body)).toBe(text)
      tags.add(headers.etag)
    }
    expect(tags.size).toBe(2)
    const weighed = await ask(CLIENT, { 'Accept-Encoding': 'br;q=0.5, gzip;q=0.9' })
    expect(weighed.headers['content-encoding']).toBe('gzip')
  })

  test('lets a copy with the right version be kept', async () => {
    const { ask, handler } = await handle()
    const url = await handler.url()
    expect(url).toMatch(/^\/socketstream\/client\.js\?v=[\w-]{22}$/)
    const cacheControl = async (path: string) => (await ask(path)).headers['cache-control']
    expect(await cacheControl(url)).toBe('public, max-age=31536000, immutable')
    expect(await cacheControl(`${CLIENT}?x=1&v=${url.split('=')[1]}`)).toBe(
      'public, max-age=31536000, immutable',
    )
    for (const query of ['?v=', '?v=other', `${url.slice(CLIENT.length)}x`, '?v']) {
      expect(await cacheControl(CLIENT + query)).toBe('no-cache')
    }
  })

  test('answers HEAD without a body and refuses other methods', async () => {
    const { ask } = await handle()
    const [get, head] = [await ask(CLIENT), await ask(CLIENT, {}, 'HEAD')]
    expect(head.body.length).toBe(0)
    expect({ ...head.headers, date: '' }).toEqual({ ...get.headers, date: '' })
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const { status, headers } = await ask(CLIENT, {}, method)
      expect([status, headers.allow]).toEqual([405, 'GET, HEAD'])
    }
  })

  test('serves the files of public services, as they are now', async () => {
    let css = 'p { color: red }'
    const asset = (path: string, text: () => string) => ({ path, type: 'css' as const, contents: text })
    const { ask, app } = await handle(
      {},
      {
        more: {
          shown: { browserAssets: [asset('theme/a b.css', () => css)] },
          hidden: { private: true, browserAssets: [asset('theme/a.css', () => 'secret')] },
        },
      },
    )
    const path = '/socketstream/shown/theme/a%20b.css'
    const first = await ask(path)
    expect(first).toMatchObject({
      status: 200,
      text: css,
      headers: { 'content-type': 'text/css; charset=utf-8' },
    })
    css = 'p { color: blue }'
    const second = await ask(path, { 'If-None-Match': first.headers.etag })
    expect(second).toMatchObject({ status: 200, text: css })
    expect((await ask(path, { 'If-None-Match': second.headers.etag })).status).toBe(304)
    expect((await ask('/socketstream/hidden/theme/a.css')).status).toBe(404)
    expect(app.browserAssets().filter(({ service }) => service === 'hidden')).toEqual([])
  })

  test('shows the source map only where errors are shown, or when told to', async () => {
    const shown = async (options: ClientHandlerOptions, env: string) => {
      const { ask } = await handle(options, { env })
      const { headers } = await ask(CLIENT)
      return [(await ask(`${CLIENT}.map`)).status, headers.sourcemap]
    }
    expect(await shown({}, 'production')).toEqual([404, undefined])
    expect(await shown({ sourceMap: true }, 'production')).toEqual([200, `${CLIENT}.map`])
    expect(await shown({ sourceMap: false }, 'development')).toEqual([404, undefined])
  })

  test('builds once for all who ask', async () => {
    let builds = 0
    const root = folder({ 'half.js': 'export default { client: () => 1 }' })
    const counted = {
      // Asked for by every build, in its plan.
      get type() {
        builds++
        return 'counted'
      },
      clientModule: { url: join(root, 'half.js') },
    }
    const { app } = await serve(server => [ws({ server })], { counted })
    const handler = app.clientHandler()
    builds = 0
    const urls = await Promise.all([handler.url(), handler.url(), handler.url()])
    urls.push(await handler.url())
    expect([new Set(urls).size, builds]).toEqual([1, 1])
  })
})

describe('paths', () => {
  const HOSTILE = [
    '/',
    '/socketstream',
    '/socketstream/',
    '/socketstream/client',
    '/socketstream/client.js/',
    '/socketstream//client.js',
    '/socketstream/../socketstream/client.js',
    '/socketstream/x/../client.js',
    '/socketstream/%2e%2e/package.json',
    '/socketstream/..%2f..%2fpackage.json',
    '/socketstream/shown/../client.js',
    '/socketstream/shown/../../package.json',
    '/socketstream/shown/%2e%2e%2fclient.js',
    '/socketstream/undefined/client.js',
    '/socketstream/undefined/client.json.js',
    '/socketstream/shown/a.css%00',
    '/socketstream/shown%2fa.css',
    '/socketstream/__proto__/constructor',
    '/socketstream/client.js%00.map',
    '/socketstream/client%2ejs',
    '/\\socketstream\\client.js',
    '/socketstream/client.js;v=1',
  ]

  test('that are not listed lead nowhere', async () => {
    const shown = { browserAssets: [{ path: 'a.css', type: 'css' as const, contents: () => 'p {}' }] }
    const { ask, handler, origin } = await handle({}, { more: { shown } })
    for (const path of HOSTILE) {
      expect([path, handler.takes(path)]).toEqual([path, false])
      expect([path, (await ask(path)).status]).toEqual([path, 404])
    }
    expect((await ask('/socketstream/shown/a.css')).status).toBe(200)
    // As a proxy is asked; Node hands on what stands there.
    expect(
      await raw(origin, `GET ${origin}${CLIENT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`),
    ).toMatch(/^HTTP\/1\.1 404 /)
  })

  test('of others go to the next handler', async () => {
    const { app, http, ask } = await handle()
    const handler = app.clientHandler()
    http.removeAllListeners('request')
    http.on('request', (request, response) => handler(request, response, () => response.end('next')))
    expect((await ask('/other')).text).toBe('next')
    expect((await ask('/socketstream/other.js', {}, 'POST')).text).toBe('next')
    expect((await ask(`${CLIENT}.map?x`)).status).toBe(200)
    expect((await ask(CLIENT, {}, 'POST')).status).toBe(405)
  })

  test('are the whole ones where Connect has shortened them', async () => {
    const { app, http, ask } = await handle()
    const handler = app.clientHandler()
    http.removeAllListeners('request')
    http.on('request', (request, response) => {
      const whole = request.url!
      Object.assign(request, { originalUrl: whole, url: whole.replace('/socketstream', '') })
      handler.request(request, response)
    })
    expect((await ask(CLIENT)).status).toBe(200)
  })

  test('are known without asking', async () => {
    const { handler } = await handle()
    expect(handler.takes(CLIENT)).toBe(true)
    expect(handler.takes(`${CLIENT}?v=1`)).toBe(true)
    expect(handler.takes('/socketstream/client.d.ts')).toBe(true)
  })
})

describe('a build that fails', () => {
  test('is told in full where errors are shown, logged, and tried again', async () => {
    const root = folder({ 'half.js': 'export default {' })
    const more = { own: { clientModule: { url: join(root, 'half.js') } } }
    const { ask, log } = await handle({}, { more })
    const answer = await ask(CLIENT)
    expect(answer).toMatchObject({ status: 500, headers: { 'cache-control': 'no-store' } })
    expect(answer.text).toContain('because of service "own"')
    expect(log.join()).toContain('/socketstream/client.js cannot be served SocketStreamError')
    writeFileSync(join(root, 'half.js'), 'export default { client: () => 1 }')
    expect((await ask(CLIENT)).status).toBe(200)
  })

  test('is told in short elsewhere', async () => {
    const { ask, log } = await handle({}, { env: 'production', more: { own: { client: () => 1 } } })
    expect(await ask(CLIENT)).toMatchObject({
      status: 500,
      text: 'The file cannot be served: see the log of the server\n',
    })
    expect(log.join()).toContain('The client half of service "own" is in no file')
  })

  test('is no failure of the server when the file of a service is', async () => {
    const contents = () => Promise.reject(new Error('gone'))
    const { ask } = await handle(
      {},
      { more: { own: { browserAssets: [{ path: 'a.js', type: 'js', contents }] } } },
    )
    expect((await ask('/socketstream/own/a.js')).text).toContain('gone')
    expect((await ask(CLIENT)).status).toBe(200)
  })

  test('for its options says so', async () => {
    const { app, ask } = await handle({ codec: 'yaml' as 'json' })
    expect((await ask(CLIENT)).text).toContain("`codec` must be 'msgpack' or 'json'")
    expect(() => app.clientHandler({ sourceMap: 1 as never })).toThrow('`sourceMap` must be true or false')
  })
})

/** Sends bytes and gives the whole answer. */
function raw(origin: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(Number(new URL(origin).port), '127.0.0.1', () => socket.write(bytes))
    socket.setEncoding('utf8').on('data', text => (answer += text))
    socket.on('end', () => resolve(answer)).on('error', reject)
  })
}

describe('the HTTP servers of the transports', () => {
  const fetched = async (client: false | ClientHandlerOptions, path = CLIENT) => {
    const { origin } = await serve(server => [ws({ server })], services, { client })
    const response = await fetch(origin + path)
    return [response.status, (await response.text()).includes('createClient')]
  }

  test('serve the client by themselves, unless told not to', async () => {
    expect(await fetched({})).toEqual([200, true])
    expect(await fetched(false)).toEqual([404, false])
  })

  test('serve it as the option says', async () => {
    expect(await fetched({ sourceMap: false }, `${CLIENT}.map`)).toEqual([404, false])
    expect(await fetched({ sourceMap: true }, `${CLIENT}.map`)).toEqual([200, true])
  })

  test('also those of a port of their own', async () => {
    const app = new Server({ transport: ws({ port: 0 }) }).service('rpc', services.rpc)
    await app.start()
    const response = await fetch(`http://localhost:${app.address()?.port}${CLIENT}`)
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'text/javascript; charset=utf-8',
    ])
    await app.stop()
  })
})
