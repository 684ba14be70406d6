import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { SocketStreamError } from '../../src/errors.js'
import type { Middleware } from '../../src/middleware/middleware.js'
import type { Responder, ServiceDefinition, ServiceServer } from '../../src/services/service.js'
import { testServer, WireClient } from '../support/wire.js'

/** What would end a process: nothing here may cause it. */
const unhandled: unknown[] = []
const note = (reason: unknown): void => void unhandled.push(reason)
beforeAll(() => void process.on('unhandledRejection', note))
afterAll(() => void process.off('unhandledRejection', note))

const macrotask = () => new Promise(resolve => setImmediate(resolve))
const deep = (levels: number): unknown => (levels === 0 ? 0 : [deep(levels - 1)])

async function start(
  server: (server: ServiceServer) => unknown,
  options: { env?: string; chain?: Middleware[] } & Parameters<typeof testServer>[0] = {},
) {
  const { chain = [], ...rest } = options
  const made = testServer(rest)
  for (const middleware of chain) made.app.use(middleware)
  made.app.service('test', { use: { json: true, callbacks: true }, server } satisfies ServiceDefinition)
  await made.app.start()
  return { ...made, client: await WireClient.open(made.transport) }
}

describe('nothing that a handler or middleware does ends the process', () => {
  const echo = (server: ServiceServer): void => {
    server.onmessage = (message, _request, reply) => reply(message)
  }

  test.each<[string, Middleware]>([
    [
      'passes on and fails later',
      async (_req, _res, next) => {
        next()
        throw new Error('late')
      },
    ],
    [
      'answers and fails later',
      async (_req, res) => {
        res('no')
        throw new Error('late')
      },
    ],
    [
      'refuses with data that cannot be sent',
      (_req, res) => res(new SocketStreamError('FORBIDDEN', 'no', { data: new Map() })),
    ],
  ])('a middleware that %s', async (_what, middleware) => {
    const { app, client, log } = await start(echo, { chain: [middleware] })
    client.send([0, 1, 'x'])
    client.send([1, 1, 1, 'x'])
    while (client.frames.at(-1)?.[1] !== 1) await client.next()
    await macrotask()
    expect(unhandled).toEqual([])
    expect(log.of('error').length).toBeGreaterThan(0)
    await app.stop()
  })

  const odd: [string, () => unknown][] = [
    ['an error whose data is too deep', () => new SocketStreamError('FORBIDDEN', 'no', { data: deep(101) })],
    ['an error whose data is a function', () => new SocketStreamError('FORBIDDEN', 'no', { data: () => 1 })],
    [
      'an error to try again after a function',
      () => new SocketStreamError('FORBIDDEN', 'no', { retryAfter: test as never }),
    ],
    ['an object without prototype', () => Object.create(null)],
    ['an error whose message is a function', () => Object.assign(new Error('x'), { message: () => 1 })],
    ['undefined', () => undefined],
  ]
  test.each(odd)(
    'a handler that throws %s, at once or later, to a call or a message',
    async (_what, make) => {
      for (const env of ['test', 'production']) {
        const { app, client } = await start(
          server => {
            server.onmessage = message => {
              if (message === 'later') return Promise.reject(make())
              throw make()
            }
          },
          { env },
        )
        let answers = 1
        for (const [frame, id] of [
          [[1, 1, 1, 'now'], 1],
          [[1, 1, 3, 'later'], 3],
          [[0, 1, 'now'], 0],
          [[0, 1, 'later'], 0],
        ] as const) {
          client.send([...frame])
          expect((await client.received(++answers)).slice(0, 2)).toEqual([3, id])
        }
        await macrotask()
        await app.stop()
      }
      expect(unhandled).toEqual([])
    },
  )

  test('hooks that reject', async () => {
    const { app, client, transport, log } = await start(server => {
      server.onopen = () => Promise.reject(new Error('onopen'))
      server.onclose = () => Promise.reject(new Error('onclose'))
      server.onunsubscribe = () => Promise.reject(new Error('onunsubscribe'))
      server.onsubscribe = () => {}
    })
    client.send([9, 1, 1, { ch: 'x' }])
    const [, , { topic }] = (await client.next()) as [number, number, { topic: number }]
    client.send([10, topic])
    client.send([19, 0])
    await client.next()
    const gone = new Promise(resolve => app.events.once('client:disconnect', resolve))
    client.link.close()
    await gone
    await WireClient.open(transport)
    await macrotask()
    expect(unhandled).toEqual([])
    expect(log.of('error').sort()).toEqual([
      'onclose failed',
      'onopen failed',
      'onopen failed',
      'onunsubscribe failed',
    ])
    await app.stop()
  })

  test('a handler that regenerates its session is told that this needs HTTP', async () => {
    const { app, client } = await start(server => {
      server.onmessage = (_message, { session }, reply) => {
        const { regenerate } = session as unknown as { regenerate(done: (error: Error) => void): void }
        regenerate.call(session, error => reply((error as SocketStreamError<string>).code))
      }
    })
    client.send([1, 1, 1, null])
    expect(await client.next()).toEqual([2, 1, 'SESSION_NEEDS_HTTP'])
    await app.stop()
  })

  test('a hello whose version cannot be shown', async () => {
    const { app, transport, log } = await start(echo)
    const client = await WireClient.silent(transport)
    client.send([16, { v: { toString: 1 } }])
    expect(await client.ended()).toMatchObject({ code: 4402 })
    expect(log.of('error')).toEqual([])
    await app.stop()
  })
})

