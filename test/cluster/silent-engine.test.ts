import { describe, expect, onTestFinished, test } from 'vitest'
import { lost, noResponder } from '../../src/cluster/absence.js'
import { Calls, type CallsInit } from '../../src/cluster/calls.js'
import { monotonicClock } from '../../src/cluster/clock.js'
import { Keyed, type KeyedInit } from '../../src/cluster/keyed.js'
import { memory } from '../../src/engines/memory.js'
import { createLogger } from '../../src/log.js'
import { virtualTime } from '../../src/testing/index.js'
import { silent, through } from './engine-faults.js'
import { knows, startNode } from './support.js'

const cluster = { lease: 10_000, deadline: 2000 }

function underVirtualTime() {
  const time = virtualTime()
  onTestFinished(() => time.restore())
  return time
}

/** Two servers that know each other; of one the engine can become silent, as a Redis does that is frozen. */
async function two() {
  const time = underVirtualTime()
  const engine = memory()
  onTestFinished(() => engine.close())
  const state = { isSilent: false }
  const { engine: own } = through(engine, (_name, call) => (state.isSilent ? silent() : call()))
  const other = await time.until(startNode(engine, { cluster }))
  const one = await time.until(startNode(own, { cluster }))
  for (const { app } of [one, other]) {
    onTestFinished(() => time.until(app.stop({ drain: 0 })))
    await knows(app, 1)
  }
  /** How a call ended, and after how many milliseconds. */
  const timed = async (call: Promise<unknown>) => {
    const before = time.elapsed
    const how = await time.until(
      call.then(
        value => value,
        error => [error.code, error.data?.accepted],
      ),
    )
    return [how, time.elapsed - before]
  }
  return {
    time,
    state,
    timed,
    one: one.app.cluster,
    other: other.app.cluster,
    stop: () => one.app.stop({ drain: 0 }),
  }
}

describe('while the engine is silent', () => {
  test.each(['stats', 'connections', 'channels'] as const)(
    '%s gives what is here in time, and names the others',
    async what => {
      const { time, state, timed, one, other } = await two()
      state.isSilent = true
      const [found, ms] = await timed(one[what]({ deadline: 100 }))
      const { nodes, silent: named } = found as Awaited<ReturnType<typeof one.stats>>
      expect([[...nodes.keys()], named, ms]).toEqual([[one.id], [other.id], 100])
      state.isSilent = false
      await time.advance(6000)
      expect(await time.until(one[what]({ deadline: 100 }).then(({ silent }) => silent))).toEqual([])
    },
  )

  test('a query of a server that knows nobody gives what is here', async () => {
    const time = underVirtualTime()
    const engine = memory()
    onTestFinished(() => engine.close())
    const { engine: own } = through(engine, () => silent())
    const { app } = await time.until(startNode(own, { cluster }))
    const { nodes, silent: named } = await time.until(app.cluster.stats({ deadline: 100 }))
    expect([[...nodes.keys()], named]).toEqual([[app.cluster.id], []])
  })

  test('calls end at their deadline, and say that nothing was done', async () => {
    const { state, timed, one } = await two()
    const things = one.keyed('thing', { start: () => ({ call: () => 1 }) })
    state.isSilent = true
    expect(await timed(one.call('nobody knows', null, { deadline: 100 }))).toEqual([['TIMEOUT', false], 100])
    expect(await timed(things.call('a', null, { deadline: 100 }))).toEqual([['TIMEOUT', false], 100])
    const signal = () => {
      const controller = new AbortController()
      setTimeout(() => controller.abort(), 40)
      return controller.signal
    }
    expect(await timed(one.call('nobody knows', null, { signal: signal() }))).toEqual([
      ['CANCELLED', undefined],
      40,
    ])
    expect(await timed(things.call('a', null, { signal: signal() }))).toEqual([['CANCELLED', undefined], 40])
  })

  test('a call that came so far that it was asked for leaves open whether it was done', async () => {
    const { state, timed, one, other, time } = await two()
    const things = [one, other].map(each => each.keyed('thing', { start: () => ({ call: () => 1 }) }))
    other.answer('work', () => 1)
    await things[1]!.call('a')
    await things[0]!.call('a')
    await one.nodes()
    state.isSilent = true
    expect(await timed(one.call('work', null, { deadline: 100 }))).toEqual([['TIMEOUT', 'unknown'], 100])
    expect(await timed(things[0]!.call('a', null, { deadline: 100 }))).toEqual([['TIMEOUT', 'unknown'], 100])
    state.isSilent = false
    await time.advance(6000)
  })

  test('a server stops in twice the deadline of its cluster at most', async () => {
    const { state, timed, one, stop } = await two()
    const things = one.keyed('thing', { start: () => ({ call: () => 1 }) })
    await things.call('a')
    await things.call('b')
    state.isSilent = true
    const [, ms] = await timed(stop())
    expect(ms).toBeLessThanOrEqual(2 * cluster.deadline)
  })
})

describe('a call with an idempotency key that may have been done before', () => {
  const log = createLogger(undefined, 'test')
  const outcomes = { kv: undefined, clock: monotonicClock, lease: 1000 }
  const accepted = (call: Promise<unknown>) => call.then(String, error => error.data?.accepted)
  const once = { idempotencyKey: 'k', deadline: 500 }

  /** What is asked first is lost with its server; what comes then is given. */
  function askedTwice(then: () => Promise<unknown>) {
    let asked = 0
    return () => (asked++ === 0 ? Promise.reject(lost('The server x has gone')) : then())
  }

  test.each([
    ['the engine is silent', () => new Promise<never>(() => undefined)],
    ['nobody is there', async () => []],
  ])('does not say that nothing was done: %s', async (_why, nodes) => {
    const time = underVirtualTime()
    const known = ['x']
    const ask = askedTwice(() => Promise.reject(noResponder('x is not there')))
    const calls = new Calls({
      ...outcomes,
      id: 'own',
      deadline: 500,
      wire: { ask: () => ask() } as unknown as NonNullable<CallsInit['wire']>,
      nodes,
      able: () => known.splice(0),
      announce: () => undefined,
    })
    expect(await time.until(accepted(calls.call('work', null, once)))).toBe('unknown')
  })

  test.each([
    ['the engine is silent', true, () => new Promise<never>(() => undefined)],
    ['it lives nowhere', false, async () => undefined],
  ])('does not say so of what is keyed either: %s', async (_why, begin, then) => {
    const time = underVirtualTime()
    const engine = memory()
    onTestFinished(() => engine.close())
    let looked = 0
    const leases: KeyedInit['leases'] = {
      acquire: (...args) => engine.lease.acquire(...args),
      renew: (...args) => engine.lease.renew(...args),
      release: (...args) => engine.lease.release(...args),
      current: async () => (looked++ === 0 ? { holder: 'x', token: 1, remaining: 1000 } : then()),
    }
    const keyed = new Keyed({
      name: 'thing',
      node: 'own',
      leases,
      ttl: 1000,
      deadline: 500,
      clock: monotonicClock,
      log,
      outcomes,
      behaviour: { start: () => ({ call: () => 1 }) },
      ask: () => Promise.reject(lost('The server x has gone')),
    })
    onTestFinished(() => keyed.stop())
    expect(await time.until(accepted(keyed.call('a', null, { ...once, begin })))).toBe('unknown')
  })
})
