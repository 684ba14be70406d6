import { Agent, createServer, request } from 'node:http'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type SseOptions, sse } from '../../src/transports/sse.js'
import { ask, connectSse, post, RawStream, startedSse } from './sse-client.js'
import { listeningServer, RawClient } from './ws-client.js'

const STREAM = { Accept: 'text/event-stream' }

/** A started transport with one stream open. */
async function opened(options: SseOptions = {}) {
  const started = await startedSse(options)
  const stream = await RawStream.open(started.url)
  onTestFinished(() => void stream.request.destroy())
  return { ...started, stream, server: await started.host.nextLink() }
}

function fakeTimers(...toFake: ('setTimeout' | 'clearTimeout' | 'setInterval' | 'clearInterval')[]) {
  vi.useFakeTimers({ toFake })
  onTestFinished(() => void vi.useRealTimers())
}

describe('the options of sse()', () => {
  test.each([
    [{ port: 0, server: createServer() }, 'sse: both `port` and `server` are given'],
    [{ port: 0, path: 'sse' }, "path: '/sse'"],
    [{ port: 0, maxPayload: 0 }, 'option `maxPayload` is 0 (number); give a number of bytes'],
    [{ port: 0, heartbeat: -1 }, 'option `heartbeat` is -1 (number); give milliseconds'],
    [{ port: 0, pingInterval: 1 }, 'there is no option `pingInterval`'],
  ])('are refused with the fix: %o', (options, message) => {
    expect(() => sse(options as SseOptions)).toThrow(message)
  })
})

