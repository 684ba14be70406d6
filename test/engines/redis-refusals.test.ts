import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Engine } from '../../src/engines/engine.js'
import { Events } from '../../src/engines/events.js'
import { redis } from '../../src/engines/redis.js'
import { RedisLink, Script } from '../../src/engines/redis-link.js'
import { describeRedis, describeServers, freePort, RedisServer, redisClient } from '../support/redis.js'
import { until } from '../support/redis-cluster.js'
import { FakeWire } from '../support/redis-wire.js'

const SCRIPT = new Script('return 1', 1)
const READONLY = "READONLY You can't write against a read only replica."

/** What an engine or a link tells of itself. */
function told({ on }: Pick<Engine, 'on'>) {
  const events: string[] = []
  const causes: string[] = []
  on('down', cause => {
    events.push('down')
    causes.push((cause as Error).message)
  })
  on('up', () => void events.push('up'))
  return { events, causes, up: () => until(async () => events.at(-1) === 'up') }
}

const outcomeOf = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    error => (error as Error).message,
  )

describe('a link to a Redis that refuses its calls', () => {
  afterEach(() => void vi.useRealTimers())

  /** A link to a Redis that refuses to load scripts for as long as it is told to. */
  function link(refusal: string | undefined) {
    vi.useFakeTimers()
    const wire = new FakeWire()
    const events = new Events()
    const state = { refusal }
    const refuse = () => {
      if (state.refusal) throw new Error(state.refusal)
    }
    wire.loading = refuse
    const { events: heard } = told(events)
    const made = new RedisLink(wire.connected, 1000, [SCRIPT], events)
    return { wire, events, state, heard, link: made, refuse }
  }

  test.each([
    'LOADING Redis is loading the dataset in memory',
    'BUSY Redis is busy running a script.',
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    READONLY,
  ])('tries again until it is over, while calls wait within their deadline: %s', async refusal => {
    const { state, heard, link: one } = link(refusal)
    const calls = ['a', 'b'].map(key => outcomeOf(one.run(SCRIPT, [key])))
    await vi.advanceTimersByTimeAsync(5000)
    const over = `redis: it was not sent, as it is down: ${refusal}`
    expect([await Promise.all(calls), heard]).toEqual([[over, over], ['down']])
    const held = outcomeOf(one.run(SCRIPT, ['c']))
    state.refusal = undefined
    await vi.advanceTimersByTimeAsync(1000)
    expect([await held, heard]).toEqual(['done', ['down', 'up']])
    one.close()
    expect(vi.getTimerCount()).toBe(0)
  })

  test('goes on without loading where that is not allowed', async () => {
    const { heard, link: one } = link("NOPERM this user has no permissions to run the 'script|load' command")
    await one.run(SCRIPT, ['a'])
    expect(heard).toEqual([])
    one.close()
  })

  test('holds calls that follow one that was refused, and does them in order before those of `up`', async () => {
    const { wire, events, state, heard, link: one, refuse } = link(undefined)
    const done: string[] = []
    wire.answer = (_words, key) => {
      refuse()
      done.push(key)
      return null
    }
    await one.run(SCRIPT, ['first'])
    state.refusal = READONLY
    expect(await outcomeOf(one.run(SCRIPT, ['refused']))).toMatch(/READONLY/)
    expect(heard).toEqual(['down'])
    const held = ['a', 'b'].map(key => one.run(SCRIPT, [key]))
    events.on('up', () => held.push(one.run(SCRIPT, ['c'])))
    await vi.advanceTimersByTimeAsync(500)
    state.refusal = undefined
    await vi.advanceTimersByTimeAsync(1000)
    await Promise.all(held)
    expect(done.filter(key => key !== 'undefined')).toEqual(['first', 'a', 'b', 'c'])
    expect(heard).toEqual(['down', 'up'])
    one.close()
  })

  test('leaves what one master of a cluster refuses to its calls', async () => {
    vi.useFakeTimers()
    const wire = new FakeWire(true)
    const events = new Events()
    const { events: heard } = told(events)
    const one = new RedisLink(wire.connected, 1000, [SCRIPT], events)
    await one.run(SCRIPT, ['a'])
    wire.answer = (_words, key) => {
      if (key === 'a') throw new Error(READONLY)
      return null
    }
    expect(await outcomeOf(one.run(SCRIPT, ['a']))).toMatch(/READONLY/)
    expect([await outcomeOf(one.run(SCRIPT, ['b'])), heard]).toEqual(['done', []])
    one.close()
  })
})

