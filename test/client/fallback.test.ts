import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { clientConnection } from '../../src/client/connection.js'
import { type FallbackEntry, type FallbackOptions, fallback } from '../../src/client/fallback.js'
import * as browser from '../../src/client/fallback-client.js'
import * as node from '../../src/client/fallback-node.js'
import type { ClientLinkHandler, ClientTransport } from '../../src/client/transport.js'
import type { Frame } from '../../src/codec/codec.js'
import { json } from '../../src/codec/json.js'
import { msgpack } from '../../src/codec/msgpack.js'
import { KIND } from '../../src/protocol/envelope.js'
import { rpc } from '../../src/services/rpc/index.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { testServer } from '../support/wire.js'

const codecs = { binary: msgpack(), text: json() }

/** One way, whose link the test plays. */
class Way {
  readonly entry: FallbackEntry
  readonly tries: {
    readonly url: string
    readonly protocols: readonly string[]
    readonly handler: ClientLinkHandler
    readonly sent: Frame[]
    readonly closed: string[]
  }[] = []
  loads = 0

  constructor(name: string, { load, ...more }: Partial<FallbackEntry> = {}) {
    const transport: ClientTransport = {
      open: (url, protocols, handler) => {
        const link = { url, protocols, handler, sent: [] as Frame[], closed: [] as string[] }
        this.tries.push(link)
        return {
          send: frame => void link.sent.push(frame),
          close: (code, reason) => void link.closed.push(`${code} ${reason}`),
        }
      },
    }
    this.entry = {
      name,
      binary: true,
      ...more,
      load: () => {
        this.loads++
        return load === undefined ? transport : load()
      },
    }
  }

  get link() {
    return this.tries.at(-1)!
  }
}

/** What a handler heard. */
class Heard implements ClientLinkHandler {
  readonly events: string[] = []
  opened = () => void this.events.push('opened')
  frame = (frame: Frame) => void this.events.push(`frame ${frame}`)
  closed = (code: number, reason: string) => void this.events.push(`closed ${code} ${reason}`)
}

function opened(ways: readonly Way[], options: FallbackOptions = {}, url = 'ws://host/') {
  const { transport, codec } = fallback(
    ways.map(way => way.entry),
    codecs,
    options,
  )
  const open = () => {
    const heard = new Heard()
    const switching = codec.open(new Map())
    return { heard, codec: switching, link: transport.open(url, [], heard) }
  }
  return { ...open(), open }
}

/** Lets promises settle; no timer fires. */
const settle = () => vi.advanceTimersByTimeAsync(0)

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

