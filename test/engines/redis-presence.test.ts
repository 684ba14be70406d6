import { expect, onTestFinished, test } from 'vitest'
import type { PresenceHandler } from '../../src/engines/presence.js'
import { redis } from '../../src/engines/redis.js'
import { describeRedis, redisClient } from '../support/redis.js'
import { until } from '../support/redis-cluster.js'

const LONG = 3_600_000
const INFO = Buffer.from('x')

describeRedis('presence in Redis', server => {
  let count = 0
  async function begin() {
    const prefix = `p${++count}`
    const engine = () => {
      const made = redis({ url: `redis://127.0.0.1:${server().port}`, prefix, deadline: 30_000 })
      onTestFinished(() => made.close())
      return made.presence
    }
    const asker = await redisClient(server().port)
    onTestFinished(() => asker.destroy())
    const ask = async (...words: string[]) => (await asker.sendCommand(words)) as unknown
    const keys = ['t', 'i', 'n'].map(rest => `${prefix}:presence:{a}:${rest}`) as [string, string, string]
    /** Ends the time of members, at once. */
    const end = (pattern: string) =>
      ask(
        'EVAL',
        "for _, who in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do if string.find(who, ARGV[1]) then redis.call('ZADD', KEYS[1], 1, who) end end",
        '1',
        keys[0],
        pattern,
      )
    return { engine, ask, keys, end }
  }

  /** What a watcher hears. */
  function hearing() {
    const heard: string[] = []
    const handler: Required<PresenceHandler> = {
      joined: ({ member }) => void heard.push(`${member} joined`),
      left: ({ member }, reason) => void heard.push(`${member} ${reason}`),
      gap: () => void heard.push('gap'),
    }
    return { heard, handler }
  }

  async function joinMany(presence: ReturnType<typeof redis>['presence'], names: readonly string[]) {
    for (let at = 0; at < names.length; at += 1000) {
      await Promise.all(names.slice(at, at + 1000).map(name => presence.join('a', name, INFO, LONG)))
    }
  }

  test('tells watchers of a gap when Redis has lost its data and nothing else happens', async () => {
    const { engine, ask } = await begin()
    const presence = engine()
    const { heard, handler } = hearing()
    await presence.watch('a', handler)
    await presence.join('a', 'ann', INFO, 2000)
    await until(async () => heard.length > 0)
    await ask('FLUSHALL')
    await until(async () => heard.length > 1)
    expect(heard).toEqual(['ann joined', 'gap'])
  }, 30_000)

  test('tells watchers of a gap at once when somebody comes after its data were lost', async () => {
    const { engine, ask } = await begin()
    const presence = engine()
    await presence.join('a', 'ann', INFO, LONG)
    const { heard, handler } = hearing()
    await presence.watch('a', handler)
    // What is heard from here on follows what is read.
    expect((await presence.members('a')).length).toBe(1)
    await ask('FLUSHALL')
    await engine().join('a', 'bob', INFO, LONG)
    await until(async () => heard.length > 1)
    expect(heard).toEqual(['bob joined', 'gap'])
  })

  test('tells of no gap while nothing is lost, also in channels that are empty in between', async () => {
    const { engine } = await begin()
    const presence = engine()
    const other = engine()
    const { heard, handler } = hearing()
    await presence.watch('a', handler)
    for (let round = 0; round < 200; round++) {
      await Promise.all(['ann', 'bob'].map(name => other.join('a', name, INFO, LONG)))
      await presence.members('a')
      await Promise.all(['ann', 'bob'].map(name => other.leave('a', name)))
      if (round % 50 > 0) continue
      await other.join('a', 'eve', INFO, 1)
      await until(async () => heard.at(-1) === 'eve expired')
    }
    await until(async () => heard.length === 200 * 4 + 8)
    // Swept a second later at the earliest, if anything were in doubt.
    await other.join('a', 'last', INFO, 2500)
    await until(async () => heard.at(-1) === 'last expired')
    expect(heard).not.toContain('gap')
  }, 30_000)

  test('tells in time who has gone from the last of many watched channels, with few calls', async () => {
    const { engine, ask } = await begin()
    const presence = engine()
    const { handler } = hearing()
    for (let at = 0; at < 10; at++) {
      const names = Array.from({ length: 1000 }, (_, i) => `c${at}-${i}`)
      await Promise.all(names.map(name => presence.watch(name, handler)))
    }
    const last = hearing()
    await presence.watch('a', last.handler)
    await ask('CONFIG', 'RESETSTAT')
    const began = performance.now()
    await presence.join('a', 'ann', INFO, 500)
    await until(async () => last.heard.length === 2)
    expect(performance.now() - began).toBeLessThan(5000)
    expect(last.heard).toEqual(['ann joined', 'ann expired'])
    const calls = /cmdstat_evalsha:calls=(\d+)/.exec(String(await ask('INFO', 'commandstats')))
    // All of them were due since: by hundreds.
    expect(Number(calls?.[1])).toBeLessThan(300)
  }, 60_000)

  test('reads a page for about as much among 20,000 members as among 200', async () => {
    const { engine, ask } = await begin()
    const presence = engine()
    const cost = async () => {
      let least = Number.POSITIVE_INFINITY
      for (let round = 0; round < 7; round++) {
        await ask('CONFIG', 'RESETSTAT')
        expect((await presence.members('a', { after: 'm00050', limit: 100 })).length).toBe(100)
        const stats = /cmdstat_evalsha:calls=1,usec=(\d+)/.exec(String(await ask('INFO', 'commandstats')))
        least = Math.min(least, Number(stats![1]))
      }
      return least
    }
    const names = Array.from({ length: 20_000 }, (_, i) => `m${String(i).padStart(5, '0')}`)
    await joinMany(presence, names.slice(0, 200))
    const few = await cost()
    await joinMany(presence, names.slice(200))
    expect((await cost()) / few).toBeLessThan(5)
  }, 60_000)

  test('lists more than one call gives, by the bytes of their names', async () => {
    const { engine } = await begin()
    const presence = engine()
    const names = Array.from({ length: 2500 }, (_, i) => `${i % 2 ? 'ä' : 'z'}${i}`)
    await joinMany(presence, names)
    const sorted = [...names].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)))
    const listed = async (options: object) =>
      (await presence.members('a', options)).map(({ member }) => member)
    expect(await listed({ limit: 5000 })).toEqual(sorted)
    expect(await listed({ limit: 2100, after: sorted[9] })).toEqual(sorted.slice(10, 2110))
  })

  test('neither lists nor counts those whose time is over, however many they are', async () => {
    const { engine, keys, ask, end } = await begin()
    const presence = engine()
    const gone = Array.from({ length: 4500 }, (_, i) => `m${String(i).padStart(4, '0')}`)
    await joinMany(presence, [...gone, 'ann', 'm2000b', 'zoe'])
    await end('^m%d+$')
    expect(await presence.count('a')).toBe(3)
    // Some of them are still there to be dropped.
    expect(await ask('ZCARD', keys[0])).toBeGreaterThan(3000)
    expect(await presence.refresh('a', 'm4400', LONG)).toBe(false)
    expect(await presence.leave('a', 'm4401')).toBe(false)
    const page = await presence.members('a', { limit: 2 })
    expect(page.map(({ member }) => member)).toEqual(['ann', 'm2000b'])
    expect(await presence.join('a', 'm4499', INFO, LONG)).toBe(true)
    const all = await presence.members('a', { limit: 10 })
    expect(all.map(({ member }) => member)).toEqual(['ann', 'm2000b', 'm4499', 'zoe'])
  })

  test('tells soon of thousands who have gone at once, each of them once', async () => {
    const { engine, end } = await begin()
    const presence = engine()
    const gone = Array.from({ length: 4500 }, (_, i) => `m${i}`)
    await joinMany(presence, gone)
    const { heard, handler } = hearing()
    await end('^m%d+$')
    await presence.watch('a', handler)
    await until(async () => heard.length >= 4500)
    expect(new Set(heard)).toEqual(new Set(gone.map(name => `${name} expired`)))
    expect(heard.length).toBe(4500)
  })

  test('has its keys end together, and none for a channel without members', async () => {
    const { engine, keys, ask } = await begin()
    const presence = engine()
    await presence.join('a', 'ann', INFO, 1000)
    const ends = await Promise.all(keys.map(key => ask('PEXPIRETIME', key)))
    expect(new Set(ends).size).toBe(1)
    expect(Number(ends[0])).toBeGreaterThan(0)
    await presence.refresh('a', 'ann', LONG)
    const later = await Promise.all(keys.map(key => ask('PEXPIRETIME', key)))
    expect(new Set(later).size).toBe(1)
    expect(Number(later[0]) - Number(ends[0])).toBeGreaterThan(LONG - 2000)
    await presence.leave('a', 'ann')
    expect(await ask('EXISTS', ...keys)).toBe(0)
  })
})