describe('a stream of sse()', () => {
  test('begins with its name, and must not be cached or held back', async () => {
    const { url, host } = await startedSse()
    const stream = await RawStream.open(`${url}?protocol=ss1.msgpack,ss1.json&protocol=x`)
    expect(stream.text).toMatch(/^data: \["o[\w-]{30} 6291472"\]\n\n$/)
    expect(stream.response.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
      'socketstream-protocol': 'ss1.msgpack',
    })
    expect(host.handshakes[0]).toMatchObject({
      transport: 'sse',
      clientIp: '127.0.0.1',
      protocols: ['ss1.msgpack', 'ss1.json', 'x'],
    })
    stream.request.destroy()
  })

  test('has a name of its own each time, which nobody can guess', async () => {
    const { url } = await startedSse()
    const streams = await Promise.all([RawStream.open(url), RawStream.open(url), RawStream.open(url)])
    expect(new Set(streams.map(({ postUrl }) => postUrl)).size).toBe(3)
    for (const { request } of streams) request.destroy()
  })

  test('carries all of a tick in one event', async () => {
    const { stream, server } = await opened()
    const before = stream.text.length
    for (const frame of ['one\r\n', Uint8Array.of(3, 255), '', '\u2028 grüße']) server.link.send(frame)
    await stream.until('grüße')
    expect(stream.text.slice(before)).toBe('data: ["tone\\r\\n","bA/8=","t","t\u2028 grüße"]\n\n')
  })

  test('ends with the code and reason of the server', async () => {
    const { stream, server } = await opened()
    server.link.send('last')
    server.link.close(4404, 'gone fishing')
    expect(await stream.ended()).toContain('data: ["tlast"]\n\ndata: ["c4404 gone fishing"]\n\n')
    expect(await server.recorder.ended()).toEqual({ code: 4404, reason: 'gone fishing' })
  })

  test('has a comment in it every `heartbeat`', async () => {
    fakeTimers('setInterval', 'clearInterval')
    const { stream } = await opened({ heartbeat: 5000 })
    vi.advanceTimersByTime(5000)
    await stream.until('\n\n:\n\n')
    expect(stream.text).toMatch(/^data: .*\n\n:\n\n$/)
  })

  test('is refused without an Accept header that says so, and by other methods', async () => {
    const { url, host } = await startedSse()
    expect((await ask(url)).status).toBe(406)
    expect((await ask(url, { headers: { Accept: '*/*' } })).status).toBe(406)
    for (const method of ['PUT', 'DELETE', 'HEAD']) {
      const { status, headers } = await ask(url, { method, headers: STREAM })
      expect([status, headers.allow]).toEqual([405, 'GET, POST'])
    }
    expect((await ask(`${url}/x`, { headers: STREAM })).status).toBe(404)
    expect(host.calls).toEqual([])
  })

  test('is refused to what is pipelined behind another', async () => {
    const { host, port } = await startedSse()
    const client = new RawClient(port)
    const get = 'GET /sse HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n'
    client.socket.write(get + get + get.replace('Accept', 'Connection: close\r\nAccept'))
    const { link } = await host.nextLink()
    link.close(1000, '')
    await client.closed
    expect(`${client.received}`.match(/HTTP\/1\.1 \d+/g)).toEqual([
      'HTTP/1.1 200',
      'HTTP/1.1 400',
      'HTTP/1.1 400',
    ])
    expect(host.calls).toEqual(['authorize', 'connect'])
  })

  test('answers 404 to upgrades', async () => {
    const { port } = await startedSse()
    const client = new RawClient(port).upgrade('/sse')
    await client.closed
    expect(`${client.received}`).toMatch(/^HTTP\/1\.1 404 /)
  })

  test('is closed with 1006, and nameless, when its client leaves', async () => {
    const { stream, server } = await opened()
    stream.request.destroy()
    expect(await server.recorder.ended()).toEqual({ code: 1006, reason: '' })
    expect((await post(stream.postUrl, ['thi'])).status).toBe(404)
    expect(server.recorder.frames).toEqual([])
  })

  test('that nobody reads is bounded, says so, and leaves the others alone', async () => {
    const { url, host, stream, server } = await opened({ highWaterMark: 100_000 })
    const other = await RawStream.open(url)
    stream.response.pause()
    const frame = 'x'.repeat(10_000)
    // More than the system's own buffers take.
    for (let turn = 0; turn < 3000 && server.link.send(frame); turn++) await new Promise(setImmediate)
    expect(server.link.send(frame)).toBe(false)
    expect(server.link.bufferedBytes).toBeGreaterThan(100_000)
    expect(server.link.bufferedBytes).toBeLessThan(200_000)
    expect(server.recorder.drains).toBe(0)
    ;(await host.nextLink()).link.send('served')
    await other.until('served')
    stream.response.resume()
    await server.recorder.drainedTimes(1)
    expect(server.link.send('more')).toBe(true)
    other.request.destroy()
  })

  test('says that it has drained also when the system took all at once', async () => {
    const { server } = await opened({ highWaterMark: 10 })
    expect(server.link.send('x'.repeat(20))).toBe(false)
    await server.recorder.drainedTimes(1)
    expect(server.link.send('x')).toBe(true)
  })

  test('that nobody reads is dropped 30 seconds after it was closed', async () => {
    const { stream, server } = await opened()
    stream.response.pause()
    while (server.link.bufferedBytes < 20_000_000) server.link.send('x'.repeat(1_000_000))
    fakeTimers('setTimeout', 'clearTimeout')
    server.link.close(4000, 'slow')
    await new Promise(setImmediate)
    expect(server.recorder.endings).toEqual([])
    vi.advanceTimersByTime(30_000)
    expect(await server.recorder.ended()).toEqual({ code: 4000, reason: 'slow' })
  })
})

