import cluster from 'node:cluster'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { pack, unpack } from '../../src/codec/packed.js'
import { memory } from '../../src/engines/memory.js'
import type { ServerOptions } from '../../src/options.js'
import { virtualTime } from '../../src/testing/virtual-time.js'
import { movingClient, movingServer, only, type Runs, switched } from './handover-support.js'

/** Two servers, and a client of the first, which comes to the second from when the first one stops. */
async function pair(options: Partial<ServerOptions> = {}, others: Partial<ServerOptions> = options) {
  const time = virtualTime()
  onTestFinished(() => time.restore())
  const engine = memory()
  const runs: Runs = new Map()
  const [one, other] = [movingServer(engine, runs, options), movingServer(engine, runs, others)]
  await time.until(Promise.all([one.app.start(), other.app.start()]))
  const { state, transport } = switched(one.transport)
  const client = movingClient(transport)
  await time.until(client.connect())
  onTestFinished(async () => {
    client.close()
    await time.until(Promise.all([one.app.stop({ drain: 0 }), other.app.stop({ drain: 0 })]))
  })
  const stop = async (drain = 1000) => {
    state.target = other.transport
    await time.until(one.app.stop({ drain }))
  }
  return { time, engine, one, other, client, runs, stop, state }
}

describe('a connection of a server that stops', () => {
  test('goes on at another one: its id, data, rooms, and what was not acknowledged', async () => {
    const { time, one, other, client, stop, runs } = await pair()
    const heard: number[] = []
    client.api.news.on('told', number => heard.push(number))
    await time.until(client.api.rpc.remember('color', 'blue'))
    await time.until(client.api.rpc.join('den'))
    const id = client.connectionId!
    const statuses: string[] = []
    client.on('status', status => statuses.push(status))
    const opened: string[] = []
    other.app.events.on('client:connect', connection => opened.push(connection))
    const closed: string[] = []
    one.app.events.on('client:disconnect', connection => closed.push(connection))
    for (let number = 1; number <= 5; number++) one.app.api.news.publish.connection(id, 'told', number)
    await stop()
    const answer = client.api.rpc.echo('while it was on the way', 0)
    expect(await time.until(answer)).toBe('while it was on the way')
    expect(runs.get('while it was on the way')).toBe(1)
    expect(statuses).toEqual(['waiting', 'connected'])
    expect(heard).toEqual([1, 2, 3, 4, 5])
    expect(await time.until(client.api.rpc.whoami())).toEqual({ id, data: { color: 'blue' }, rooms: ['den'] })
    expect([opened, closed]).toEqual([[id], [id]])
    expect(other.app.to('den').size).toBe(1)
    other.app.api.news.publish.connection(id, 'told', 6)
    await time.settle()
    expect(heard).toEqual([1, 2, 3, 4, 5, 6])
    expect(other.app.statistics().connections).toMatchObject({ welcomed: 1, resumed: 1, open: 1 })
  })

  test.each([
    ['begins anew at one that has another secret for sessions, as each makes up its own', false],
    ['goes on at another worker, as all share what the first process made up', true],
  ])('%s', async (_name, areWorkers) => {
    const { isWorker } = cluster
    onTestFinished(() => {
      Object.assign(cluster, { isWorker })
      vi.unstubAllEnvs()
    })
    Object.assign(cluster, { isWorker: areWorkers })
    vi.stubEnv('SOCKETSTREAM_WORKERS_SECRET', 'of the first process')
    const { time, client, stop } = await pair({ sessions: {} })
    const id = client.connectionId
    await stop()
    await time.until(client.api.rpc.echo('again', 0))
    expect(client.connectionId === id).toBe(areWorkers)
  })

  test('goes on also when its client was away, with what was sent meanwhile', async () => {
    const { time, one, client, stop, state } = await pair()
    const heard: number[] = []
    client.api.news.on('told', number => heard.push(number))
    const id = client.connectionId!
    const { target } = state
    // Nobody is there to dial to.
    state.target = { connect: () => Promise.reject(new Error('away')) } as unknown as typeof target
    const away = new Promise<void>(resolve =>
      client.on('status', status => status === 'waiting' && resolve()),
    )
    cutLinks(one.app)
    await time.until(away)
    await time.settle()
    expect(one.app.statistics().connections.detached).toBe(1)
    one.app.api.news.publish.connection(id, 'told', 1)
    await stop()
    expect(await time.until(client.api.rpc.echo('x', 0))).toBe('x')
    expect([client.connectionId, heard]).toEqual([id, [1]])
  })

  test('recovers its channels there, each message once', async () => {
    const { time, one, other, client, stop } = await pair()
    const heard: number[] = []
    client.api.feed.on('kept', number => heard.push(number))
    await time.until(client.api.feed.subscribe('kept:a'))
    const publish = (app: typeof one.app, number: number) =>
      time.until(app.api.feed.publish.acknowledged('kept:a', 'kept', number))
    await publish(one.app, 1)
    await publish(other.app, 2)
    const id = client.connectionId
    await stop()
    await publish(other.app, 3)
    await time.advance(5000)
    await publish(other.app, 4)
    await time.settle()
    expect(heard).toEqual([1, 2, 3, 4])
    expect(client.connectionId).toBe(id)
  })

  test.each(['while the first one goes on', 'when the first one stops'])(
    'takes its channels along %s',
    async how => {
      const isStop = how === 'when the first one stops'
      const { time, engine, one, other, client, stop, state } = await pair()
      const { enter } = engine.occupancy
      engine.occupancy.enter = async (...args) => {
        await new Promise(resolve => setTimeout(resolve, 20))
        return enter.apply(engine.occupancy, args)
      }
      const told: string[] = []
      for (const [name, { app }] of Object.entries({ one, other })) {
        app.api.feed.on('occupied', (channel, { moved }) => told.push(`${name} +${channel} ${moved}`))
        app.api.feed.on('vacated', (channel, { moved }) => told.push(`${name} -${channel} ${moved}`))
      }
      for (const channel of ['kept:a', 'plain']) await time.until(client.api.feed.subscribe(channel))
      await time.advance(50)
      const id = client.connectionId
      if (isStop) await stop()
      else {
        state.target = other.transport
        cutLinks(one.app)
      }
      await time.until(client.api.rpc.echo('x', 0))
      await time.advance(2000)
      expect(client.connectionId).toBe(id)
      for (const channel of ['kept:a', 'plain']) {
        expect(told.filter(event => event.includes(channel))).toEqual([
          `one +${channel} false`,
          // A server that stops tells nothing.
          ...(isStop ? [] : [`one -${channel} true`]),
          `other +${channel} true`,
        ])
      }
    },
  )

  test('is taken by one server only, however many are asked at once', async () => {
    const { time, engine, one, other, runs, stop } = await pair()
    const third = movingServer(engine, runs)
    await time.until(third.app.start())
    const { token, session } = await rawWelcome(one.transport, { v: 1, caps: ['resume'] }, false)
    await stop()
    const hello = { v: 1, caps: ['resume'], session, resume: { token, try: 1, recv: 0 } }
    const told = await Promise.all([other, third].map(({ transport }) => rawWelcome(transport, hello)))
    expect(told.map(({ resumed }) => resumed).sort()).toEqual([false, true])
    await time.until(third.app.stop({ drain: 0 }))
  })

  test('is taken by nobody with another secret', async () => {
    const { time, engine, one, client, stop, runs } = await pair()
    const third = movingServer(engine, runs)
    await time.until(third.app.start())
    const id = client.connectionId!
    // Without the time for its client to come it is left in the engine.
    await stop(0)
    const left = await engine.kv.get(`$moved/${id}`)
    expect(left).toBeDefined()
    const hello = (token: string) => ({ v: 1, caps: ['resume'], resume: { token, try: 9, recv: 0 } })
    const welcome = await rawWelcome(third.transport, hello(`${id}.${'A'.repeat(22)}`))
    expect(welcome).toMatchObject({ resumed: false, reason: 'unknown' })
    expect(await engine.kv.get(`$moved/${id}`)).toEqual(left)
    expect(await time.until(client.api.rpc.echo('x', 0))).toBe('x')
    expect(client.connectionId).toBe(id)
    expect(await engine.kv.get(`$moved/${id}`)).toBeUndefined()
    await time.until(third.app.stop({ drain: 0 }))
    expect(one.app.connections()).toEqual([])
  })

  test.each([
    [
      'has a stream open',
      async ({ client, time }: Pair) => {
        const items = client.api.rpc.numbers()[Symbol.asyncIterator]()
        await time.until(items.next())
        return items.next()
      },
      'DRAIN_TIMEOUT',
    ],
    [
      'has a call that runs too long',
      async ({ client, time }: Pair) => {
        const call = client.api.rpc.echo('long', 60_000)
        call.catch(() => undefined)
        await time.settle()
        return call
      },
      'DRAIN_TIMEOUT',
    ],
  ])('begins anew when it %s', async (_what, begin, code) => {
    const it = await pair()
    const id = it.client.connectionId
    const under = begin(it).catch((error: { code: string }) => error.code)
    await it.time.settle()
    await it.stop(500)
    expect(await it.time.until(under)).toBe(code)
    expect(
      await it.time.until(it.client.api.rpc.echo('x', 0).catch(() => it.client.connect().then(() => 'x'))),
    ).toBe('x')
    expect(it.client.connectionId).not.toBe(id)
  })

  test.each<
    [string, (it: Pair) => Promise<unknown> | undefined, Partial<ServerOptions>?, Partial<ServerOptions>?]
  >([
    ['has data that cannot be sent', ({ one }) => remember(one.app, () => 1)],
    ['has too much data', ({ one }) => remember(one.app, 'x'.repeat(2_000_000))],
    ['is not to be left', () => undefined, { resume: { handover: false } }],
    ['comes to a server that takes none', () => undefined, {}, { resume: { handover: false } }],
    [
      'comes with another user',
      () => undefined,
      { authenticate: () => 'ann' },
      { authenticate: () => 'bob' },
    ],
  ])('begins anew when it %s', async (_what, prepare, options = {}, others = options) => {
    const it = await pair(options, others)
    const id = it.client.connectionId
    const prepared = prepare(it)
    if (prepared !== undefined) await it.time.until(prepared)
    await it.stop()
    await it.time.advance(5000)
    expect(it.client.status).toBe('connected')
    expect(it.client.connectionId).not.toBe(id)
    expect(await it.time.until(it.client.api.rpc.echo('x', 0))).toBe('x')
  })

  test.each<[string, (format: number, state: object) => unknown]>([
    ['of another version', (format, state) => [format + 1, state]],
    ['of other services', (format, state) => [format, { ...state, services: '1 rpc' }]],
    ['that writes what is none', () => 'nothing'],
  ])('begins anew when it was left by a server %s', async (_what, change) => {
    const { time, engine, client, stop } = await pair()
    const id = client.connectionId!
    await stop(0)
    const { value } = (await engine.kv.get(`$moved/${id}`))!
    const [format, left] = unpack(value) as [number, object]
    await engine.kv.set(`$moved/${id}`, pack(change(format, left)))
    await time.advance(5000)
    expect(client.status).toBe('connected')
    expect(client.connectionId).not.toBe(id)
  })

  test('is closed as ever when the engine fails, and the server stops in time', async () => {
    const { time, engine, client, stop } = await pair()
    const id = client.connectionId
    engine.kv.set = () => Promise.reject(Object.assign(new Error('away'), { code: 'ENGINE_UNAVAILABLE' }))
    await stop(0)
    await time.advance(5000)
    expect(client.status).toBe('connected')
    expect(client.connectionId).not.toBe(id)
  })
})

