import { createServer as createSockJs, type ServerOptions } from 'sockjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SockJsOptions, sockjs } from '../../src/transports/sockjs.js'
import type { Link, Transport } from '../../src/transports/transport.js'
import { alike, echoHost, exchange, http, Peer, type Ports, pageServer, parsed } from './raw-echo.js'

/**
 * What the public SockJS protocol tests 0.3.3 look at, asked of `sockjs()` and of the plain `sockjs` package.
 *
 * Both have the apps of that suite, get the same bytes and have to answer alike, but for what the last
 * part of this file lists.
 */
const APPS: Record<string, Partial<SockJsOptions>> = {
  '/echo': { response_limit: 4096 },
  '/disabled_websocket_echo': { response_limit: 4096, websocket: false },
  '/cookie_needed_echo': { response_limit: 4096, jsessionid: true },
  '/close': { response_limit: 4096 },
}

let ports: Ports
const ends: (() => Promise<unknown> | unknown)[] = []
let sessions = 0
/** A session of an app that nobody has used; its name is the control's too, which ours does not see. */
const fresh = (app = '/echo') => `${app}/000/suite-${sessions++}`

beforeAll(async () => {
  const ours = await pageServer()
  const transports: Transport[] = []
  for (const [prefix, options] of Object.entries(APPS)) {
    const transport = sockjs({ server: ours.server, prefix, origins: '*', ...options })
    const close = (link: Link) => link.close(3000, 'Go away!')
    await transport.start(prefix === '/close' ? echoHost(close) : echoHost())
    transports.push(transport)
  }
  const control = await pageServer()
  for (const [prefix, options] of Object.entries(APPS)) {
    const service = createSockJs({ log: () => undefined, ...(options as ServerOptions) })
    service.on('connection', connection => {
      if (prefix === '/close') connection.close(3000 as never, 'Go away!')
      else connection.on('data', message => void connection.write(message))
    })
    service.installHandlers(control.server, { prefix })
  }
  ports = { ours: ours.port, control: control.port }
  ends.push(async () => {
    for (const transport of transports) await transport.stop()
    for (const { server } of [ours, control]) {
      server.close()
      server.closeAllConnections()
    }
  })
})

afterAll(async () => {
  for (const end of ends) await end()
})

/** Sends one request to both; gives the answer of ours. */
const ask = async (...request: Parameters<typeof http>) =>
  parsed(await alike(ports, port => exchange(port, ...request)))

const KEY = { 'Sec-WebSocket-Key': 'x3JJHMbDL1EzLkh9GBhXDw==', 'Sec-WebSocket-Version': '13' }
const UPGRADE = { Connection: 'Upgrade', Upgrade: 'websocket', ...KEY }

/** A short text frame of a client, masked with zeros. */
function frame(text: string, opcode = 1): Buffer {
  const body = Buffer.from(text)
  return Buffer.concat([Buffer.of(0x80 | opcode, 0x80 | body.length, 0, 0, 0, 0), body])
}

