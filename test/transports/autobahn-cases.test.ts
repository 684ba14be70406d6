import zlib from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { type WsOptions, ws } from '../../src/transports/ws.js'
import { alike, echoHost, http, Peer, type Ports, pageServer, parsed } from './raw-echo.js'

/**
 * The groups of Autobahn's fuzzing client, in our own cases: the same bytes go to an echo on `ws()` and to one
 * on the plain `ws` package, which have to answer alike, byte by byte.
 */
const MIB = 1024 * 1024
const ends: (() => Promise<unknown> | unknown)[] = []
let plain: Ports
let deflating: Ports

/** Our port and the package's, each with an echo. */
async function pair(options: WsOptions): Promise<Ports> {
  const ours = await pageServer()
  const transport = ws({ server: ours.server, heartbeat: 0, ...options })
  await transport.start(echoHost())
  const control = await pageServer()
  const { maxPayload, perMessageDeflate, maxFragments } = options as { maxPayload: number } & WsOptions
  const server = new WebSocketServer({
    server: control.server,
    maxPayload,
    ...(perMessageDeflate !== undefined && { perMessageDeflate }),
    ...(maxFragments !== undefined && { maxFragments }),
  })
  server.on('connection', socket => {
    socket.on('error', () => undefined)
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  })
  ends.push(async () => {
    await transport.stop()
    for (const client of server.clients) client.terminate()
    for (const { server } of [ours, control]) {
      server.close()
      server.closeAllConnections()
    }
  })
  return { ours: ours.port, control: control.port }
}

beforeAll(async () => {
  plain = await pair({ maxPayload: 16 * MIB, maxFragments: 0 })
  deflating = await pair({ maxPayload: 16 * MIB, perMessageDeflate: { threshold: 0 } })
})

afterAll(async () => {
  for (const end of ends) await end()
})

const TEXT = 1
const BINARY = 2
const CLOSE = 8
const PING = 9
const PONG = 10
const FIN = 0x80
const RSV1 = 0x40

/** A frame as clients send them; the first byte is the opcode alone for a whole message. */
function frame(opcode: number, body: string | Buffer = '', flags = FIN): Buffer {
  const bytes = Buffer.from(body)
  const size = bytes.length
  const head = size < 126 ? Buffer.alloc(2) : size < 65536 ? Buffer.alloc(4) : Buffer.alloc(10)
  head[0] = flags | opcode
  head[1] = 0x80 | (size < 126 ? size : size < 65536 ? 126 : 127)
  if (head.length === 4) head.writeUInt16BE(size, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(size), 2)
  const mask = Buffer.of(0x37, 0xfa, 0x21, 0x3d)
  const masked = Buffer.from(bytes)
  for (let i = 0; i < size; i++) masked[i] = masked[i]! ^ mask[i & 3]!
  return Buffer.concat([head, mask, masked])
}

/** A fragment that others follow. */
const part = (opcode: number, body: string | Buffer = '') => frame(opcode, body, 0)

/** A close frame with a code. */
function close(code: number, reason: string | Buffer = ''): Buffer {
  return frame(CLOSE, Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]))
}

/** The frames in what a server sent, as `opcode:body`, the flags before them where there are others than FIN. */
function frames(bytes: Buffer): string[] {
  const found: string[] = []
  let at = 0
  while (at + 2 <= bytes.length) {
    let size = bytes[at + 1]! & 0x7f
    let body = at + 2
    if (size === 126) {
      size = bytes.readUInt16BE(body)
      body += 2
    } else if (size === 127) {
      size = Number(bytes.readBigUInt64BE(body))
      body += 8
    }
    const first = bytes[at]!
    const rest = bytes.subarray(body, body + size)
    const text = (first & 15) === CLOSE && size > 1 ? `${rest.readUInt16BE(0)}${rest.subarray(2)}` : `${rest}`
    found.push(`${(first & 0xf0) === FIN ? '' : `${first >> 4}/`}${first & 15}:${text}`)
    at = body + size
  }
  return found
}

const UPGRADE = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version': '13',
}

/** Opens a WebSocket; gives it with where its frames begin. */
async function opened(port: number, headers: Record<string, string> = {}) {
  const peer = new Peer(port).say(http('GET', '/', { ...UPGRADE, ...headers }))
  await peer.until('\r\n\r\n')
  return { peer, from: peer.heard.indexOf('\r\n\r\n') + 4 }
}