test('the option `resume.handover` is true or false', () => {
  const resume = { handover: 'yes' as unknown as boolean }
  expect(() => movingServer(memory(), new Map(), { resume })).toThrow('resume: { handover: false }')
})

type Pair = Awaited<ReturnType<typeof pair>>

function remember(app: Parameters<typeof only>[0], value: unknown): undefined {
  only(app).data.it = value
}

/** Breaks the links of a server as networks do. */
function cutLinks(app: Parameters<typeof only>[0]): void {
  const { attachment } = only(app) as unknown as { attachment: { link: { terminate(): void } } }
  attachment.link.terminate()
}

/** What a welcome says to a hello that is written by hand. */
interface RawWelcome {
  readonly token?: string
  readonly session?: string
  readonly resumed: boolean
  readonly reason?: string
}

async function rawWelcome(
  transport: ReturnType<typeof movingServer>['transport'],
  hello: object,
  closes = true,
): Promise<RawWelcome> {
  const link = await transport.connect({ protocols: ['ss1.json'] })
  const welcome = new Promise<RawWelcome>(resolve => {
    link.listen({ frame: frame => resolve(JSON.parse(String(frame))[1]), closed() {} })
  })
  link.send(JSON.stringify([16, hello]))
  const told = await welcome
  if (closes) link.close(1000, '')
  return told
}
