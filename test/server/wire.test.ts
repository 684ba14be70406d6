import { describe, expect, test, vi } from 'vitest'
import { SocketStreamError } from '../../src/errors.js'
import { Server } from '../../src/server.js'
import type { ServiceDefinition } from '../../src/services/service.js'
import { memory } from '../../src/transports/memory.js'
import { testServer, WireClient } from '../support/wire.js'

/** Answers what it is told to. */
const echo = {
  use: { json: true, callbacks: true },
  server(server) {
    server.onmessage = (message, request, reply) => {
      if (message === 'throw') throw new Error('secret path /etc')
      if (message === 'coded')
        throw new SocketStreamError('SOLD_OUT', 'none left', { data: { left: 0 }, retryAfter: 5 })
      if (message === 'reject') return Promise.reject(new Error('later'))
      if (message === 'hang') return undefined
      if (message === 'function') return reply(() => {})
      if (message === 'twice') reply(1)
      if (request.kind === 'message') server.send(request.connectionId, message)
      else reply(message)
      return undefined
    }
  },
} satisfies ServiceDefinition

const hidden = { private: true, server() {} } satisfies ServiceDefinition
const mute = {} satisfies ServiceDefinition

async function start(options: Parameters<typeof testServer>[0] = {}) {
  const made = testServer(options)
  made.app.service('echo', echo).service('hidden', hidden).service('mute', mute)
  await made.app.start()
  return made
}

describe('the handshake', () => {
  test('answers a hello with a welcome that has the service table and the limits', async () => {
    const { app, transport } = await start()
    const client = await WireClient.open(transport)
    expect(client.frames[0]![0]).toBe(17)
    expect(client.welcome).toMatchObject({
      v: 1,
      cid: expect.stringMatching(/^[0-9a-f]{8}\.[\w-]{16}$/),
      resumed: false,
      recv: 0,
      services: [
        {
          id: 1,
          name: 'echo',
          type: 'custom',
          version: 1,
          use: { json: true, callbacks: true, sessions: false },
        },
        { id: 3, name: 'mute', type: 'custom', version: 1 },
      ],
      session: expect.stringMatching(/^t:/),
      ping: 25_000,
      window: 0,
      calls: 1024,
      credit: 64,
      maxFrame: 1_048_576,
    })
    expect(app.publicServices()).toEqual(client.welcome.services)
    await app.stop()
  })

  test.each([
    ['something else than a hello', [0, 1, 'x'], 4400],
    ['a hello without an object', [16, null], 4400],
    ['an unknown version', [16, { v: 2 }], 4402],
    ['caps that are no list of names', [16, { v: 1, caps: [1] }], 4400],
    ['text that is no frame', 'hello', 4400],
    ['a frame of an unknown kind', [12, 1], 4400],
  ])('closes on %s', async (_what, frame, code) => {
    const { app, transport } = await start()
    const client = await WireClient.silent(transport)
    client.send(frame as unknown[])
    expect(await client.ended()).toMatchObject({ code })
    await app.stop()
  })

  test('closes on a second hello', async () => {
    const { app, transport } = await start()
    const client = await WireClient.open(transport)
    client.send([16, { v: 1 }])
    expect(await client.ended()).toMatchObject({ code: 4400 })
    expect(client.frames[1]).toEqual([22, 4400, { reason: expect.any(String), reconnect: false }])
    await app.stop()
  })

  test('closes a connection that says nothing in time', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    try {
      const { app, transport } = await start()
      const client = await WireClient.silent(transport)
      vi.advanceTimersByTime(11_000)
      expect(await client.ended()).toMatchObject({ code: 4502 })
      await app.stop()
    } finally {
      vi.useRealTimers()
    }
  })

  test('refuses a client whose subprotocols are all unknown', async () => {
    const { app, transport } = await start()
    await expect(transport.connect({ protocols: ['graphql-ws'] })).rejects.toMatchObject({
      data: { status: 400 },
    })
    await app.stop()
  })

  test('tells of connections and disconnections by id', async () => {
    const { app, transport } = await start()
    const events: string[] = []
    app.events.on('client:connect', id => events.push(`+${id}`))
    app.events.on('client:disconnect', id => events.push(`-${id}`))
    const client = await WireClient.open(transport)
    const gone = new Promise(resolve => app.events.once('client:disconnect', resolve))
    client.link.close()
    await gone
    expect(events).toEqual([`+${client.welcome.cid}`, `-${client.welcome.cid}`])
    await app.stop()
  })

  test('survives listeners that throw', async () => {
    const { app, transport, log } = await start()
    app.events.on('client:connect', () => {
      throw new Error('listener')
    })
    const client = await WireClient.open(transport)
    client.send([1, 1, 1, 'still here'])
    expect(await client.next()).toEqual([2, 1, 'still here'])
    expect(log.of('error')).toEqual(['a listener for client:connect failed'])
    await app.stop()
  })
})

