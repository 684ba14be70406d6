import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { setup } from 'xstate'
import { createClient, webSocket } from '../../src/client/node.js'
import type { WebSocketClass } from '../../src/client/transport.js'
import type { TraceEvent } from '../../src/inspector/protocol/index.js'
import { pubsub } from '../../src/services/pubsub/pubsub.js'
import { rpc } from '../../src/services/rpc/rpc.js'
import { ask, cleanup, inspected, viewer, watching } from './support.js'

/** A server with something to look at. */
async function example(
  options: Parameters<typeof inspected>[0] = {},
  more: Parameters<typeof inspected>[1] = {},
) {
  const { app: bare, start } = inspected(options, more)
  let finish = (): void => {}
  const app = bare
    .service(
      'rpc',
      rpc({
        add: (_ctx, a: number, b: number) => a + b,
        fail: () => {
          throw new Error('broken')
        },
        wait: () =>
          new Promise<null>(resolve => {
            finish = () => resolve(null)
          }),
        login: (_ctx, _who: { name: string; password: string }) => true,
      }),
    )
    .service('chat', pubsub({ channels: { 'kept:*': { history: { size: 10 } }, '*': {} } }))
  const place = await start()
  const connect = async () => {
    const client = createClient<typeof app>({ url: place.url, reconnect: false })
    cleanup(() => client.close())
    await client.connect()
    return client
  }
  return { app, ...place, connect, finish: () => finish(), ...(await viewer(place.port)) }
}

describe('the figures', () => {
  test("are the server's own, also of connections that have gone", async () => {
    const { app, api, connect } = await example()
    const { until } = await watching(api)
    const [stays, goes] = [await connect(), await connect()]
    for (let i = 0; i < 20; i++) await stays.api.rpc.add(i, 1)
    for (let i = 0; i < 10; i++) await goes.api.rpc.add(i, 1)
    const gone = new Promise(resolve => app.events.once('client:disconnect', resolve))
    goes.close()
    await gone
    const { point, totals } = await until(item => item.totals.closed === 1 && item.totals.messagesIn >= 30)
    expect(totals).toMatchObject({ messagesIn: 30, opened: 2, closed: 1 })
    // Each answer, and the greeting of the PubSub service to each connection.
    expect(totals.messagesOut).toBe(32)
    expect(point).toMatchObject({
      connections: app.connections().length,
      actors: app.actors.counters.actors,
      crashes: app.actors.counters.crashes,
      deadLetters: app.actors.counters.deadLetters,
    })
    const [row] = (await api.connections({})).rows
    const [connection] = app.connections()
    expect(row).toMatchObject({ id: connection!.id, received: 20, sent: 21, state: 'open', codec: 'msgpack' })
    expect(row!.bytesOut).toBeGreaterThan(20 * 5)
  })

  test('of methods are counted while somebody looks, by their outcome', async () => {
    const { api, connect, finish } = await example()
    const client = await connect()
    await client.api.rpc.add(1, 2)
    const services = await watching(api, { services: true })
    for (let i = 0; i < 5; i++) await client.api.rpc.add(1, 2)
    await expect(client.api.rpc.fail()).rejects.toThrow()
    const waiting = client.api.rpc.wait()
    await client.api.rpc.add(3, 4)
    const find = async (name: string) => {
      const { methods } = (await api.services()).find(service => service.name === 'rpc')!
      return methods.find(method => method.name === name)
    }
    expect(await find('add')).toMatchObject({ calls: 6, errors: 0, inFlight: 0 })
    expect((await find('add'))!.histogram.reduce((sum, count) => sum + count, 0)).toBe(6)
    expect(await find('fail')).toMatchObject({ calls: 1, errors: 1 })
    expect(await find('wait')).toMatchObject({ calls: 1, inFlight: 1 })
    finish()
    await waiting
    expect(await find('wait')).toMatchObject({ calls: 1, inFlight: 0, errors: 0 })
    await services.end()
    // Answered after the cancel has been.
    await api.hello()
    expect((await api.services())[0]).toMatchObject({ name: 'rpc', methods: [] })
  })

  test('of methods stay bounded, whatever clients make up', async () => {
    const { api, connect } = await example()
    const client = await connect()
    await watching(api, { services: true })
    const made: Record<string, () => Promise<unknown>> = client.api.rpc as never
    await Promise.allSettled(Array.from({ length: 270 }, (_one, index) => made[`made${index}`]!()))
    const { methods } = (await api.services()).find(service => service.name === 'rpc')!
    expect(methods).toHaveLength(256)
    expect(methods.reduce((sum, { errors }) => sum + errors, 0)).toBe(270)
  })

  test('of channels say who is there and where the history stands', async () => {
    const { app, api, connect } = await example()
    const client = await connect()
    await client.api.chat.subscribe('kept:a')
    await client.api.chat.subscribe('plain')
    await app.api.chat.publish.acknowledged('kept:a', 'said', 'x')
    const { position } = await app.api.chat.history('kept:a', { limit: 1 })
    const { rows } = await api.channels({ service: 'chat' })
    expect(rows).toEqual([
      { service: 'chat', name: 'kept:a', subscribers: 1, history: position },
      { service: 'chat', name: 'plain', subscribers: 1 },
    ])
    expect(position.offset).toBe(1)
  })

  test('of a client that does not read show a growing queue', async () => {
    const { app, api, url } = await example({}, { limits: { outboundBytes: 256 * 1024 * 1024 } })
    let opened: WebSocket | undefined
    const Socket = class extends WebSocket {
      constructor(address: string, protocols?: string | string[]) {
        super(address, protocols)
        opened = this
      }
    }
    const client = createClient<typeof app>({
      url,
      reconnect: false,
      transport: webSocket(Socket as unknown as WebSocketClass),
    })
    await client.connect()
    cleanup(() => opened?.terminate())
    opened!.pause()
    const queued: number[] = []
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 20; i++) app.api.chat.publish.all('said', 'x'.repeat(500_000))
      const [row] = (await api.connections({})).rows
      queued.push(row!.queued)
      expect(row).toMatchObject({ slow: true })
    }
    expect(queued[0]).toBeGreaterThan(1_000_000)
    expect(queued[1]).toBeGreaterThan(queued[0]!)
    expect(queued[2]).toBeGreaterThan(queued[1]!)
    const { point } = await (await watching(api)).next()
    expect(point.queued).toBeGreaterThan(1_000_000)
  })
})