describe('a way', () => {
  test('that works is the only one that is loaded', async () => {
    const [ws, engineio] = [new Way('ws'), new Way('engineio')]
    const { heard, link } = opened([ws, engineio])
    await settle()
    ws.link.handler.opened()
    link.send('hello')
    ws.link.handler.frame('1')
    ws.link.handler.frame('2')
    ws.link.handler.closed(4501, 'bye')
    await settle()
    expect(ws.link.sent).toEqual(['hello'])
    expect(heard.events).toEqual(['opened', 'frame 1', 'frame 2', 'closed 4501 bye'])
    expect(engineio.loads).toBe(0)
  })

  test('that closes before its first frame makes place for the next, which opens anew', async () => {
    const [ws, engineio] = [new Way('ws'), new Way('engineio')]
    const { heard, link } = opened([ws, engineio])
    await settle()
    ws.link.handler.opened()
    ws.link.handler.closed(1006, '')
    await settle()
    engineio.link.handler.opened()
    link.send('hello')
    engineio.link.handler.frame('1')
    expect(ws.link.sent).toEqual([])
    expect(engineio.link.sent).toEqual(['hello'])
    expect(heard.events).toEqual(['opened', 'opened', 'frame 1'])
  })

  test('that is silent for 5 seconds is closed, and not heard from then on', async () => {
    const [ws, engineio] = [new Way('ws'), new Way('engineio')]
    const { heard } = opened([ws, engineio])
    await settle()
    ws.link.handler.opened()
    await vi.advanceTimersByTimeAsync(4999)
    expect(ws.link.closed).toEqual([])
    await vi.advanceTimersByTimeAsync(1)
    expect(ws.link.closed).toEqual(['1000 '])
    ws.link.handler.opened()
    ws.link.handler.frame('late')
    ws.link.handler.closed(1006, 'late')
    await settle()
    engineio.link.handler.frame('1')
    expect(engineio.tries).toHaveLength(1)
    expect(heard.events).toEqual(['opened', 'frame 1'])
  })

  test('that does not load in time is passed over, and never opened', async () => {
    let loaded!: (transport: ClientTransport) => void
    const open = vi.fn()
    const slow = new Way('engineio', { load: () => new Promise(resolve => (loaded = resolve)) })
    const sockjs = new Way('sockjs')
    opened([slow, sockjs], { timeout: 100 })
    await vi.advanceTimersByTimeAsync(100)
    loaded({ open })
    await settle()
    sockjs.link.handler.frame('1')
    expect(open).not.toHaveBeenCalled()
  })

  test.each([
    ['ws', undefined, 'ws://host/realtime?x=1#top', 'ws://host/realtime?x=1'],
    ['ws', undefined, 'https://host', 'wss://host/'],
    ['engineio', '/engine.io', 'wss://host:8443/realtime?x=1', 'https://host:8443/engine.io?x=1'],
    ['sockjs', '/sockjs?y=2', 'http://host/?x=1', 'http://host/sockjs?y=2'],
    ['own', 'wss://other/here', 'ws://host/', 'https://other/here'],
  ])('%s at %s of %s is tried at its own address', async (name, url, base, address) => {
    const way = new Way(name, url === undefined ? {} : { url })
    const { link } = opened([way], {}, base)
    await settle()
    expect(way.link.url).toBe(address)
    link.close(1000, '')
  })

  test('is offered the subprotocol of its codec, which is then written', async () => {
    const [ws, sockjs] = [new Way('ws'), new Way('sockjs', { binary: false })]
    const { codec } = opened([ws, sockjs])
    await settle()
    expect(ws.link.protocols).toEqual(['ss1.msgpack'])
    expect(codec.encode(KIND.PONG, 0, 0, 0)).toBeInstanceOf(Uint8Array)
    ws.link.handler.closed(1006, '')
    await settle()
    expect(sockjs.link.protocols).toEqual(['ss1.json'])
    expect(codec).toMatchObject({ name: 'json', binary: false })
    expect(codec.encode(KIND.PONG, 0, 0, 7)).toBe('[20,7]')
    expect(codec.decode('[19,7]').payload).toBe(7)
    expect(codec.decode(msgpack().open(new Map()).encode(KIND.PING, 0, 0, 8)).payload).toBe(8)
    sockjs.link.handler.frame('1')
  })
})

describe('when all have failed', () => {
  test('the reason has each of them, and the code that says most', async () => {
    const missing = () =>
      Promise.reject(new Error("Cannot find package 'sockjs-client' imported from /a/long/path"))
    const [ws, engineio] = [new Way('ws'), new Way('engineio')]
    const { heard } = opened([ws, engineio, new Way('sockjs', { load: missing })])
    await settle()
    ws.link.handler.closed(4501, 'stopping')
    await settle()
    engineio.link.handler.closed(1006, '')
    await settle()
    expect(heard.events).toEqual([
      "closed 4501 ws: stopping; engineio: 1006; sockjs: Cannot find package 'sockjs-client' imported from /a/long/pa",
    ])
  })

  test.each([
    [[1002, 1006], 1006],
    [[1006, 1002], 1006],
    [[1002, 1008], 1008],
    [[4501, 4505, 1006], 4505],
  ])('with %j the code is %i: final only if all are', async (codes, code) => {
    const ways = codes.map((_, i) => new Way(`way${i}`))
    const { heard } = opened(ways)
    for (const [i, way] of ways.entries()) {
      await settle()
      way.link.handler.closed(codes[i]!, '')
    }
    await settle()
    expect(heard.events).toEqual([expect.stringMatching(`^closed ${code} way0: `)])
  })

  test.each(['no url', 'ftp://host/'])('%s is reported as 1002 without a try', async url => {
    const ways = [new Way('ws'), new Way('engineio', { url: '/engine.io' })]
    const { heard, link } = opened(ways, {}, url)
    link.close(1000, '')
    await settle()
    expect(heard.events).toEqual([expect.stringMatching(/^closed 1002 ./)])
    expect(ways.map(way => way.loads)).toEqual([0, 0])
  })
})

