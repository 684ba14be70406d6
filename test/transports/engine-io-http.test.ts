import { once } from 'node:events'
import { createServer } from 'node:http'
import { describe, expect, test } from 'vitest'
import { type EngineIoOptions, engineio } from '../../src/transports/engine-io.js'
import { ask, connectEngineIo, startedEngineIo } from './engine-io-client.js'
import { listeningServer, RawClient } from './ws-client.js'

const POLL = '?EIO=4&transport=polling'

/** Opens a session by hand; gives the URL of its requests. */
async function opened(url: string): Promise<string> {
  const { body } = await ask(`${url}/${POLL}`)
  return `${url}/${POLL}&sid=${JSON.parse(body.slice(1)).sid}`
}

describe('the options of engineio()', () => {
  test.each([
    [{ port: 0, server: createServer() }, 'engineio: both `port` and `server` are given'],
    [{ port: 0, transports: ['webtransport'] }, "give 'polling', 'websocket' or both in an array"],
    [{ port: 0, allowEIO3: 1 }, 'option `allowEIO3` is 1 (number); give true or false'],
    [{ port: 0, pingInterval: 0 }, 'option `pingInterval` is 0 (number); give milliseconds'],
    [{ port: 0, heartbeat: 1 }, 'there is no option `heartbeat`'],
  ])('are refused with the fix: %o', (options, message) => {
    expect(() => engineio(options as EngineIoOptions)).toThrow(message)
  })
})