describe('actors', () => {
  test('that crash appear as restarted, with the cause', async () => {
    const { app, api } = await example()
    const { until } = await watching(api)
    const ref = app.spawn(
      'fragile',
      {
        initial: () => ({ handled: 0 }),
        receive(_state: unknown, message: { type: string }) {
          if (message.type === 'BREAK') throw new Error('broken by BREAK')
        },
      },
      { onCrash: 'restart', restart: { delay: 0 } },
    )
    ref.tell({ type: 'BREAK' })
    const { lifecycle } = await until(item => item.lifecycle.some(({ type }) => type === 'restarted'))
    expect(
      lifecycle.map(({ type, path, action, messageType }) => ({ type, path, action, messageType })),
    ).toEqual([
      { type: 'appeared', path: '/app/fragile' },
      { type: 'crashed', path: '/app/fragile', action: 'restart', messageType: 'BREAK' },
      { type: 'restarted', path: '/app/fragile' },
    ])
    expect(await api.actor('/app/fragile')).toMatchObject({
      restarts: 1,
      kind: 'behaviour',
    })
    expect((await api.actors({ parent: '/app' })).rows).toMatchObject([
      { path: '/app/fragile', restarts: 1, handled: 1 },
    ])
  })

  test('that are machines have their chart, the active states and the last change', async () => {
    const { app, api } = await example()
    const machine = setup({ types: { context: {} as { token: string; paid: number } } }).createMachine({
      id: 'order',
      initial: 'open',
      context: { token: 'abc', paid: 0 },
      states: {
        open: { on: { PAY: { target: 'paying.card' } }, after: { 60000: 'closed' } },
        paying: { initial: 'cash', states: { cash: {}, card: {} }, on: { DONE: 'closed' } },
        closed: { type: 'final' },
      },
    })
    const ref = app.spawn('order', machine)
    const items = api.trace({ actors: ['/app/order'] })[Symbol.asyncIterator]()
    await items.next()
    ref.tell({ type: 'PAY' })
    const { value } = await items.next()
    expect(value.events).toMatchObject([{ to: '/app/order', label: 'PAY' }])
    const { statechart, state, p99, events } = await api.actor('/app/order')
    expect(state).toBe('paying.card')
    expect(p99).toBeGreaterThan(0)
    expect(events).toMatchObject([{ label: 'PAY' }])
    expect(statechart).toMatchObject({
      id: 'order',
      status: 'active',
      active: ['order', 'order.paying', 'order.paying.card'],
      context: { token: { '…': 'redacted' }, paid: 0 },
      last: {
        event: 'PAY',
        from: ['order', 'order.open'],
        to: ['order', 'order.paying', 'order.paying.card'],
      },
    })
    const [open, paying] = statechart!.root.states
    expect(open!.transitions).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ event: 'PAY', targets: ['order.paying.card'] }),
        expect.objectContaining({ event: 'after 60000', targets: ['order.closed'] }),
      ]),
    )
    expect(paying).toMatchObject({ type: 'compound', initial: 'order.paying.cash' })
    await items.return?.()
    await api.hello()
    expect(await api.actor('/app/order')).toMatchObject({ events: [] })
  })

  test('that are told what nobody handles leave dead letters, whose secrets are hidden', async () => {
    const { app, api } = await example({ redact: (key, value) => (key === 'iban' ? '(iban)' : value) })
    const ref = app.spawn('gone', { receive() {} })
    ref.stop()
    const { until } = await watching(api)
    ref.tell({ type: 'PAY', iban: 'DE00', card: { password: 'x', cookie: 'y' }, amount: 3 } as never)
    const { deadLetters } = await until(item => item.deadLetters.length > 0)
    expect(deadLetters).toMatchObject([
      {
        to: '/app/gone',
        type: 'PAY',
        reason: 'stopped',
        payload: {
          iban: '(iban)',
          card: { password: { '…': 'redacted' }, cookie: { '…': 'redacted' } },
          amount: 3,
        },
      },
    ])
    const page = await api.deadLetters({ search: 'gone' })
    expect(page).toMatchObject({ total: 1, counts: { stopped: app.actors.deadLetters.counts.stopped } })
  })
})

