import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { memory } from '../../src/engines/memory.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import type { ChannelOptions, SubscribeOptions } from '../../src/services/pubsub/index.js'
import { manualClock } from '../../src/testing/index.js'
import { ChannelsNode, Peer } from './channels-support.js'

const HISTORY = { history: { size: 100 } }

function start(options: ChannelOptions = HISTORY) {
  const clock = manualClock()
  const inner = memory({ clock })
  const log = inner.log!
  let reads = 0
  const history: typeof log.history = (...args) => {
    reads++
    return log.history(...args)
  }
  const { publish, subscribe, remove } = log
  const engine = {
    ...inner,
    log: {
      publish: publish.bind(log),
      subscribe: subscribe.bind(log),
      remove: remove.bind(log),
      history,
    },
  } as typeof inner
  const channels = { 'news*': options, 'plain*': {} }
  const node = new ChannelsNode(engine, { channels })
  const other = new ChannelsNode(engine, { channels })
  const connect = (capacity = Number.POSITIVE_INFINITY) => {
    const asked: string[] = []
    const peer = new Peer({
      client(service) {
        const { call } = service
        service.call = (payload, ...rest) => {
          asked.push((payload as string[])[0]!)
          return call(payload, ...rest)
        }
        return channelsClient.client(service)
      },
    })
    peer.capacity = capacity
    const heard: number[] = []
    const told: unknown[] = []
    peer.api.on('said', (_channel, value) => heard.push(value))
    peer.api.onrecovered((_channel, how) => told.push(how))
    peer.connect(node)
    const subscribe = async (channel = 'news', options: SubscribeOptions = {}) => {
      await peer.until(peer.api.subscribe(channel, options))
      peer.pump()
      asked.length = 0
    }
    return { peer, heard, told, asked, subscribe }
  }
  const say = async (...values: number[]) => {
    for (const value of values) await node.api.publish.acknowledged('news', 'said', 'news', value)
  }
  return { node, other, engine, clock, connect, say, reads: () => reads }
}

async function settle(...peers: { peer: Peer }[]) {
  for (let quiet = 0; quiet < 5; quiet++) {
    await new Promise(setImmediate)
    for (const { peer } of peers) if (peer.pump()) quiet = -1
  }
}

const upTo = (last: number): number[] => Array.from({ length: last }, (_, at) => at + 1)