describe('close()', () => {
  test('during a try ends all of them', async () => {
    const [ws, engineio] = [new Way('ws'), new Way('engineio')]
    const { heard, link } = opened([ws, engineio])
    await settle()
    link.close(1000, 'enough')
    link.close(1000, 'twice')
    ws.link.handler.opened()
    ws.link.handler.frame('late')
    ws.link.handler.closed(1000, 'late')
    link.send('late')
    await settle()
    expect(heard.events).toEqual(['closed 1000 enough'])
    expect(ws.link).toMatchObject({ closed: ['1000 '], sent: [] })
    expect(engineio.loads).toBe(0)
  })

  test('during a load opens nothing', async () => {
    let loaded!: (transport: ClientTransport) => void
    const open = vi.fn()
    const { heard, link } = opened([new Way('ws', { load: () => new Promise(r => (loaded = r)) })])
    link.close(1000, '')
    loaded({ open })
    await settle()
    expect(open).not.toHaveBeenCalled()
    expect(heard.events).toEqual(['closed 1000 '])
  })

  test('of a link that works is passed on, and so is the answer', async () => {
    const ws = new Way('ws')
    const { heard, link } = opened([ws])
    await settle()
    ws.link.handler.frame('1')
    link.close(1000, 'done')
    expect(ws.link.closed).toEqual(['1000 done'])
    ws.link.handler.closed(1000, 'answer')
    await settle()
    expect(heard.events).toEqual(['frame 1', 'closed 1000 answer'])
  })
})

describe('what worked', () => {
  /** Fails the first way, lets the second work. */
  async function fallenBack(options: FallbackOptions = {}) {
    const [ws, engineio] = [new Way('ws'), new Way('engineio')]
    const made = opened([ws, engineio], options)
    await settle()
    ws.link.handler.closed(1006, '')
    await settle()
    engineio.link.handler.frame('1')
    engineio.link.handler.closed(1006, '')
    await settle()
    return { ...made, ws, engineio }
  }

  test('is tried first the next time, then the others in order', async () => {
    const { open, ws, engineio } = await fallenBack()
    const { heard } = open()
    await settle()
    expect([ws.tries.length, engineio.tries.length]).toEqual([1, 2])
    engineio.link.handler.closed(1006, 'a')
    await settle()
    ws.link.handler.closed(1006, 'b')
    await settle()
    expect(heard.events).toEqual(['closed 1006 engineio: a; ws: b'])
  })

  test('is kept in sessionStorage by URL', async () => {
    const items = new Map<string, string>()
    vi.stubGlobal('sessionStorage', {
      getItem: (key: string) => items.get(key) ?? null,
      setItem: (key: string, value: string) => items.set(key, value),
    })
    await fallenBack()
    expect([...items]).toEqual([['socketstream-transport ws://host/', 'engineio']])
    const ways = [new Way('ws'), new Way('engineio')]
    const { link } = opened(ways)
    const other = opened([new Way('ws'), new Way('engineio')], {}, 'ws://other/')
    await settle()
    expect(ways.map(way => way.loads)).toEqual([0, 1])
    link.close(1000, '')
    other.link.close(1000, '')
  })

  test('is kept in memory where sessionStorage throws', async () => {
    vi.stubGlobal('sessionStorage', {
      getItem: () => {
        throw new Error('SecurityError')
      },
      setItem: () => {
        throw new Error('QuotaExceededError')
      },
    })
    const { open, engineio } = await fallenBack()
    const { link } = open()
    await settle()
    expect(engineio.tries).toHaveLength(2)
    link.close(1000, '')
  })

  test('is kept where the option says, unless that throws', async () => {
    const remember = { get: vi.fn(() => 'nobody'), set: vi.fn() }
    await fallenBack({ remember })
    expect(remember.set.mock.calls).toEqual([['engineio']])
    const broken = {
      get: () => {
        throw new Error('no')
      },
      set: () => {
        throw new Error('no')
      },
    }
    const { heard } = await fallenBack({ remember: broken })
    expect(heard.events).toEqual(['frame 1', 'closed 1006 '])
  })

  test('is told before its first frame is handled', async () => {
    const events: string[] = []
    const ws = new Way('ws')
    const { heard, link } = opened([ws], { onTransport: name => heard.events.push(name) })
    await settle()
    ws.link.handler.frame('1')
    ws.link.handler.frame('2')
    events.push(...heard.events)
    expect(events).toEqual(['ws', 'frame 1', 'frame 2'])
    link.close(1000, '')
  })
})

