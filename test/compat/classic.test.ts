import { createRequire } from 'node:module'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { livereload } from '../../src/services/livereload/index.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { testServer, WireClient } from '../support/wire.js'
import { ClassicClient, type Loose } from './classic-client.js'

const load = createRequire(import.meta.url)
const root = join(import.meta.dirname, 'app')
const { answer } = ClassicClient

async function start(options: { max?: number; textWire?: boolean; debug?: boolean } = {}) {
  const { max = 1000, textWire = true, debug } = options
  const seen: Record<string, Loose> = {}
  const limits: Record<string, Loose> = { max }
  const made = testServer({ root, textWire })
  const { app } = made
  app
    .use(load('./services/limiter.cjs')(limits))
    .service('rpc', rpc())
    .service('pubsub', pubsub())
    .service('echo', load('./services/echo.cjs')({ seen }), { ...(debug && { debug }), size: 3 })
    .service('visits', load('./services/visits.cjs')())
    .service('shout', load('./services/shout.cjs')())
    .service('hidden', { private: true, server: () => null, client: () => 'secret' })
    .service('mute', { use: { json: true, callbacks: true } })
  const api: Record<string, Loose> = await app.start()
  const client = async () => ClassicClient.on(await made.transport.connect())
  return { ...made, api, seen, limits, client }
}

describe('a service of 0.4', () => {
  test('has what it was assigned', async () => {
    const { app, seen, api, log } = await start()
    expect(seen.assigned).toMatchObject({
      id: 3,
      name: 'echo',
      root: join(root, 'services', 'echo'),
      options: { size: 3 },
      rtsVersion: '1.0',
    })
    expect(seen.assigned.events).toBe(app.events)
    expect(Object.keys(seen.assigned.api)).toEqual(['pubsub', 'echo'])
    expect(seen.assigned.api.echo.hello()).toBe('from echo')
    expect(api.visits).toBeUndefined()
    expect([seen.servicesRoot, seen.relativeRoot]).toEqual([root, './services/echo'])
    expect(log.lines).toContainEqual({
      level: 'info',
      message: 'i looking in ./services/echo',
      details: { name: 'echo' },
    })
    expect(log.of('debug')).not.toContain('only when asked')
    await app.stop()
  })

  test('debugs when it is told to', async () => {
    const { app, log } = await start({ debug: true })
    expect(log.of('debug')).toContain('only when asked')
    await app.stop()
  })

  test('may have a root and a log of its own', async () => {
    const seen: Record<string, Loose> = {}
    const lines: string[] = []
    const { app } = testServer({ root })
    app.service('echo', load('./services/echo.cjs')({ seen }), {
      root: join(root, 'services', 'rpc'),
      log: (line: string) => void lines.push(line),
    })
    await app.start()
    expect([seen.assigned.root, seen.relativeRoot]).toEqual([join(root, 'services', 'rpc'), './services/rpc'])
    expect(lines).toContain('[echo] info: i looking in ./services/rpc')
    await app.stop()
  })

  test('may say null for what it lacks, but nothing else', () => {
    const { app } = testServer({ root })
    app.service('nothing', { server: null, client: null, use: null } as never)
    expect(() => app.service('wrong', { server: 1 } as never)).toThrow('must be a function')
    expect(() => app.service('wrong', {}, { log: 'no' })).toThrow('`log` must be')
  })

  test('writes on its requests, which keep what middleware wrote', async () => {
    const { app, client, seen } = await start()
    const one = await client()
    await one.connect()
    await one.discover()
    const [written] = await answer(done => one.api.echo({ do: 'write', value: 'x' }, done))
    expect(written).toEqual(['mine', { mine: true }, 'mine', 'mine', { mine: true }, 'x', 'from middleware'])
    await answer(done => one.api.echo({ do: 'reply' }, done))
    expect(seen.request).not.toHaveProperty('extra')
    expect(seen.request).toMatchObject({ transport: 'memory', clientIp: '127.0.0.1', server: app })
    await app.stop()
  })
})

