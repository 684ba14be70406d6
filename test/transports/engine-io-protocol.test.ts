import { once } from 'node:events'
import { attach, type Server as EngineServer } from 'engine.io'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type EngineIoOptions, engineio } from '../../src/transports/engine-io.js'
import { alike, echoHost, exchange, http, Peer, type Ports, pageServer, parsed } from './raw-echo.js'

/**
 * What the public test suites of the Engine.IO protocol, 4 and 3, look at, asked of `engineio()` and of the
 * plain `engine.io` package: both get the same bytes and have to answer alike, but for what the last part lists.
 */
const SUITE = { pingInterval: 300, pingTimeout: 200, maxHttpBufferSize: 1e6 }
const QUIET = { pingInterval: 60_000, pingTimeout: 60_000 }

const ends: (() => Promise<unknown> | unknown)[] = []
/** Never pings in these tests. */
let quiet: Ports
/** As the suites have it. */
let suite: Ports
/** Takes protocol 3, too. */
let old: Ports

/** Our port and the package's, each with an echo. */
async function pair(options: EngineIoOptions): Promise<Ports> {
  const ours = await pageServer()
  const transport = engineio({ server: ours.server, ...options })
  await transport.start(echoHost())
  const control = await pageServer()
  const engine: EngineServer = attach(control.server, options as object)
  engine.on('connection', socket => socket.on('message', (data: string | Buffer) => socket.send(data)))
  ends.push(async () => {
    await transport.stop()
    engine.close()
    for (const { server } of [ours, control]) {
      server.close()
      server.closeAllConnections()
    }
  })
  return { ours: ours.port, control: control.port }
}

beforeAll(async () => {
  quiet = await pair(QUIET)
  suite = await pair(SUITE)
  old = await pair({ ...QUIET, allowEIO3: true })
})

afterAll(async () => {
  for (const end of ends) await end()
})

const POLL = '/engine.io/?EIO=4&transport=polling'
const WEBSOCKET = '/engine.io/?EIO=4&transport=websocket'
const UPGRADE = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version': '13',
}

/** A short frame of a client, masked with zeros. */
function frame(body: string | Buffer, opcode = typeof body === 'string' ? 1 : 2): Buffer {
  const bytes = Buffer.from(body)
  return Buffer.concat([Buffer.of(0x80 | opcode, 0x80 | bytes.length, 0, 0, 0, 0), bytes])
}

/** A close frame with the code 1000. */
const CLOSE = frame(Buffer.of(3, 232), 8)

/** Opens a session; gives its URL. */
async function opened(port: number, url = POLL): Promise<string> {
  const heard = await exchange(port, 'GET', url)
  return `${url}&sid=${/"sid":"([\w-]+)"/.exec(heard)?.[1]}`
}

/** Sends one request to both; gives the answer of ours. */
const ask = async (ports: Ports, ...request: Parameters<typeof http>) =>
  parsed(await alike(ports, port => exchange(port, ...request)))

/** The close frame of engine.io, which gives no code. */
const END = '\x88\x00'

