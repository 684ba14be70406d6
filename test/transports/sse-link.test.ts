import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type SseClientOptions, sse } from '../../src/client/sse.js'
import type { ClientLink } from '../../src/client/transport.js'
import type { Frame } from '../../src/codec/codec.js'
import { LinkRecorder } from '../../src/testing/link-recorder.js'
import { startedSse } from './sse-client.js'
import { listeningServer } from './ws-client.js'

/** Opens a link of the real client. */
function opened(url: string, options: SseClientOptions = {}, protocols: readonly string[] = []) {
  const seen = new LinkRecorder()
  let opens = 0
  let resolve: () => void = () => undefined
  const open = new Promise<void>(done => {
    resolve = done
  })
  const link: ClientLink = sse(options).open(url, protocols, {
    opened: () => {
      opens++
      resolve()
    },
    frame: frame => seen.frame(frame),
    closed: (code, reason) => seen.closed(code, reason),
  })
  onTestFinished(() => link.close(1000, ''))
  return { link, seen, open, opens: () => opens }
}

/** A server written by hand: what it answers to the GET, and to each POST. */
async function handmade(
  get: (response: ServerResponse) => void,
  post: (body: string, response: ServerResponse, request: IncomingMessage) => void = () => undefined,
) {
  const answer: RequestListener = async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    if (request.method === 'POST') return post(body, response, request)
    response.writeHead(200, { 'Content-Type': 'text/event-stream' })
    get(response)
  }
  const { port } = await listeningServer(createServer(answer))
  return `http://127.0.0.1:${port}`
}

const OPEN = 'data: ["oabc 1000"]\n\n'