describe('the base URL', () => {
  test.each(['/echo', '/echo/'])('greets on %s', async path => {
    const { status, headers, body } = await ask('GET', path)
    expect({ status, body }).toEqual({ status: 200, body: 'Welcome to SockJS!\n' })
    expect(headers['content-type']).toBe('text/plain; charset=UTF-8')
    expect(headers['set-cookie']).toBe(undefined)
  })

  test.each(['a', 'a.html', '/', '//', 'a/a', 'a/a/', 'a/', 'a/b/c/d'])('is 404 on /%s', async path => {
    expect((await ask('GET', `/echo/${path}`)).status).toBe(404)
  })

  test.each([
    ['HEAD', '/echo'],
    ['POST', '/echo'],
    ['GET', '/echo/?x=/echo/info'],
    ['GET', '/echo/info/'],
    ['GET', '/echo/info?t=123'],
    ['PUT', '/echo/info'],
    ['HEAD', '/echo/info'],
    ['GET', '/ECHO/info'],
    ['GET', '/echo/%69nfo'],
    ['GET', '/echo/../echo/info'],
    ['GET', '/echo//info'],
    ['GET', '/echo/iframe.html/'],
    ['POST', '/echo/000/odd/xhr_send/?x'],
    ['GET', '/echo/000/odd/unknown'],
    ['GET', '/echo/000/odd/xhr'],
    ['OPTIONS', '/echo/000/odd/jsonp'],
    ['OPTIONS', '/echo'],
    ['GET', '/echo/000/odd/chunking_test'],
    ['OPTIONS', '/echo/chunking_test'],
    ['GET', '/'],
    ['GET', '*'],
    ['GET', '/echo;x/info'],
    ['GET', '/echo/info#x'],
  ])('answers %s %s as the package does', async (method, path) => {
    await ask(method, path, {}, method === 'POST' || method === 'PUT' ? '["x"]' : undefined)
  })

  test('answers requests in one go as the package does', async () => {
    await alike(ports, async port => {
      const peer = new Peer(port)
      peer.say(
        Buffer.concat([
          http('GET', '/echo', { Connection: 'keep-alive' }),
          http('POST', `${fresh('/echo')}/xhr`, { Connection: 'keep-alive' }, ''),
          http('GET', '/echo/nothing'),
        ]),
      )
      const heard = await peer.end()
      return heard.split(/(?=HTTP\/1\.1 )/)
    })
  })

  test('leaves the rest to the server', async () => {
    expect((await ask('GET', '/echoes')).body).toBe('fallback')
  })
})

describe('the page for iframes', () => {
  test.each(['', '-a', '-', '-0.1.2', '-0.1.2.abc-dirty.2144'])('is at /iframe%s.html', async name => {
    const { status, headers, body } = await ask('GET', `/echo/iframe${name}.html?t=1234`)
    expect(status).toBe(200)
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=UTF-8',
      'cache-control': 'public, max-age=31536000',
      etag: expect.stringMatching(/^"\w{32}"$/),
    })
    expect(headers.expires).toMatch(/GMT$/)
    expect(headers['last-modified']).toBe(undefined)
    expect(body).toContain('SockJS.bootstrap_iframe()')
    const again = await ask('GET', '/echo/iframe.html', { 'If-None-Match': headers.etag ?? '' })
    expect(again).toMatchObject({ status: 304, body: '' })
    expect(again.headers['content-type']).toBe(undefined)
  })

  test.each(['iframe.htm', 'iframe', 'IFRAME.HTML', 'iframe.HTML', 'iframe.xml', 'iframe-/.html'])(
    'is not at /%s',
    async path => expect((await ask('GET', `/echo/${path}`)).status).toBe(404),
  )
})

describe('/info', () => {
  test('tells what there is', async () => {
    const { headers, body } = await ask('GET', '/echo/info')
    expect(headers['cache-control']).toBe('no-store, no-cache, no-transform, must-revalidate, max-age=0')
    expect(headers['access-control-allow-origin']).toBe('*')
    expect(JSON.parse(body)).toEqual({
      websocket: true,
      origins: ['*:*'],
      cookie_needed: false,
      entropy: expect.any(Number),
    })
    const other = await ask('GET', '/echo/info')
    expect(JSON.parse(other.body).entropy).not.toBe(JSON.parse(body).entropy)
  })

  test('tells what there is not', async () => {
    const { body } = await ask('GET', '/disabled_websocket_echo/info')
    expect(JSON.parse(body).websocket).toBe(false)
    expect((await ask('GET', '/disabled_websocket_echo/a/b/websocket')).status).toBe(404)
  })

  test.each([undefined, 'http://a.example', 'null'])('answers preflights of %s', async origin => {
    const headers = { 'Access-Control-Request-Method': 'GET', ...(origin && { Origin: origin }) }
    const answer = await ask('OPTIONS', '/echo/info', headers)
    expect(answer.status).toBe(204)
    expect(answer.headers).toMatchObject({
      'access-control-allow-methods': 'OPTIONS, GET',
      'access-control-max-age': '31536000',
      'cache-control': 'public, max-age=31536000',
      'access-control-allow-origin': origin ?? '*',
    })
    expect(answer.headers.expires).toMatch(/GMT$/)
  })
})