/** Sends frames to both, one write for each, and closes; gives the frames that came until the end. */
async function answers(ports: Ports, sent: readonly Buffer[], closing = close(1000)): Promise<string[]> {
  const heard = await alike(ports, async port => {
    const { peer, from } = await opened(port)
    peer.socket.setNoDelay(true)
    for (const bytes of sent) peer.say(bytes)
    peer.say(closing)
    await peer.end()
    return peer.heard.slice(from)
  })
  return frames(Buffer.from(heard, 'latin1'))
}

const BYE = `${CLOSE}:1000`
const WRONG = `${CLOSE}:1002`
const NO_TEXT = `${CLOSE}:1007`
/** UTF-8 of one, two, three and four bytes. */
const TALE = 'Hello-µ@ßöäüàá-UTF-8!! €👋'

describe('1: messages of all sizes', () => {
  test.each([0, 1, 125, 126, 127, 128, 65_535, 65_536])('come back, %i bytes', async size => {
    const text = '*'.repeat(size)
    const bytes = Buffer.alloc(size, 0xfe)
    expect(await answers(plain, [frame(TEXT, text)])).toEqual([`${TEXT}:${text}`, BYE])
    const heard = await answers(plain, [frame(BINARY, bytes)])
    expect(heard).toEqual([`${BINARY}:${bytes}`, BYE])
  })

  test('come back however they are cut', async () => {
    const whole = Buffer.concat([frame(TEXT, TALE.repeat(10)), frame(BINARY, Buffer.alloc(1000, 0xfe))])
    const octets = Array.from({ length: whole.length }, (_, i) => whole.subarray(i, i + 1))
    const heard = await answers(plain, octets)
    expect(heard).toEqual([`${TEXT}:${TALE.repeat(10)}`, `${BINARY}:${Buffer.alloc(1000, 0xfe)}`, BYE])
  })
})

describe('2: pings', () => {
  test.each([0, 10, 125])('of %i bytes come back as pongs', async size => {
    const body = '\x7f'.repeat(size)
    expect(await answers(plain, [frame(PING, body)])).toEqual([`${PONG}:${body}`, BYE])
  })

  test('of 126 bytes are no pings', async () => {
    expect(await answers(plain, [frame(PING, 'x'.repeat(126))])).toEqual([WRONG])
  })

  test('and what is not asked for: a pong is passed over, and ten pings are answered', async () => {
    const pings = Array.from({ length: 10 }, (_, i) => frame(PING, `payload-${i}`))
    const pongs = Array.from({ length: 10 }, (_, i) => `${PONG}:payload-${i}`)
    expect(await answers(plain, [frame(PONG, 'unasked'), ...pings])).toEqual([...pongs, BYE])
  })
})

describe('3: reserved bits', () => {
  test.each([0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70])(
    '%i end the connection after what came before',
    async bits => {
      for (const opcode of [TEXT, BINARY, PING, CLOSE]) {
        const sent = [frame(TEXT, 'before'), frame(opcode, 'x', FIN | bits), frame(PING)]
        expect(await answers(plain, sent)).toEqual([`${TEXT}:before`, WRONG])
      }
    },
  )
})

describe('4: opcodes', () => {
  test.each([3, 4, 5, 6, 7, 11, 12, 13, 14, 15])('%i, which is none, ends the connection', async opcode => {
    const sent = [frame(TEXT, 'before'), frame(opcode, 'x'), frame(PING)]
    expect(await answers(plain, sent)).toEqual([`${TEXT}:before`, WRONG])
    expect(await answers(plain, [frame(opcode)])).toEqual([WRONG])
  })
})