type Outcome = 'rejects' | 'loads never' | 'is silent' | 'opens only' | 'closes' | 'opens, closes' | 'works'
const outcome = fc.constantFrom<Outcome>(
  'rejects',
  'loads never',
  'is silent',
  'opens only',
  'closes',
  'opens, closes',
  'works',
)

test('any course of ways keeps their order, ends once, and lets no abandoned link be heard', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(outcome, { minLength: 1, maxLength: 5 }),
      fc.option(fc.integer({ min: 0, max: 5 })),
      fc.option(fc.integer({ min: 0, max: 5 })),
      async (outcomes, remembered, closeAt) => {
        const started: string[] = []
        const links: { name: string; handler: ClientLinkHandler }[] = []
        const entries = outcomes.map((what, i): FallbackEntry => {
          const name = `way${i}`
          const transport: ClientTransport = {
            open: (_url, _protocols, handler) => {
              links.push({ name, handler })
              return { send() {}, close: () => handler.closed(1000, `${name} late`) }
            },
          }
          const load = () => {
            started.push(name)
            if (what === 'rejects') return Promise.reject(new Error('no'))
            return what === 'loads never' ? new Promise<never>(() => {}) : transport
          }
          return { name, binary: i % 2 === 0, load }
        })
        const remember = { get: () => (remembered === null ? null : `way${remembered}`), set() {} }
        const { transport, codec } = fallback(entries, codecs, { remember, timeout: 100 })
        const heard = new Heard()
        codec.open(new Map())
        const link = transport.open('ws://host/', [], heard)

        const names = outcomes.map((_, i) => `way${i}`)
        const order = names.includes(`way${remembered}`)
          ? [`way${remembered}`, ...names.filter(name => name !== `way${remembered}`)]
          : names
        const working = order.findIndex(name => outcomes[names.indexOf(name)] === 'works')
        let tried = 0
        for (const name of order) {
          await settle()
          if (closeAt === tried) break
          tried++
          const what = outcomes[names.indexOf(name)]!
          const handler = links.find(one => one.name === name)?.handler
          if (what === 'opens only' || what === 'opens, closes' || what === 'works') handler?.opened()
          if (what === 'works') {
            handler?.frame(name)
            break
          }
          if (what === 'closes' || what === 'opens, closes') handler?.closed(1006, '')
          else if (what !== 'rejects') await vi.advanceTimersByTimeAsync(100)
        }
        const reached = working < 0 ? order.length : working + 1
        const stopped = closeAt !== null && closeAt < reached
        if (stopped) link.close(1000, 'stop')
        await settle()
        // Whatever the links say now, only the one that works is heard.
        const current = !stopped && working >= 0 ? order[working] : undefined
        for (const { name, handler } of links) {
          if (name === current) continue
          handler.opened()
          handler.frame(`${name} late`)
          handler.closed(1006, `${name} late`)
        }
        if (current !== undefined) links.find(({ name }) => name === current)?.handler.closed(4501, 'end')
        await vi.advanceTimersByTimeAsync(1000)

        // A rejected load is followed by the next without waiting, so close() may find one more begun.
        expect(started).toEqual(order.slice(0, started.length))
        if (!stopped) expect(started).toHaveLength(reached)
        expect(heard.events.filter(event => event.startsWith('closed'))).toHaveLength(1)
        expect(heard.events.at(-1)).toMatch(/^closed/)
        expect(heard.events.filter(event => event.startsWith('frame'))).toEqual(
          current === undefined ? [] : [`frame ${current}`],
        )
        expect(heard.events.join()).not.toMatch(/late/)
        expect(vi.getTimerCount()).toBe(0)
      },
    ),
  )
})