describe('a trace of a connection', () => {
  test('has its messages across actors in their order, and no others', async () => {
    const { api, connect } = await example()
    const [chosen, other] = [await connect(), await connect()]
    const items = api.trace({ connection: chosen.connectionId! })[Symbol.asyncIterator]()
    const { value: first } = await items.next()
    expect(first.actors.slice(0, 3)).toEqual(['client', `/connections/${chosen.connectionId}`, '/router'])
    await other.api.rpc.add(7, 7)
    await chosen.api.rpc.login({ name: 'ann', password: 'hunter2' })
    const events: TraceEvent[] = (await items.next()).value.events
    const own = `/connections/${chosen.connectionId}`
    expect(events.map(({ from, to, label }) => `${from} > ${to}: ${label}`)).toEqual([
      `client > ${own}: call rpc`,
      `${own} > /router: call rpc.login`,
      '/router > /services/rpc: call rpc.login',
      `/services/rpc > ${own}: reply`,
      `${own} > client: reply`,
    ])
    expect(events[1]!.payload).toEqual(['login', { name: 'ann', password: { '…': 'redacted' } }])
    expect(JSON.stringify(events)).not.toContain('hunter2')
    chosen.close()
    for (let item = await items.next(); ; item = await items.next()) {
      if (item.value.ended) break
    }
    expect(await items.next()).toMatchObject({ done: true })
  })

  test('can be recorded by a script', async () => {
    const { origin, connect } = await example()
    const client = await connect()
    const url = `${origin}/_inspector/api/trace?connection=${client.connectionId}&seconds=0.3`
    const recording = ask(url)
    // The recording has begun when calls take part in it.
    let over = false
    void recording.then(() => {
      over = true
    })
    while (!over) await client.api.rpc.add(1, 1)
    const { body, status } = await recording
    expect(status).toBe(200)
    const file = JSON.parse(body)
    expect(file).toMatchObject({
      kind: 'socketstream-trace',
      protocol: 1,
      options: { connection: client.connectionId },
    })
    expect(file.events.length).toBeGreaterThan(5)
    expect(file.details.map(({ path }: { path: string }) => path)).toContain('/router')
  })
})

