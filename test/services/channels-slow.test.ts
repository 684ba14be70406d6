import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { SlowQueue } from '../../src/actors/slow-queue.js'
import { memory } from '../../src/engines/memory.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import {
  type ChannelOptions,
  pubsub,
  StateAt,
  type SubscribeOptions,
} from '../../src/services/pubsub/index.js'
import { testServer, WireClient } from '../support/wire.js'
import { ChannelsNode, Peer } from './channels-support.js'

const HISTORY = { history: { size: 100 } }
const QUEUE = { messages: 3 }
const someKey = (): string => 'x'

function start(options: ChannelOptions) {
  const node = new ChannelsNode(memory(), { channels: { news: options } })
  const { publish } = node.api
  const connect = (capacity = Number.POSITIVE_INFINITY) => {
    const peer = new Peer(channelsClient)
    peer.capacity = capacity
    const heard: number[] = []
    const told: unknown[] = []
    peer.api.on('said', (_channel, value) => heard.push(value))
    peer.api.onrecovered((_channel, how) => told.push(how))
    peer.connect(node)
    const subscribe = (options: SubscribeOptions = {}) => peer.until(peer.api.subscribe('news', options))
    return { peer, heard, told, subscribe, position: () => peer.api.position('news')?.offset }
  }
  const say = async (...values: number[]) => {
    for (const value of values) publish.channel('news', 'said', 'news', value)
    await new Promise(setImmediate)
  }
  return { node, publish, connect, say }
}

async function settle(...peers: { peer: Peer }[]) {
  for (let quiet = 0; quiet < 5; quiet++) {
    await new Promise(setImmediate)
    for (const { peer } of peers) if (peer.pump() || !peer.idle) quiet = -1
  }
}

const code = (wanted: string) => expect.objectContaining({ code: wanted })

