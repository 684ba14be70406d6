import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Bus } from '../../src/engines/bus.js'
import type { Engine } from '../../src/engines/engine.js'
import { memory } from '../../src/engines/memory.js'
import { SocketStreamError } from '../../src/errors.js'
import { Server } from '../../src/server.js'
import { virtualTime } from '../../src/testing/index.js'
import { memory as memoryTransport } from '../../src/transports/memory.js'
import { knows, startNode, turns } from './support.js'

/** An engine that a test shares among its servers, each over a bus of its own that can fail. */
function shared() {
  const engine = memory()
  onTestFinished(() => engine.close())
  /** The same engine, whose bus can swallow what comes, or fail. */
  const cuttable = () => {
    const state = { deaf: false, failing: false }
    const bus: Bus = {
      send: (node, bytes) =>
        state.failing
          ? Promise.reject(new SocketStreamError('ENGINE_UNAVAILABLE', 'it is away'))
          : engine.bus.send(node, bytes),
      broadcast: bytes => engine.bus.broadcast(bytes),
      listen: (node, handler) =>
        state.failing
          ? Promise.reject(new SocketStreamError('ENGINE_UNAVAILABLE', 'it is away'))
          : engine.bus.listen(node, bytes => {
              if (!state.deaf) handler(bytes)
            }),
    }
    return { engine: { ...engine, bus } as Engine, state }
  }
  return { engine, cuttable }
}

function underVirtualTime() {
  const time = virtualTime()
  onTestFinished(() => time.restore())
  return time
}

const codeOf = (call: Promise<unknown>) => call.then(String, error => error.code)
const errorOf = (call: Promise<unknown>): Promise<SocketStreamError<string>> =>
  call.then(
    () => Promise.reject(new Error('it did not fail')),
    error => error,
  )

describe('the servers of a cluster', () => {
  test('list each other, and tell who comes and goes', async () => {
    const { engine } = shared()
    const one = await startNode(engine, { cluster: { name: 'one' } })
    const heard: string[] = []
    one.app.cluster.on('joined', id => heard.push(`joined ${id}`))
    const gone = new Promise(resolve => one.app.cluster.on('left', resolve))
    const other = await startNode(engine, { cluster: { name: 'other' } })
    const { id } = other.app.cluster
    await knows(one.app, 1)
    const nodes = await one.app.cluster.nodes()
    expect(nodes.map(({ name, pid }) => [name, pid])).toEqual([
      ['one', process.pid],
      ['other', process.pid],
    ])
    expect(await other.app.cluster.nodes()).toMatchObject([{ name: 'other' }, { name: 'one' }])
    await other.app.stop({ drain: 0 })
    expect([await gone, heard]).toEqual([id, [`joined ${id}`]])
    expect(await one.app.cluster.nodes()).toHaveLength(1)
  })

  test('take one that does not renew its lease for dead, and it comes back by itself', async () => {
    const time = underVirtualTime()
    const { engine } = shared()
    const one = await startNode(engine, { cluster: { lease: 1000 } })
    const frozen = memory()
    onTestFinished(() => frozen.close())
    // What it says of itself is lost for a while.
    let isFrozen = false
    const presence = {
      ...engine.presence,
      join: engine.presence.join.bind(engine.presence),
      members: engine.presence.members.bind(engine.presence),
      leave: engine.presence.leave.bind(engine.presence),
      count: engine.presence.count.bind(engine.presence),
      watch: engine.presence.watch.bind(engine.presence),
      refresh: (...args: Parameters<typeof engine.presence.refresh>) =>
        isFrozen
          ? Promise.reject(new SocketStreamError('ENGINE_UNAVAILABLE', 'it is away'))
          : engine.presence.refresh(...args),
    }
    const other = await startNode({ ...engine, presence }, { cluster: { lease: 1000 } })
    await knows(one.app, 1)
    const left = new Promise(resolve => one.app.cluster.on('left', resolve))
    isFrozen = true
    expect(await time.until(left)).toBe(other.app.cluster.id)
    const back = new Promise(resolve => one.app.cluster.on('joined', resolve))
    isFrozen = false
    expect(await time.until(back)).toBe(other.app.cluster.id)
    expect(other.lines.filter(line => line.includes('lease')).length).toBeGreaterThan(0)
  })

  test('begin alone while the engine fails, and join when it works', async () => {
    const time = underVirtualTime()
    const { engine, cuttable } = shared()
    const one = await startNode(engine)
    const { engine: failing, state } = cuttable()
    state.failing = true
    const late = await startNode(failing)
    expect(late.lines).toContain('the server has not joined its cluster yet')
    const near = await late.client('ann')
    late.app.api.chat.publish.all('said', 'alone')
    expect(await near.atLeast(1)).toEqual(['alone'])
    const joined = new Promise(resolve => one.app.cluster.on('joined', resolve))
    state.failing = false
    expect(await time.until(joined)).toBe(late.app.cluster.id)
    one.app.api.chat.publish.all('said', 'together')
    expect(await near.atLeast(2)).toEqual(['alone', 'together'])
  })
})