describe('actions', () => {
  test('close connections, stop, restart and tell actors, publish, and set the level of the log', async () => {
    const lines: unknown[][] = []
    const { app, api, connect } = await example({}, { log: (...line) => lines.push(line) })
    const client = await connect()
    const said = new Promise(resolve => client.api.chat.on('said', resolve))
    await client.api.chat.subscribe('room')
    await api.act({ type: 'publish', service: 'chat', channel: 'room', event: 'said', args: ['hello'] })
    expect(await said).toBe('hello')

    const told: object[] = []
    const ref = app.spawn(
      'worker',
      { receive: (_state: unknown, message: { type: string }) => void told.push(message) },
      { restart: { delay: 0 } },
    )
    await api.act({ type: 'send', path: '/app/worker', message: { type: 'WORK', amount: 2 } })
    expect(told).toEqual([{ type: 'WORK', amount: 2 }])
    await api.act({ type: 'restartActor', path: '/app/worker' })
    expect(await api.actor('/app/worker')).toMatchObject({ restarts: 1 })
    await api.act({ type: 'stopActor', path: '/app/worker' })
    expect(ref.live).toBe(false)

    await api.act({ type: 'logLevel', level: 'error' })
    lines.length = 0
    app.log.warn('quiet')
    app.log.error('loud')
    expect(lines).toEqual([['[socketstream] error: loud']])

    const closed = new Promise(resolve => client.on('status', (_status, why) => why && resolve(why)))
    await api.act({ type: 'closeConnection', id: client.connectionId!, reason: 'by hand' })
    expect(await closed).toMatchObject({ code: 4404, reason: 'by hand' })
  })

  test("leave the server's own actors alone, and say what is wrong", async () => {
    const { api } = await example()
    for (const path of ['/', '/router', '/connections', '/services/rpc', '/sessions']) {
      await expect(api.act({ type: 'stopActor', path })).rejects.toMatchObject({ code: 'FORBIDDEN' })
      await expect(api.act({ type: 'send', path, message: { type: 'X' } })).rejects.toMatchObject({
        code: 'FORBIDDEN',
      })
    }
    const wrong = [
      [{ type: 'stopActor', path: '/app/nobody' }, 'NOT_FOUND'],
      [{ type: 'closeConnection', id: 'nobody' }, 'NOT_FOUND'],
      [{ type: 'publish', service: 'rpc', channel: 'a', event: 'b', args: [] }, 'NOT_FOUND'],
      [{ type: 'publish', service: 'constructor', channel: 'a', event: 'b', args: [] }, 'NOT_FOUND'],
      [{ type: 'logLevel', level: 'loud' }, 'INVALID_ARGUMENTS'],
      [{ type: 'format' }, 'INVALID_ARGUMENTS'],
      [null, 'INVALID_ARGUMENTS'],
    ] as const
    for (const [action, code] of wrong) await expect(api.act(action as never)).rejects.toMatchObject({ code })
  })

  test('are refused when it is read-only, over either way', async () => {
    const { app, api, origin, connect } = await example({ readOnly: true })
    const client = await connect()
    const ref = app.spawn('worker', { receive() {} })
    for (const action of [
      { type: 'closeConnection', id: client.connectionId! },
      { type: 'stopActor', path: '/app/worker' },
      { type: 'logLevel', level: 'error' },
    ] as const) {
      await expect(api.act(action)).rejects.toMatchObject({ code: 'FORBIDDEN' })
      const headers = { 'Content-Type': 'application/json' }
      const answer = await ask(`${origin}/_inspector/api/act`, {
        method: 'POST',
        headers,
        body: JSON.stringify(action),
      })
      expect(answer.status).toBe(403)
    }
    expect(await api.hello()).toMatchObject({ readOnly: true })
    expect((await api.actor('/app/worker')).actions).toEqual([])
    expect([ref.live, client.status]).toEqual([true, 'connected'])
  })
})