describe('5: fragments', () => {
  test.each([
    ['of a ping', [part(PING, 'a'), frame(0, 'b')], [WRONG]],
    ['of a pong', [part(PONG, 'a'), frame(0, 'b')], [WRONG]],
    ['of text', [part(TEXT, 'a'), frame(0, 'b')], ['1:ab', BYE]],
    ['of bytes', [part(BINARY, 'a'), part(0, 'b'), frame(0, 'c')], ['2:abc', BYE]],
    ['that are empty', [part(TEXT), part(0), frame(0)], ['1:', BYE]],
    ['empty but for one', [part(TEXT), part(0, 'middle'), frame(0)], ['1:middle', BYE]],
    ['with a ping between', [part(TEXT, 'a'), frame(PING, 'p'), frame(0, 'b')], ['10:p', '1:ab', BYE]],
    [
      'with pings between all',
      [part(TEXT, 'a'), frame(PING, '1'), part(0, 'b'), part(0, 'c'), frame(PING, '2'), frame(0, 'd')],
      ['10:1', '10:2', '1:abcd', BYE],
    ],
    ['that go on what has not begun', [frame(0, 'a'), frame(TEXT, 'b')], [WRONG]],
    ['that do not end, of which none has begun', [part(0, 'a'), frame(TEXT, 'b')], [WRONG]],
    ['after a whole message', [frame(TEXT, 'a'), part(0, 'b'), frame(0, 'c')], ['1:a', WRONG]],
    ['that another message interrupts', [part(TEXT, 'a'), frame(TEXT, 'b')], [WRONG]],
    ['that other fragments interrupt', [part(TEXT, 'a'), part(0, 'b'), part(BINARY, 'c')], [WRONG]],
    ['before a close', [part(TEXT, 'a'), part(0, 'b')], [BYE]],
  ])('%s', async (_what, sent, wanted) => {
    expect(await answers(plain, sent)).toEqual(wanted)
    // In one write, too.
    expect(await answers(plain, [Buffer.concat(sent)])).toEqual(wanted)
  })
})

describe('6: UTF-8', () => {
  const bytes = (hex: string) => Buffer.from(hex, 'hex')
  const whole = Buffer.from(TALE)

  test('comes back however its characters are split', async () => {
    const octets = [...whole].map((_, i) =>
      i === 0 ? part(TEXT, whole.subarray(0, 1)) : part(0, whole.subarray(i, i + 1)),
    )
    expect(await answers(plain, [...octets, frame(0)])).toEqual([`1:${TALE}`, BYE])
  })

  test.each([
    ['a byte that none has', 'cebae1bdb9cf83cebcceb5 edA080 656469746564'],
    ['a lone continuation', '80'],
    ['continuations', '80bf80bf80bf'],
    ['a start alone', 'c020'],
    ['too little of three', 'e080'],
    ['too little of four', 'f08080'],
    ['an impossible byte', 'fe'],
    ['two of them', 'fefeffff'],
    ['an overlong slash', 'c0af'],
    ['an overlong slash of four', 'f08080af'],
    ['an overlong nul', 'c080'],
    ['past the last character', 'f4908080'],
    ['five bytes', 'f888808080'],
    ['a surrogate', 'eda080'],
    ['a pair of surrogates', 'edafbfedbfbf'],
    ['an end in a character', 'cebae1bdb9cf83cebcceb5f4'],
  ])('that is none is closed with 1007: %s', async (_what, hex) => {
    const text = bytes(hex.replaceAll(' ', ''))
    expect(await answers(plain, [frame(TEXT, text)])).toEqual([NO_TEXT])
    // In two fragments as well, of which the first may be right.
    const half = text.length >> 1
    const two = [part(TEXT, text.subarray(0, half)), frame(0, text.subarray(half))]
    expect(await answers(plain, two)).toEqual([NO_TEXT])
  })

  test.each(['f48fbfbf', 'ee8080', 'efbfbd', 'f09f9880', 'efbfbf', 'efbfbe', '7f', 'c280', 'ed9fbf', '00'])(
    'of the limits comes back: %s',
    async hex => {
      expect(await answers(plain, [frame(TEXT, bytes(hex))])).toEqual([`1:${bytes(hex)}`, BYE])
    },
  )

  test('that is none is found when its message ends, as in the package', async () => {
    const wrong = [
      part(TEXT, bytes('cebae1bdb9cf83cebcceb5')),
      part(0, bytes('f4908080')),
      frame(0, 'edited'),
    ]
    expect(await answers(plain, wrong)).toEqual([NO_TEXT])
  })

  test('does not matter to bytes', async () => {
    expect(await answers(plain, [frame(BINARY, bytes('eda080'))])).toEqual([`2:${bytes('eda080')}`, BYE])
  })
})

