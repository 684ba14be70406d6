import { describe, expect, onTestFinished, test } from 'vitest'
import type { KeyedBehaviour } from '../../src/cluster/keyed.js'
import { memory } from '../../src/engines/memory.js'
import { SocketStreamError } from '../../src/errors.js'
import { fleet } from './keyed-fleet.js'
import { knows, startNode, turns } from './support.js'

const codeOf = (call: Promise<unknown>) => call.then(String, error => error.code)

/** Counts for each key, and says who has counted. */
function counter(name: string, begun: string[] = []): KeyedBehaviour {
  return {
    start({ key, fence, signal }) {
      begun.push(`${key} on ${name}`)
      signal.addEventListener('abort', () => begun.push(`${key} off ${name}`))
      let count = 0
      return {
        call: payload => {
          if (payload === 'throw') throw new SocketStreamError('REFUSED', 'not this')
          count += payload as number
          return { name, count, fence }
        },
      }
    },
  }
}

type Counted = { name: string; count: number; fence: number }

describe('what lives once in a cluster', () => {
  test('begins where it is called first, and is called from everywhere', async () => {
    const engine = memory()
    onTestFinished(() => engine.close())
    const [one, other] = [await startNode(engine), await startNode(engine)]
    await knows(one.app, 1)
    const begun: string[] = []
    const ones = one.app.cluster.keyed('cart', counter('one', begun))
    const others = other.app.cluster.keyed('cart', counter('other', begun))
    // Both at once, and one of them wins.
    const answers = await Promise.all([
      ones.call('a', 1),
      others.call('a', 1),
      ones.call('a', 1),
      others.call('a', 1),
    ])
    const counts = answers.map(answer => (answer as Counted).count).sort()
    expect([counts, new Set(answers.map(answer => (answer as Counted).name)).size]).toEqual([[1, 2, 3, 4], 1])
    expect(begun).toHaveLength(1)
    expect(await codeOf(ones.call('a', 'throw'))).toBe('REFUSED')
    expect(await codeOf(others.call('a', 'throw'))).toBe('REFUSED')
    expect(await others.call('b', 5)).toMatchObject({ name: 'other', count: 5 })
    expect([...ones.keys(), ...others.keys()].sort()).toEqual(['a', 'b'])
  })

  test('moves at once when its server stops, with a greater fence', async () => {
    const engine = memory()
    onTestFinished(() => engine.close())
    const [one, other] = [await startNode(engine), await startNode(engine)]
    await knows(one.app, 1)
    const begun: string[] = []
    const before = (await one.app.cluster.keyed('cart', counter('one', begun)).call('a', 1)) as Counted
    const others = other.app.cluster.keyed('cart', counter('other', begun))
    expect(await others.call('a', 1)).toMatchObject({ name: 'one', count: 2 })
    await one.app.stop({ drain: 0 })
    const after = (await others.call('a', 1)) as Counted
    expect(after).toMatchObject({ name: 'other', count: 1 })
    expect(after.fence).toBeGreaterThan(before.fence)
    expect(begun).toEqual(['a on one', 'a off one', 'a on other'])
    await others.release('a')
    expect([others.keys(), begun.at(-1)]).toEqual([[], 'a off other'])
  })

  test('fails where it cannot begin, and begins at the next call', async () => {
    const engine = memory()
    onTestFinished(() => engine.close())
    const { app } = await startNode(engine)
    let isBroken = true
    const handle = app.cluster.keyed('cart', {
      start() {
        if (isBroken) throw new SocketStreamError('NOT_FOUND', 'no such cart')
        return { call: () => 'here' }
      },
    })
    expect(await codeOf(handle.call('a'))).toBe('NOT_FOUND')
    isBroken = false
    expect(await handle.call('a')).toBe('here')
    expect(() => app.cluster.keyed('cart', counter('x'))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENTS' }),
    )
  })
})