describe('the URL of a session', () => {
  test.each(['/a/a', '/_/_', '/1/1', '/abcdefgh_i-j%20/abcdefg_i-j%20'])('may be %s', async path => {
    expect((await ask('POST', `/echo${path}${sessions++}/xhr`, {}, '')).body).toBe('o\n')
  })

  test.each(['//', '/a./a', '/a/a.', '/./.', '/', '///'])('may not be %s', async path => {
    expect((await ask('GET', `/echo${path}/xhr`)).status).toBe(404)
    expect((await ask('POST', `/echo${path}/xhr`, {}, '')).status).toBe(404)
  })

  test('has a server in it that does not matter', async () => {
    const name = `suite-${sessions++}`
    expect((await ask('POST', `/echo/000/${name}/xhr`, {}, '')).body).toBe('o\n')
    expect((await ask('POST', `/echo/000/${name}/xhr_send`, {}, '["a"]')).status).toBe(204)
    expect((await ask('POST', `/echo/999/${name}/xhr`, {}, '')).body).toBe('a["a"]\n')
  })
})

describe('xhr', () => {
  test('opens, receives, sends and is 404 to others', async () => {
    const session = fresh()
    const opening = await ask('POST', `${session}/xhr`, {}, '')
    expect(opening).toMatchObject({ status: 200, body: 'o\n' })
    expect(opening.headers).toMatchObject({
      'content-type': 'application/javascript; charset=UTF-8',
      'access-control-allow-origin': '*',
    })
    const sent = await ask('POST', `${session}/xhr_send`, {}, '["x"]')
    expect(sent).toMatchObject({ status: 204, body: '' })
    expect(sent.headers['content-type']).toBe('text/plain; charset=UTF-8')
    expect((await ask('POST', `${session}/xhr`, {}, '')).body).toBe('a["x"]\n')
    expect((await ask('POST', `${fresh()}/xhr_send`, {}, '["x"]')).status).toBe(404)
  })

  test.each([
    ['["x', 'Broken JSON encoding.'],
    ['', 'Payload expected.'],
    ['{}', 'Payload expected.'],
    ['"x"', 'Payload expected.'],
    ['null', 'Payload expected.'],
  ])('refuses the body %j and goes on', async (body, answer) => {
    const session = fresh()
    await ask('POST', `${session}/xhr`, {}, '')
    expect(await ask('POST', `${session}/xhr_send`, {}, body)).toMatchObject({ status: 500, body: answer })
    await ask('POST', `${session}/xhr_send`, {}, '["a"]')
    expect((await ask('POST', `${session}/xhr`, {}, '')).body).toBe('a["a"]\n')
  })

  test('takes all types of content that browsers give', async () => {
    const session = fresh()
    await ask('POST', `${session}/xhr`, {}, '')
    const types = ['text/plain', 'T', 'application/json', 'application/xml', '', 'text/xml']
    for (const type of [...types, 'application/json; charset=utf-8', 'text/xml; charset=utf-8']) {
      const sent = await ask('POST', `${session}/xhr_send`, { 'Content-Type': type }, '["a"]')
      expect(sent.status).toBe(204)
    }
    const { body } = await ask('POST', `${session}/xhr`, {}, '')
    expect(JSON.parse(body.slice(1))).toHaveLength(8)
    const odd = { 'Content-Type': 'application/x-thing' }
    expect((await ask('POST', `${session}/xhr_send`, odd, '["a"]')).status).toBe(500)
  })

  test.each(['xhr', 'xhr_send', 'xhr_streaming'])('answers preflights of %s', async way => {
    const answer = await ask('OPTIONS', `${fresh()}/${way}`, {
      Origin: 'http://a.example',
      'Access-Control-Request-Headers': 'a, b, c',
    })
    expect(answer.status).toBe(204)
    expect(answer.headers).toMatchObject({
      'access-control-allow-methods': 'OPTIONS, POST',
      'access-control-allow-headers': 'a, b, c',
      'access-control-allow-credentials': 'true',
      'access-control-allow-origin': 'http://a.example',
      'access-control-max-age': '31536000',
    })
    const plain = await ask('OPTIONS', `${fresh()}/${way}`, { 'Access-Control-Request-Headers': '' })
    expect(plain.headers['access-control-allow-headers']).toBe(undefined)
  })

  test.each(['GET', 'PUT', 'DELETE'])('is 405 to %s', async method => {
    const answer = await ask(method, `${fresh()}/xhr`)
    expect(answer).toMatchObject({ status: 405, body: '' })
    expect(answer.headers.allow).toBe('POST, OPTIONS')
    expect(answer.headers['content-type']).toBe(undefined)
  })

  test('escapes what browsers lose', async () => {
    const session = fresh()
    await ask('POST', `${session}/xhr`, {}, '')
    const text = '"\\\u0000\u001f\u007f\u00ad\u200c\u2028\ud800\udfff\ufeff\uffff é 👋'
    await ask('POST', `${session}/xhr_send`, {}, JSON.stringify([text]))
    const { body } = await ask('POST', `${session}/xhr`, {}, '')
    expect(body).toContain('\\u200c\\u2028')
    expect(body).toContain('\\ud83d\\udc4b')
    expect(JSON.parse(Buffer.from(body, 'latin1').toString().slice(1))).toEqual([text])
  })
})

