import { afterEach, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import type { Engine } from '../../src/engines/engine.js'
import { memory } from '../../src/engines/memory.js'
import { SocketStreamError } from '../../src/errors.js'
import { type ChannelPosition, channelsClient } from '../../src/services/pubsub/channels-client.js'
import { pubsubClient } from '../../src/services/pubsub/client.js'
import { type ChannelOptions, type ChannelsOptions, pubsub } from '../../src/services/pubsub/index.js'
import { manualClock } from '../../src/testing/index.js'
import { ChannelsNode, Peer, slow } from './channels-support.js'

const HISTORY = { history: { size: 10 } }

function start(
  options: Partial<ChannelsOptions> & { engine?: Engine; limits?: { maxFrame: number; topics: number } } = {},
) {
  const { engine = memory(), limits, channels = { 'chat:*': HISTORY }, ...hooks } = options
  const node = new ChannelsNode(engine, { channels, ...hooks }, limits)
  const { publish } = node.api
  const connect = (half: object = channelsClient) => {
    const peer = new Peer(half as typeof channelsClient)
    const { api } = peer
    const heard: number[] = []
    const told: unknown[] = []
    api.on('said', (_channel, value) => heard.push(value))
    if (half === channelsClient) api.onrecovered((channel, how) => told.push([channel, how]))
    peer.connect(node)
    const subscribe = (channel = 'chat:1', since?: ChannelPosition) =>
      peer.until(api.subscribe(channel, { since }))
    return { peer, api, heard, told, subscribe }
  }
  const say = async (channel: string, ...values: number[]) => {
    for (const value of values) await publish.acknowledged(channel, 'said', channel, value)
  }
  return { engine, node, publish, connect, say }
}

/** Lets everything settle: what is published, delivered and asked again. */
async function settle(...peers: { peer: Peer }[]) {
  for (let quiet = 0; quiet < 5; quiet++) {
    await new Promise(setImmediate)
    for (const { peer } of peers) if (peer.pump() || !peer.idle) quiet = -1
  }
}

const code = (wanted: string) => expect.objectContaining({ code: wanted })

afterEach(() => vi.useRealTimers())

describe('a channel with history', () => {
  test('gives what was missed to who comes back, in order and once', async () => {
    const { node, connect, say } = start()
    const one = connect()
    expect(await one.subscribe()).toEqual({
      recovered: false,
      count: 0,
      position: { epoch: expect.any(String), offset: 0 },
    })
    await say('chat:1', 1, 2)
    await settle(one)
    one.peer.drop()
    await say('chat:1', 3, 4)
    one.peer.connect(node)
    await settle(one)
    await say('chat:1', 5)
    await settle(one)
    expect(one.heard).toEqual([1, 2, 3, 4, 5])
    expect(one.told).toEqual([['chat:1', { recovered: true, count: 2 }]])
    expect(one.api.position('chat:1')?.offset).toBe(5)
  })

  test('is subscribed from a position that was kept', async () => {
    const { connect, say, publish } = start()
    const since = await publish.acknowledged('chat:1', 'said', 'chat:1', 1)
    await say('chat:1', 2, 3)
    const one = connect()
    expect(await one.subscribe('chat:1', since)).toMatchObject({ recovered: true, count: 2 })
    expect(one.heard).toEqual([2, 3])
  })

  test('recovers completely while more is published all the time', async () => {
    const { node, connect, publish, say } = start({
      engine: slow(memory(), () => 2),
      channels: { 'chat:*': { history: { size: 1000 } } },
    })
    const one = connect()
    await one.subscribe()
    await say('chat:1', 1)
    await settle(one)
    one.peer.drop()
    await say('chat:1', 2)
    one.peer.connect(node)
    for (let value = 3; value <= 40; value++) {
      publish.channel('chat:1', 'said', 'chat:1', value)
      one.peer.pump()
      await new Promise(setImmediate)
    }
    await settle(one)
    expect(one.heard).toEqual(Array.from({ length: 40 }, (_, at) => at + 1))
    expect(one.told).toEqual([['chat:1', { recovered: true, count: expect.any(Number) }]])
  })

  test('says why what was missed cannot be given, and goes on from there', async () => {
    const clock = manualClock()
    const channels: Record<string, ChannelOptions> = {
      size: { history: { size: 2 } },
      ttl: { history: { size: 100, ttl: 50 } },
      limit: { history: { size: 100 }, recover: { limit: 2 } },
      ahead: HISTORY,
      epoch: HISTORY,
      off: { ...HISTORY, recover: false },
    }
    const { engine, connect, publish, say } = start({ engine: memory({ clock }), channels })
    const reasons = {
      size: 'trimmed',
      ttl: 'trimmed',
      limit: 'limit',
      ahead: 'ahead',
      epoch: 'epoch',
      off: 'unavailable',
    }
    for (const [name, reason] of Object.entries(reasons)) {
      const first = await publish.acknowledged(name, 'said', name, 1)
      await say(name, 2, 3, 4)
      clock.advance(60)
      if (name === 'epoch') await engine.log!.remove('chat:epoch')
      const one = connect()
      const since = { epoch: first.epoch, offset: name === 'ahead' ? 9 : 1 }
      expect(await one.subscribe(name, since)).toMatchObject({ recovered: false, reason, count: 0 })
      await say(name, 5)
      await settle(one)
      expect(one.heard).toEqual([5])
    }
  })

  test('recovers no more than goes into a frame', async () => {
    const { connect, publish } = start({ limits: { maxFrame: 200, topics: 10 } })
    const since = await publish.acknowledged('chat:1', 'said', 'chat:1', 1)
    for (let at = 0; at < 9; at++) await publish.acknowledged('chat:1', 'said', 'chat:1', at)
    expect(await connect().subscribe('chat:1', since)).toMatchObject({ recovered: false, reason: 'limit' })
  })

  test('is read once for all who come back at once', async () => {
    const { engine, node, connect, say } = start()
    const all = Array.from({ length: 100 }, () => connect())
    for (const { subscribe } of all) await subscribe()
    await say('chat:1', 1)
    await settle(...all)
    for (const { peer } of all) peer.drop()
    await say('chat:1', 2, 3)
    const history = vi.spyOn(engine.log!, 'history')
    for (const { peer } of all) peer.connect(node)
    await settle(...all)
    for (const { heard } of all) expect(heard).toEqual([1, 2, 3])
    expect(history).toHaveBeenCalledTimes(1)
  })

  test('has plain subscribers, too, who hear what comes', async () => {
    const { node, connect, say } = start()
    const [plain, one] = [connect(pubsubClient), connect()]
    await Promise.all([plain.subscribe(), one.subscribe()])
    await say('chat:1', 1)
    await settle(plain, one)
    for (const { peer } of [plain, one]) peer.drop()
    await say('chat:1', 2)
    for (const { peer } of [plain, one]) peer.connect(node)
    await plain.subscribe()
    await say('chat:1', 3)
    await settle(plain, one)
    expect([plain.heard, one.heard]).toEqual([
      [1, 3],
      [1, 2, 3],
    ])
  })

  test('keeps the place of what somebody else has written there', async () => {
    const { engine, node, connect, say } = start()
    const one = connect()
    await one.subscribe()
    for (const bytes of [[0xc1], [0x01], [0x91, 0x01], [0xc0]]) {
      await engine.log!.publish('chat:chat:1', Uint8Array.from(bytes), { size: 10 })
    }
    await say('chat:1', 1)
    await settle(one)
    expect(one.heard).toEqual([1])
    expect(one.api.position('chat:1')?.offset).toBe(5)
    expect(node.lines).toContain('an entry of chat:1 is no publication')
    expect((await node.api.history('chat:1')).entries.map(({ offset }) => offset)).toEqual([5])
  })

  test('that begins anew is told, and heard from then on', async () => {
    const { engine, connect, say } = start()
    const one = connect()
    await one.subscribe()
    await say('chat:1', 1)
    await settle(one)
    await engine.log!.remove('chat:chat:1')
    await settle(one)
    await say('chat:1', 2)
    await settle(one)
    expect(one.heard).toEqual([1, 2])
    expect(one.told).toEqual([['chat:1', { recovered: false, reason: 'epoch', count: 0 }]])
  })

  test('is read in pages, by clients who may subscribe', async () => {
    const { connect, say, node } = start({ canSubscribe: (_ctx, channel) => channel === 'chat:1' })
    await say('chat:1', 1, 2, 3)
    const { api, peer } = connect()
    const first = await peer.until(api.history('chat:1', { limit: 2 }))
    expect(first).toMatchObject({ position: { offset: 3 }, complete: false })
    expect(first.entries.map(({ offset, event, args }) => [offset, event, args])).toEqual([
      [1, 'said', ['chat:1', 1]],
      [2, 'said', ['chat:1', 2]],
    ])
    const since = { epoch: first.position.epoch, offset: 2 }
    expect(await peer.until(api.history('chat:1', { since }))).toMatchObject({
      complete: true,
      entries: [{ offset: 3 }],
    })
    const back = await peer.until(api.history('chat:1', { reverse: true }))
    expect(back.entries.map(({ args }) => args[1])).toEqual([3, 2, 1])
    expect(await node.api.history('chat:1', { limit: 1 })).toMatchObject({
      entries: [{ args: ['chat:1', 1] }],
    })
    await expect(peer.until(api.history('chat:2'))).rejects.toEqual(code('FORBIDDEN'))
  })
})

describe('a cache', () => {
  test('gives the latest to who subscribes, and to who comes back', async () => {
    const { node, connect, say } = start({ channels: { price: { history: { size: 1 }, cache: true } } })
    await say('price', 1, 2)
    const one = connect()
    expect(await one.subscribe('price')).toMatchObject({
      recovered: false,
      count: 1,
      position: { offset: 2 },
    })
    expect(one.heard).toEqual([2])
    for (const values of [[3], [4, 5, 6], []]) {
      one.peer.drop()
      await say('price', ...values)
      one.peer.connect(node)
      await settle(one)
    }
    expect(one.heard).toEqual([2, 3, 6])
    expect(one.told).toEqual([
      ['price', { recovered: true, count: 1 }],
      ['price', { recovered: false, reason: 'trimmed', count: 1 }],
      ['price', { recovered: true, count: 0 }],
    ])
  })
})

describe('a channel without history', () => {
  test('is heard live by both halves, and says that nothing was recovered', async () => {
    const { node, connect, publish } = start()
    const [plain, one] = [connect(pubsubClient), connect()]
    await plain.subscribe('live')
    expect(await one.subscribe('live')).toEqual({ recovered: false, count: 0, position: undefined })
    publish.channel('live', 'said', 'live', 1)
    await settle(plain, one)
    expect([plain.heard, one.heard]).toEqual([[1], [1]])
    one.peer.drop()
    one.peer.connect(node)
    await settle(one)
    publish.channel('live', 'said', 'live', 2)
    await settle(one)
    expect(one.heard).toEqual([1, 2])
  })

  test('has nothing to acknowledge, to repeat or to read', async () => {
    const { node, publish } = start()
    await expect(publish.acknowledged('live', 'said', 'live', 1)).rejects.toEqual(code('INVALID_ARGUMENTS'))
    expect(() => publish.with({ key: 'x' }).channel('live', 'said', 'live', 1)).toThrow(
      code('INVALID_ARGUMENTS'),
    )
    await expect(node.api.history('live')).rejects.toEqual(code('INVALID_ARGUMENTS'))
  })
})

describe('publishing', () => {
  test('resolves to the place in the channel, in the order of the calls', async () => {
    const { publish } = start()
    const places = await Promise.all(
      [1, 2, 3].map(value => publish.acknowledged('chat:1', 'said', 'chat:1', value)),
    )
    expect(places.map(({ offset, duplicate }) => [offset, duplicate])).toEqual([
      [1, false],
      [2, false],
      [3, false],
    ])
  })

  test('with a key publishes once', async () => {
    const { connect, publish } = start({ canPublish: () => true })
    const one = connect()
    await one.subscribe()
    const once = publish.with({ key: 'order 7' })
    const first = await once.acknowledged('chat:1', 'said', 'chat:1', 1)
    expect(await once.acknowledged('chat:1', 'said', 'chat:1', 1)).toEqual({ ...first, duplicate: true })
    const { api, peer } = one
    const mine = await peer.until(api.publishOnce('order 7', 'chat:1', 'said', 'chat:1', 2))
    expect(mine).toMatchObject({ offset: 2, duplicate: false })
    expect(await peer.until(api.publishOnce('order 7', 'chat:1', 'said', 'chat:1', 2))).toEqual({
      ...mine,
      duplicate: true,
    })
    // The same key of another session is another one.
    const other = connect()
    const theirs = other.api.publishOnce('order 7', 'chat:1', 'said', 'chat:1', 3)
    expect(await other.peer.until(theirs)).toMatchObject({ offset: 3, duplicate: false })
    await settle(one)
    expect(one.heard).toEqual([1, 2, 3])
    expect(() => once.all('said', 'x', 1)).toThrow(code('INVALID_ARGUMENTS'))
  })

  test('spares whom it is told to, without a gap', async () => {
    const { connect, publish } = start()
    const [one, two, plain] = [connect(), connect(), connect(pubsubClient)]
    for (const { subscribe } of [one, two, plain]) await subscribe()
    for (const { peer } of [one, plain]) {
      await publish.with({ except: peer.id! }).acknowledged('chat:1', 'said', 'chat:1', 1)
    }
    await publish.acknowledged('chat:1', 'said', 'chat:1', 2)
    publish.with({ except: one.peer.id! }).all('said', 'all', 3)
    await settle(one, two, plain)
    expect([one.heard, two.heard, plain.heard]).toEqual([
      [1, 2],
      [1, 1, 2, 3],
      [1, 2, 3],
    ])
    expect(one.told).toEqual([])
    expect(one.api.position('chat:1')?.offset).toBe(3)
  })

  test('of clients is acknowledged when the engine has it', async () => {
    const { connect, engine } = start({ canPublish: () => true })
    const { api, peer } = connect()
    const place = await peer.until(api.publish('chat:1', 'said', 'chat:1', 1))
    expect(place).toEqual({ epoch: expect.any(String), offset: 1, duplicate: false })
    expect(await peer.until(api.publish('live', 'said', 'live', 1))).toBeUndefined()
    expect(await peer.until(api.publish(undefined, 'said', 'all', 1))).toBeUndefined()
    await engine.close()
    const failing = peer.until(api.publish('chat:1', 'said', 'chat:1', 2))
    await expect(failing).rejects.toEqual(code('ENGINE_UNAVAILABLE'))
  })

  test('fails with the engine, at once or in the log', async () => {
    const { node, engine, publish } = start()
    await engine.close()
    const failing = publish.acknowledged('chat:1', 'said', 'chat:1', 1)
    await expect(failing).rejects.toEqual(code('ENGINE_UNAVAILABLE'))
    publish.channel('chat:1', 'said', 'chat:1', 1)
    await new Promise(setImmediate)
    expect(node.lines).toContain('a publication to chat:1 failed')
  })

  test('refuses names that an engine cannot keep', async () => {
    const { publish } = start()
    for (const name of [`chat:${'€'.repeat(200)}`, 'chat:\ud800', 'chat:\n']) {
      await expect(publish.acknowledged(name, 'said', 'x', 1)).rejects.toEqual(code('INVALID_ARGUMENTS'))
    }
  })

  test('is checked by the schema of the channel, from servers and clients', async () => {
    const { node, connect, publish } = start({
      canPublish: () => true,
      channels: {
        table: { ...HISTORY, schema: { said: z.tuple([z.string(), z.number().int()]) } },
        whole: { schema: z.tuple([z.literal('said'), z.string(), z.coerce.number<number>()]) },
        late: { schema: z.array(z.any()).refine(async () => true) },
      },
    })
    const { api, peer } = connect()
    await publish.acknowledged('table', 'said', 'a', 1)
    await expect(publish.acknowledged('table', 'said', 'a', 1.5)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENTS',
      data: { issues: [{ path: [1] }] },
    })
    await expect(publish.acknowledged('table', 'other' as 'said', 'a', 1)).rejects.toEqual(
      code('INVALID_ARGUMENTS'),
    )
    await expect(peer.until(api.publish('table', 'said', 'a', 1.5))).rejects.toEqual(
      code('INVALID_ARGUMENTS'),
    )
    expect(() => publish.channel('whole', 'other' as 'said', 'a', 1)).toThrow(code('INVALID_ARGUMENTS'))
    expect(() => publish.channel('late', 'said', 'a', 1)).toThrow(code('INVALID_OPTION'))
    expect((await node.api.history('table')).entries).toHaveLength(1)
  })
})