describe('a slow client', () => {
  test('of `drop-oldest` is told what it has lost, and goes on from there', async () => {
    const { node, connect, say } = start({ ...HISTORY, overflow: 'drop-oldest', queue: QUEUE })
    const slow = connect(2)
    const quick = connect()
    await Promise.all([slow.subscribe(), quick.subscribe()])
    await settle(slow, quick)
    await say(1, 2, 3, 4, 5, 6, 7, 8)
    expect(node.api.statistics).toEqual({ channels: 1, dropped: 3, connections: 1, waiting: 3 })
    await settle(slow, quick)
    expect(slow.heard).toEqual([1, 2, 6, 7, 8])
    expect(slow.told).toEqual([{ recovered: false, reason: 'slow', count: 0, dropped: 3 }])
    expect(slow.position()).toBe(8)
    expect(quick.heard).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    expect(node.api.statistics).toEqual({ channels: 1, dropped: 3, connections: 0, waiting: 0 })
    await say(9)
    await settle(slow)
    expect(slow.heard.at(-1)).toBe(9)
    expect(slow.told).toHaveLength(1)
  })

  test('that loses its connection before it has lost anything recovers all', async () => {
    const { node, connect, say } = start({ ...HISTORY, overflow: 'drop-oldest', queue: QUEUE })
    const slow = connect(1)
    await slow.subscribe()
    await settle(slow)
    await say(1, 2, 3, 4, 5, 6)
    slow.peer.connect(node)
    await settle(slow)
    expect(slow.heard).toEqual([1, 2, 3, 4, 5, 6])
    expect(slow.told).toEqual([{ recovered: true, count: 6 }])
    expect(node.api.statistics).toMatchObject({ connections: 0, waiting: 0 })
  })

  test.each([
    ['with', { history: { size: 100 }, recover: false }],
    ['without', {}],
  ])('of `latest-by-key` ends at the latest of each key, %s a history', async (_with, options) => {
    const key = (_event: string, args: readonly unknown[]): string => String(Number(args[1]) % 10)
    const { connect, say, node } = start({ ...options, overflow: 'latest-by-key', key })
    const slow = connect(1)
    await slow.subscribe()
    await settle(slow)
    await say(1, 2, 11, 21, 3, 12, 31)
    expect(node.api.statistics).toMatchObject({ dropped: 3, waiting: 3 })
    await settle(slow)
    expect(slow.heard).toEqual([1, 3, 12, 31])
    expect(slow.told).toEqual([{ recovered: false, reason: 'slow', count: 0, dropped: 3 }])
  })

  test('of a real server is not closed, and everybody else hears all', async () => {
    const { app: server, transport, log } = testServer()
    const app = server.service(
      'chat',
      pubsub({ channels: { '*': { overflow: 'drop-oldest', queue: { messages: 2 } } } }),
    )
    await app.start()
    const { publish } = app.api.chat
    const big = 'x'.repeat(100_000)
    const stuck = await WireClient.open(transport)
    stuck.send([1, 1, 1, ['subscribe', 'news', null]])
    let answer = await stuck.next()
    while (answer[0] !== 2) answer = await stuck.next()
    const [run] = answer.at(-1) as [number]
    stuck.link.pause()
    for (let i = 1; i <= 200; i++) publish.channel('news', 'said', i, big)
    await vi.waitFor(() => expect(log.of('warn')).toHaveLength(1))
    expect(log.of('warn')).toEqual(['news is too much for a slow connection: some of it was dropped'])
    const { dropped, waiting } = app.api.chat.statistics
    expect(waiting).toBe(1)
    stuck.link.resume()
    const messages = () => stuck.frames.slice(3).map(frame => frame.at(-1) as unknown[])
    await vi.waitFor(() => expect(messages().at(-1)?.[3]).toBe(200))
    expect(messages().every(([of]) => of === run)).toBe(true)
    const marks = messages().filter(([, offset]) => offset === -1)
    const lost = marks.reduce((sum, mark) => sum + (mark[3] as number), 0)
    const heard = messages().flatMap(([, offset, , value]) => (offset === -1 ? [] : [value]))
    expect(heard).toEqual([...heard].sort((a, b) => Number(a) - Number(b)))
    expect(lost).toBe(dropped)
    expect(heard).toHaveLength(200 - lost)
    expect(stuck.closed).toBeUndefined()
    await app.stop({ drain: 0 })
  })

  test.each([
    [{ overflow: 'drop' }, /`overflow` of the channels 'news' is unknown/],
    [{ overflow: 'latest-by-key' }, /need `key` with 'latest-by-key'/],
    [{ key: someKey }, /need `key` with 'latest-by-key', and only then/],
    [{ ...HISTORY, overflow: 'latest-by-key', key: someKey }, /recover: false/],
    [{ queue: { messages: 1 } }, /`queue` of the channels 'news' is for another `overflow`/],
    [{ overflow: 'drop-oldest', queue: { messages: 0 } }, /must be bounds/],
    [{ overflow: 'drop-oldest', queue: { many: 1 } }, /must be bounds/],
    [{ state: true }, /`state` of the channels 'news' must be a function/],
  ])('is no excuse for options such as %j', (options, message) => {
    expect(() => pubsub({ channels: { news: options as ChannelOptions } })).toThrow(message)
  })

  test('has a queue that stays within its bounds, and keeps the latest of each key', () => {
    const item = fc.record({
      key: fc.constantFrom('a', 'b', 'c', undefined),
      bytes: fc.integer({ min: 1, max: 20 }),
    })
    fc.assert(
      fc.property(fc.array(fc.oneof(item, fc.constant('take' as const))), fc.boolean(), (steps, byKey) => {
        const overflow = byKey ? ('latest-by-key' as const) : ('drop-oldest' as const)
        const queue = new SlowQueue<number>({ overflow, messages: 4, bytes: 50 })
        let [last, pushed, taken, dropped] = [-1, 0, 0, 0]
        const take = () => {
          const next = queue.take()
          if (next === undefined) return false
          expect(next.value).toBeGreaterThan(last)
          expect(next.gap).toBe(next.value !== last + 1)
          last = next.value
          dropped += next.dropped
          taken++
          return true
        }
        const latest = new Map<string, number>()
        for (const step of steps) {
          if (step === 'take') take()
          else {
            if (step.key) latest.set(step.key, pushed)
            queue.push(pushed++, step.bytes, { key: step.key })
          }
          expect(queue.size).toBeLessThanOrEqual(4)
          expect(queue.bytes).toBeLessThanOrEqual(50)
        }
        while (take());
        expect(queue.bytes).toBe(0)
        expect(taken + dropped).toBe(pushed)
        if (pushed > 0) expect(last).toBe(pushed - 1)
      }),
      { numRuns: 200 },
    )
  })
})