describe('a link of the client over SSE', () => {
  test('carries frames of all kinds both ways, in order', async () => {
    const { url, host } = await startedSse()
    const units = fc.array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(10, 13, 0x2028)))
    const text = units.map(list => String.fromCharCode(...list))
    const frames = fc.array(fc.oneof(text, fc.uint8Array()), { minLength: 1 })
    const { link, seen, open } = opened(url)
    await open
    const server = await host.nextLink()
    server.recorder.onframe = frame => void server.link.send(frame)
    let count = 0
    const sent: Frame[] = []
    await fc.assert(
      fc.asyncProperty(frames, async frames => {
        for (const frame of frames) link.send(frame)
        sent.push(...frames)
        count += frames.length
        await seen.received(count)
        await server.recorder.received(count)
      }),
      { numRuns: 30 },
    )
    const plain = (frames: readonly Frame[]) =>
      frames.map(frame => (typeof frame === 'string' ? frame : [...frame]))
    expect(plain(server.recorder.frames)).toEqual(plain(sent))
    expect(plain(seen.frames)).toEqual(plain(sent))
  })

  test('carries the largest frames, with what waits besides', async () => {
    const { url, host } = await startedSse({ maxPayload: 3000 })
    const { link, open } = opened(url)
    await open
    const { recorder } = await host.nextLink()
    const large = ['"'.repeat(3000), new Uint8Array(3000).fill(255), '\0'.repeat(3000)]
    const frames = Array.from({ length: 2500 }, (_, i) => large[i % 50] ?? `${i}`)
    for (const frame of frames) link.send(frame)
    const received = await recorder.received(2500)
    expect(received.map(frame => frame.length)).toEqual(frames.map(frame => frame.length))
    expect(recorder.endings).toEqual([])
  })

  test('is told the code and reason of the server, and tells it its own', async () => {
    const { url, host } = await startedSse()
    const first = opened(url)
    await first.open
    ;(await host.nextLink()).link.close(4404, 'gone fishing')
    expect(await first.seen.ended()).toEqual({ code: 4404, reason: 'gone fishing' })
    const second = opened(url)
    await second.open
    const server = await host.nextLink()
    second.link.send('last')
    second.link.close(4001, 'had enough')
    second.link.send('too late')
    expect(await second.seen.ended()).toEqual({ code: 4001, reason: 'had enough' })
    expect(await server.recorder.ended()).toEqual({ code: 4001, reason: 'had enough' })
    expect(server.recorder.frames).toEqual(['last'])
  })

  test('closes with 1009 by a frame that is too large, and 1006 by a server that is gone', async () => {
    const { url, host, transport } = await startedSse({ maxPayload: 1000 })
    const first = opened(url)
    const second = opened(url)
    await Promise.all([first.open, second.open])
    await Promise.all([host.nextLink(), host.nextLink()])
    first.link.send('x'.repeat(1001))
    expect((await first.seen.ended()).code).toBe(1009)
    await transport.stop()
    expect((await second.seen.ended()).code).toBe(1006)
  })

  test('offers its protocols and sends its headers, at `/sse` unless told otherwise', async () => {
    const { url, host } = await startedSse()
    const { origin, port } = new URL(url)
    for (const address of [origin, `ws://127.0.0.1:${port}/sse`]) {
      const { open } = opened(address, { headers: { Authorization: 'me' } }, ['ss1.msgpack', 'x'])
      await open
      const { handshake } = await host.nextLink()
      expect(handshake.protocols).toEqual(['ss1.msgpack', 'x'])
      expect(handshake.headers).toMatchObject({ authorization: 'me', accept: 'text/event-stream' })
    }
  })

  test.each(['nowhere', 'ftp://127.0.0.1/sse', 'http://', 'http://me:secret@127.0.0.1/'])(
    'closes with 1002 where %s is no URL for it',
    async url => {
      const { seen } = opened(url)
      expect(seen.endings).toEqual([])
      expect((await seen.ended()).code).toBe(1002)
    },
  )

  test('closes with 1006 and says why when it cannot be opened', async () => {
    const { url, host } = await startedSse()
    host.decide = () => ({ accept: false, status: 401, message: 'Log in first' })
    expect(await opened(url).seen.ended()).toEqual({ code: 1006, reason: 'The server answered 401' })
    const { port } = await listeningServer(createServer((_request, response) => response.end('a page')))
    const page = await opened(`http://127.0.0.1:${port}`).seen.ended()
    expect(page).toEqual({ code: 1006, reason: 'The answer is no stream' })
    const { server, port: gone } = await listeningServer(createServer())
    await new Promise(resolve => server.close(resolve))
    expect((await opened(`http://127.0.0.1:${gone}`).seen.ended()).reason).toContain('ECONNREFUSED')
  })

  test('closes with 1006 when it is closed before it is open, and opens no more', async () => {
    let answer: ServerResponse | undefined
    const asked = new Promise<void>(resolve => {
      void handmade(response => {
        answer = response
        resolve()
      }).then(url => {
        client = opened(url)
      })
    })
    let client: ReturnType<typeof opened> | undefined
    await asked
    client!.link.close(1000, '')
    answer!.write(OPEN)
    expect((await client!.seen.ended()).code).toBe(1006)
    expect(client!.opens()).toBe(0)
  })

  test('closes with 1006 when the stream ends without a word, and hears nothing more', async () => {
    const url = await handmade(response => response.end(`${OPEN}data: ["tone"]\n\ndata: ["ttwo"]`))
    const { seen } = opened(url)
    expect(await seen.ended()).toEqual({ code: 1006, reason: '' })
    expect(seen.frames).toEqual(['one'])
  })

  test('sends one request after the other, each with all that waits', async () => {
    const bodies: string[] = []
    const answers: ServerResponse[] = []
    let come: () => void = () => undefined
    const next = () => new Promise<void>(resolve => (come = resolve))
    const url = await handmade(
      response => response.write(OPEN),
      (body, response) => {
        bodies.push(body)
        answers.push(response)
        come()
      },
    )
    const { link } = opened(url)
    let arrival = next()
    link.send('before it is open')
    link.send(Uint8Array.of(3, 255))
    await arrival
    for (const frame of ['a', 'b', 'c']) link.send(frame)
    expect(bodies).toEqual(['["tbefore it is open","bA/8="]'])
    arrival = next()
    answers[0]!.writeHead(204).end()
    await arrival
    expect(bodies[1]).toBe('["ta","tb","tc"]')
    answers[1]!.writeHead(204).end()
  })

  test('sends nothing more once a request has failed, and leaves it to the stream to say why', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const timers = vi.spyOn(globalThis, 'setTimeout')
    onTestFinished(() => {
      timers.mockRestore()
      vi.useRealTimers()
    })
    const failed = async () => {
      while (!timers.mock.calls.some(([, ms]) => ms === 2000)) await new Promise(setImmediate)
      timers.mockClear()
    }
    let stream: ServerResponse | undefined
    let posts = 0
    const url = await handmade(
      response => {
        stream = response
        response.write(OPEN)
      },
      (_body, response) => {
        posts++
        response.writeHead(500).end()
      },
    )
    const told = opened(url)
    await told.open
    told.link.send('a')
    await failed()
    told.link.send('b')
    stream!.write('data: ["tlast","c4503 too slow"]\n\n')
    expect(await told.seen.ended()).toEqual({ code: 4503, reason: 'too slow' })
    expect(told.seen.frames).toEqual(['last'])
    expect(posts).toBe(1)

    const untold = opened(url)
    await untold.open
    untold.link.send('a')
    await failed()
    expect(untold.seen.endings).toEqual([])
    vi.advanceTimersByTime(2000)
    expect(await untold.seen.ended()).toEqual({ code: 1006, reason: 'The server answered 500' })
  })

  test('closes in time when its last request is not answered', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const url = await handmade(response => response.write(OPEN))
    const { link, seen, open } = opened(url)
    await open
    link.close(4000, 'bye')
    expect(seen.endings).toEqual([])
    vi.advanceTimersByTime(2000)
    expect(await seen.ended()).toEqual({ code: 4000, reason: 'bye' })
  })
})