describe('the streams', () => {
  const PRELUDE = 'h'.repeat(2048)
  const STREAMS = [
    ['POST', 'xhr_streaming', `${PRELUDE}\n`, 'o\n'],
    ['GET', 'eventsource', '\r\n', 'data: o\r\n\r\n'],
    ['GET', 'htmlfile?c=callback', '<!doctype html>', '<script>\np("o");\n</script>\r\n'],
  ] as const

  test.each(STREAMS)('by %s %s open, carry and end at their limit', async (method, way, prelude, opening) => {
    const session = fresh()
    const whole = await alike(ports, async port => {
      const stream = new Peer(port).say(http(method, `${session}/${way}`))
      await stream.until(opening)
      const message = `["${'x'.repeat(128)}"]`
      for (let i = 0; i < 32; i++) await exchange(port, 'POST', `${session}/xhr_send`, {}, message)
      return stream.end()
    })
    const { status, body } = parsed(whole)
    expect(status).toBe(200)
    expect(body.startsWith(prelude)).toBe(true)
    expect(body).toContain(opening)
    expect(body.length).toBeGreaterThan(4096)
    expect(body.length).toBeLessThan(4096 + 2048 + 400)
  })

  test('by eventsource and htmlfile escape what would end a frame', async () => {
    for (const [method, way] of [STREAMS[1], STREAMS[2]]) {
      const session = fresh()
      await alike(ports, async port => {
        const stream = new Peer(port).say(http(method, `${session}/${way}`))
        await stream.until(/o"?\)?;?\r?\n/)
        const body = JSON.stringify(['  \u0000\n\r '])
        await exchange(port, 'POST', `${session}/xhr_send`, {}, body)
        const heard = await stream.until('a[')
        stream.leave()
        return heard
      })
    }
  })

  test('by htmlfile fill a kilobyte first, and need a callback', async () => {
    expect(await ask('GET', `${fresh()}/htmlfile`)).toMatchObject({
      status: 500,
      body: '"callback" parameter required',
    })
    expect(await ask('GET', `${fresh()}/htmlfile?c=%3Cscript%3E`)).toMatchObject({
      status: 500,
      body: 'invalid "callback" parameter',
    })
    const heard = await alike(ports, async port => {
      const stream = new Peer(port).say(http('GET', `${fresh()}/htmlfile?callback=cb`))
      const text = await stream.until('p("o")')
      stream.leave()
      return text
    })
    expect(parsed(heard).body.indexOf('<script>\np(')).toBeGreaterThan(1024)
  })

  test('are refused a second at once', async () => {
    const session = fresh()
    const [, second] = await alike(ports, async port => {
      const first = new Peer(port).say(http('POST', `${session}/xhr_streaming`))
      await first.until('o\n')
      const refused = await exchange(port, 'POST', `${session}/xhr_streaming`)
      const poll = await exchange(port, 'POST', `${session}/xhr`)
      first.leave()
      return [first.heard, refused, poll]
    })
    expect(parsed(second ?? '').body).toBe(`${PRELUDE}\nc[2010,"Another connection still open"]\n`)
  })

  test.each(STREAMS)('by %s %s that break end the session', async (method, way, _prelude, opening) => {
    const session = fresh()
    const [, after] = await alike(ports, async port => {
      const first = new Peer(port).say(http(method, `${session}/${way}`))
      await first.until(opening)
      first.leave()
      // The server learns of it in its own time; a request at once may be refused as the second.
      for (;;) {
        const next = await exchange(port, 'POST', `${session}/xhr`)
        if (!next.includes('c[2010')) return ['', next]
      }
    })
    expect(['o\n', 'c[1002,"Connection interrupted"]\n']).toContain(parsed(after ?? '').body)
  })
})

describe('jsonp', () => {
  test('opens, receives and sends both as a form and as text', async () => {
    const session = fresh()
    const opening = await ask('GET', `${session}/jsonp?c=%63allback`)
    expect(opening).toMatchObject({ status: 200, body: '/**/callback("o");\r\n' })
    expect(opening.headers).toMatchObject({
      'content-type': 'application/javascript; charset=UTF-8',
      'x-content-type-options': 'nosniff',
    })
    const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
    const sent = await ask('POST', `${session}/jsonp_send`, form, 'd=%5B%22x%22%5D')
    expect(sent).toMatchObject({ status: 200, body: 'ok' })
    await ask('POST', `${session}/jsonp_send`, { 'Content-Type': 'text/plain' }, '["%61bc"]')
    expect((await ask('GET', `${session}/jsonp?c=x`)).body).toBe('/**/x("a[\\"x\\",\\"%61bc\\"]");\r\n')
  })

  test.each([
    ['', '"callback" parameter required'],
    ['?c=alert(1)', 'invalid "callback" parameter'],
    ['?callback=%20', 'invalid "callback" parameter'],
    [`?c=${'x'.repeat(33)}`, 'invalid "callback" parameter'],
  ])('needs a callback that is a name: %j', async (query, body) => {
    expect(await ask('GET', `${fresh()}/jsonp${query}`)).toMatchObject({ status: 500, body })
  })

  test.each([
    ['application/x-www-form-urlencoded', 'd=%5B%22x', 'Broken JSON encoding.'],
    ['application/x-www-form-urlencoded', '', 'Payload expected.'],
    ['application/x-www-form-urlencoded', 'd=', 'Payload expected.'],
    ['application/x-www-form-urlencoded', 'p=p', 'Payload expected.'],
    ['text/plain', '["x', 'Broken JSON encoding.'],
    ['text/plain', '', 'Payload expected.'],
    ['application/x-thing', '["x"]', 'Payload expected.'],
  ])('refuses %s %j', async (type, body, answer) => {
    const session = fresh()
    await ask('GET', `${session}/jsonp?c=x`)
    const sent = await ask('POST', `${session}/jsonp_send`, { 'Content-Type': type }, body)
    expect(sent).toMatchObject({ status: 500, body: answer })
  })

  test('is 404 without a session', async () => {
    const text = { 'Content-Type': 'text/plain' }
    expect((await ask('POST', `${fresh()}/jsonp_send`, text, '["x"]')).status).toBe(404)
  })
})

describe('/close', () => {
  test('closes a poll with the code, as often as asked', async () => {
    const session = fresh('/close')
    expect((await ask('POST', `${session}/xhr`, {}, '')).body).toBe('o\n')
    expect((await ask('POST', `${session}/xhr`, {}, '')).body).toBe('c[3000,"Go away!"]\n')
    expect((await ask('POST', `${session}/xhr`, {}, '')).body).toBe('c[3000,"Go away!"]\n')
    const jsonp = fresh('/close')
    expect((await ask('GET', `${jsonp}/jsonp?c=x`)).body).toBe('/**/x("o");\r\n')
    expect((await ask('GET', `${jsonp}/jsonp?c=x`)).body).toBe('/**/x("c[3000,\\"Go away!\\"]");\r\n')
  })

  test.each([
    ['POST', 'xhr_streaming'],
    ['GET', 'eventsource'],
    ['GET', 'htmlfile?c=x'],
  ])('ends %s %s with the code, now and later', async (method, way) => {
    const session = fresh('/close')
    const first = await ask(method, `${session}/${way}`)
    expect(first.body.replaceAll('\\"', '"')).toMatch(/\bo\b.*c\[3000,"Go away!"\]/s)
    const second = await ask(method, `${session}/${way}`)
    expect(second.body.replaceAll('\\"', '"')).toContain('c[3000,"Go away!"]')
  })

  test('closes a WebSocket with the code, a bare one too', async () => {
    const heard = await alike(ports, async port => {
      const peer = new Peer(port).say(http('GET', '/close/000/ws/websocket', UPGRADE))
      await peer.until('\x88')
      peer.say(frame('\x0b\xb8', 8))
      return peer.end()
    })
    expect(heard).toContain('\x81\x01o\x81\x12c[3000,"Go away!"]\x88')
    const bare = await alike(ports, async port => {
      const peer = new Peer(port).say(http('GET', '/close/websocket', UPGRADE))
      await peer.until('Go away!')
      peer.leave()
      return peer.heard
    })
    expect(bare).toContain('\x88\x0a\x0b\xb8Go away!')
  })
})

describe('JSESSIONID', () => {
  const app = '/cookie_needed_echo'
  const cookie = { Cookie: 'JSESSIONID=abcdef' }

  test('is told of, and not set on pages without a session', async () => {
    const info = await ask('GET', `${app}/info`)
    expect(JSON.parse(info.body).cookie_needed).toBe(true)
    expect(info.headers['set-cookie']).toBe(undefined)
    const { headers } = await ask('OPTIONS', `${app}/info`)
    expect(headers['set-cookie']).toBe('JSESSIONID=dummy; path=/')
  })

  test.each([
    ['POST', 'xhr'],
    ['GET', 'jsonp?c=x'],
  ])('is set on %s %s, or kept', async (method, way) => {
    const first = await ask(method, `${fresh(app)}/${way}`)
    expect(first.headers['set-cookie']).toBe('JSESSIONID=dummy; path=/')
    const session = fresh(app)
    const second = await ask(method, `${session}/${way}`, cookie)
    expect(second.headers['set-cookie']).toBe('JSESSIONID=abcdef; path=/')
    const sent = await ask('POST', `${session}/xhr_send`, cookie, '["a"]')
    expect(sent.headers['set-cookie']).toBe('JSESSIONID=abcdef; path=/')
    const preflight = await ask('OPTIONS', `${session}/xhr_send`, cookie)
    expect(preflight.headers['set-cookie']).toBe('JSESSIONID=abcdef; path=/')
  })

  test.each([
    ['POST', 'xhr_streaming'],
    ['GET', 'eventsource'],
    ['GET', 'htmlfile?c=x'],
  ])('is set on %s %s, or kept', async (method, way) => {
    for (const [headers, name] of [[{}, 'dummy'] as const, [cookie, 'abcdef'] as const]) {
      const heard = await alike(ports, async port => {
        const stream = new Peer(port).say(http(method, `${fresh(app)}/${way}`, headers))
        const text = await stream.until(/o"?\)?;?\r?\n/)
        stream.leave()
        return text
      })
      expect(parsed(heard).headers['set-cookie']).toBe(`JSESSIONID=${name}; path=/`)
    }
  })
})

describe('the WebSocket', () => {
  test('opens, and accepts the key', async () => {
    const heard = await alike(ports, async port => {
      const headers = { ...UPGRADE, Origin: 'http://localhost' }
      const peer = new Peer(port).say(http('GET', '/echo/000/ws/websocket', headers))
      await peer.until('\x81\x01o')
      peer.say(frame('["a"]'))
      await peer.until('a["a"]')
      peer.leave()
      return peer.heard
    })
    const { status, headers } = parsed(heard)
    expect(status).toBe(101)
    expect(headers).toMatchObject({
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-accept': 'HSmrc0sMlYUkAGmm5OPpG2HaGWk=',
    })
    expect(headers['content-length']).toBe(undefined)
  })

  test.each(['7', '8', '99'])('is not opened for version %s', async version => {
    const headers = { ...UPGRADE, 'Sec-WebSocket-Version': version }
    expect((await ask('GET', '/echo/000/ws/websocket', headers)).status).toBe(400)
  })

  test('takes the Connection header of old Firefox, and several with one session name', async () => {
    const heard = await alike(ports, async port => {
      const peers = [1, 2].map(() =>
        new Peer(port).say(
          http('GET', '/echo/000/same/websocket', { ...UPGRADE, Connection: 'keep-alive, Upgrade' }),
        ),
      )
      const texts = await Promise.all(peers.map(peer => peer.until('\x81\x01o')))
      for (const peer of peers) peer.leave()
      return texts
    })
    expect(heard.map(text => parsed(text).status)).toEqual([101, 101])
  })

  test.each([
    ['["a', 'closes'],
    ['"a"', 'a["a"]'],
    ['[]', ''],
    ['', ''],
    ['["a","b"]', 'a["b"]'],
  ])('answers the message %j as the package does', async (text, answer) => {
    const heard = await alike(ports, async port => {
      const peer = new Peer(port).say(http('GET', '/echo/000/ws/websocket', UPGRADE))
      await peer.until('\x81\x01o')
      peer.say(frame(text)).say(frame('["end"]')).say(frame('\x03\xe8', 8))
      return peer.end()
    })
    if (answer === 'closes') expect(heard).not.toContain('end')
    else expect(heard).toContain(`${answer}`)
  })

  test('without the frames of SockJS echoes text', async () => {
    const heard = await alike(ports, async port => {
      const peer = new Peer(port).say(http('GET', '/echo/websocket', UPGRADE))
      await peer.until('\r\n\r\n')
      peer.say(frame('Hello world!\uffff'))
      await peer.until('world!')
      peer.say(frame('\x03\xe8', 8))
      return peer.end()
    })
    expect(heard).toContain('\x81\x0fHello world!\xef\xbf\xbf')
  })

  test('of hixie-76 opens before its nonce has come, as behind a proxy', async () => {
    const heard = await alike(ports, async port => {
      const peer = new Peer(port).say(
        http('GET', '/echo/000/hixie/websocket', {
          Connection: 'Upgrade',
          Upgrade: 'WebSocket',
          Origin: 'http://localhost',
          'Sec-WebSocket-Key1': '4 @1  46546xW%0l 1 5',
          'Sec-WebSocket-Key2': '12998 5 Y3 1  .P00',
        }),
      )
      await peer.until('\r\n\r\n')
      peer.say('^n:ds[4U')
      await peer.until('\x00o\xff')
      peer.say('\x00["a"]\xff'.slice(0, -1)).say(Buffer.of(0xff))
      await peer.until('a["a"]\xff')
      peer.leave()
      return peer.heard
    })
    expect(heard).toMatch(/^HTTP\/1\.1 101 /)
    expect(heard).toContain("8jKS'y:G*Co,Wxa-\x00o\xff")
  })
})

describe('HTTP', () => {
  test('1.0 gets an answer that ends with the connection', async () => {
    for (const Connection of ['close', 'Keep-Alive']) {
      const heard = await alike(ports, port =>
        exchange(port, 'POST', `${fresh()}/xhr`, { Connection }, '', '1.0'),
      )
      expect(heard).toMatch(/\r\n\r\no\n$/)
    }
  })

  test('1.1 keeps its connection between two polls', async () => {
    const session = fresh()
    const heard = await alike(ports, async port => {
      const peer = new Peer(port)
      const Connection = 'keep-alive'
      peer.say(http('POST', `${session}/xhr`, { Connection }, ''))
      await peer.until('0\r\n\r\n')
      const from = peer.heard.length
      peer.say(http('POST', `${session}/xhr_send`, { Connection }, '["a"]'))
      await peer.until('\r\n\r\n', from)
      const second = peer.heard.length
      peer.say(http('POST', `${session}/xhr`, {}, ''))
      await peer.end()
      return [peer.heard.slice(0, from), peer.heard.slice(from, second), peer.heard.slice(second)]
    })
    expect(heard.map(text => parsed(text).status)).toEqual([200, 204, 200])
  })

  test('1.1 streams in chunks', async () => {
    const heard = await alike(ports, async port => {
      const peer = new Peer(port).say(http('POST', `${fresh()}/xhr_streaming`, { Connection: 'keep-alive' }))
      const text = await peer.until('o\n\r\n')
      peer.leave()
      return text
    })
    expect(heard).toContain(`801\r\n${'h'.repeat(2048)}\n\r\n2\r\no\n\r\n`)
  })
})

describe('what differs from the package', () => {
  /** Our answer and the package's, as they are. */
  const both = async (...request: Parameters<typeof http>) => {
    const [ours, theirs] = await Promise.all([
      exchange(ports.ours, ...request),
      exchange(ports.control, ...request),
    ])
    return { ours: parsed(ours), theirs: parsed(theirs) }
  }

  test.each([
    ['nothing', {}, 'Can "Upgrade" only to "WebSocket".'],
    ['another protocol', { Upgrade: 'h2c' }, 'Can "Upgrade" only to "WebSocket".'],
    ['no connection', { Upgrade: 'WebSocket' }, '"Connection" must be "Upgrade".'],
  ])(
    'is that a WebSocket that upgrades %s is told why, as the protocol tests have it',
    async (_what, headers, body) => {
      const { ours, theirs } = await both('GET', '/echo/000/ws/websocket', headers)
      expect(ours).toMatchObject({ status: 400, body })
      expect(theirs.status).toBe(400)
      expect((await both('GET', '/echo/websocket', headers)).ours).toMatchObject({ status: 400, body })
    },
  )

  test.each(['/echo/000/ws/websocket', '/echo/websocket'])('are no methods but GET for %s', async path => {
    for (const headers of [{}, { Connection: 'Upgrade', Upgrade: 'WebSocket' }]) {
      const ours = parsed(await exchange(ports.ours, 'POST', path, headers, ''))
      expect(ours).toMatchObject({ status: 405, body: '' })
      expect(ours.headers.allow).toBe('GET')
      expect(ours.headers['content-type']).toBe(undefined)
    }
    const { theirs } = await both('POST', path, {}, '')
    expect(theirs).toMatchObject({ status: 405, body: '' })
  })

  test('is that upgrades of other paths are answered 404 at once', async () => {
    for (const path of ['/echo', '/echo/a/b/xhr', '/elsewhere', '/disabled_websocket_echo/a/b/websocket']) {
      expect(parsed(await exchange(ports.ours, 'GET', path, UPGRADE)).status).toBe(404)
    }
  })

  test('is that a query does not make another path of the base URL', async () => {
    const { ours, theirs } = await both('GET', '/echo?x=1')
    expect(ours.body).toBe('Welcome to SockJS!\n')
    expect(theirs.body).toBe('fallback')
  })

  test('is that no message leaves its script in htmlfile', async () => {
    const session = fresh()
    const [ours, theirs] = await Promise.all(
      [ports.ours, ports.control].map(async port => {
        const stream = new Peer(port).say(http('GET', `${session}/htmlfile?c=x`))
        await stream.until('p("o")')
        await exchange(port, 'POST', `${session}/xhr_send`, {}, JSON.stringify(['</script><script>alert(1)']))
        const heard = await stream.until('alert(1)')
        stream.leave()
        return heard
      }),
    )
    expect(theirs).toContain('</script><script>alert(1)')
    expect(ours).toContain('p("a[\\"\\u003c/script>\\u003cscript>alert(1)\\"]");')
  })

  test('is that pages of other hosts are refused unless `origins` has them, and all else passes', async () => {
    const { server, port } = await pageServer()
    const transport = sockjs({ server, prefix: '/echo' })
    await transport.start(echoHost())
    const request = (Origin?: string) => exchange(port, 'GET', '/echo/info', Origin ? { Origin } : {})
    expect(parsed(await request()).status).toBe(200)
    expect(parsed(await request('http://localhost')).status).toBe(200)
    expect(parsed(await request('http://a.example')).status).toBe(403)
    expect(parsed(await request('null')).status).toBe(403)
    await transport.stop()
    server.close()
  })
})