test('two connections that share one fallback have a codec each', async () => {
  const [ws, sockjs] = [new Way('ws'), new Way('sockjs', { binary: false })]
  const { open, codec: one, link } = opened([ws, sockjs])
  const { codec: two, link: other } = open()
  await settle()
  ws.tries[0]!.handler.closed(1006, '')
  await settle()
  expect([one.name, two.name]).toEqual(['json', 'msgpack'])
  link.close(1000, '')
  other.close(1000, '')
})

test('a link without a codec of its own says what is missing', () => {
  const { transport, codec } = fallback([new Way('ws').entry], codecs)
  codec.open(new Map())
  transport.open('ws://host/', [], new Heard()).close(1000, '')
  expect(() => transport.open('ws://host/', [], new Heard())).toThrow(
    expect.objectContaining({ code: 'INVALID_STATE', message: expect.stringContaining('codec') }),
  )
})

test('a connection says hello on each link, in the codec of each', async () => {
  const [ws, sockjs] = [new Way('ws'), new Way('sockjs', { binary: false })]
  const made = fallback([ws.entry, sockjs.entry], codecs)
  const owner = {
    welcomed() {},
    message() {},
    publication() {},
    failed: vi.fn(),
    resuming() {},
    closed: vi.fn(),
  }
  const connection = clientConnection({ url: 'ws://host/', ...made }, owner)
  await settle()
  ws.link.handler.opened()
  ws.link.handler.closed(1006, '')
  await settle()
  sockjs.link.handler.opened()
  expect(ws.link.sent).toEqual([expect.any(Uint8Array)])
  expect(sockjs.link.sent).toEqual(['[16,{"v":1}]'])
  connection.close()
  await expect(connection.ready).rejects.toThrow('closed (1000 )')
  await settle()
  expect(owner.closed).toHaveBeenCalledTimes(1)
  expect(sockjs.link.closed).toEqual(['1000 '])
})

describe.each([
  ['the browser entry', browser.createClient],
  ['the Node entry', node.createClient],
])('createClient of %s', (_name, createClient) => {
  test.each([
    [[], "is empty: give ['ws'"],
    [
      ['websocket'],
      "must list 'ws', 'engineio', 'sockjs', 'sse' or { name, binary, load } of your own, not \"websocket\"",
    ],
    [['toString'], 'not "toString"'],
    [[{ url: '/x' }], 'must list'],
    [[null], 'must list'],
    ['ws', 'not "ws"'],
    [undefined, 'must list'],
  ])('refuses transports %j', (transports, message) => {
    expect(() => createClient({ url: 'ws://host', transports: transports as never })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(message) }),
    )
  })

  test.each([0, -1, Number.NaN, 2 ** 31])('refuses a timeout of %d', timeout => {
    expect(() => createClient({ url: 'ws://host', transports: ['ws'], fallback: { timeout } })).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining('`timeout`') }),
    )
  })

  test('takes ways of one’s own, tells which, and reports what a listener throws', async () => {
    vi.useRealTimers()
    const { app, transport } = testServer()
    const served = app.service('rpc', rpc({ add: (_ctx, a: number, b: number) => a + b }))
    await served.start()
    onTestFinished(() => app.stop({ drain: 0 }))
    const load = () => memoryClient(transport)
    const names: string[] = []
    const client = createClient<typeof served>({
      url: 'ws://host',
      transports: [
        { name: 'gone', binary: true, load: () => Promise.reject(new Error('not installed')) },
        { name: 'own', binary: false, load },
      ],
      onTransport: name => {
        names.push(name)
        throw new Error('a mistake')
      },
    })
    const errors: string[] = []
    client.on('error', error => errors.push(error.message))
    await client.connect()
    expect(await client.api.rpc.add(1, 2)).toBe(3)
    client.close()
    expect(names).toEqual(['own'])
    expect(errors).toEqual(['a mistake'])
    vi.useFakeTimers()
  })
})