describe('a client of 0.4', () => {
  test('discovers public services by what its own halves need', async () => {
    const { app, client } = await start({ debug: true })
    const one = await client()
    expect(await one.connect()).toEqual({ version: '1.0', sessionId: expect.any(String) })
    const services = await one.discover()
    expect(services.map(({ params }) => params)).toEqual([
      { id: 1, name: 'rpc', options: {}, use: { json: true, callbacks: true, sessions: true } },
      { id: 2, name: 'pubsub', options: {}, use: { json: true, callbacks: true, sessions: false } },
      { id: 3, name: 'echo', options: { debug: true, size: 3 }, use: { json: true, callbacks: true } },
      { id: 4, name: 'visits', options: {}, use: { json: true, callbacks: true, sessions: true } },
      { id: 5, name: 'shout', options: {}, use: {} },
      { id: 7, name: 'mute', options: {}, use: { json: true, callbacks: true } },
    ])
    expect(services[2]?.handler).toBe(String(load('./services/echo-client.cjs')))
    expect(JSON.stringify(services)).not.toContain('secret')
    await app.stop()
  })

  test('has nothing of services that it cannot speak with, whatever they send', async () => {
    const { app, transport } = testServer({ root, textWire: true })
    let say!: (message: unknown) => void
    app.service('far', {
      type: 'machine',
      use: { json: true },
      client: () => 'a module',
      server(server) {
        say = message => server.broadcast(message)
      },
    })
    app.service('livereload', livereload({ dirs: ['services'] }))
    await app.start()
    const one = ClassicClient.on(await transport.connect())
    await one.connect()
    const listed = await one.discover()
    expect(listed.map(({ params }) => params.name)).toEqual(['far', 'livereload'])
    say({ at: new Date(5), all: new Set([1]) })
    await one.until(() => one.frames.some(frame => frame.startsWith('1|')))
    expect(one.frames.at(-1)).toBe('1|{"at":"1970-01-01T00:00:00.005Z","all":[1]}')
    expect(one.api).toEqual({})
    const reload = vi.fn()
    vi.stubGlobal('location', { reload })
    one.process('2|{"css":["a.css"]}')
    one.process('2|{"reload":true}')
    vi.unstubAllGlobals()
    expect(reload).toHaveBeenCalledOnce()
    await app.stop()
  })

  test('calls methods in files, which answer with any number of values, or an error', async () => {
    const { app, client } = await start()
    const one = await client()
    await one.connect()
    await one.discover()
    const call = (...args: unknown[]) => answer(done => one.api.rpc(...args, done))
    expect(await call('demo.square', 7)).toEqual([49])
    expect(await call('demo.pair', 1, 2)).toEqual([1, 2])
    expect(await call('admin.users.list')).toEqual([['ann', 'bob']])
    expect(await call('demo.passed', 'guarded')).toEqual([['guarded', 'guard', 'made', 'bare']])
    expect(await call('demo.tag')).toEqual(['from middleware', expect.any(String)])
    expect(await call('demo.hello')).toEqual(['from echo', 'from echo'])
    one.write('1|90|{"m":"demo.fails","p":[]}')
    one.write('1|91|{"m":"demo.nope","p":[]}')
    await one.until(() => one.frames.some(frame => frame.startsWith('1|91|')))
    expect(one.frames.slice(-2)).toEqual([
      '1|90|{"e":{"message":"Out of seats"}}',
      `1|91|{"e":{"message":"There is no method 'demo.nope'"}}`,
    ])
    await app.stop()
  })

  test('hears events, messages and answers', async () => {
    const { app, api, client } = await start()
    const one = await client()
    await one.connect()
    await one.discover()
    const heard: unknown[] = []
    one.api.pubsub.on('news', (args: unknown) => heard.push(args))
    one.api.pubsub.once('news', (args: unknown) => heard.push(['once', args]))
    api.pubsub.publish.all('news', 'a', 1)
    api.pubsub.publish.all('news', 'b')
    for (const what of ['send', 'several', 'one', 'broadcast']) one.api.echo({ do: what })
    one.api.shout.say('a|b')
    await one.until(() => one.api.shout.heard.length > 0)
    expect(one.api.shout.heard).toEqual(['A|B (string)'])
    expect(heard).toEqual([['a', 1], ['once', ['a', 1]], ['b']])
    expect(one.api.echo.heard).toEqual([{ to: 'you' }, { to: 'several' }, { to: 'one' }, { to: 'all' }])
    expect(await answer(done => one.api.echo({ do: 'reply', value: 5 }, done))).toEqual([{ you: 5 }])
    await app.stop()
  })

  test('has one session for all services, and has it again by the signed value', async () => {
    const { app, client } = await start()
    const one = await client()
    const { sessionId } = await one.connect()
    await one.discover()
    const count = (from: ClassicClient) => answer(done => from.api.visits.count(done))
    expect(await count(one)).toEqual([{ id: expect.any(String), visits: 1 }])
    expect(await answer(done => one.api.rpc('demo.visits', done))).toEqual([2])
    const other = await client()
    expect((await other.connect(sessionId)).sessionId).toBe(sessionId)
    await other.discover()
    expect(await count(other)).toEqual([{ id: expect.any(String), visits: 3 }])
    await app.stop()
  })

  test('uses services without sessions before it has connected, and no others', async () => {
    const { app, client, log } = await start()
    const one = await client()
    await one.discover()
    one.api.visits.count(() => expect.unreachable())
    one.api.shout.say('early')
    await one.until(() => one.api.shout.heard.length > 0)
    expect(one.errors).toEqual([])
    expect(log.of('debug')).toContain('a message to service visits was dropped: it came before connect')
    await one.connect()
    expect(await answer(done => one.api.visits.count(done))).toEqual([{ id: expect.any(String), visits: 1 }])
    await app.stop()
  })

  test('says later who it is, and is somebody else then', async () => {
    const { app, client } = await start()
    const first = await client()
    const { sessionId } = await first.connect()
    await first.discover()
    const [{ id }] = (await answer(done => first.api.visits.count(done))) as [{ id: string }]
    const one = await client()
    await one.discover()
    expect((await one.connect(sessionId)).sessionId).toBe(sessionId)
    expect(await answer(done => one.api.visits.count(done))).toEqual([{ id, visits: 2 }])
    expect(app.sessions.statistics.live).toBe(1)
    await app.stop()
  })

  test('may leave without an answer what it asks for one by habit', async () => {
    const made = testServer({ root, textWire: true, limits: { calls: 10 } })
    made.app.service('echo', load('./services/echo.cjs')())
    await made.app.start()
    const one = ClassicClient.on(await made.transport.connect())
    await one.connect()
    await one.discover()
    for (let i = 0; i < 50; i++) one.api.echo({ do: 'nothing' })
    expect(await answer(done => one.api.echo({ do: 'reply', value: 1 }, done))).toEqual([{ you: 1 }])
    expect(one.errors).toEqual([])
    // A drain that waited for them would not end before its time.
    await made.app.stop({ drain: 2 ** 31 - 1 })
  })

  test('is dropped by middleware of 0.4, which forgets it when it goes', async () => {
    const { app, client, limits } = await start({ max: 2 })
    const one = await client()
    await one.connect()
    await one.discover()
    for (let i = 0; i < 3; i++) one.api.shout.say(String(i))
    await one.until(() => one.errors.length > 0)
    expect(one.errors[0]).toMatchObject({ type: 'error', message: 'Request dropped by rate limiter' })
    expect(Object.values(limits.counts)).toEqual([3])
    await app.stop()
    expect(limits.counts).toEqual({})
  })

  test.each([
    ['an unknown service', '99|x', 'UNKNOWN_SERVICE'],
    ['a private service', '6|x', 'UNKNOWN_SERVICE'],
    ['bad JSON', '3|1|{', 'BAD_FRAME'],
    ['null to a method call', '1|1|null', 'INVALID_ARGUMENTS'],
    ['a call without a method', '1|1|{}', 'INVALID_ARGUMENTS'],
    ['a message without onmessage', '7||1', 'UNKNOWN_METHOD'],
    ['a call without onmessage', '7|1|1', 'UNKNOWN_METHOD'],
  ])('is told of %s, and the log as well', async (_what, frame, code) => {
    const { app, client, log } = await start()
    const one = await client()
    await one.connect()
    one.write(frame)
    await one.until(() => one.errors.length > 0)
    expect(one.errors).toEqual([{ type: 'error', message: expect.any(String), code }])
    expect(log.lines).toContainEqual(expect.objectContaining({ details: expect.objectContaining({ code }) }))
    await app.stop()
  })

  test.each<[string, string | Uint8Array]>([
    ['an empty frame', ''],
    ['a binary frame', Uint8Array.of(1, 2)],
    ['null to the system', '0|1|null'],
  ])('is closed for %s, and the log told', async (_what, frame) => {
    const { app, transport, log } = await start()
    const link = await transport.connect()
    const one = ClassicClient.on(link)
    await one.connect()
    link.send(frame)
    await one.until(() => one.closed !== undefined)
    expect(one.closed).toBe(4400)
    expect(log.lines).toContainEqual(
      expect.objectContaining({ level: 'warn', details: expect.objectContaining({ code: 'BAD_FRAME' }) }),
    )
    await app.stop()
  })

  test('that has gone is sent nothing, and the log told', async () => {
    const { app, seen, client, log } = await start()
    const one = await client()
    await one.connect()
    await one.discover()
    one.api.echo({ do: 'several' })
    await one.until(() => one.api.echo.heard.length > 0)
    expect(log.lines).toContainEqual({
      level: 'debug',
      message: 'a message is for a connection that has gone',
      details: { name: 'echo', connection: 'nobody' },
    })
    expect(seen.connected).toBe(seen.request.socketId)
    await app.stop()
    expect(seen.disconnected).toBe(seen.connected)
  })

  test('gets no sources without the text wire, and no other client does', async () => {
    const { app, client, transport } = await start({ textWire: false })
    const one = await client()
    one.write('0|1|{"c":"discover"}')
    await one.until(() => one.closed !== undefined)
    expect(one.frames).toEqual([])
    const modern = await WireClient.open(transport)
    modern.send([1, 0, 1, { c: 'discover' }])
    expect(await modern.next()).toEqual([3, 1, expect.objectContaining({ code: 'UNKNOWN_SERVICE' })])
    expect(JSON.stringify(modern.welcome)).not.toContain('options')
    await app.stop()
  })
})