describe('messages and calls', () => {
  test('reach the service and come back', async () => {
    const { app, transport } = await start()
    const client = await WireClient.open(transport)
    client.send([0, 1, { a: 1 }])
    client.send([1, 1, 7, 'ask'])
    expect(await client.received(2)).toEqual([0, 1, { a: 1 }])
    expect(await client.received(3)).toEqual([2, 7, 'ask'])
    await app.stop()
  })

  test.each([
    ['an unknown service', [1, 99, 1, null], 'UNKNOWN_SERVICE'],
    ['a private service', [1, 2, 1, null], 'UNKNOWN_SERVICE'],
    ['a service that takes no calls', [1, 3, 1, null], 'UNKNOWN_METHOD'],
    ['a topic of a service that has none', [9, 1, 1, { ch: 'x' }], 'FORBIDDEN'],
    ['a topic without a name', [9, 1, 1, {}], 'INVALID_ARGUMENTS'],
    ['a topic with too long a name', [9, 1, 1, { ch: 'x'.repeat(257) }], 'INVALID_ARGUMENTS'],
  ])('on %s are answered with a code', async (_what, frame, code) => {
    const { app, transport } = await start()
    const client = await WireClient.open(transport)
    client.send(frame)
    expect(await client.next()).toEqual([3, 1, expect.objectContaining({ code })])
    client.send([1, 1, 3, 'still here'])
    expect(await client.next()).toEqual([2, 3, 'still here'])
    await app.stop()
  })

  test('without an answer to give are told of under id 0', async () => {
    const { app, transport } = await start()
    const client = await WireClient.open(transport)
    client.send([0, 99, null])
    expect(await client.next()).toEqual([3, 0, expect.objectContaining({ code: 'UNKNOWN_SERVICE' })])
    client.send([0, 3, null])
    expect(await client.next()).toEqual([3, 0, expect.objectContaining({ code: 'UNKNOWN_METHOD' })])
    await app.stop()
  })

  test('with an id in use are refused, and the first is still answered', async () => {
    const { app, transport } = await start()
    const client = await WireClient.open(transport)
    client.send([1, 1, 5, 'hang'])
    client.send([1, 1, 5, 'again'])
    expect(await client.next()).toEqual([3, 5, expect.objectContaining({ code: 'DUPLICATE_ID' })])
    await app.stop({ drain: 0 })
  })

  test('that repeat an id neither run nor end the one in flight', async () => {
    const { app, transport } = testServer({ limits: { calls: 2 } })
    let run = 0
    const finish: (() => void)[] = []
    app.service('slow', {
      server(server) {
        server.onmessage = (_message, _request, reply) => {
          run++
          finish.push(() => reply('done'))
        }
      },
    })
    await app.start()
    const client = await WireClient.open(transport)
    for (let i = 0; i < 20; i++) client.send([1, 1, 5, i])
    await client.received(20)
    expect(run).toBe(1)
    finish[0]?.()
    expect(await client.next()).toEqual([2, 5, 'done'])
    await app.stop()
  })

  test('past the window are refused', async () => {
    const { app, transport } = await start({ limits: { calls: 2 } })
    const client = await WireClient.open(transport)
    for (const id of [1, 3, 5]) client.send([1, 1, id, 'hang'])
    expect(await client.next()).toEqual([3, 5, expect.objectContaining({ code: 'OVERLOADED' })])
    client.send([6, 1, 'CANCELLED'])
    expect(await client.next()).toEqual([3, 1, expect.objectContaining({ code: 'CANCELLED' })])
    client.send([1, 1, 7, 'room again'])
    expect(await client.next()).toEqual([2, 7, 'room again'])
    await app.stop({ drain: 0 })
  })

  test('answered twice are answered once', async () => {
    const { app, transport } = await start()
    const client = await WireClient.open(transport)
    client.send([1, 1, 1, 'twice'])
    client.send([1, 1, 3, 'next'])
    expect(await client.received(3)).toEqual([2, 3, 'next'])
    expect(client.frames[1]).toEqual([2, 1, 1])
    await app.stop()
  })

  test('whose reply cannot be sent are told so', async () => {
    const { app, transport } = await start()
    const client = await WireClient.open(transport)
    client.send([1, 1, 1, 'function'])
    expect(await client.next()).toEqual([3, 1, expect.objectContaining({ code: 'UNENCODABLE' })])
    await app.stop()
  })

  test.each([
    ['a broken payload', '[1,1,1,{]'],
    ['a payload with __proto__', '[1,1,1,{"__proto__":1}]'],
    ['a kind only servers send', '[2,1,null]'],
    ['credit that is no number', '[7,1,"x"]'],
    ['an unsubscribe without a number', '[10,"x"]'],
    ['an even id', '[1,1,2,null]'],
    ['the id 0', '[1,1,0,null]'],
  ])('with %s get a code or a close', async (_what, frame) => {
    const { app, transport } = await start()
    const client = await WireClient.open(transport)
    client.send(frame)
    const answer = await client.next()
    expect(answer[0] === 3 || answer[0] === 22).toBe(true)
    expect(JSON.stringify(answer)).toMatch(/BAD_FRAME|4400/)
    await app.stop()
  })
})