describe('hooks', () => {
  test('of a channel are asked instead of those of the service, the longest pattern first', async () => {
    const { connect } = start({
      canSubscribe: () => false,
      canPublish: () => false,
      channels: {
        'chat:*': { ...HISTORY, canSubscribe: () => true },
        'chat:staff:*': { canSubscribe: async () => false },
        'chat:staff:all': { canSubscribe: () => true, canPublish: () => true },
        '*': { canPublish: () => true },
      },
    })
    const { api, peer } = connect()
    for (const name of ['chat:1', 'chat:staff:all']) await peer.until(api.subscribe(name))
    for (const name of ['chat:staff:1', 'other']) {
      await expect(peer.until(api.subscribe(name))).rejects.toEqual(code('FORBIDDEN'))
    }
    await peer.until(api.publish('chat:staff:all', 'said', 'x', 1))
    await peer.until(api.publish('other', 'said', 'x', 1))
    await expect(peer.until(api.publish('chat:1', 'said', 'x', 1))).rejects.toEqual(code('FORBIDDEN'))
    await expect(peer.until(api.publish(undefined, 'said', 'x', 1))).rejects.toEqual(code('FORBIDDEN'))
  })

  test('that refuse who comes back end the subscription, and it is told', async () => {
    let open = true
    const { node, connect, say } = start({ canSubscribe: () => open })
    const one = connect()
    await one.subscribe()
    open = false
    one.peer.drop()
    one.peer.connect(node)
    await settle(one)
    expect(one.told).toEqual([
      ['chat:1', { recovered: false, reason: 'refused', count: 0, error: code('FORBIDDEN') }],
    ])
    expect(one.api.position('chat:1')).toBeUndefined()
    await say('chat:1', 1)
    await settle(one)
    expect(one.heard).toEqual([])
  })

  test('are not waited for by who has left meanwhile', async () => {
    const verdicts: ((verdict: boolean) => void)[] = []
    const { connect, say } = start({ canSubscribe: () => new Promise(resolve => verdicts.push(resolve)) })
    const one = connect()
    const first = one.api.subscribe('chat:1')
    one.api.unsubscribe('chat:1')
    const second = one.api.subscribe('chat:1')
    one.peer.pump()
    verdicts[0]!(true)
    await expect(one.peer.until(first)).rejects.toEqual(code('CANCELLED'))
    verdicts[1]!(true)
    await one.peer.until(second)
    await say('chat:1', 1)
    await settle(one)
    expect(one.heard).toEqual([1])
  })
})

