import { Agent, createServer, request } from 'node:http'
import type { Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { LinkRecorder } from '../../src/testing/link-recorder.js'
import {
  ask,
  connectWebSocket,
  connectXhr,
  freshSession,
  post,
  startedSockJs,
  stream,
} from './sockjs-client.js'
import { listeningServer, RawClient } from './ws-client.js'

describe('what sockjs() answers without a session', () => {
  test('is a greeting on its path, with and without a slash', async () => {
    const { url } = await startedSockJs()
    for (const place of [url, `${url}/`]) {
      expect(await ask(place)).toMatchObject({ status: 200, body: 'Welcome to SockJS!\n' })
    }
  })

  test('is what it offers, under /info', async () => {
    const { url } = await startedSockJs({ websocket: false, jsessionid: true })
    const { body } = await ask(`${url}/info`)
    expect(JSON.parse(body)).toMatchObject({ websocket: false, cookie_needed: true, origins: ['*:*'] })
  })

  test('is a page for iframes, which caches may keep', async () => {
    const { url } = await startedSockJs({ sockjs_url: '/own.js' })
    const { status, body, headers } = await ask(`${url}/iframe-1.html`)
    expect(status).toBe(200)
    expect(body).toContain('<script src="/own.js">')
    const again = await ask(`${url}/iframe.html`, { headers: { 'If-None-Match': headers.get('etag') ?? '' } })
    expect(again.status).toBe(304)
  })

  test.each(['/a', '/a/b/c/d', '/a.b/c/xhr', '//x/xhr', '/a//xhr', '/a/b/nothing', '/iframe.htm'])(
    'is 404 on %s',
    async path => {
      const { url, host } = await startedSockJs()
      expect((await post(url + path)).status).toBe(404)
      expect(host.calls).toEqual([])
    },
  )

  test('is 404 outside its path, and 405 to a wrong method', async () => {
    const { url, port } = await startedSockJs()
    expect((await ask(`http://127.0.0.1:${port}/sockjsx`)).status).toBe(404)
    const wrong = await ask(`${url}${freshSession()}/xhr`)
    expect(wrong.status).toBe(405)
    expect(wrong.headers.get('allow')).toBe('POST, OPTIONS')
  })

  test('leaves the rest of a shared server to its other listeners', async () => {
    const { server, port } = await listeningServer(
      createServer((_request, response) => response.end('a page')),
    )
    const { transport } = await startedOn(server)
    const page = `http://127.0.0.1:${port}/`
    expect((await ask(page)).body).toBe('a page')
    expect((await ask(`${page}sockjs`)).body).toBe('Welcome to SockJS!\n')
    await transport.stop()
    expect((await ask(`${page}sockjs`)).body).toBe('a page')
  })
})

describe('a session of sockjs()', () => {
  test('opens, receives and sends by polling', async () => {
    const { url, host } = await startedSockJs()
    const session = url + freshSession()
    expect((await post(`${session}/xhr`)).body).toBe('o\n')
    const { link, recorder } = await host.nextLink()
    expect((await post(`${session}/xhr_send`, '["a","b"]')).status).toBe(204)
    expect(recorder.frames).toEqual(['a', 'b'])
    link.send('c')
    link.send('d')
    expect(link.bufferedBytes).toBe(2)
    expect((await post(`${session}/xhr`)).body).toBe('a["c","d"]\n')
    link.close(4404, 'gone fishing')
    expect((await post(`${session}/xhr`)).body).toBe('c[4404,"gone fishing"]\n')
    expect(await recorder.ended()).toEqual({ code: 4404, reason: 'gone fishing' })
  })

  test('leaves nothing at a socket that carries the requests of many, as that of a proxy', async () => {
    const sockets: Socket[] = []
    const own = createServer().on('connection', socket => sockets.push(socket))
    const { server, port } = await listeningServer(own)
    const { transport } = await startedOn(server)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const open = () =>
      new Promise<string>((resolve, reject) => {
        const path = `/sockjs${freshSession()}/xhr`
        const sent = request({ host: '127.0.0.1', port, path, method: 'POST', agent }, async response => {
          let body = ''
          for await (const chunk of response) body += chunk
          resolve(body)
        })
        sent.on('error', reject).end()
      })
    expect(await open()).toBe('o\n')
    const listeners = sockets[0]!.listenerCount('drain')
    for (let session = 0; session < 20; session++) expect(await open()).toBe('o\n')
    expect(sockets).toHaveLength(1)
    expect(sockets[0]!.listenerCount('drain')).toBe(listeners)
    agent.destroy()
    await transport.stop()
  })

  test('tells a WebSocket the code and reason of the server', async () => {
    const { url, host } = await startedSockJs()
    const seen = new LinkRecorder()
    await connectWebSocket(url, seen, [])
    const { link } = await host.nextLink()
    link.close(1001, '€'.repeat(50))
    expect(await seen.ended()).toEqual({ code: 1001, reason: '€'.repeat(41) })
  })

  test.each([
    ['', 'Payload expected.'],
    ['["a', 'Broken JSON encoding.'],
    ['{}', 'Payload expected.'],
  ])('refuses the body %j', async (body, answer) => {
    const { url } = await startedSockJs()
    const session = url + freshSession()
    await post(`${session}/xhr`)
    expect(await post(`${session}/xhr_send`, body)).toMatchObject({ status: 500, body: answer })
    expect(await post(`${session}/jsonp_send`, body, { 'Content-Type': 'text/plain' })).toMatchObject({
      status: 500,
      body: answer,
    })
  })

  test('is 404 to those who send before it is opened', async () => {
    const { url, host } = await startedSockJs()
    expect((await post(`${url}${freshSession()}/xhr_send`, '["a"]')).status).toBe(404)
    expect((await post(`${url}/000/constructor/xhr_send`, '["a"]')).status).toBe(404)
    expect(host.calls).toEqual([])
  })

  test('opens by eventsource, htmlfile and jsonp', async () => {
    const { url, host } = await startedSockJs()
    const events = await stream(`${url}${freshSession()}/eventsource`, 'data: o')
    expect(events.headers['content-type']).toBe('text/event-stream')
    const page = await stream(`${url}${freshSession()}/htmlfile?c=back`, 'p("o")')
    expect(page.text).toContain('parent.back')
    const script = await ask(`${url}${freshSession()}/jsonp?c=back`)
    expect(script.body).toBe('/**/back("o");\r\n')
    expect(host.links).toHaveLength(3)
  })

  test('is not made for a callback that is missing or no name', async () => {
    const { url, host } = await startedSockJs()
    for (const query of ['', '?c=alert(1)']) {
      expect((await ask(`${url}${freshSession()}/jsonp${query}`)).status).toBe(500)
      expect((await ask(`${url}${freshSession()}/htmlfile${query}`)).status).toBe(500)
    }
    expect(host.links).toEqual([])
  })

  test('ends with 1009 by a body that is too large, which gets a 413', async () => {
    const { url, host } = await startedSockJs({ maxPayload: 100 })
    const session = url + freshSession()
    await post(`${session}/xhr`)
    const { recorder } = await host.nextLink()
    expect((await post(`${session}/xhr_send`, JSON.stringify(['x'.repeat(1000)]))).status).toBe(413)
    expect((await post(`${session}/xhr`)).body).toContain('c[1009,')
    expect((await recorder.ended()).code).toBe(1009)
    expect(recorder.frames).toEqual([])
  })

  test('refuses a body that grows too large without having said so', async () => {
    const { url } = await startedSockJs({ maxPayload: 100 })
    const body = new Blob(['x'.repeat(1000)]).stream()
    const init = { method: 'POST', body, duplex: 'half' } as RequestInit
    expect((await ask(`${url}${freshSession()}/xhr_send`, init)).status).toBe(413)
  })

  test('does not share its name with a session of another transport', async () => {
    const [one, two] = [await startedSockJs(), await startedSockJs()]
    const session = freshSession()
    expect((await post(`${one.url}${session}/xhr`)).body).toBe('o\n')
    expect((await post(`${two.url}${session}/xhr`)).body).toBe('o\n')
  })
})

describe('whom sockjs() admits', () => {
  test('are no pages of other origins, and these may not read why', async () => {
    const { url, host } = await startedSockJs()
    const headers = { Origin: 'https://evil.example' }
    for (const answer of [
      await ask(`${url}/info`, { headers }),
      await ask(`${url}${freshSession()}/xhr`, { method: 'OPTIONS', headers }),
      await post(`${url}${freshSession()}/xhr`, '', headers),
    ]) {
      expect(answer.status).toBe(403)
      expect(answer.headers.get('access-control-allow-origin')).toBe(null)
    }
    expect(host.calls).toEqual([])
    expect(host.logs[0]?.message).toContain("sockjs({ origins: ['https://evil.example'] })")
  })

  test('are pages of the origins named, with their cookies', async () => {
    const { url } = await startedSockJs({ origins: ['https://example.com'] })
    const { headers } = await ask(`${url}/info`, { headers: { Origin: 'https://example.com' } })
    expect(headers.get('access-control-allow-origin')).toBe('https://example.com')
    expect(headers.get('access-control-allow-credentials')).toBe('true')
  })

  test('are not known by cookies where another page may be behind the request', async () => {
    const { url, host } = await startedSockJs()
    const headers = { Cookie: 'sid=1', Origin: new URL(url).origin }
    await ask(`${url}${freshSession()}/jsonp?c=back`, { headers })
    await stream(`${url}${freshSession()}/htmlfile?c=back`, 'p("o")', { headers })
    await post(`${url}${freshSession()}/xhr`, '', { ...headers, Referer: `${url}/iframe.html` })
    await post(`${url}${freshSession()}/xhr`, '', headers)
    await post(`${url}${freshSession()}/xhr`, '', { ...headers, Referer: `${headers.Origin}/page` })
    const cookies = host.handshakes.map(handshake => handshake.headers.cookie)
    expect(cookies).toEqual([undefined, undefined, undefined, undefined, 'sid=1'])
  })

  test('are asked about once a session, and refused with the status of the verdict', async () => {
    const { url, host } = await startedSockJs()
    host.decide = () => ({ accept: false, status: 429, message: 'Slow down' })
    expect(await post(`${url}${freshSession()}/xhr`)).toMatchObject({ status: 429, body: 'Slow down' })
    host.decide = () => ({ accept: true, headers: { 'Set-Cookie': 'sid=1' } })
    const session = url + freshSession()
    expect((await post(`${session}/xhr`)).headers.get('set-cookie')).toBe('sid=1')
    await post(`${session}/xhr_send`, '["a"]')
    expect(host.calls).toEqual(['authorize', 'authorize', 'connect'])
  })

  test('are no upgrades but those of WebSockets', async () => {
    const { port, host } = await startedSockJs()
    for (const path of ['/sockjs/a/b/xhr', '/sockjs', '/elsewhere']) {
      const client = await new RawClient(port).upgrade(path).upgraded()
      expect(client.received.toString()).toContain('HTTP/1.1 404')
    }
    expect(host.calls).toEqual([])
  })

  test('may speak WebSocket without the frames of SockJS', async () => {
    const { port, host } = await startedSockJs()
    const client = await new RawClient(port).upgrade('/sockjs/websocket').upgraded()
    const { link, recorder } = await host.nextLink()
    client.write('8182000000006869')
    expect(await recorder.received(1)).toEqual(['hi'])
    link.send('ho')
    expect(await client.frames(4)).toBe('8102686f')
  })
})

test('sockjs() throws on bytes', async () => {
  const { url, host } = await startedSockJs()
  await connectXhr('xhr_streaming')(url, {}, [])
  const { link } = await host.nextLink()
  expect(() => link.send(Uint8Array.of(1))).toThrow('text only')
})

async function startedOn(server: ReturnType<typeof createServer>) {
  const { sockjs } = await import('../../src/transports/sockjs.js')
  const { RecordingHost } = await import('../../src/testing/recording-host.js')
  const transport = sockjs({ server })
  await transport.start(new RecordingHost())
  return { transport }
}