describe('failures', () => {
  test.each(['development', 'test'])('are shown in full when the environment is %s', async env => {
    const { app, transport, log } = await start({ env })
    const client = await WireClient.open(transport)
    client.send([1, 1, 1, 'throw'])
    expect(await client.next()).toEqual([
      3,
      1,
      {
        code: 'INTERNAL',
        message: 'secret path /etc',
        errorId: expect.any(String),
        stack: expect.stringContaining('wire.test.ts'),
      },
    ])
    expect(log.of('error')).toHaveLength(1)
    await app.stop()
  })

  test.each(['production', '', 'staging'])('are an id, and logged in full, when it is %j', async env => {
    const { app, transport, log } = await start({ env })
    const client = await WireClient.open(transport)
    for (const [id, what] of [
      [1, 'throw'],
      [3, 'reject'],
    ] as const) {
      client.send([1, 1, id, what])
      expect(await client.next()).toEqual([
        3,
        id,
        { code: 'INTERNAL', message: 'The server failed', errorId: expect.stringMatching(/^[0-9a-f]{12}$/) },
      ])
    }
    const logged = log.lines.filter(line => line.level === 'error')
    expect(logged.map(line => line.details.error)).toEqual([
      new Error('secret path /etc'),
      new Error('later'),
    ])
    expect(logged[0]!.details.errorId).toBe((client.frames[1]![2] as { errorId: string }).errorId)
    await app.stop()
  })

  test('are an id when NODE_ENV is not set at all', async () => {
    vi.stubEnv('NODE_ENV', undefined)
    try {
      const transport = memory()
      const app = new Server({ transport }).service('echo', echo)
      await app.start()
      const client = await WireClient.open(transport)
      client.send([1, 1, 1, 'throw'])
      expect(await client.next()).toEqual([
        3,
        1,
        { code: 'INTERNAL', message: 'The server failed', errorId: expect.any(String) },
      ])
      await app.stop()
    } finally {
      vi.unstubAllEnvs()
    }
  })

  test('thrown as SocketStreamError travel as they are, everywhere', async () => {
    const { app, transport } = await start({ env: 'production' })
    const client = await WireClient.open(transport)
    client.send([1, 1, 1, 'coded'])
    expect(await client.next()).toEqual([
      3,
      1,
      { code: 'SOLD_OUT', message: 'none left', data: { left: 0 }, retryAfter: 5 },
    ])
    await app.stop()
  })

  test('of messages are told under id 0', async () => {
    const { app, transport } = await start()
    const client = await WireClient.open(transport)
    client.send([0, 1, 'throw'])
    expect(await client.next()).toEqual([3, 0, expect.objectContaining({ code: 'INTERNAL' })])
    await app.stop()
  })
})