describe('a value that a handler returns and that cannot be sent', () => {
  test('is the server’s failure: logged, and in production told by an id only', async () => {
    const { app, client, log } = await start(
      server => {
        server.onmessage = (_message, _request, reply) => reply({ user: { secret: new Map() } })
      },
      { env: 'production' },
    )
    client.send([1, 1, 1, null])
    expect(await client.next()).toEqual([
      3,
      1,
      { code: 'INTERNAL', message: 'The server failed', errorId: expect.any(String) },
    ])
    expect(log.lines.find(({ level }) => level === 'error')).toMatchObject({
      message: 'call failed',
      details: {
        name: 'test',
        error: expect.objectContaining({ message: expect.stringContaining('$.user.secret') }),
      },
    })
    await app.stop()
  })
})

describe('a stream', () => {
  test('has a bounded number of items in hand, however much credit is given', async () => {
    let sent = 0
    const { app, client } = await start(
      server => {
        server.oncall = async (_request, responder) => {
          while (await responder.ready()) responder.item(sent++)
        }
      },
      { limits: { credit: 4 } },
    )
    client.send([1, 1, 1, null])
    for (let i = 0; i < 3; i++) client.send([7, 1, Number.MAX_SAFE_INTEGER])
    await macrotask()
    await macrotask()
    expect(sent).toBeLessThanOrEqual(4 + 3 * 64)
    await app.stop({ drain: 0 })
  })

  test('promises each item to one producer only', async () => {
    let responder!: Responder
    const { app, client } = await start(
      server => {
        server.oncall = (_request, given) => {
          responder = given
        }
      },
      { limits: { credit: 1 } },
    )
    client.send([1, 1, 1, null])
    client.send([19, 0])
    await client.next()
    const produce = async (name: string) => {
      if (await responder.ready()) responder.item(name)
    }
    const producers = [produce('a'), produce('b'), produce('c')]
    expect(await client.next()).toEqual([4, 1, 'a'])
    client.send([7, 1, 1])
    expect(await client.next()).toEqual([4, 1, 'b'])
    client.send([6, 1, 'CANCELLED'])
    expect(await client.next()).toEqual([3, 1, expect.objectContaining({ code: 'CANCELLED' })])
    await Promise.all(producers)
    await app.stop()
  })

  test('sends no item behind its final answer, also when the queue is long', async () => {
    const { app, client, transport } = await start(server => {
      server.oncall = (_request, responder) => {
        // Enough to make the run queue yield, with the cancel already in the connection's mailbox.
        for (let i = 0; i < 6000; i++) server.broadcast('noise')
        setImmediate(() => {
          responder.item('late')
          responder.end()
        })
      }
    })
    const other = await WireClient.open(transport)
    client.send([1, 1, 1, null])
    client.send([6, 1, 'CANCELLED'])
    client.send([19, 0])
    while (!client.frames.some(frame => frame[0] === 20)) await client.next()
    await macrotask()
    await macrotask()
    const own = client.frames.filter(frame => frame[1] === 1 && frame[0] !== 0)
    expect(own.at(-1)?.[0]).not.toBe(4)
    expect(own.filter(frame => [2, 3, 5].includes(frame[0]))).toHaveLength(1)
    expect(other.closed).toBeUndefined()
    await app.stop()
  })
})

describe('nothing stays behind', () => {
  test('of sessions, when ten thousand connections go in one turn', async () => {
    const made = testServer()
    let notes = 0
    made.app.service('test', {
      server(server) {
        server.onmessage = (_message, { session }, reply) => {
          notes = server.sendToSession(session.id, 'here')
          reply(notes)
        }
      },
    })
    await made.app.start()
    const clients = await Promise.all(Array.from({ length: 12_000 }, () => WireClient.open(made.transport)))
    const session = clients[0]?.welcome.session as string
    let left = 0
    const allGone = new Promise<void>(resolve => {
      made.app.events.on('client:disconnect', () => ++left === clients.length && resolve())
    })
    for (const client of clients) client.link.terminate()
    await allGone
    await macrotask()
    const again = await WireClient.open(made.transport, { session })
    again.send([1, 1, 1, null])
    while (again.frames.at(-1)?.[0] !== 2) await again.next()
    expect(notes).toBe(1)
    await made.app.stop()
  })

  test('of a connection behind a middleware that never settles', async () => {
    const held: unknown[] = []
    const { app, client, transport } = await start(
      server => {
        server.onmessage = (message, _request, reply) => reply(message)
      },
      {
        chain: [
          (req, _res, next) => {
            if (req.message !== 'hang') return next()
            held.push(req.connectionId)
            return new Promise(() => {})
          },
        ],
      },
    )
    client.send([1, 1, 1, 'hang'])
    client.send([1, 1, 3, 'behind'])
    await macrotask()
    expect(held).toEqual([client.welcome.cid])
    const gone = new Promise(resolve => app.events.once('client:disconnect', resolve))
    client.link.terminate()
    await gone
    const other = await WireClient.open(transport)
    other.send([1, 1, 1, 'free'])
    expect(await other.next()).toEqual([2, 1, 'free'])
    await app.stop()
  })
})