describe('a POST to sse()', () => {
  test('carries frames, and is answered once they are handed over', async () => {
    const { stream, server } = await opened()
    expect(await post(stream.postUrl, ['thi', 'bA/8=', 't', 'b'])).toMatchObject({ status: 204, body: '' })
    const frames = ['hi', Buffer.from([3, 255]), '', Buffer.alloc(0)]
    expect(server.recorder.frames).toEqual(frames)
    expect((await post(stream.postUrl, [])).status).toBe(204)
  })

  test('closes with the code and reason of the client, behind its frames', async () => {
    const { stream, server } = await opened()
    expect((await post(stream.postUrl, ['tbye', 'c4001 had  enough'])).status).toBe(204)
    expect(await server.recorder.ended()).toEqual({ code: 4001, reason: 'had  enough' })
    expect(server.recorder.frames).toEqual(['bye'])
    await stream.ended()
    expect((await post(stream.postUrl, ['tmore'])).status).toBe(404)
  })

  test.each([
    '',
    '?link=',
    '?link=__proto__',
    '?link=constructor',
    '?link=%00',
    '?link=%FF%FE',
    `?link=${'x'.repeat(10_000)}`,
    '?link[]=1',
    '?&&=&link',
  ])('is 404 without the name of a link: %.20s', async query => {
    const { url, server } = await opened()
    expect((await post(url + query, ['thi'])).status).toBe(404)
    expect(server.recorder.frames).toEqual([])
  })

  test('is 404 for all names while the verdict is out', async () => {
    const { url, host } = await startedSse()
    const asked = new Promise<(verdict: { accept: true }) => void>(resolve => {
      host.decide = () => new Promise(decide => resolve(decide))
    })
    const opening = RawStream.open(url)
    const decide = await asked
    expect((await post(`${url}?link=`, ['thi'])).status).toBe(404)
    decide({ accept: true })
    const { request, postUrl } = await opening
    expect((await post(postUrl, ['thi'])).status).toBe(204)
    request.destroy()
  })

  test.each([
    ['no JSON', 'thi'],
    ['no array', '{"0":"thi"}'],
    ['no strings', '["thi",1]'],
    ['nested', '["thi",["thi"]]'],
    ['of no kind', '["thi","xhi"]'],
    ['empty', '["thi",""]'],
    ['the name of a link', '["o1 2"]'],
    ['no base64', '["bA/8"]'],
    ['no base64 at all', '["b????"]'],
    ['no UTF-8', Buffer.from('5b227468ff225d', 'hex')],
    ['a code that must not be sent', '["thi","c1006 "]'],
    ['no code', '["thi","cbye"]'],
    ['frames behind a close', '["c1000 ","thi"]'],
    ['missing', ''],
    ['deep', '['.repeat(50_000)],
  ])('is 400 and ends its link with 1002 when what it has is %s', async (_what, body) => {
    const { stream, server } = await opened()
    expect((await ask(stream.postUrl, { method: 'POST', body })).status).toBe(400)
    expect((await server.recorder.ended()).code).toBe(1002)
    expect(server.recorder.frames).toEqual([])
    expect(await stream.ended()).toContain('["c1002 ')
  })

  test('is 413 and ends its link with 1009 when it is too large, and no other', async () => {
    const { url, host, ...first } = await opened({ maxPayload: 1000 })
    const other = await RawStream.open(url)
    const { recorder } = await host.nextLink()
    expect((await post(first.stream.postUrl, [`t${'x'.repeat(1001)}`])).status).toBe(413)
    expect((await first.server.recorder.ended()).code).toBe(1009)
    expect(await first.stream.ended()).toContain('["c1009 ')
    // As large as a frame can become by JSON's escapes.
    expect((await post(other.postUrl, [`t${'\0'.repeat(1000)}`])).status).toBe(204)
    expect(recorder.frames).toEqual(['\0'.repeat(1000)])
    expect((await post(other.postUrl, ['t'.repeat(7000)])).status).toBe(413)
    expect((await recorder.ended()).code).toBe(1009)
  })

  test('is 413 as soon as it is too large, and need not end', async () => {
    const { stream, server } = await opened({ maxPayload: 1000 })
    const sent = request(stream.postUrl, { method: 'POST', agent: false })
    const status = new Promise(resolve => sent.on('response', ({ statusCode }) => resolve(statusCode)))
    sent.on('error', () => undefined)
    sent.write('x'.repeat(7000))
    expect(await status).toBe(413)
    expect((await server.recorder.ended()).code).toBe(1009)
    sent.destroy()
  })

  test('is 413 when it has more than 10,000 frames', async () => {
    const { stream, server } = await opened()
    expect((await post(stream.postUrl, Array(10_000).fill('t'))).status).toBe(204)
    expect((await post(stream.postUrl, Array(10_001).fill('t'))).status).toBe(413)
    expect(server.recorder.frames.length).toBe(10_000)
  })

  test('that is slow is dropped with its link, and the others are served meanwhile', async () => {
    const { server: http } = await listeningServer(createServer())
    const { url, host, ...first } = await opened({ server: http, handshakeTimeout: 5000 })
    const other = await RawStream.open(url)
    const { recorder } = await host.nextLink()
    fakeTimers('setTimeout', 'clearTimeout')
    const sent = request(first.stream.postUrl, { method: 'POST', agent: false })
    const broken = new Promise(resolve => sent.once('error', resolve))
    sent.write('["t')
    // The time for the body has begun.
    while (vi.getTimerCount() === 0) await new Promise(setImmediate)
    expect((await post(other.postUrl, ['thi'])).status).toBe(204)
    expect(recorder.frames).toEqual(['hi'])
    vi.advanceTimersByTime(5000)
    await broken
    expect(await first.server.recorder.ended()).toEqual({ code: 1006, reason: '' })
    other.request.destroy()
  })

  test('that breaks off ends its link, as what it held is lost', async () => {
    const { stream, server } = await opened()
    const sent = request(stream.postUrl, { method: 'POST', agent: false, headers: { 'Content-Length': 100 } })
    sent.on('error', () => undefined)
    sent.write('["thi"', () => sent.destroy())
    expect(await server.recorder.ended()).toEqual({ code: 1006, reason: '' })
    expect(server.recorder.frames).toEqual([])
  })

  test('waits while its link is paused, and a second one at once is 409', async () => {
    const { stream, server } = await opened()
    server.recorder.onframe = frame => {
      if (frame === '1') server.link.pause()
    }
    const first = post(stream.postUrl, ['t1', 't2'])
    await server.recorder.received(1)
    expect((await post(stream.postUrl, ['t3'])).status).toBe(409)
    expect(server.recorder.frames).toEqual(['1'])
    server.link.resume()
    expect((await first).status).toBe(204)
    expect((await post(stream.postUrl, ['t4'])).status).toBe(204)
    expect(server.recorder.frames).toEqual(['1', '2', '4'])
  })

  test('that waits is answered when its link closes, and nothing more of it is handed over', async () => {
    const { stream, server } = await opened()
    server.recorder.onframe = () => server.link.pause()
    const held = post(stream.postUrl, ['t1', 't2'])
    await server.recorder.received(1)
    server.link.close(1000, '')
    expect((await held).status).toBe(204)
    await server.recorder.ended()
    expect(server.recorder.frames).toEqual(['1'])
  })

  test('shares its connection with others, and with streams that have ended', async () => {
    const http = createServer()
    const connections = new Set<unknown>()
    http.on('connection', socket => connections.add(socket))
    await listeningServer(http)
    const { url, host, stream, server } = await opened({ server: http })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    const send = () => ask(stream.postUrl, { method: 'POST', body: '["thi"]', agent })
    for (let i = 0; i < 5; i++) expect((await send()).status).toBe(204)
    const streaming = ask(url, { headers: STREAM, agent })
    const { link } = await host.nextLink()
    link.close(1000, '')
    expect((await streaming).body).toContain('["c1000 "]')
    expect((await send()).status).toBe(204)
    expect(server.recorder.frames.length).toBe(6)
    expect(connections.size).toBe(2)
  })
})