describe('7: closing', () => {
  test('comes after what came before, and nothing after it counts', async () => {
    expect(await answers(plain, [frame(TEXT, 'a'), close(1000), frame(PING), frame(TEXT, 'b')])).toEqual([
      '1:a',
      BYE,
    ])
    expect(await answers(plain, [part(TEXT, 'a'), close(1000), frame(0, 'b')])).toEqual([BYE])
  })

  test.each([
    ['without a code', frame(CLOSE), [`${CLOSE}:`]],
    ['with half a code', frame(CLOSE, '\x03'), [WRONG]],
    ['with a code', close(1000), [BYE]],
    ['with a reason', close(1000, TALE), [BYE + TALE]],
    ['with a reason of 123 bytes', close(1000, 'x'.repeat(123)), [BYE + 'x'.repeat(123)]],
    ['with one of 124', close(1000, 'x'.repeat(124)), [WRONG]],
    ['with a reason that is no text', close(1000, Buffer.from('cebae1bdb9eda080', 'hex')), [NO_TEXT]],
  ])('%s', async (_what, closing, wanted) => {
    expect(await answers(plain, [], closing)).toEqual(wanted)
  })

  test.each([1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])(
    'with the code %i gets it back',
    async code => expect(await answers(plain, [], close(code))).toEqual([`${CLOSE}:${code}`]),
  )

  test.each([0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65_535])(
    'with the code %i, which is none, gets 1002',
    async code => expect(await answers(plain, [], close(code))).toEqual([WRONG]),
  )
})

describe('9: large messages', () => {
  /** Sends to both, and counts what comes back: 16 MiB are not for a message about a difference. */
  async function echoed(sent: Iterable<Buffer>, opcode: number, wanted: Buffer): Promise<void> {
    const chunks = [...sent]
    for (const port of [plain.ours, plain.control]) {
      const { peer, from } = await opened(port)
      const heard: Buffer[] = []
      let size = peer.bytes.length - from
      peer.socket.removeAllListeners('data')
      const done = new Promise<void>(resolve => {
        peer.socket.on('data', chunk => {
          heard.push(chunk)
          size += chunk.length
          if (size >= wanted.length + 10) resolve()
        })
      })
      for (const chunk of chunks) if (!peer.say(chunk).socket.writable) break
      await done
      const all = Buffer.concat(heard)
      expect(all[0]).toBe(FIN | opcode)
      expect(all.readBigUInt64BE(2)).toBe(BigInt(wanted.length))
      expect(all.subarray(10).equals(wanted)).toBe(true)
      peer.leave()
    }
  }

  const text = Buffer.alloc(16 * MIB, 'abcdefghijklmnopqrstuvwxyz')
  const bytes = Buffer.alloc(16 * MIB, Buffer.of(0xfe, 0, 0x80, 0xff))

  test('come back whole, 16 MiB', async () => {
    await echoed([frame(TEXT, text)], TEXT, text)
    await echoed([frame(BINARY, bytes)], BINARY, bytes)
  })

  test('come back from fragments of 64 KiB, 4 MiB in all', async () => {
    const whole = text.subarray(0, 4 * MIB)
    const fragments: Buffer[] = []
    for (let at = 0; at < whole.length; at += 65_536) {
      const more = at + 65_536 < whole.length
      fragments.push(frame(at === 0 ? TEXT : 0, whole.subarray(at, at + 65_536), more ? 0 : FIN))
    }
    await echoed(fragments, TEXT, whole)
  })

  test('come back from fragments of 64 bytes, 4 MiB in all', async () => {
    const whole = text.subarray(0, 4 * MIB)
    const fragments: Buffer[] = []
    for (let at = 0; at < whole.length; at += 64) {
      fragments.push(
        frame(at === 0 ? TEXT : 0, whole.subarray(at, at + 64), at + 64 < whole.length ? 0 : FIN),
      )
    }
    await echoed([Buffer.concat(fragments)], TEXT, whole)
  })

  test('come back from writes of 64 bytes, 1 MiB in all', async () => {
    const whole = frame(BINARY, bytes.subarray(0, MIB))
    const chops = Array.from({ length: Math.ceil(whole.length / 64) }, (_, i) =>
      whole.subarray(i * 64, i * 64 + 64),
    )
    await echoed(chops, BINARY, bytes.subarray(0, MIB))
  })

  test('one byte over the limit are closed with 1009, and so are fragments that add up to it', async () => {
    const header = Buffer.from('82ff000000000100000100000000', 'hex')
    expect(await answers(plain, [], header)).toEqual([`${CLOSE}:1009`])
  })

  test('of many fragments are closed with 1008 past `maxFragments`', async () => {
    const few = await pair({ maxPayload: MIB, maxFragments: 3 })
    const sent = [part(TEXT, 'a'), part(0, 'b'), part(0, 'c'), frame(0, 'd')]
    expect(await answers(few, [...sent.slice(0, 2), frame(0, 'c')])).toEqual(['1:abc', BYE])
    expect(await answers(few, sent)).toEqual([`${CLOSE}:1008`])
  })
})