describe('the HTTP of engineio()', () => {
  test('opens a session with a packet that tells its terms', async () => {
    const { url, host } = await startedEngineIo({ pingInterval: 3000, pingTimeout: 2000 })
    const { status, body } = await ask(`${url}/${POLL}&protocol=ss1.json`)
    expect(status).toBe(200)
    expect(body[0]).toBe('0')
    expect(JSON.parse(body.slice(1))).toEqual({
      sid: expect.stringMatching(/^[\w-]{20}$/),
      upgrades: ['websocket'],
      pingInterval: 3000,
      pingTimeout: 2000,
      maxPayload: 1_000_000,
    })
    expect(host.handshakes[0]).toMatchObject({ transport: 'engineio', protocols: ['ss1.json'] })
  })

  test('takes and sends messages, all of a tick in one answer', async () => {
    const { url, host } = await startedEngineIo()
    const session = await opened(url)
    const { link, recorder } = await host.nextLink()
    expect(await ask(session, { method: 'POST', body: '4hi\x1ebAQI=' })).toMatchObject({
      status: 200,
      body: 'ok',
    })
    expect(recorder.frames).toEqual(['hi', Buffer.from([1, 2])])
    const poll = ask(session)
    link.send('one')
    link.send(Uint8Array.of(3))
    link.send('')
    expect((await poll).body).toBe('4one\x1ebAw==\x1e4')
  })

  test('pings', async () => {
    const { url } = await startedEngineIo({ pingInterval: 1 })
    expect((await ask(await opened(url))).body).toBe('2')
  })

  test.each([
    ['an unknown transport', 'GET', '?EIO=4&transport=abc', { code: 0, message: 'Transport unknown' }],
    ['an unknown session', 'GET', `${POLL}&sid=abc`, { code: 1, message: 'Session ID unknown' }],
    ['a handshake by POST', 'POST', POLL, { code: 2, message: 'Bad handshake method' }],
    [
      'a WebSocket that does not upgrade',
      'GET',
      '?EIO=4&transport=websocket',
      { code: 3, message: 'Bad request' },
    ],
    ['protocol 3', 'GET', '?EIO=3&transport=polling', { code: 5, message: 'Unsupported protocol version' }],
  ])('answers 400 to %s', async (_what, method, query, body) => {
    const { url, host } = await startedEngineIo()
    const answer = await ask(`${url}/${query}`, { method })
    expect(answer.status).toBe(400)
    expect(JSON.parse(answer.body)).toEqual(body)
    expect(host.links).toEqual([])
  })

  test('takes protocol 3 where that is allowed', async () => {
    const { url, host } = await startedEngineIo({ allowEIO3: true })
    const { status, body } = await ask(`${url}/?EIO=3&transport=polling`)
    expect(status).toBe(200)
    expect(body).toMatch(/^\d+:0\{"sid"/)
    expect(host.links).toHaveLength(1)
  })

  test('answers 404 elsewhere, to upgrades too', async () => {
    const { url, port } = await startedEngineIo()
    expect((await ask(url.replace('/engine.io', '/other'))).status).toBe(404)
    const client = new RawClient(port).upgrade('/other')
    await client.closed
    expect(client.received.toString()).toMatch(/^HTTP\/1\.1 404 /)
  })

  test('answers 413 to a body that is too large, closes with 1009 and serves the others', async () => {
    const { url, host } = await startedEngineIo({ maxHttpBufferSize: 100 })
    const [first, second] = [await opened(url), await opened(url)]
    const [large, other] = [await host.nextLink(), await host.nextLink()]
    expect((await ask(first, { method: 'POST', body: `4${'x'.repeat(100)}` })).status).toBe(413)
    expect((await large.recorder.ended()).code).toBe(1009)
    await ask(second, { method: 'POST', body: '4hi' })
    expect(other.recorder.frames).toEqual(['hi'])
  })

  test('ends the session of two polls at once', async () => {
    const { url, host } = await startedEngineIo()
    const session = await opened(url)
    const { recorder } = await host.nextLink()
    const polls = await Promise.allSettled([ask(session), ask(session)])
    expect(polls.map(poll => poll.status === 'fulfilled' && poll.value.status)).toContain(400)
    expect((await recorder.ended()).code).toBe(1006)
  })

  test('gives 1005 for a client that says it closes', async () => {
    const { url, host } = await startedEngineIo()
    const session = await opened(url)
    await ask(session, { method: 'POST', body: '1' })
    expect((await (await host.nextLink()).recorder.ended()).code).toBe(1005)
  })
})

describe('the handshake of engineio()', () => {
  test('is refused with the status and message of the verdict', async () => {
    const { host, url, port } = await startedEngineIo()
    host.decide = () => ({ accept: false, status: 401, message: 'Log in first' })
    const answer = await ask(`${url}/${POLL}`)
    expect(answer.status).toBe(401)
    expect(JSON.parse(answer.body)).toEqual({ code: 4, message: 'Log in first' })
    const client = new RawClient(port).upgrade('/engine.io/?EIO=4&transport=websocket')
    await client.closed
    expect(client.received.toString()).toMatch(/^HTTP\/1\.1 401 [\s\S]*Log in first$/)
  })

  test('has the headers of the verdict in its answer, and only there', async () => {
    const { host, url, port } = await startedEngineIo()
    host.decide = () => ({ accept: true, headers: { 'Set-Cookie': 'sid=1' } })
    expect((await ask(`${url}/${POLL}`)).headers['set-cookie']).toEqual(['sid=1'])
    const session = await opened(url)
    expect((await ask(session, { method: 'POST', body: '4x' })).headers['set-cookie']).toBe(undefined)
    const client = await new RawClient(port).upgrade('/engine.io/?EIO=4&transport=websocket').upgraded()
    expect(client.received.toString()).toContain('Set-Cookie: sid=1')
    client.socket.destroy()
  })

  test('answers 500 when the host fails, and logs it', async () => {
    const { host, url } = await startedEngineIo()
    host.decide = () => Promise.reject(new Error('broken'))
    expect((await ask(`${url}/${POLL}`)).status).toBe(500)
    expect(host.logs.map(({ level }) => level)).toEqual(['error'])
  })

  test('refuses pages of other hosts, and lets those allowed read the answer', async () => {
    const headers = { Origin: 'https://a.example' }
    const strict = await startedEngineIo()
    expect((await ask(`${strict.url}/${POLL}`, { headers })).status).toBe(403)
    const { url } = await startedEngineIo({ origins: ['https://a.example'] })
    const answer = await ask(`${url}/${POLL}`, { headers })
    expect(answer.status).toBe(200)
    expect(answer.headers['access-control-allow-origin']).toBe('https://a.example')
  })

  test('answers 503 to more pending clients than allowed', async () => {
    const { host, url, port } = await startedEngineIo({ maxPendingHandshakes: 1 })
    const asked = new Promise<void>(resolve => {
      host.decide = () => {
        resolve()
        return new Promise(() => undefined)
      }
    })
    new RawClient(port).upgrade('/engine.io/?EIO=4&transport=websocket')
    await asked
    expect((await ask(`${url}/${POLL}`)).status).toBe(503)
  })
})

describe('a server given to engineio()', () => {
  test('keeps its other requests, and gets all of them back', async () => {
    const app = createServer((_request, response) => response.end('app'))
    const { server, port } = await listeningServer(app)
    const { transport, host, url } = await startedEngineIo({ server })
    expect(url).toBe(`http://127.0.0.1:${port}/engine.io`)
    await connectEngineIo(url)
    expect(host.links).toHaveLength(1)
    expect((await ask(`http://127.0.0.1:${port}/`)).body).toBe('app')
    await transport.stop()
    expect((await ask(url)).body).toBe('app')
    expect(server.listenerCount('upgrade')).toBe(0)
    const closed = once(server, 'close')
    server.close()
    await closed
  })
})