describe('whom sse() admits', () => {
  test('is for the host to say', async () => {
    const { url, host } = await startedSse()
    host.decide = () => ({ accept: false, status: 401, message: 'Log in first' })
    expect(await ask(url, { headers: STREAM })).toMatchObject({ status: 401, body: 'Log in first' })
    host.decide = () => Promise.reject(new Error('broken'))
    expect((await ask(url, { headers: STREAM })).status).toBe(500)
    expect(host.logs.map(({ level }) => level)).toEqual(['error'])
    host.decide = () => ({ accept: true, headers: { 'Set-Cookie': 'sid=1' } })
    const { response, postUrl } = await RawStream.open(url)
    expect(response.headers['set-cookie']).toEqual(['sid=1'])
    expect((await post(postUrl, ['thi'])).headers['set-cookie']).toBe(undefined)
    response.destroy()
  })

  test('are no pages of other hosts, which may not even read why', async () => {
    const { url, host, stream, server } = await opened()
    const headers = { Origin: 'https://evil.example' }
    for (const { status, headers: answered } of [
      await ask(url, { headers: { ...STREAM, ...headers } }),
      await ask(url, { method: 'OPTIONS', headers }),
      await post(stream.postUrl, ['thi'], headers),
    ]) {
      expect(status).toBe(403)
      expect(answered['access-control-allow-origin']).toBe(undefined)
    }
    expect(host.calls).toEqual(['authorize', 'connect'])
    // The first of its kind; the others are counted.
    expect(host.logs.length).toBe(1)
    expect(host.logs[0]?.message).toContain("sse({ origins: ['https://evil.example'] })")
    expect(server.recorder.frames).toEqual([])
  })

  test('are pages that the option names, which may read the answers', async () => {
    const { url } = await startedSse({ origins: ['https://a.example'] })
    const headers = { Origin: 'https://a.example' }
    const allowed = {
      'access-control-allow-origin': 'https://a.example',
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
    }
    const { response, postUrl } = await RawStream.open(url, headers)
    expect(response.headers).toMatchObject(allowed)
    expect(await post(postUrl, ['thi'], headers)).toMatchObject({ status: 204, headers: allowed })
    const asks = {
      'Access-Control-Request-Method': 'POST',
      'Access-Control-Request-Headers': 'authorization',
    }
    expect(await ask(url, { method: 'OPTIONS', headers: { ...headers, ...asks } })).toMatchObject({
      status: 204,
      headers: {
        ...allowed,
        'access-control-allow-methods': 'GET, POST',
        'access-control-allow-headers': 'authorization',
      },
    })
    response.destroy()
  })

  test('are no more at once than may wait, and none for longer than they may', async () => {
    const { url, host } = await startedSse({ maxPendingHandshakes: 1, handshakeTimeout: 5000 })
    fakeTimers('setTimeout', 'clearTimeout')
    const asked = new Promise<void>(resolve => {
      host.decide = () => {
        resolve()
        return new Promise(() => undefined)
      }
    })
    const first = ask(url, { headers: STREAM })
    await asked
    expect((await ask(url, { headers: STREAM })).status).toBe(503)
    vi.advanceTimersByTime(5000)
    expect((await first).status).toBe(408)
  })

  test('are none that left while they were decided on', async () => {
    const { url, host, transport } = await startedSse()
    const asked = new Promise<(verdict: { accept: true }) => void>(resolve => {
      host.decide = () => new Promise(decide => resolve(decide))
    })
    const opening = request(url, { headers: STREAM, agent: false })
    opening.on('error', () => undefined)
    opening.end()
    const decide = await asked
    opening.destroy()
    host.decide = () => ({ accept: true })
    // By the time this one is through, the server knows that the other has left.
    await connectSse(url)
    decide({ accept: true })
    await transport.stop()
    expect(host.calls).toEqual(['authorize', 'authorize', 'connect'])
  })
})