describe('while nobody watches', () => {
  test('nothing is attached to the server, before and after', async () => {
    const { app, api, connect } = await example()
    const client = await connect()
    const attached = () => ({
      observer: app.actors.observer !== undefined,
      events: app.events.listenerCount('client:connect'),
      tapped: (app.actors.find('/services/rpc') as unknown as { flags: number }).flags !== 0,
    })
    const nothing = attached()
    expect(nothing).toEqual({ observer: false, events: 0, tapped: false })
    const watch = await watching(api, { services: true })
    const trace = api.trace({ connection: client.connectionId! })[Symbol.asyncIterator]()
    await trace.next()
    expect(attached()).toEqual({ observer: true, events: 1, tapped: true })
    await trace.return?.()
    await watch.end()
    // Answered after the cancels have been.
    await api.hello()
    expect(attached()).toEqual(nothing)
  })

  test('viewers that vanish take all with them', async () => {
    const { app, port } = await example()
    const other = await viewer(port)
    await watching(other.api, { services: true })
    expect(app.actors.observer).toBeDefined()
    other.client.close()
    const { api } = await viewer(port)
    while (app.actors.observer !== undefined) await api.hello()
    expect(app.actors.observer).toBeUndefined()
  })
})

test('the log is heard in full, and its rings are bounded', async () => {
  const { app, api } = await example({}, { log: () => {} })
  const { until } = await watching(api)
  for (let i = 0; i < 1500; i++) app.log.info(`line ${i}`, { password: 'x', i })
  const { log, dropped } = await until(item => item.log.length > 0)
  expect(log).toHaveLength(200)
  expect(dropped.log).toBe(1300)
  expect(log.at(-1)).toMatchObject({
    level: 'info',
    name: 'socketstream',
    message: 'line 1499',
    details: { password: { '…': 'redacted' }, i: 1499 },
  })
  expect(await api.log({ limit: 2 })).toMatchObject({
    total: 1000,
    rows: [{ message: 'line 1499' }, { message: 'line 1498' }],
  })
  expect(await api.log({ level: 'error' })).toMatchObject({ total: 0 })
})

test('a snapshot has everything, over HTTP as well', async () => {
  const { app, api, origin, connect } = await example()
  await connect()
  const file = await api.snapshot()
  expect(file).toMatchObject({
    kind: 'socketstream-snapshot',
    connections: { total: 1 },
    sessions: { total: 1 },
  })
  expect(file.actors.rows).toHaveLength(app.actors.counters.actors - 1)
  const { body } = await ask(`${origin}/_inspector/api/snapshot`)
  expect(JSON.parse(body)).toMatchObject({
    kind: 'socketstream-snapshot',
    actors: { total: file.actors.total },
  })
})

test('scripts are given by GET what viewers are given', async () => {
  const { app, api, origin, connect } = await example()
  await connect()
  app.spawn('worker', { receive() {} })
  await watching(api)
  const get = async (path: string) => JSON.parse((await ask(`${origin}/_inspector/api/${path}`)).body)
  /** Without what the question itself changes: the time, and how much was handled. */
  const still = (value: unknown) =>
    JSON.parse(
      JSON.stringify(value, (key, inner) => (/^(now|sampledAt|at|rate|handled)$/.test(key) ? 0 : inner)),
    )
  const same = async (path: string, value: unknown) => expect(still(await get(path))).toEqual(still(value))
  await same('hello', await api.hello())
  await same('actors?deep=true&sort=name&limit=3', await api.actors({ deep: true, sort: 'name', limit: 3 }))
  await same('actor?path=/app/worker', await api.actor('/app/worker'))
  await same('services', await api.services())
  await same('channels', await api.channels({}))
  await same('connections', await api.connections({}))
  await same('sessions', await api.sessions({}))
  await same('deadLetters', await api.deadLetters({}))
  await same('log?level=warn', await api.log({ level: 'warn' }))
})