describe('flow', () => {
  /** A service that sends each message to the connection that it names. */
  async function startPusher(options: Parameters<typeof testServer>[0]) {
    const made = testServer(options)
    made.app.service('push', {
      server(server) {
        server.onmessage = (message, _request, reply) => {
          const { to, size, times } = message as { to: string; size: number; times: number }
          for (let i = 0; i < times; i++) server.send(to, 'x'.repeat(size))
          reply('pushed')
        }
      },
    })
    await made.app.start()
    const stuck = await WireClient.open(made.transport)
    const bystander = await WireClient.open(made.transport)
    stuck.link.pause()
    const closed = new Promise(resolve => made.app.events.once('client:disconnect', resolve))
    const push = async (size: number, times: number, id = 1) => {
      bystander.send([1, 1, id, { to: stuck.welcome.cid, size, times }])
      expect(await bystander.next()).toEqual([2, id, 'pushed'])
    }
    return { ...made, stuck, bystander, closed, push }
  }

  test('a client that does not read is closed when more waits than it may, and nobody else', async () => {
    const { app, stuck, bystander, closed, push, log } = await startPusher({
      limits: { outboundBytes: 300_000 },
    })
    await push(50_000, 10)
    expect(await closed).toBe(stuck.welcome.cid)
    expect(log.of('warn')).toEqual(['connection closed: it does not read'])
    expect(bystander.closed).toBeUndefined()
    await app.stop()
  })

  test('one large message is no sign of a slow reader', async () => {
    const { app, stuck, push } = await startPusher({ limits: { outboundBytes: 300_000 } })
    await push(900_000, 1)
    stuck.link.resume()
    expect((await stuck.next())[2]).toHaveLength(900_000)
    await app.stop()
  })

  test('a client that reads nothing between two pings is closed', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    try {
      const { app, stuck, bystander, closed, push } = await startPusher({})
      await push(300_000, 1)
      const answerPing = async () => {
        while (bystander.frames.at(-1)?.[0] !== 19) await bystander.next()
        bystander.send([20, 0])
        await push(0, 0, 3)
      }
      vi.advanceTimersByTime(25_000)
      await answerPing()
      vi.advanceTimersByTime(25_000)
      expect(await closed).toBe(stuck.welcome.cid)
      expect(bystander.closed).toBeUndefined()
      await app.stop()
    } finally {
      vi.useRealTimers()
    }
  })

  test('the server pings, and closes what does not answer', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    try {
      const { app, transport } = await start()
      const alive = await WireClient.open(transport)
      const dead = await WireClient.open(transport)
      vi.advanceTimersByTime(25_000)
      expect(await alive.next()).toEqual([19, 0])
      alive.send([20, 0])
      alive.send([1, 1, 1, 'sync'])
      await alive.next()
      vi.advanceTimersByTime(25_000)
      expect(await dead.ended()).toMatchObject({ code: 4503 })
      expect(alive.closed).toBeUndefined()
      await app.stop()
    } finally {
      vi.useRealTimers()
    }
  })

  test('the server answers pings', async () => {
    const { app, transport } = await start()
    const client = await WireClient.open(transport)
    client.send([0, 1, 'one'])
    client.send([19, 0])
    expect(await client.received(3)).toEqual([20, 1])
    await app.stop()
  })
})