describe('an engine that is down', () => {
  test('refuses new subscriptions; those of before are asked for again until it is up', async () => {
    const engine = memory()
    const { log } = engine
    const down = new SocketStreamError('ENGINE_UNAVAILABLE', 'Down')
    const { node, connect, say } = start({ engine })
    const one = connect()
    await one.subscribe()
    await say('chat:1', 1)
    await settle(one)
    one.peer.drop()
    await say('chat:1', 2)
    await settle()
    const refuse = [
      vi.spyOn(log, 'subscribe').mockRejectedValue(down),
      vi.spyOn(log, 'history').mockRejectedValue(down),
    ]
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    await expect(connect().subscribe()).rejects.toEqual(down)
    one.peer.connect(node)
    await settle(one)
    const unavailable = ['chat:1', { recovered: false, reason: 'unavailable', count: 0 }]
    expect(one.told).toEqual([unavailable])
    vi.advanceTimersByTime(500)
    await settle(one)
    expect(one.told).toEqual([unavailable, unavailable])
    for (const spy of refuse) spy.mockRestore()
    vi.advanceTimersByTime(1000)
    await settle(one)
    expect(one.told.at(-1)).toEqual(['chat:1', { recovered: true, count: 1 }])
    expect(one.heard).toEqual([1, 2])
    // What was read is let go of.
    vi.advanceTimersByTime(1000)
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('subscriptions', () => {
  test('are counted', async () => {
    const { connect, say } = start()
    const one = connect()
    await Promise.all([one.subscribe(), one.subscribe()])
    one.api.unsubscribe('chat:1')
    await say('chat:1', 1)
    await settle(one)
    one.api.unsubscribe('chat:1')
    await settle(one)
    await say('chat:1', 2)
    await settle(one)
    expect(one.heard).toEqual([1])
  })

  test('from the end do not recover, if so wished', async () => {
    const { node, connect, say } = start()
    const one = connect()
    await one.peer.until(one.api.subscribe('chat:1', { recover: false }))
    await say('chat:1', 1)
    await settle(one)
    one.peer.drop()
    await say('chat:1', 2)
    one.peer.connect(node)
    await settle(one)
    await say('chat:1', 3)
    await settle(one)
    expect(one.heard).toEqual([1, 3])
  })

  test('are bounded for each connection', async () => {
    const { connect } = start({ limits: { maxFrame: 2 ** 20, topics: 2 } })
    const one = connect()
    await one.subscribe('a')
    await one.subscribe('b')
    await expect(one.subscribe('c')).rejects.toEqual(code('OVERLOADED'))
    one.api.unsubscribe('a')
    await one.subscribe('c')
  })

  test('occupy their channel on the server and the engine, until the last one ends', async () => {
    const engine = memory()
    const subscribe = vi.spyOn(engine.log, 'subscribe')
    const { node, connect, say } = start({ engine })
    const events: string[] = []
    node.api.on('occupied', channel => events.push(`+${channel}`))
    const off = node.api.on('vacated', channel => events.push(`-${channel}`))
    node.api.on('vacated', () => {
      throw new Error('Listener')
    })
    const [one, two, plain] = [connect(), connect(), connect(pubsubClient)]
    for (const { subscribe } of [one, two, plain]) await subscribe()
    expect(subscribe).toHaveBeenCalledTimes(1)
    one.api.unsubscribe('chat:1')
    two.peer.drop()
    await settle(one)
    expect(events).toEqual(['+chat:1'])
    plain.peer.drop()
    await settle(one)
    expect(events).toEqual(['+chat:1', '-chat:1'])
    expect(node.lines).toContain("a listener for 'vacated' failed")
    off()
    await one.subscribe()
    expect(subscribe).toHaveBeenCalledTimes(2)
    node.server.onstop?.()
    await say('chat:1', 1)
    await settle(one)
    expect(one.heard).toEqual([])
  })

  test.each([
    [['subscribe', ''], 'INVALID_ARGUMENTS'],
    [['subscribe', 'chat:1', 7], 'INVALID_ARGUMENTS'],
    [['subscribe', 'chat:1', ['e', -1]], 'INVALID_ARGUMENTS'],
    [['unsubscribe', 7], 'INVALID_ARGUMENTS'],
    [['history', 'chat:1', { limit: 0 }], 'INVALID_ARGUMENTS'],
    [['history', 'chat:1', { since: 'x' }], 'INVALID_ARGUMENTS'],
    [['once', '', 'chat:1', 'said'], 'INVALID_ARGUMENTS'],
    [['once', 'key', 'live', 'said'], 'INVALID_ARGUMENTS'],
    [['unknown'], 'UNKNOWN_METHOD'],
    ['subscribe', 'INVALID_ARGUMENTS'],
  ])('by a hand that writes %j are refused', async (payload, wanted) => {
    const { node } = start({ canPublish: () => true })
    let service: Parameters<typeof channelsClient.client>[0] | undefined
    const peer = new Peer({
      client(given) {
        service = given
        return {}
      },
    })
    peer.connect(node)
    await expect(peer.until(service!.call(payload))).rejects.toEqual(code(wanted))
  })
})

describe('pubsub({ channels })', () => {
  test.each([
    [null],
    [[]],
    [{ '': {} }],
    [{ 'a*b': {} }],
    [{ a: null }],
    [{ a: { histroy: {} } }],
    [{ a: { history: {} } }],
    [{ a: { history: { size: 0 } } }],
    [{ a: { history: { size: 1, ttl: 0.5 } } }],
    [{ a: { history: { size: 1, max: 2 } } }],
    [{ a: { history: { size: 1 }, recover: { limit: 0 } } }],
    [{ a: { recover: true } }],
    [{ a: { cache: true } }],
    [{ a: { history: { size: 1 }, cache: 1 } }],
    [{ a: { schema: {}, canPublish: 1 } }],
    [{ a: { schema: { said: {} } } }],
  ])('refuses %j', channels => {
    expect(() => pubsub({ channels: channels as never })).toThrow(code('INVALID_OPTION'))
  })

  test('needs an engine with a log for histories, and for nothing else', () => {
    const { log: _log, ...engine } = memory()
    expect(() => start({ engine })).toThrow(code('INVALID_OPTION'))
    start({ engine, channels: { live: {} } })
  })

  test('asks for sessions only when a hook can look at them', () => {
    expect(pubsub({ channels: {} }).use?.sessions).toBe(false)
    expect(pubsub({ channels: { a: { canPublish: () => true } } }).use?.sessions).toBe(true)
    expect(pubsub({ channels: {}, canSubscribe: () => true }).use?.sessions).toBe(true)
  })
})