test('a server that could not join when it already heard the others hears everything once', async () => {
  const time = underVirtualTime()
  const engine = memory()
  onTestFinished(() => engine.close())
  const { presence } = engine
  let isFailing = true
  const failing: Engine = {
    ...engine,
    presence: {
      join: (...args) =>
        isFailing
          ? Promise.reject(new SocketStreamError('ENGINE_UNAVAILABLE', 'It is away'))
          : presence.join(...args),
      refresh: (...args) => presence.refresh(...args),
      leave: (...args) => presence.leave(...args),
      members: (...args) => presence.members(...args),
      count: (...args) => presence.count(...args),
      watch: (...args) => presence.watch(...args),
    },
  }
  const one = await startNode(engine)
  const late = await startNode(failing)
  expect(late.lines).toContain('the server has not joined its cluster yet')
  const joined = new Promise(resolve => one.app.cluster.on('joined', resolve))
  isFailing = false
  expect(await time.until(joined)).toBe(late.app.cluster.id)
  const ann = await late.client('ann')
  one.app.api.chat.publish.all('said', 'first')
  one.app.api.chat.publish.all('said', 'last')
  await turns(() => ann.heard.includes('last'))
  expect(ann.heard).toEqual(['first', 'last'])
})

describe('a question to all servers', () => {
  test('gives what each has, and names who is silent', async () => {
    const { engine, cuttable } = shared()
    const one = await startNode(engine)
    const other = await startNode(engine)
    const { engine: deaf, state } = cuttable()
    const third = await startNode(deaf)
    await knows(one.app, 2)
    const [ann, bob] = [await one.client('ann'), await other.client('bob')]
    await ann.api.chat.subscribe('news')
    await bob.api.feed.subscribe('free')
    await bob.api.chat.subscribe('news')
    const ids = [one, other, third].map(({ app }) => app.cluster.id)
    const { cluster } = one.app

    const connections = await cluster.connections()
    expect(connections.silent).toEqual([])
    expect(ids.map(id => connections.nodes.get(id))).toEqual([
      [{ id: ann.id, user: 'ann', transport: 'memory' }],
      [{ id: bob.id, user: 'bob', transport: 'memory' }],
      [],
    ])
    const { nodes } = await cluster.connections({ user: 'bob' })
    expect([...nodes.values()].flat()).toEqual([{ id: bob.id, user: 'bob', transport: 'memory' }])
    const channels = await cluster.channels()
    expect(ids.map(id => channels.nodes.get(id))).toEqual([
      { chat: { news: 1 } },
      { chat: { news: 1 }, feed: { free: 1 } },
      {},
    ])
    const stats = await cluster.stats()
    expect(ids.map(id => stats.nodes.get(id))).toMatchObject([
      { connections: 1, channels: 1, dropped: 0 },
      { connections: 1, channels: 2, dropped: 0 },
      { connections: 0, channels: 0, dropped: 0 },
    ])

    state.deaf = true
    const partial = await cluster.stats({ deadline: 50 })
    expect([[...partial.nodes.keys()].sort(), partial.silent]).toEqual([[ids[0], ids[1]].sort(), [ids[2]]])
  })
})