describe('10 and up: compression', () => {
  const offer = (extensions: string) => ({ 'Sec-WebSocket-Extensions': extensions })
  const deflated = (text: string) =>
    zlib.deflateRawSync(text, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4)

  test.each([
    ['permessage-deflate', 'permessage-deflate'],
    ['permessage-deflate; client_max_window_bits', 'permessage-deflate'],
    [
      'permessage-deflate; client_no_context_takeover; client_max_window_bits',
      'permessage-deflate; client_no_context_takeover',
    ],
    [
      'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
      'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
    ],
    ['permessage-deflate; server_max_window_bits=9', 'permessage-deflate; server_max_window_bits=9'],
    ['permessage-deflate; client_max_window_bits=9', 'permessage-deflate; client_max_window_bits=9'],
    [
      'permessage-deflate; server_no_context_takeover; server_max_window_bits=9, permessage-deflate',
      'permessage-deflate; server_no_context_takeover; server_max_window_bits=9',
    ],
    ['x-thing, permessage-deflate', 'permessage-deflate'],
    ['x-thing', undefined],
  ])('of the offer %j is agreed as by the package', async (offered, agreed) => {
    const sent = deflated(TALE.repeat(20))
    const heard = await alike(deflating, async port => {
      const { peer, from } = await opened(port, offer(offered))
      for (let i = 0; i < 3; i++) {
        if (agreed === undefined) peer.say(frame(TEXT, TALE))
        else peer.say(frame(TEXT, sent, FIN | RSV1))
      }
      peer.say(close(1000))
      await peer.end()
      return [peer.heard.slice(0, from), peer.heard.slice(from)]
    })
    expect(parsed(heard[0] ?? '').headers['sec-websocket-extensions']).toBe(agreed)
    const [first = '', ...others] = frames(Buffer.from(heard[1] ?? '', 'latin1'))
    expect(first.startsWith(agreed === undefined ? '1:' : '12/1:')).toBe(true)
    expect(others.at(-1)).toBe(BYE)
  })

  test.each([
    'permessage-deflate; server_max_window_bits=7',
    'permessage-deflate; server_max_window_bits=16',
    'permessage-deflate; client_max_window_bits=99',
    'permessage-deflate; unknown',
    'permessage-deflate; server_no_context_takeover=1',
    'permessage-deflate; client_no_context_takeover; client_no_context_takeover',
    'permessage-deflate;;',
  ])('of the wrong offer %j is refused', async offered => {
    const heard = await alike(deflating, async port => {
      const { peer } = await opened(port, offer(offered))
      return peer.end()
    })
    expect(parsed(heard).status).toBe(400)
  })

  test.each([
    [
      'a message in fragments',
      [frame(TEXT, deflated('abc').subarray(0, 2), RSV1), frame(0, deflated('abc').subarray(2))],
      true,
    ],
    ['a message that is not compressed', [frame(TEXT, 'abc')], true],
    ['rubbish', [frame(TEXT, 'rubbish', FIN | RSV1)], false],
    ['a later fragment with the bit', [frame(TEXT, 'a', RSV1), frame(0, 'b', FIN | RSV1)], false],
    ['a ping with the bit', [frame(PING, 'a', FIN | RSV1)], false],
    ['text that is none', [frame(TEXT, zlib.deflateRawSync(Buffer.of(0xff)), FIN | RSV1)], false],
  ])('of %s', async (_what, sent, right) => {
    const heard = await alike(deflating, async port => {
      const { peer, from } = await opened(port, offer('permessage-deflate'))
      for (const bytes of sent) peer.say(bytes)
      if (right) peer.say(close(1000))
      await peer.end()
      return peer.heard.slice(from)
    })
    const ending = frames(Buffer.from(heard, 'latin1')).at(-1)
    expect(ending === BYE).toBe(right)
  })

  test('does not let a small message grow past the limit', async () => {
    const small = await pair({ maxPayload: 1000, perMessageDeflate: true })
    const heard = await alike(small, async port => {
      const { peer, from } = await opened(port, offer('permessage-deflate'))
      peer.say(frame(TEXT, deflated('x'.repeat(100_000)), FIN | RSV1))
      await peer.end()
      return peer.heard.slice(from)
    })
    expect(frames(Buffer.from(heard, 'latin1'))).toEqual([`${CLOSE}:1009`])
  })

  test('is not agreed without the option', async () => {
    const heard = await alike(plain, async port => {
      const { peer } = await opened(port, offer('permessage-deflate'))
      peer.leave()
      return peer.heard
    })
    expect(parsed(heard).headers['sec-websocket-extensions']).toBe(undefined)
  })
})