describe('a state', () => {
  test('is given before what follows on it, with nothing between', async () => {
    let load = (_value: unknown): void => {}
    const state = () =>
      new Promise(resolve => {
        load = resolve
      })
    for (const options of [{ ...HISTORY, state }, { state }]) {
      const { connect, say } = start(options)
      const one = connect()
      const order: unknown[] = []
      one.peer.api.on('said', (_channel, value) => order.push(value))
      const subscribing = one.peer.api
        .subscribe('news', { state: true })
        .then(({ state }) => order.push(state))
      one.peer.pump()
      await new Promise(setImmediate)
      await say(1, 2)
      load('state')
      await say(3)
      await one.peer.until(subscribing)
      expect(order[0]).toBe('state')
      await vi.waitFor(() => expect(order).toEqual(['state', 1, 2, 3]))
      await say(4)
      await settle(one)
      expect(order).toEqual(['state', 1, 2, 3, 4])
    }
  })

  test('is not followed by what is repeated for somebody who has come from another server', async () => {
    let load = (_value: unknown): void => {}
    const state = () =>
      new Promise(resolve => {
        load = resolve
      })
    const { node, connect } = start({ state })
    const one = connect()
    const subscribing = one.peer.api.subscribe('news', { state: true })
    one.peer.pump()
    await new Promise(setImmediate)
    const message = ['said', 'news', 1]
    node.server.onrelayed?.('news', message, {})
    node.server.onrelayed?.('news', message, { repeated: true })
    load('state')
    await one.peer.until(subscribing)
    await settle(one)
    await vi.waitFor(() => expect(one.heard).toEqual([1]))
    await settle(one)
    expect(one.heard).toEqual([1])
  })

  test('that says its position is followed by what is not in it', async () => {
    let from = 1
    const { connect, say, publish } = start({
      ...HISTORY,
      state: () => new StateAt('state', { epoch, offset: from }),
    })
    const { epoch } = await publish.acknowledged('news', 'said', 'news', 1)
    await say(2, 3)
    const one = connect()
    const begun = await one.subscribe({ state: true })
    expect(begun).toEqual({ recovered: false, count: 0, state: 'state', position: { epoch, offset: 1 } })
    await vi.waitFor(() => expect(one.heard).toEqual([2, 3]))
    from = 3
    const two = connect()
    await two.subscribe({ state: true })
    await say(4)
    await settle(two)
    await vi.waitFor(() => expect(two.heard).toEqual([4]))
  })

  test('comes again with a loss, and not when all is recovered', async () => {
    const { node, connect, say } = start({ history: { size: 2 }, state: () => 'state' })
    const one = connect()
    await one.subscribe({ state: true })
    one.peer.drop()
    await say(1)
    one.peer.connect(node)
    await settle(one)
    expect(one.told).toEqual([{ recovered: true, count: 1 }])
    one.peer.drop()
    await say(2, 3, 4, 5)
    one.peer.connect(node)
    await settle(one)
    expect(one.told.at(-1)).toEqual({ recovered: false, reason: 'trimmed', count: 0, state: 'state' })
    await vi.waitFor(() => expect(one.position()).toBe(5))
    await say(6)
    await settle(one)
    await vi.waitFor(() => expect(one.heard).toEqual([1, 6]))
  })

  test('that is too far behind, fails, or is not there refuses the subscription', async () => {
    let state: () => unknown = () => new StateAt(0, { epoch: 'other', offset: 1 })
    const { connect } = start({ ...HISTORY, state: () => state() })
    await expect(connect().subscribe({ state: true })).rejects.toEqual(code('OVERLOADED'))
    state = () => {
      throw new Error('no database')
    }
    await expect(connect().subscribe({ state: true })).rejects.toEqual(code('INTERNAL'))
    await expect(start(HISTORY).connect().subscribe({ state: true })).rejects.toEqual(
      code('INVALID_ARGUMENTS'),
    )
  })
})