describe('a call between servers', () => {
  test('is answered here or by another server, with a copy', async () => {
    const { engine } = shared()
    const [one, other] = [await startNode(engine), await startNode(engine)]
    await knows(one.app, 1)
    const given = { list: [1] }
    other.app.cluster.answer('double', (payload, from) => [(payload as number) * 2, from])
    expect(await one.app.cluster.call('double', 21)).toEqual([42, one.app.cluster.id])
    one.app.cluster.answer('own', payload => payload)
    const got = await one.app.cluster.call('own', given)
    expect([got, got === given]).toEqual([given, false])
    const node = other.app.cluster.id
    expect(await codeOf(one.app.cluster.call('own', 1, { node }))).toBe('NO_RESPONDER')
  })

  test('fails with what was thrown, and hides what has no code', async () => {
    const { engine } = shared()
    const [one, other] = [await startNode(engine), await startNode(engine)]
    await knows(one.app, 1)
    other.app.cluster.answer('refuse', () => {
      throw new SocketStreamError('SOLD_OUT', 'No seats left', { data: { row: 7 } })
    })
    other.app.cluster.answer('break', () => {
      throw new Error('a secret')
    })
    const refused = await errorOf(one.app.cluster.call('refuse'))
    expect([refused.code, refused.message, refused.data]).toEqual(['SOLD_OUT', 'No seats left', { row: 7 }])
    const broken = await errorOf(one.app.cluster.call('break'))
    expect([broken.code, broken.message.includes('secret')]).toEqual(['INTERNAL', false])
    expect(other.lines.some(line => line.includes("'break'"))).toBe(true)
  })

  test('tells nobody there from no answer in time', async () => {
    const { engine, cuttable } = shared()
    const one = await startNode(engine)
    const { engine: deaf, state } = cuttable()
    const other = await startNode(deaf)
    other.app.cluster.answer('work', () => 'done')
    await knows(one.app, 1)
    const { cluster } = one.app
    expect(await codeOf(cluster.call('nothing'))).toBe('NO_RESPONDER')
    expect(await codeOf(cluster.call('work', null, { node: 'nobody' }))).toBe('NO_RESPONDER')
    state.deaf = true
    expect(await codeOf(cluster.call('work', null, { deadline: 30 }))).toBe('TIMEOUT')
    cluster.answer('slow', () => new Promise(() => undefined))
    expect(await codeOf(cluster.call('slow', null, { deadline: 30 }))).toBe('TIMEOUT')
    state.deaf = false
    expect(await cluster.call('work')).toBe('done')
  })

  test('is not made again when what answers it finds nobody itself', async () => {
    const { engine } = shared()
    const nodes = [await startNode(engine), await startNode(engine), await startNode(engine)]
    await knows(nodes[0]!.app, 2)
    let calls = 0
    for (const { app } of nodes.slice(1)) {
      app.cluster.answer('work', () => {
        calls++
        return app.cluster.call('missing')
      })
    }
    await turns(async () =>
      (await nodes[0]!.app.cluster.nodes()).every(({ answers }, i) => i === 0 || answers.length > 0),
    )
    expect(await codeOf(nodes[0]!.app.cluster.call('work'))).toBe('NO_RESPONDER')
    expect(calls).toBe(1)
  })

  test('refuses names that are none, or taken', async () => {
    const { engine } = shared()
    const { app } = await startNode(engine)
    app.cluster.answer('a', () => 1)
    for (const name of ['', '$stats', 'a', 'x'.repeat(201), 7 as never]) {
      expect(() => app.cluster.answer(name, () => 1)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENTS' }),
      )
    }
    expect(await codeOf(app.cluster.call('$stats'))).toBe('INVALID_ARGUMENTS')
  })

  test('of another version, or of nobody in the cluster, disturbs no server', async () => {
    const { engine } = shared()
    const { app } = await startNode(engine)
    const unheard = vi.fn()
    process.on('unhandledRejection', unheard)
    for (const bytes of [[], [1, 2, 3], [0xc1], [0x92, 0xa3, 0x61, 0x73, 0x6b, 0xc0], [0x91, 0xa5]]) {
      await engine.bus.send('$cluster', Uint8Array.from(bytes))
      await engine.bus.broadcast(Uint8Array.from(bytes))
    }
    await new Promise(resolve => setImmediate(resolve))
    process.off('unhandledRejection', unheard)
    expect(unheard).not.toHaveBeenCalled()
    expect((await app.cluster.stats()).silent).toEqual([])
  })
})

test('a server without an engine of its own is alone, and answers itself', async () => {
  const app = new Server({ transport: memoryTransport(), cluster: { name: 'alone' } })
  expect(() => app.cluster).toThrow(expect.objectContaining({ code: 'INVALID_STATE' }))
  await app.start()
  onTestFinished(() => app.stop({ drain: 0 }))
  app.cluster.answer('a', () => 'yes')
  expect((await app.cluster.nodes()).map(({ name, answers }) => [name, answers])).toEqual([['alone', ['a']]])
  expect(await app.cluster.call('a')).toBe('yes')
  expect((await app.cluster.stats()).nodes.size).toBe(1)
})

test.each([
  [true, 'cluster'],
  [{ lease: 10 }, 'cluster.lease'],
  [{ lease: 'soon' }, 'cluster.lease'],
  [{ name: '' }, 'cluster.name'],
  [{ deadline: 0 }, 'cluster.deadline'],
  [{ nodes: 3 }, 'cluster.nodes'],
])('the option cluster: %j is refused', (cluster, named) => {
  const make = () => new Server({ transport: memoryTransport(), cluster: cluster as never })
  expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  expect(make).toThrow(named)
})

test('a server that made up its own secret for sessions says once that clients will not be known elsewhere', async () => {
  const { engine } = shared()
  const [careless, one, other] = [
    await startNode(engine, { sessions: {} }),
    await startNode(engine),
    await startNode(engine),
  ]
  await Promise.all([careless, one, other].map(({ app }) => knows(app, 2)))
  const warnings = (node: typeof one) => node.lines.filter(line => line.includes('`sessions.secret`')).length
  expect([careless, one, other].map(warnings)).toEqual([1, 0, 0])
})
