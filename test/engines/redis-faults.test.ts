import { expect, test } from 'vitest'
import type { Position } from '../../src/engines/log.js'
import { redis } from '../../src/engines/redis.js'
import { PUBLISH } from '../../src/engines/redis-scripts.js'
import { describeRedis, redisClient } from '../support/redis.js'

const KEPT = { size: 10_000, ttl: 3_600_000 }

describeRedis('a Redis engine and its faults', server => {
  const engine = (prefix: string, options: object = {}) =>
    redis({ url: `redis://127.0.0.1:${server().port}`, prefix, ...options })

  test('loses and repeats nothing acknowledged while its connections are killed', async () => {
    const publisher = engine('kills')
    const hearer = engine('kills')
    const killer = await redisClient(server().port)
    const heard: string[] = []
    const gaps: string[] = []
    let done = () => {}
    const whole = new Promise<void>(resolve => {
      done = resolve
    })
    await hearer.log.subscribe('a', {
      entry: ({ payload }) => {
        heard.push(String(Buffer.from(payload)))
        if (heard.at(-1) === 'last') done()
      },
      gap: reason => void gaps.push(reason),
    })
    const acked: string[] = []
    for (let i = 0; i < 400; i++) {
      if (i % 100 === 50) {
        for (const type of ['normal', 'pubsub']) {
          await killer.sendCommand(['CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes'])
        }
      }
      const name = i === 399 ? 'last' : `m${i}`
      while (acked.at(-1) !== name) {
        await publisher.log.publish('a', Buffer.from(name), { ...KEPT, key: name }).then(
          () => acked.push(name),
          () => new Promise(setImmediate),
        )
      }
    }
    await whole
    expect(heard).toEqual(acked)
    expect(gaps).toEqual([])
    await Promise.all([publisher.close(), hearer.close()])
    killer.destroy()
  })

  test('begins a new epoch and says so after a restart that forgot everything', async () => {
    const one = engine('restart')
    const gapped = new Promise<[string, Position]>(resolve => {
      void one.log.subscribe('a', { entry: () => {}, gap: (...gap) => resolve(gap) })
    })
    const before = await one.log.publish('a', Buffer.from('1'), KEPT)
    await server().kill()
    await server().start()
    const [reason, position] = await gapped
    expect([reason, position.epoch === before.epoch, position.offset]).toEqual(['epoch', false, 0])
    const after = await one.log.publish('a', Buffer.from('2'), KEPT)
    expect([after.offset, after.epoch]).toEqual([1, position.epoch])
    await one.close()
  })

  test('finds by its check of positions that everything was flushed', async () => {
    const one = engine('flushed', { checkEvery: 50 })
    const { epoch } = await one.log.publish('a', Buffer.from('1'), KEPT)
    const gapped = new Promise<[string, Position]>(resolve => {
      void one.log.subscribe('a', { entry: () => {}, gap: (...gap) => resolve(gap) }).then(() => flush())
    })
    const flush = async () => {
      const client = await redisClient(server().port)
      await client.sendCommand(['FLUSHALL'])
      client.destroy()
    }
    const [reason, position] = await gapped
    expect([reason, position.offset, position.epoch === epoch]).toEqual(['epoch', 0, false])
    await one.close()
  })

  test('finds by its check of positions that the last message has not come', async () => {
    const one = engine('last', { checkEvery: 50 })
    const client = await redisClient(server().port)
    const heard: string[] = []
    const gaps: string[] = []
    let second = () => {}
    const came = new Promise<void>(resolve => {
      second = resolve
    })
    await one.log.subscribe('a', {
      entry: ({ payload }) => {
        if (heard.push(String(Buffer.from(payload))) === 2) second()
      },
      gap: reason => void gaps.push(reason),
    })
    await one.log.publish('a', Buffer.from('1'), KEPT)
    const keys = (await client.sendCommand(['KEYS', '*last*'])) as string[]
    const [meta = '', stream = ''] = [':m', ':s'].map(end => keys.find(key => key.endsWith(end)))
    // Publishes as another server does, but for the message that tells of it.
    const silent = PUBLISH.text.replace(/redis\.call\('PUBLISH'.*/, '')
    expect(silent).not.toBe(PUBLISH.text)
    const numbers = JSON.stringify([1, 1, KEPT.size, KEPT.ttl, 0, 1])
    await client.sendCommand(['EVAL', silent, '2', meta, stream, 'new', numbers, '2', '1000'])
    await came
    expect([heard, gaps]).toEqual([['1', '2'], []])
    client.destroy()
    await one.close()
  })

  test('fails every call within its deadline while Redis is frozen, and goes on after', async () => {
    const one = engine('frozen', { deadline: 300 })
    await one.kv.set('a', Buffer.from('1'))
    server().freeze()
    try {
      const calls = [
        one.kv.get('a'),
        one.log.publish('a', Buffer.from('1')),
        one.bus.send('n', Buffer.from('1')),
      ]
      const codes = await Promise.all(calls.map(call => call.then(String, error => error.code)))
      expect(codes).toEqual(calls.map(() => 'ENGINE_UNAVAILABLE'))
    } finally {
      server().thaw()
    }
    let version: number | undefined
    while (version === undefined)
      version = await one.kv.get('a').then(
        entry => entry?.version,
        () => undefined,
      )
    expect(version > 0).toBe(true)
    await one.close()
  })

  test('does not do later what has failed while Redis was away', async () => {
    const one = engine('away', { deadline: 100 })
    await one.kv.set('before', Buffer.from('1'))
    const down = new Promise(resolve => one.on('down', resolve))
    await server().kill()
    await down
    const calls = Array.from({ length: 20 }, (_, at) => [
      one.kv.set(`key ${at}`, Buffer.from('1')),
      one.log.publish('a', Buffer.from('1'), KEPT),
      one.lease.acquire(`lease ${at}`, 60_000, 'node'),
    ])
    const codes = await Promise.all(
      calls.flat().map(call =>
        call.then(
          () => 'done',
          error => error.code,
        ),
      ),
    )
    expect(new Set(codes)).toEqual(new Set(['ENGINE_UNAVAILABLE']))
    const up = new Promise<void>(resolve => one.on('up', resolve))
    await server().start()
    await up
    // The next call is behind whatever would still be sent.
    expect((await one.log.publish('a', Buffer.from('1'), KEPT)).offset).toBe(1)
    expect(await one.kv.keys()).toEqual([])
    expect(await one.lease.current('lease 0')).toBe(undefined)
    await one.close()
  })
})