describe('a key whose server has died', () => {
  test("is nobody else's until its lease is over, then moves", async () => {
    const { server, advance, soon, engine, starts } = fleet()
    const [one, other] = [server('one'), server('other')]
    await one.call('a', 1)
    one.kill()
    const refused = await soon(other.call('a', 1).catch(error => [error.code, error.data]))
    expect(refused).toEqual(['TIMEOUT', { accepted: false }])
    await advance(1000)
    expect(await soon(other.call('a', 1))).toMatchObject({ name: 'other', count: 1 })
    const [old, young] = starts.map(({ fence }) => fence)
    expect(young).toBeGreaterThan(old!)
    expect(await engine.lease.renew('$cluster/cart/a', old!, 1000)).toBe(false)
  })

  test('does nothing for a call that has no time left when the lease of a dead server is over', async () => {
    const counts = new Map<string, number>()
    const { server, clock, settle } = fleet(() => ({
      start: ({ key }) => ({
        async call() {
          // Takes a while, as asking a database does.
          await new Promise<void>(resolve => clock.setTimeout(resolve, 5))
          const count = (counts.get(key) ?? 0) + 1
          counts.set(key, count)
          return count
        },
      }),
    }))
    const [one, other] = [server('one'), server('other')]
    const deadlines = Array.from({ length: 100 }, (_, at) => 1000 + at)
    const pass = async (ms: number): Promise<void> => {
      for (let step = 0; step < ms; step++) {
        await settle()
        clock.advance(1)
      }
      await settle()
    }
    const begun = deadlines.map(deadline => one.call(String(deadline)))
    await pass(10)
    await Promise.all(begun)
    one.kill()
    const calls = deadlines.map(deadline =>
      other.call(String(deadline), null, { deadline }).catch(error => [error.code, error.data]),
    )
    await pass(1200)
    const outcomes = await Promise.all(calls)
    expect(new Set(outcomes.map(outcome => JSON.stringify(outcome)))).toEqual(
      new Set(['["TIMEOUT",{"accepted":false}]', '2']),
    )
    // What was not answered was not done.
    const done = deadlines.map(deadline => counts.get(String(deadline)))
    expect(done).toEqual(outcomes.map(outcome => (outcome === 2 ? 2 : 1)))
  })

  test('ends on a server that was paused, before it does anything, and its calls go to the new one', async () => {
    const { server, advance, soon, begun } = fleet()
    const [one, other] = [server('one'), server('other')]
    await one.call('a', 1)
    one.freeze()
    // Heard, and not answered while it is paused: the answer comes from elsewhere.
    const asked = other.call('a', 1, { deadline: 5000 })
    await advance(1500)
    one.thaw()
    expect(await soon(asked)).toMatchObject({ name: 'other', count: 1 })
    expect(begun).toEqual(['a on one', 'a off one', 'a on other'])
    expect(one.keys()).toEqual([])
    expect(await soon(one.call('a', 1))).toMatchObject({ name: 'other', count: 2 })
  })

  test('ends on a server that finds by its renewal that another one has it', async () => {
    const { server, advance, begun, engine, starts } = fleet()
    const one = server('one')
    await one.call('a', 1)
    // As an engine that has lost its data has it.
    await engine.lease.release('$cluster/cart/a', starts[0]!.fence)
    await advance(400)
    expect([one.keys(), begun]).toEqual([[], ['a on one', 'a off one']])
  })

  test('stops answering when its lease cannot be renewed in time', async () => {
    const { server, advance, begun, engine, starts } = fleet()
    let isAway = false
    const one = server('one', {
      acquire: (...args) => engine.lease.acquire(...args),
      renew: (...args) =>
        isAway
          ? Promise.reject(new SocketStreamError('ENGINE_UNAVAILABLE', 'it is away'))
          : engine.lease.renew(...args),
      release: (...args) => engine.lease.release(...args),
      current: (...args) => engine.lease.current(...args),
    })
    await one.call('a', 1)
    isAway = true
    await advance(990)
    expect(one.keys()).toEqual(['a'])
    expect(() => starts[0]!.check()).not.toThrow()
    await advance(400)
    expect([one.keys(), begun]).toEqual([[], ['a on one', 'a off one']])
    expect(() => starts[0]!.check()).toThrow(expect.objectContaining({ code: 'NO_RESPONDER' }))
  })

  test('keeps its lease while it comes to its end, however long that takes', async () => {
    const { server, advance, soon, gate } = fleet()
    const [one, other] = [server('one'), server('other')]
    await one.call('a', 1)
    const opened = gate.shut()
    const released = one.release('a')
    const moved = other.call('a', 1, { deadline: 20_000 })
    await advance(5000)
    expect(other.keys()).toEqual([])
    opened()
    await soon(released)
    expect(await soon(moved)).toMatchObject({ name: 'other', count: 1 })
  })

  test('is called again elsewhere when `check` says so, and not when anything else fails', async () => {
    const { server, advance, soon, gate } = fleet()
    const [one, other] = [server('one'), server('other')]
    await one.call('a', 1)
    const opened = gate.shut()
    const asked = other.call('a', 'wait', { deadline: 5000 })
    await turns(() => gate.waiting > 0)
    // In the middle of it the process is paused; another one could have begun meanwhile.
    one.freeze()
    await advance(1500)
    one.thaw()
    opened()
    expect(await soon(asked)).toMatchObject({ name: 'other', count: 1 })
    expect(await codeOf(soon(other.call('a', 'throw')))).toBe('REFUSED')
  })
})

describe('a call with an idempotency key', () => {
  test('runs once, wherever it is made, and is answered from its outcome after a death', async () => {
    const { server, advance, soon } = fleet()
    const [one, other] = [server('one'), server('other')]
    const options = { idempotencyKey: 'k', deadline: 20_000 }
    const first = await one.call('a', 1, options)
    expect(await soon(other.call('a', 1, options))).toEqual(first)
    expect(await codeOf(soon(other.call('a', 2, options)))).toBe('IDEMPOTENCY_MISMATCH')
    one.kill()
    await advance(1000)
    expect(await soon(other.call('a', 1, options))).toEqual(first)
    expect(await soon(other.call('a', 1))).toMatchObject({ name: 'other', count: 1 })
    const refused = { idempotencyKey: 'r' }
    expect(await codeOf(soon(other.call('a', 'throw', refused)))).toBe('REFUSED')
    expect(await codeOf(soon(other.call('a', 'throw', refused)))).toBe('REFUSED')
  })

  test('is made again by itself when its server dies while it runs', async () => {
    const { server, soon, gate } = fleet()
    const [one, other] = [server('one'), server('other')]
    await one.call('a', 1)
    const opened = gate.shut()
    const asked = other.call('a', 'wait', { idempotencyKey: 'k', deadline: 20_000 })
    await turns(() => gate.waiting > 0)
    one.kill()
    opened()
    expect(await soon(asked)).toMatchObject({ name: 'other' })
  })
})