describe('a client that is away', () => {
  test('is kept nothing of a channel with a history, and is sent it from there when it is back', async () => {
    const { connect, say } = start()
    const one = connect()
    await one.subscribe()
    await say(1)
    one.peer.leave()
    await say(2, 3)
    await new Promise(setImmediate)
    expect(one.peer.waiting).toBe(1)
    one.peer.return()
    await settle(one)
    await say(4)
    await settle(one)
    expect(one.heard).toEqual([1, 2, 3, 4])
    expect(one).toMatchObject({ told: [], asked: [] })
  })

  test('costs nothing when it is back and has missed nothing', async () => {
    const { connect, say, reads } = start()
    const one = connect()
    await one.subscribe()
    await say(1)
    await settle(one)
    one.peer.leave()
    one.peer.return()
    expect(one.peer.waiting).toBe(0)
    await say(2)
    await settle(one)
    expect(one.heard).toEqual([1, 2])
    expect(reads()).toBe(0)
  })

  test('shares readings with all who are back from the same place', async () => {
    const { connect, say, reads } = start()
    const all = Array.from({ length: 20 }, () => connect())
    for (const one of all) await one.subscribe()
    for (const { peer } of all) peer.leave()
    await say(...upTo(80))
    for (const { peer } of all) peer.return()
    await settle(...all)
    for (const one of all) expect(one.heard).toEqual(upTo(80))
    expect(reads()).toBe(2)
  })

  test.each([
    ['trimmed', { history: { size: 5 } }, 10],
    ['limit', { ...HISTORY, recover: { limit: 5 } }, 10],
  ])('is told what cannot be recovered: `%s`', async (reason, options, count) => {
    const { connect, say } = start(options)
    const one = connect()
    await one.subscribe()
    one.peer.leave()
    await say(...upTo(count))
    one.peer.return()
    await settle(one)
    expect(one.told).toEqual([{ recovered: false, reason, count: 0 }])
    await say(count + 1)
    await settle(one)
    expect(one.heard).toEqual([count + 1])
  })

  test('is told that the channel has begun anew meanwhile', async () => {
    const { connect, say, engine } = start()
    const one = connect()
    await one.subscribe()
    await say(1)
    await settle(one)
    one.peer.leave()
    await engine.log!.remove('chat:news')
    await say(2)
    one.peer.return()
    await settle(one)
    expect(one.told).toEqual([expect.objectContaining({ recovered: false, reason: 'epoch' })])
    await say(3)
    await settle(one)
    expect(one.heard.at(-1)).toBe(3)
  })

  test('gets the latest of a cache', async () => {
    const { connect, say } = start({ ...HISTORY, cache: true })
    const one = connect()
    await one.subscribe()
    one.peer.leave()
    await say(1)
    one.peer.return()
    await settle(one)
    one.peer.leave()
    await say(2, 3)
    one.peer.return()
    await settle(one)
    expect(one.heard).toEqual([1, 3])
  })

  test('goes on where it was when it goes again while it is sent what it has missed', async () => {
    const { connect, say } = start()
    const one = connect(3)
    await one.subscribe()
    one.peer.leave()
    await say(...upTo(90))
    for (let round = 0; round < 5; round++) {
      one.peer.return()
      for (let turn = 0; turn < round; turn++) await new Promise(setImmediate)
      one.peer.pump(10)
      one.peer.leave()
      const { waiting } = one.peer
      await say(91 + round)
      await new Promise(setImmediate)
      expect(one.peer.waiting).toBe(waiting)
    }
    one.peer.return()
    await settle(one)
    expect(one.heard).toEqual(upTo(95))
    expect(one).toMatchObject({ told: [], asked: [] })
  })

  test('hears what its filter wants, without a question for what it leaves out', async () => {
    const { connect, node } = start()
    const one = connect()
    const say = (value: number) =>
      node.api.publish
        .with({ tags: { parity: value % 2 ? 'odd' : 'even' } })
        .acknowledged('news', 'said', 'news', value)
    await one.subscribe('news', { filter: { parity: 'even' } })
    for (const value of [1, 2, 3]) await say(value)
    one.peer.leave()
    for (const value of [4, 5, 6, 7]) await say(value)
    one.peer.return()
    await settle(one)
    expect(one.peer.api.position('news')?.offset).toBe(7)
    one.peer.leave()
    await say(9)
    one.peer.return()
    for (const value of [8, 11, 10]) await say(value)
    await settle(one)
    expect(one.heard).toEqual([2, 4, 6, 8, 10])
    expect(one).toMatchObject({ told: [], asked: [] })
  })

  test('does not hear what spares it', async () => {
    const { connect, node, say } = start()
    const one = connect()
    const two = connect()
    for (const each of [one, two]) await each.subscribe()
    for (const { peer } of [one, two]) peer.leave()
    await node.api.publish.with({ except: one.peer.id! }).acknowledged('news', 'said', 'news', 1)
    await say(2)
    for (const { peer } of [one, two]) peer.return()
    await settle(one, two)
    expect([one.heard, two.heard]).toEqual([[2], [1, 2]])
    expect(one.asked).toEqual([])
  })

  test('loses nothing of `drop-oldest` that the history has, also of what waited before', async () => {
    const { connect, say } = start({ ...HISTORY, overflow: 'drop-oldest', queue: { messages: 2 } })
    const one = connect(1)
    await one.subscribe()
    await say(1, 2, 3, 4, 5)
    one.peer.leave()
    await say(6, 7, 8)
    one.peer.return()
    await settle(one)
    await say(9)
    await settle(one)
    expect(one.heard).toEqual(upTo(9))
    expect(one).toMatchObject({ told: [], asked: [] })
  })

  test('has what waits of channels without a history', async () => {
    const { connect, node } = start()
    const one = connect()
    await one.subscribe('plain')
    one.peer.leave()
    node.api.publish.channel('plain', 'said', 'plain', 1)
    expect(one.peer.waiting).toBe(1)
    one.peer.return()
    await settle(one)
    expect(one.heard).toEqual([1])
  })

  test('is told once of a channel that the server has subscribed', async () => {
    const { connect, node, say } = start()
    const one = connect()
    await node.api.subscribe({ connection: one.peer.id! }, 'news')
    one.peer.leave()
    await say(1, 2, 3)
    await new Promise(setImmediate)
    expect(one.peer.waiting).toBe(2)
    one.peer.return()
    await settle(one)
    await say(4)
    await settle(one)
    expect(one.heard).toEqual([1, 2, 3, 4])
  })

  test('hears no more of a channel that it was taken out of', async () => {
    const { connect, node, say } = start()
    const one = connect()
    await node.api.subscribe({ connection: one.peer.id! }, 'news')
    await say(1)
    await settle(one)
    one.peer.leave()
    await say(2)
    node.api.unsubscribe({ connection: one.peer.id! }, 'news')
    await say(3)
    one.peer.return()
    await settle(one)
    await say(4)
    await settle(one)
    expect(one.heard).toEqual([1])
  })
})