describeRedis('an engine on a Redis that refuses its calls', server => {
  const engine = (prefix: string) => redis({ url: `redis://127.0.0.1:${server().port}`, prefix })

  test.each([
    ['yes', /READONLY/],
    ['no', /MASTERDOWN/],
  ])('is down while Redis is a replica with stale data %s, and goes on by itself', async (stale, cause) => {
    const one = engine(`replica ${stale}`)
    const { events, causes, up } = told(one)
    const admin = await redisClient(server().port)
    await admin.sendCommand(['CONFIG', 'SET', 'replica-serve-stale-data', stale])
    await one.kv.set('a', Buffer.from('1'))
    const gaps: string[] = []
    await one.log.subscribe('a', { entry() {}, gap: reason => void gaps.push(reason) })
    await admin.sendCommand(['REPLICAOF', '127.0.0.1', String(await freePort())])
    expect(await outcomeOf(one.kv.set('a', Buffer.from('2')))).toMatch(cause)
    const held = one.kv.set('a', Buffer.from('3'))
    await admin.sendCommand(['REPLICAOF', 'NO', 'ONE'])
    await held
    await up()
    expect(events).toEqual(['down', 'up'])
    expect(causes[0]).toMatch(cause)
    expect(String(Buffer.from((await one.kv.get('a'))!.value))).toBe('3')
    // It may have been another one that was written to meanwhile.
    await until(async () => gaps.length > 0)
    expect(gaps).toEqual(['epoch'])
    admin.destroy()
    await one.close()
  })

  test('is down while a script holds Redis up, and goes on by itself', async () => {
    const one = engine('busy')
    const { events, causes, up } = told(one)
    const [admin, other] = await Promise.all([redisClient(server().port), redisClient(server().port)])
    await admin.sendCommand(['CONFIG', 'SET', 'busy-reply-threshold', '20'])
    await one.kv.get('a')
    const endless = outcomeOf(other.sendCommand(['EVAL', 'while true do end', '0']))
    await until(async () => /BUSY/.test(await outcomeOf(one.kv.get('a'))))
    const held = one.kv.get('a')
    await admin.sendCommand(['SCRIPT', 'KILL'])
    await held
    await up()
    expect([events, await endless]).toEqual([['down', 'up'], expect.stringMatching(/killed/)])
    expect(causes[0]).toMatch(/BUSY/)
    for (const client of [admin, other]) client.destroy()
    await one.close()
  })

  test('works for a user that may not load scripts', async () => {
    const admin = await redisClient(server().port)
    const rules = ['on', 'nopass', '~*', '&*', '+@all', '-script|load']
    await admin.sendCommand(['SCRIPT', 'FLUSH'])
    await admin.sendCommand(['ACL', 'SETUSER', 'some', ...rules])
    const one = redis({ url: `redis://some:any@127.0.0.1:${server().port}`, prefix: 'acl' })
    const { events } = told(one)
    await one.kv.set('a', Buffer.from('1'))
    expect(events).toEqual([])
    admin.destroy()
    await one.close()
  })

  test('is told of by every engine that was there before it', async () => {
    await server().kill()
    const engines = Array.from({ length: 10 }, (_, i) => engine(`before ${i}`))
    const each = engines.map(told)
    await until(async () => each.every(({ events }) => events.length > 0))
    await server().start()
    await Promise.all(each.map(({ up }) => up()))
    expect(each.map(({ events }) => events)).toEqual(engines.map(() => ['down', 'up']))
    await Promise.all(engines.map(one => one.close()))
  })
})

describeServers(
  'an engine on a Redis that takes long to load',
  () => new RedisServer({ 'key-load-delay': '10000', 'loading-process-events-interval-bytes': '1024' }),
  server => {
    test('goes on once it has loaded', async () => {
      const admin = await redisClient(server().port)
      const value = 'x'.repeat(5000)
      const names = Array.from({ length: 200 }, (_, i) => `k${i}`)
      await Promise.all(names.map(name => admin.sendCommand(['SET', name, value])))
      await admin.sendCommand(['SAVE'])
      const one = redis({ url: `redis://127.0.0.1:${server().port}`, deadline: 300 })
      const { events, up } = told(one)
      await one.kv.get('a')
      await server().kill()
      await until(async () => events.includes('down'))
      const starting = server().start()
      // There is nobody, then one that loads for two seconds.
      await until(async () => /LOADING/.test(await outcomeOf(one.kv.get('a'))))
      await starting
      await up()
      await one.kv.get('a')
      expect(events).toEqual(['down', 'up'])
      admin.destroy()
      await one.close()
    })
  },
)