describe('the handshake of Engine.IO 4', () => {
  test('by polling is a packet that tells the terms', async () => {
    const { status, headers, body } = await ask(suite, 'GET', POLL)
    expect(status).toBe(200)
    expect(headers['content-type']).toBe('text/plain; charset=UTF-8')
    expect(body[0]).toBe('0')
    expect(JSON.parse(body.slice(1))).toEqual({
      sid: expect.stringMatching(/^[\w-]{20}$/),
      upgrades: ['websocket'],
      pingInterval: 300,
      pingTimeout: 200,
      maxPayload: 1_000_000,
    })
  })

  test.each([
    ['no EIO', 'GET', '?transport=polling', 5, 'Unsupported protocol version'],
    ['a wrong EIO', 'GET', '?EIO=abc&transport=polling', 5, 'Unsupported protocol version'],
    ['EIO 3', 'GET', '?EIO=3&transport=polling', 5, 'Unsupported protocol version'],
    ['no transport', 'GET', '?EIO=4', 0, 'Transport unknown'],
    ['a wrong transport', 'GET', '?EIO=4&transport=abc', 0, 'Transport unknown'],
    ['webtransport', 'GET', '?EIO=4&transport=webtransport', 0, 'Transport unknown'],
    ['a POST', 'POST', '?EIO=4&transport=polling', 2, 'Bad handshake method'],
    ['a PUT', 'PUT', '?EIO=4&transport=polling', 2, 'Bad handshake method'],
    ['an OPTIONS', 'OPTIONS', '?EIO=4&transport=polling', 2, 'Bad handshake method'],
    ['an unknown sid', 'GET', '?EIO=4&transport=polling&sid=abc', 1, 'Session ID unknown'],
    ['a sid of objects', 'GET', '?EIO=4&transport=polling&sid=__proto__', 1, 'Session ID unknown'],
    ['a WebSocket without upgrade', 'GET', '?EIO=4&transport=websocket', 3, 'Bad request'],
    ['nothing at all', 'GET', '', 0, 'Transport unknown'],
  ])('is 400 to %s', async (_what, method, query, code, message) => {
    const body = method === 'GET' ? undefined : ''
    const answer = await ask(quiet, method, `/engine.io/${query}`, {}, body)
    expect(answer.status).toBe(400)
    expect(answer.headers['content-type']).toBe('application/json')
    expect(JSON.parse(answer.body)).toEqual({ code, message })
  })

  test.each([
    ['an unknown transport', '/engine.io/?EIO=4&transport=abc', 'Transport unknown'],
    ['no transport', '/engine.io/?EIO=4', 'Transport unknown'],
    ['an unknown sid', `${WEBSOCKET}&sid=abc`, 'Session ID unknown'],
  ])('by WebSocket is 400 to %s', async (_what, path, message) => {
    const answer = await ask(quiet, 'GET', path, UPGRADE)
    expect(answer).toMatchObject({ status: 400, body: message })
  })

  test.each(['', '&EIO=abc', '&EIO=3'])('by WebSocket ends one with the version %j', async version => {
    const path = `/engine.io/?transport=websocket${version}`
    expect(parsed(await alike(quiet, port => exchange(port, 'GET', path, UPGRADE))).status).toBe(101)
  })

  test.each([
    ['HEAD', '?EIO=4&transport=polling'],
    ['GET', '?EIO=4&EIO=3&transport=polling'],
    ['GET', '?EIO=3&EIO=4&transport=polling'],
    ['GET', '?EIO=4&transport=polling&transport=abc'],
    ['GET', '?EIO=4&transport=polling&sid=&t=abc'],
    ['GET', '?EIO=4&transport=polling&sid=a&sid='],
    ['GET', '?EIO=4&transport=%70olling'],
    ['GET', '?EIO=4&transport=polling&b64=1'],
    ['GET', '?EIO=4&transport=polling&j=0'],
    ['GET', '?EIO=4&transport=polling#x'],
    ['GET', '??EIO=4&transport=polling'],
    ['GET', '?eio=4&transport=polling'],
  ])('answers %s %s as the package does', async (method, query) => {
    const { status } = await ask(quiet, method, `/engine.io/${query}`)
    expect([200, 400]).toContain(status)
  })

  test('by WebSocket is a packet that tells the terms', async () => {
    const heard = await alike(quiet, async port => {
      const peer = new Peer(port).say(http('GET', WEBSOCKET, UPGRADE))
      const text = await peer.until('}')
      peer.leave()
      return text
    })
    expect(heard).toContain('Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
    expect(JSON.parse(heard.slice(heard.indexOf('{')))).toMatchObject({ upgrades: [], maxPayload: 1_000_000 })
  })

  test.each([
    ['a short key', { 'Sec-WebSocket-Key': 'short' }],
    ['no key', { 'Sec-WebSocket-Key': '' }],
    ['a wrong version', { 'Sec-WebSocket-Version': '7' }],
  ])('by WebSocket is refused with %s', async (_what, headers) => {
    const { status } = await ask(quiet, 'GET', WEBSOCKET, { ...UPGRADE, ...headers })
    expect(status).toBeGreaterThanOrEqual(400)
  })
})

describe('messages by polling', () => {
  test.each([
    ['text', '4hello', '4hello'],
    ['no text', '4', '4'],
    ['unicode', '4grüße €👋', '4grüße €👋'],
    ['bytes', 'bAQIDBA==', 'bAQIDBA=='],
    ['several', '4test1\x1e4test2\x1ebAQID\x1e4test3', '4test1\x1e4test2\x1ebAQID\x1e4test3'],
  ])('are echoed: %s', async (_what, sent, wanted) => {
    const [post, poll] = await alike(quiet, async port => {
      const url = await opened(port)
      return [await exchange(port, 'POST', url, {}, sent), await exchange(port, 'GET', url)]
    })
    expect(parsed(post ?? '')).toMatchObject({ status: 200, body: 'ok' })
    expect(Buffer.from(parsed(poll ?? '').body, 'latin1').toString()).toBe(wanted)
    expect(parsed(poll ?? '').headers['cache-control']).toBe('no-store')
  })

  test('go to a poll that waits', async () => {
    const [, poll] = await alike(quiet, async port => {
      const url = await opened(port)
      const waiting = exchange(port, 'GET', url)
      return [await exchange(port, 'POST', url, {}, '4hello'), await waiting]
    })
    expect(parsed(poll ?? '').body).toBe('4hello')
  })

  test('are compressed from a kilobyte on, where the client takes that', async () => {
    const [, poll] = await alike(quiet, async port => {
      const url = await opened(port)
      const post = await exchange(port, 'POST', url, {}, `4${'x'.repeat(2000)}`)
      return [post, await exchange(port, 'GET', url, { 'Accept-Encoding': 'gzip' })]
    })
    expect(parsed(poll ?? '').headers['content-encoding']).toBe('gzip')
  })

  test.each(['abc', '', '9x', '\x1e'])('that are no packets end the session: %j', async body => {
    const [, poll] = await alike(quiet, async port => {
      const url = await opened(port)
      return [await exchange(port, 'POST', url, {}, body), await exchange(port, 'GET', url)]
    })
    expect(parsed(poll ?? '')).toMatchObject({ status: 400 })
  })

  test('as octets are none of protocol 4', async () => {
    const headers = { 'Content-Type': 'application/octet-stream' }
    const [post] = await alike(quiet, async port => {
      const url = await opened(port)
      return [await exchange(port, 'POST', url, headers, '4x'), await exchange(port, 'GET', url)]
    })
    expect(parsed(post ?? '').status).toBe(400)
  })

  test('that are too large are 413', async () => {
    const answer = await alike(suite, async port => {
      const url = await opened(port)
      const peer = new Peer(port).say(http('POST', url, {}, `4${'x'.repeat(1e6)}`))
      const text = await peer.until('\r\n\r\n')
      peer.leave()
      return text
    })
    expect(parsed(answer).status).toBe(413)
  })
})

describe('a session of polls', () => {
  test('ends with two polls at once: the first gets a close packet, the second 400', async () => {
    const [first, second, after] = await alike(quiet, async port => {
      const url = await opened(port)
      const waiting = new Peer(port).say(http('GET', url))
      await once(waiting.socket, 'connect')
      const next = await exchange(port, 'GET', url)
      return [await waiting.end(), next, await exchange(port, 'GET', url)]
    })
    expect(parsed(first ?? '')).toMatchObject({ status: 200, body: '1' })
    expect(parsed(second ?? '').status).toBe(400)
    expect(JSON.parse(parsed(after ?? '').body)).toEqual({ code: 1, message: 'Session ID unknown' })
  })

  test('ends with two posts at once', async () => {
    const [second, after] = await alike(quiet, async port => {
      const url = await opened(port)
      const slow = new Peer(port).say(http('POST', url, { 'Content-Length': '10', Expect: '100-continue' }))
      await slow.until('100 Continue')
      const next = await exchange(port, 'POST', url, {}, '4x')
      await slow.end()
      return [next, await exchange(port, 'GET', url)]
    })
    expect(parsed(second ?? '').status).toBe(400)
    expect(parsed(after ?? '').status).toBe(400)
  })

  test('ends with a poll that breaks, and with a post that does', async () => {
    for (const method of ['GET', 'POST']) {
      await alike(quiet, async port => {
        const url = await opened(port)
        const peer = new Peer(port)
        if (method === 'POST') {
          peer.say(http('POST', url, { 'Content-Length': '10', Expect: '100-continue' }))
          await peer.until('100 Continue')
        } else {
          peer.say(http('GET', url))
          await once(peer.socket, 'connect')
        }
        peer.leave()
        // A method that is not taken, and leaves the session alone, until the server has noticed.
        for (;;) {
          const probe = parsed(await exchange(port, 'OPTIONS', url, {}, ''))
          if (probe.body.includes('Session ID unknown')) return probe.body
        }
      })
    }
  })

  test('ends with a close packet: the waiting poll gets a noop', async () => {
    const [poll, post, after] = await alike(quiet, async port => {
      const url = await opened(port)
      const waiting = new Peer(port).say(http('GET', url))
      await once(waiting.socket, 'connect')
      const sent = await exchange(port, 'POST', url, {}, '1')
      return [await waiting.end(), sent, await exchange(port, 'GET', url)]
    })
    expect(parsed(poll ?? '')).toMatchObject({ status: 200, body: '6' })
    expect(parsed(post ?? '')).toMatchObject({ status: 200, body: 'ok' })
    expect(parsed(after ?? '').status).toBe(400)
  })

  test('is pinged, lives by pongs and ends without them', async () => {
    const [polls, after] = await alike(suite, async port => {
      const url = await opened(port)
      const pings: string[] = []
      for (let i = 0; i < 2; i++) {
        pings.push(parsed(await exchange(port, 'GET', url)).body)
        pings.push(parsed(await exchange(port, 'POST', url, {}, '3')).body)
      }
      pings.push(parsed(await exchange(port, 'GET', url)).body)
      // Unanswered: the poll that waits is ended.
      const last = await exchange(port, 'GET', url)
      return [pings.join(), last, await exchange(port, 'GET', url)]
    })
    expect(polls).toBe('2,ok,2,ok,2')
    expect(parsed(after ?? '')).toMatchObject({ status: 200, body: '1' })
  })

  test.each(['PUT', 'DELETE', 'OPTIONS'])('answers %s as the package does', async method => {
    const [answer] = await alike(quiet, async port => {
      const url = await opened(port)
      return [await exchange(port, method, url, {}, '')]
    })
    expect(parsed(answer ?? '').status).toBe(500)
  })
})

describe('messages by WebSocket', () => {
  /** Holds a conversation over a WebSocket of its own, and hears all until the end. */
  const talk = (ports: Ports, body: (peer: Peer) => Promise<unknown> | unknown) =>
    alike(ports, async port => {
      const peer = new Peer(port).say(http('GET', WEBSOCKET, UPGRADE))
      await peer.until('}')
      await body(peer)
      const heard = await peer.end()
      return heard.slice(heard.indexOf('}') + 1)
    })

  test('are echoed, text as text and bytes as bytes', async () => {
    const heard = await talk(quiet, async peer => {
      peer
        .say(frame('4hello'))
        .say(frame(Buffer.of(1, 2, 3)))
        .say(frame('4'))
      await peer.until('\x81\x014')
      peer.say(CLOSE)
    })
    expect(heard.slice(0, 16)).toBe('\x81\x064hello\x82\x03\x01\x02\x03\x81\x014')
  })

  /** Answers the close frame, as a client does. */
  const answering = async (peer: Peer) => {
    await peer.until(END)
    peer.say(CLOSE)
  }

  test('that are no packets end the session', async () => {
    const heard = await talk(quiet, peer => answering(peer.say(frame('abc'))))
    expect(heard).toBe(END)
  })

  test('are pinged for, and the session ends without pongs', async () => {
    const heard = await talk(suite, async peer => {
      await peer.until('\x81\x012')
      await answering(peer.say(frame('3')))
    })
    expect(heard).toBe(`\x81\x012\x81\x012${END}`)
  })

  test('go on after a close packet, which only polling has a use for', async () => {
    const heard = await talk(quiet, async peer => {
      peer.say(frame('1')).say(frame('4x'))
      await peer.until('\x81\x024x')
      peer.say(CLOSE)
    })
    expect(heard).toContain('\x81\x024x')
  })

  test('that are too large are closed with 1009', async () => {
    const heard = await talk(suite, peer => {
      const header = Buffer.from('81ff00000000000f424100000000', 'hex')
      peer.say(header).say('x')
    })
    expect(Buffer.from(heard, 'latin1').toString('hex')).toContain('880203f1')
  })
})

describe('the upgrade', () => {
  const upgraded = async (port: number) => {
    const url = await opened(port)
    const sid = url.slice(url.indexOf('&sid='))
    const peer = new Peer(port).say(http('GET', WEBSOCKET + sid, UPGRADE))
    await peer.until('\r\n\r\n')
    peer.say(frame('2probe'))
    await peer.until('\x81\x063probe')
    return { url, sid, peer }
  }

  test('goes by a probe, and gives the waiting poll a noop', async () => {
    const [poll, heard] = await alike(quiet, async port => {
      const url = await opened(port)
      const waiting = exchange(port, 'GET', url)
      const sid = url.slice(url.indexOf('&sid='))
      const peer = new Peer(port).say(http('GET', WEBSOCKET + sid, UPGRADE))
      await peer.until('\r\n\r\n')
      peer.say(frame('2probe'))
      await peer.until('\x81\x063probe')
      const noop = await waiting
      peer
        .say(frame('5'))
        .say(frame('4hello'))
        .say(frame(Buffer.of(7)))
      await peer.until('\x82\x01\x07')
      peer.leave()
      return [noop, peer.heard.split('\r\n\r\n')[1] ?? '']
    })
    expect(parsed(poll ?? '')).toMatchObject({ status: 200, body: '6' })
    expect(heard).toBe('\x81\x063probe\x81\x064hello\x82\x01\x07')
  })

  test('done, refuses polls and a second WebSocket of the session, and goes on', async () => {
    const [poll, second, heard] = await alike(quiet, async port => {
      const { url, sid, peer } = await upgraded(port)
      peer.say(frame('5')).say(frame('4a'))
      await peer.until('\x81\x024a')
      const refused = await exchange(port, 'GET', url)
      const other = new Peer(port).say(http('GET', WEBSOCKET + sid, UPGRADE))
      await other.until(`\r\n\r\n${END}`)
      other.leave()
      peer.say(frame('4b'))
      await peer.until('\x81\x024b')
      peer.leave()
      return [refused, other.heard, peer.heard.split('\r\n\r\n')[1] ?? '']
    })
    expect(JSON.parse(parsed(poll ?? '').body)).toEqual({ code: 3, message: 'Bad request' })
    expect(second).toSatisfy((heard: string) => heard.endsWith(`\r\n\r\n${END}`))
    expect(heard).toBe('\x81\x063probe\x81\x024a\x81\x024b')
  })

  test('on trial, refuses another trial and leaves polling alone', async () => {
    const [second, poll] = await alike(quiet, async port => {
      const { url, sid, peer } = await upgraded(port)
      const other = new Peer(port).say(http('GET', WEBSOCKET + sid, UPGRADE))
      await other.until(`\r\n\r\n${END}`)
      other.leave()
      await exchange(port, 'POST', url, {}, '4a')
      const answer = await exchange(port, 'GET', url)
      peer.leave()
      return [other.heard, answer]
    })
    expect(second).toSatisfy((heard: string) => heard.endsWith(`\r\n\r\n${END}`))
    expect(['4a', '6']).toContain(parsed(poll ?? '').body)
  })

  test('with anything but a probe leaves the session at polling', async () => {
    const [poll] = await alike(quiet, async port => {
      const url = await opened(port)
      const sid = url.slice(url.indexOf('&sid='))
      const peer = new Peer(port).say(http('GET', WEBSOCKET + sid, UPGRADE))
      await peer.until('\r\n\r\n')
      peer.say(frame('4hello'))
      await peer.until(END)
      peer.leave()
      await exchange(port, 'POST', url, {}, '4a')
      return [await exchange(port, 'GET', url)]
    })
    expect(parsed(poll ?? '').body).toBe('4a')
  })

  test('is not of another protocol version, nor of a session that has none', async () => {
    const answers = await alike(old, async port => {
      const sid = (await opened(port)).split('&sid=')[1]
      return [await exchange(port, 'GET', `/engine.io/?EIO=3&transport=websocket&sid=${sid}`, UPGRADE)]
    })
    expect(parsed(answers[0] ?? '')).toMatchObject({ status: 400, body: 'Bad request' })
  })
})

describe('Engine.IO 3, where it is allowed', () => {
  const POLL3 = '/engine.io/?EIO=3&transport=polling'

  test('opens with a packet of a told length', async () => {
    const { body } = await ask(old, 'GET', `${POLL3}&b64=1`)
    const [, size, packet = ''] = /^(\d+):(.*)$/.exec(body) ?? []
    expect(packet.length).toBe(Number(size))
    expect(JSON.parse(packet.slice(1))).toMatchObject({ upgrades: ['websocket'] })
    // Without an EIO, a client is of protocol 3.
    expect((await ask(old, 'GET', '/engine.io/?transport=polling')).body).toMatch(/^\d+:0\{/)
  })

  test.each([
    ['text', '6:4hello', '6:4hello'],
    ['several', '6:4hello2:4a1:4', '6:4hello2:4a1:4'],
    ['unicode by its characters', '6:4grüße', '6:4grüße'],
    ['base64', '10:b4AQIDBA==', '10:b4AQIDBA=='],
  ])('echoes %s with b64=1', async (_what, sent, wanted) => {
    const [post, poll] = await alike(old, async port => {
      const url = await opened(port, `${POLL3}&b64=1`)
      return [await exchange(port, 'POST', url, {}, sent), await exchange(port, 'GET', url)]
    })
    expect(parsed(post ?? '')).toMatchObject({ status: 200, body: 'ok' })
    expect(Buffer.from(parsed(poll ?? '').body, 'latin1').toString()).toBe(wanted)
  })

  test('echoes bytes in binary payloads', async () => {
    const [post, poll] = await alike(old, async port => {
      const url = await opened(port, POLL3)
      // <bytes follow> <5 long> <end of length> <message> 1 2 3 4
      const payload = Buffer.from('0105ff0401020304', 'hex')
      const headers = { 'Content-Type': 'application/octet-stream' }
      return [await exchange(port, 'POST', url, headers, payload), await exchange(port, 'GET', url)]
    })
    expect(parsed(post ?? '').status).toBe(200)
    expect(parsed(poll ?? '').headers['content-type']).toBe('application/octet-stream')
    expect(Buffer.from(parsed(poll ?? '').body, 'latin1').toString('hex')).toBe('0105ff0401020304')
  })

  test('answers pings of the client', async () => {
    const [, poll] = await alike(old, async port => {
      const url = await opened(port, `${POLL3}&b64=1`)
      return [await exchange(port, 'POST', url, {}, '1:2'), await exchange(port, 'GET', url)]
    })
    expect(parsed(poll ?? '').body).toBe('1:3')
  })

  test('speaks JSONP', async () => {
    const [open, post, poll] = await alike(old, async port => {
      const first = await exchange(port, 'GET', `${POLL3}&j=0`)
      const sid = /\\"sid\\":\\"([\w-]+)\\"/.exec(first)?.[1] ?? ''
      const url = `${POLL3}&j=1&sid=${sid}`
      const form = { 'Content-Type': 'application/x-www-form-urlencoded' }
      const sent = await exchange(port, 'POST', url, form, 'd=6:4hello')
      return [first.replaceAll(sid, '*'), sent, await exchange(port, 'GET', url)]
    })
    expect(parsed(open ?? '').body).toMatch(/^___eio\[0\]\("/)
    expect(parsed(post ?? '')).toMatchObject({ status: 200, body: 'ok' })
    expect(parsed(poll ?? '').body).toBe('___eio[0]("6:4hello");')
  })

  test.each(['abc', '5:4hello', '-1:4'])('ends with a payload that is none: %j', async body => {
    await alike(old, async port => {
      const url = await opened(port, `${POLL3}&b64=1`)
      return [await exchange(port, 'POST', url, {}, body), await exchange(port, 'GET', url)]
    })
  })

  test('ends with two polls at once, and with a close packet', async () => {
    const answers = await alike(old, async port => {
      const url = await opened(port, `${POLL3}&b64=1`)
      const waiting = new Peer(port).say(http('GET', url))
      await once(waiting.socket, 'connect')
      const next = await exchange(port, 'GET', url)
      const other = await opened(port, `${POLL3}&b64=1`)
      const closing = await exchange(port, 'POST', other, {}, '1:1')
      return [await waiting.end(), next, closing, await exchange(port, 'GET', other)]
    })
    expect(answers.map(answer => parsed(answer).status)).toEqual([200, 400, 200, 400])
  })

  test('goes by WebSocket from the start, and upgrades', async () => {
    await alike(old, async port => {
      const direct = new Peer(port).say(http('GET', WEBSOCKET.replace('EIO=4', 'EIO=3'), UPGRADE))
      await direct.until('}')
      // Bytes have their packet's kind before them.
      direct
        .say(frame('4hello'))
        .say(frame('2'))
        .say(frame(Buffer.of(4, 1, 2)))
      await direct.until('\x82\x03\x04\x01\x02')
      direct.leave()
      const url = await opened(port, `${POLL3}&b64=1`)
      const peer = new Peer(port).say(http('GET', url.replace('=polling', '=websocket'), UPGRADE))
      await peer.until('\r\n\r\n')
      peer.say(frame('2probe'))
      await peer.until('\x81\x063probe')
      peer.say(frame('5')).say(frame('4a'))
      await peer.until('\x81\x024a')
      peer.leave()
      return [direct.heard, peer.heard]
    })
  })
})

describe('what differs from the package', () => {
  test('is that only the path itself is taken, with and without a slash', async () => {
    const answer = (port: number, path: string) => exchange(port, 'GET', `${path}?EIO=4&transport=polling`)
    expect(parsed(await answer(quiet.ours, '/engine.io')).status).toBe(200)
    expect(parsed(await answer(quiet.ours, '/engine.io/')).status).toBe(200)
    expect(parsed(await answer(quiet.ours, '/engine.io/more')).body).toBe('fallback')
    expect(parsed(await answer(quiet.control, '/engine.io')).body).toBe('fallback')
    expect(parsed(await answer(quiet.control, '/engine.io/more')).status).toBe(200)
  })

  test('is that pages of other hosts are refused unless `origins` has them', async () => {
    const headers = { Origin: 'http://a.example' }
    const ours = parsed(await exchange(quiet.ours, 'GET', POLL, headers))
    const theirs = parsed(await exchange(quiet.control, 'GET', POLL, headers))
    expect([ours.status, theirs.status]).toEqual([403, 200])
    const open = await pair({ ...QUIET, origins: '*' })
    const answer = parsed(
      await alike(open, port => exchange(port, 'GET', POLL, headers), [
        'access-control-allow-origin',
        'access-control-allow-credentials',
        'vary',
      ]),
    )
    expect(answer.headers['access-control-allow-origin']).toBe('http://a.example')
  })

  test('is that a body that is too large ends the session', async () => {
    const url = await opened(suite.ours)
    const peer = new Peer(suite.ours).say(http('POST', url, {}, `4${'x'.repeat(1e6)}`))
    await peer.until('\r\n\r\n')
    peer.leave()
    const { body } = parsed(await exchange(suite.ours, 'GET', url))
    expect(JSON.parse(body).message).toBe('Session ID unknown')
  })

  test('is that a WebSocket is not waited for once its session has ended', async () => {
    const peer = new Peer(quiet.ours).say(http('GET', WEBSOCKET, UPGRADE))
    await peer.until('}')
    expect(await peer.say(frame('abc')).end()).toSatisfy((heard: string) => heard.endsWith(END))
  })

  test('is that an upgrade to another protocol is answered as the request that it is', async () => {
    const headers = { ...UPGRADE, Upgrade: 'h2c' }
    const ours = parsed(await exchange(quiet.ours, 'GET', WEBSOCKET, headers))
    expect(ours.status).toBe(400)
    expect(parsed(await exchange(quiet.control, 'GET', WEBSOCKET, headers)).status).toBe(400)
  })

  test('is that upgrades of other paths are answered 404 at once', async () => {
    expect(parsed(await exchange(quiet.ours, 'GET', '/elsewhere', UPGRADE)).status).toBe(404)
  })
})