describe('a connection that goes on at another server', () => {
  test('hears all there, without a greeting or a question', async () => {
    const { connect, node, other, say } = start()
    const events: string[] = []
    for (const [name, { api }] of Object.entries({ node, other })) {
      for (const event of ['occupied', 'vacated'] as const) {
        api.on(event, channel => events.push(`${name} ${event} ${channel}`))
      }
    }
    // The number of the run is another one there.
    await other.api.subscribe({ user: 'somebody else' }, 'news: other')
    const one = connect()
    await one.subscribe()
    await one.subscribe('plain')
    events.length = 0
    await say(1)
    one.peer.leave()
    await say(2)
    one.peer.return(other)
    await say(3)
    other.api.publish.channel('plain', 'said', 'plain', 4)
    await settle(one)
    await say(5)
    await settle(one)
    expect([...one.heard].sort()).toEqual([1, 2, 3, 4, 5])
    expect(one).toMatchObject({ told: [], asked: [] })
    expect(other.api.statistics.channels).toBe(3)
    expect(node.api.statistics.channels).toBe(0)
    expect(events).toEqual([
      'other occupied news',
      'other occupied plain',
      'node vacated news',
      'node vacated plain',
    ])
  })

  test('asks again where another run there has the number that its client knows', async () => {
    const { connect, other, say } = start()
    const one = connect()
    await one.subscribe()
    const first = connect()
    first.peer.connect(other)
    await first.subscribe('news 2')
    one.peer.leave()
    await say(1)
    one.peer.return(other)
    await settle(one, first)
    await one.peer.until(one.peer.api.subscribe('news 2'))
    await settle(one, first)
    await other.api.publish.acknowledged('news 2', 'said', 'news 2', 2)
    await say(3)
    await settle(one, first)
    expect([...one.heard].sort()).toEqual([1, 2, 3])
    expect(one.asked).toEqual(['subscribe', 'subscribe'])
    expect(one.told).toEqual([{ recovered: true, count: 0 }])
  })

  test('is told what the history does not have any more', async () => {
    const { connect, other, say } = start({ history: { size: 2 } })
    const one = connect()
    await one.subscribe()
    one.peer.leave()
    await say(1, 2, 3)
    one.peer.return(other)
    await settle(one)
    await say(4)
    await settle(one)
    expect(one.told).toEqual([{ recovered: false, reason: 'trimmed', count: 0 }])
    expect(one.heard).toEqual([4])
  })

  test('asks again when it had gone before the service heard of it', async () => {
    const { connect, other, say } = start()
    const one = connect()
    await one.subscribe()
    one.peer.vanish()
    await say(1)
    await new Promise(setImmediate)
    one.peer.return(other)
    await settle(one)
    expect(one.heard).toEqual([1])
    expect(one).toMatchObject({ told: [{ recovered: true, count: 1 }], asked: ['subscribe'] })
  })

  test('keeps what its server has subscribed it alone to', async () => {
    const { connect, node, other, say } = start()
    const one = connect()
    const whose = { connection: one.peer.id! }
    await node.api.subscribe(whose, 'news')
    one.peer.leave()
    one.peer.return(other)
    await settle(one)
    await say(1)
    await settle(one)
    expect(one.heard).toEqual([1])
    expect(await other.api.subscribe(whose, 'news')).toBe(false)
    expect(node.api.unsubscribe(whose, 'news')).toBe(false)
  })
})

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('say' as const), count: fc.constantFrom(1, 2, 5, 70) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pump' as const), count: fc.constantFrom(1, 5, 50) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('turn' as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('leave' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('return' as const), at: fc.nat(1) }) },
)

test('whoever leaves and returns hears each entry once and in order, and has nothing to ask', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }),
      fc.boolean(),
      fc.constantFrom(4, 100),
      async (steps, isFiltered, capacity) => {
        const { connect, node, other } = start({ history: { size: 10_000 }, recover: { limit: 10_000 } })
        const one = connect(capacity)
        await one.subscribe('news', isFiltered ? { filter: { parity: 'even' } } : {})
        let last = 0
        const say = (): Promise<unknown> => {
          const tags = { parity: ++last % 2 ? 'odd' : 'even' }
          return node.api.publish.with({ tags }).acknowledged('news', 'said', 'news', last)
        }
        for (const each of steps) {
          if (each.do === 'say') for (let left = each.count; left > 0; left--) void say()
          else if (each.do === 'pump') one.peer.pump(each.count)
          else if (each.do === 'turn') await new Promise(setImmediate)
          else if (each.do === 'leave') one.peer.leave()
          else one.peer.return([node, other][each.at])
        }
        one.peer.return()
        await settle(one)
        await say()
        await say()
        await settle(one)
        expect(one.heard).toEqual(upTo(last).filter(value => !isFiltered || value % 2 === 0))
        expect(one).toMatchObject({ told: [], asked: [] })
      },
    ),
    { numRuns: 40 },
  )
})