describe('stopping', () => {
  test('lets accepted calls finish, refuses new ones, then closes with a code that lets clients return', async () => {
    const { app, transport } = testServer()
    let finish: (() => void) | undefined
    app.service('slow', {
      use: { callbacks: true },
      server(server) {
        server.onmessage = (_message, _request, reply) => {
          finish = () => reply('done')
        }
      },
    })
    await app.start()
    const client = await WireClient.open(transport)
    client.send([1, 1, 1, 'work'])
    client.send([19, 0])
    await client.next()
    const stopped = app.stop()
    expect(await client.next()).toEqual([21, 4501, 0])
    client.send([1, 1, 3, 'late'])
    expect(await client.next()).toEqual([3, 3, expect.objectContaining({ code: 'DRAINING' })])
    await expect(transport.connect()).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
    finish?.()
    expect(await client.next()).toEqual([2, 1, 'done'])
    expect(await client.ended()).toMatchObject({ code: 4501 })
    expect(client.frames.at(-1)).toEqual([22, 4501, { reason: 'the server is stopping', reconnect: true }])
    await stopped
    expect(app.stop()).toBe(app.stop())
  })

  test('answers what did not finish in time', async () => {
    const { app, transport } = await start()
    const client = await WireClient.open(transport)
    client.send([1, 1, 1, 'hang'])
    client.send([19, 0])
    await client.next()
    await app.stop({ drain: 0 })
    expect(await client.ended()).toMatchObject({ code: 4501 })
    expect(client.frames.slice(-2)).toEqual([
      [3, 1, expect.objectContaining({ code: 'DRAIN_TIMEOUT' })],
      [22, 4501, expect.anything()],
    ])
  })

  test('waits for the hooks of services, and logs those that fail', async () => {
    const order: string[] = []
    const { app, log } = testServer()
    app.service('hooked', {
      server(server) {
        server.ondrain = async () => void order.push('drain')
        server.onstop = () => {
          order.push('stop')
          throw new Error('hook')
        }
      },
    })
    await app.start()
    await app.stop()
    expect(order).toEqual(['drain', 'stop'])
    expect(log.of('error')).toEqual(['onstop of service hooked failed'])
  })

  test('checks its option', () => {
    const { app } = testServer()
    expect(() => app.stop({ drain: 'soon' as never })).toThrow('`drain` must be milliseconds')
  })
})

describe('browser assets', () => {
  test('are the client and what public services add', async () => {
    const { app } = testServer()
    const asset = { path: 'extra.css', type: 'css', contents: () => 'p {}' } as const
    app
      .service('shown', { browserAssets: [asset] })
      .service('hidden', { private: true, browserAssets: [asset] })
    const assets = app.browserAssets()
    expect(assets.map(({ service, path, type }) => [service, path, type])).toEqual([
      [undefined, 'client.js', 'js'],
      [undefined, 'client.js.map', 'map'],
      [undefined, 'client.json.js', 'js'],
      [undefined, 'client.json.js.map', 'map'],
      ['shown', 'extra.css', 'css'],
    ])
    expect(await assets[0]?.contents()).toContain('export{')
    expect(await assets[4]?.contents()).toBe('p {}')
  })
})

describe('starting', () => {
  test('gives the API of services in order, without what is falsy', async () => {
    const { app } = testServer()
    const made: string[] = []
    const typed = app
      .service('one', { server: server => ({ name: made.push(server.name) }) })
      .service('two', { server: server => void made.push(server.name) })
      .service('three', { server: server => ({ sees: Object.keys(server.api) }) })
    const api = await typed.start()
    expect(made).toEqual(['one', 'two'])
    expect(api.one).toEqual({ name: 1 })
    expect('two' in api).toBe(false)
    expect(api.three).toEqual({ sees: ['one'] })
    expect(typed.api).toBe(api)
    await app.stop()
  })

  test('waits for a service that starts asynchronously, and a stop waits for it', async () => {
    const { app, transport } = testServer()
    let ready!: () => void
    const typed = app.service('slow', {
      server: () => new Promise<{ answer: number }>(resolve => (ready = () => resolve({ answer: 42 }))),
    })
    const started = typed.start()
    const stopped = typed.stop()
    await null
    ready()
    expect((await started).slow.answer).toBe(42)
    await stopped
    await expect(transport.connect()).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
  })

  test('fails with the cause when a service fails, and stops what had started', async () => {
    const { app, transport } = testServer()
    let stopped = false
    app.service('good', {
      server(server) {
        server.onstop = () => {
          stopped = true
        }
      },
    })
    app.service('bad', {
      server() {
        throw new Error('cannot')
      },
    })
    await expect(app.start()).rejects.toThrow('cannot')
    expect(stopped).toBe(true)
    await expect(transport.connect()).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
  })
})