describe('a filter', () => {
  const HIGH = { severity: ['high', 'critical'] }

  test('gives what it wants, live and recovered, and moves on over the rest', async () => {
    const { node, connect, publish } = start(HISTORY)
    const tagged = async (severity: string, ...values: number[]) => {
      for (const value of values) publish.with({ tags: { severity } }).channel('news', 'said', 'news', value)
      await new Promise(setImmediate)
    }
    const some = connect()
    const all = connect()
    await some.subscribe({ filter: HIGH })
    await all.subscribe()
    await tagged('low', 1, 2)
    await tagged('high', 3)
    publish.channel('news', 'said', 'news', 4)
    await tagged('critical', 5)
    await settle(some, all)
    expect(some.heard).toEqual([3, 5])
    expect(all.heard).toEqual([1, 2, 3, 4, 5])
    expect(some.told).toEqual([])
    some.peer.drop()
    await tagged('low', 6)
    await tagged('high', 7)
    await tagged('low', 8)
    some.peer.connect(node)
    await settle(some)
    expect(some.heard).toEqual([3, 5, 7])
    expect(some.told).toEqual([{ recovered: true, count: 1 }])
    expect(some.position()).toBe(8)
    await tagged('low', ...Array.from({ length: 64 }, (_, i) => i))
    await settle(some)
    expect(some.position()).toBe(72)
    expect(some.told).toHaveLength(1)
  })

  test.each([
    [{ severity: 'high' }, true],
    [{ severity: ['low', 'high'], region: 'eu' }, true],
    [{ not: { region: 'eu' } }, false],
    [{ or: [{ region: 'us' }, { severity: 'high' }] }, true],
    [{ and: [{ region: 'eu' }, { other: 'x' }] }, false],
    [{ severity: [] }, false],
    [{ toString: 'x' }, false],
  ])('%j is %s of what is high and in the eu', async (filter, wanted) => {
    const { connect, publish } = start({})
    const one = connect()
    await one.subscribe({ filter })
    publish.with({ tags: { severity: 'high', region: 'eu' } }).channel('news', 'said', 'news', 1)
    await settle(one)
    expect(one.heard).toEqual(wanted ? [1] : [])
  })

  test.each([
    ['high'],
    [[]],
    [{}],
    [{ a: 1 }],
    [{ a: [1] }],
    [{ and: {} }],
    [{ or: [] }],
    [{ not: [{ a: 'b' }] }],
    [{ not: { not: { not: { not: { a: 'b' } } } } }],
    [{ a: 'x'.repeat(1024) }],
  ])('%j is refused', async filter => {
    const { connect } = start({})
    await expect(connect().subscribe({ filter: filter as never })).rejects.toEqual(code('INVALID_ARGUMENTS'))
  })

  test.each([[{}], [{ and: 'x' }], [{ a: 1 }], [[]], [{ a: '' }]])('tags such as %j are refused', tags => {
    const { publish } = start({})
    expect(() => publish.with({ tags: tags as never }).channel('news', 'said', 'news', 1)).toThrow(
      code('INVALID_ARGUMENTS'),
    )
    expect(() => publish.with({ tags: { a: 'b' } }).all('said', 'news', 1)).toThrow(code('INVALID_ARGUMENTS'))
  })

  test('is asked once for all who have the same', async () => {
    const { connect, publish } = start({})
    const clients = Array.from({ length: 3 }, () => connect())
    for (const { subscribe } of clients) await subscribe({ filter: { a: ['x'], b: 'y' } })
    await clients[0]!.subscribe({ filter: { b: 'y', a: ['x'] } })
    const has = vi.spyOn(Object, 'hasOwn')
    publish.with({ tags: { a: 'x', b: 'y' } }).channel('news', 'said', 'news', 1)
    const asked = has.mock.calls.filter(([tags]) => (tags as { b?: string }).b === 'y').length
    has.mockRestore()
    expect(asked).toBe(2)
    await settle(...clients)
    for (const { heard } of clients) expect(heard).toEqual([1])
  })
})
