import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { KeyedBehaviour, KeyedStart } from '../../src/cluster/keyed.js'
import { Keyed } from '../../src/cluster/keyed.js'
import { noResponder } from '../../src/cluster/wire.js'
import type { Leases } from '../../src/engines/lease.js'
import { memory } from '../../src/engines/memory.js'
import { SocketStreamError } from '../../src/errors.js'
import { createLogger } from '../../src/log.js'
import { manualClock } from '../../src/testing/index.js'
import { knows, startNode } from './support.js'

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

/** Two servers over the leases of one engine, whose time the test moves. */
function pair(ttl = 300_000) {
  const clock = manualClock()
  const engine = memory({ clock })
  onTestFinished(() => engine.close())
  const begun: string[] = []
  const dead = new Set<string>()
  const servers = new Map<string, Keyed>()
  const starts: KeyedStart[] = []
  const server = (node: string, leases: Leases = engine.lease) => {
    const behaviour = counter(node, begun)
    const keyed = new Keyed({
      name: 'cart',
      node,
      leases,
      ttl,
      deadline: 200,
      log: createLogger(undefined, 'test'),
      behaviour: {
        start(init) {
          starts.push(init)
          return behaviour.start(init)
        },
      },
      ask: async (other, key, payload) => {
        const asked = dead.has(other) ? undefined : servers.get(other)
        if (asked === undefined) throw noResponder('dead')
        return asked.answer(key, payload)
      },
    })
    servers.set(node, keyed)
    onTestFinished(() => keyed.stop())
    return keyed
  }
  return { clock, engine, begun, dead, server, starts }
}

describe('a key whose server has died', () => {
  test("is nobody else's until its lease is over, then moves", async () => {
    const { clock, dead, server, engine, starts } = pair()
    const [one, other] = [server('one'), server('other')]
    await one.call('a', 1)
    dead.add('one')
    expect(await codeOf(other.call('a', 1))).toBe('TIMEOUT')
    clock.advance(300_000)
    expect(await other.call('a', 1)).toMatchObject({ name: 'other', count: 1 })
    const [old, young] = starts.map(({ fence }) => fence)
    expect(young).toBeGreaterThan(old!)
    // The old one is not dead but late: its fence is refused, and it finds out when it renews.
    expect(await engine.lease.renew('$cluster/cart/a', old!, 1000)).toBe(false)
  })

  test('ends on a server that finds that another one has it', async () => {
    const { clock, server, begun } = pair(1000)
    const [one, other] = [server('one'), server('other')]
    await one.call('a', 1)
    clock.advance(1000)
    // By its own clock the lease of `one` is not over yet: it gets as far as its next renewal.
    expect(await other.call('a', 1)).toMatchObject({ name: 'other' })
    while (one.keys().length > 0) await new Promise(resolve => setTimeout(resolve, 5))
    expect(begun).toContain('a off one')
    expect(await one.call('a', 1)).toMatchObject({ name: 'other', count: 2 })
  })

  test('stops answering when its lease cannot be renewed in time', async () => {
    const { server, engine, begun } = pair(1000)
    let isAway = false
    const leases: Leases = {
      acquire: (...args) => engine.lease.acquire(...args),
      renew: (...args) =>
        isAway
          ? Promise.reject(new SocketStreamError('ENGINE_UNAVAILABLE', 'it is away'))
          : engine.lease.renew(...args),
      release: (...args) => engine.lease.release(...args),
      current: (...args) => engine.lease.current(...args),
    }
    const one = server('one', leases)
    await one.call('a', 1)
    isAway = true
    while (one.keys().length > 0) await new Promise(resolve => setTimeout(resolve, 5))
    expect(begun).toEqual(['a on one', 'a off one'])
    expect(await codeOf(one.answer('a', 1))).toBe('NO_RESPONDER')
  })

  test('has one instance at most under fences that only grow, whatever happens', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('call' as const), at: fc.nat(2), key: fc.constantFrom('a', 'b') }),
      fc.record({ do: fc.constant('release' as const), at: fc.nat(2), key: fc.constantFrom('a', 'b') }),
      fc.record({ do: fc.constant('together' as const), at: fc.nat(2), key: fc.constantFrom('a', 'b') }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async steps => {
        const engine = memory()
        const alive = new Map<string, string>()
        const fences = new Map<string, number>()
        const nodes = ['one', 'two', 'three']
        const servers = new Map<string, Keyed>()
        for (const node of nodes) {
          const behaviour: KeyedBehaviour = {
            start({ key, fence }) {
              expect(alive.get(key)).toBeUndefined()
              expect(fence).toBeGreaterThan(fences.get(key) ?? 0)
              alive.set(key, node)
              fences.set(key, fence)
              return { call: () => node, stop: () => void alive.delete(key) }
            },
          }
          const ask = async (other: string, key: string, payload: unknown) =>
            servers.get(other)!.answer(key, payload)
          const init = { name: 'p', node, ttl: 60_000, deadline: 2000, behaviour, ask }
          servers.set(
            node,
            new Keyed({ ...init, leases: engine.lease, log: createLogger(undefined, 'test') }),
          )
        }
        const at = (index: number) => servers.get(nodes[index]!)!
        for (const { do: what, at: index, key } of steps) {
          if (what === 'release') await at(index).release(key)
          else {
            const calls = what === 'call' ? [index] : [0, 1, 2, index]
            const answers = await Promise.all(calls.map(each => at(each).call(key)))
            expect(new Set(answers)).toEqual(new Set([alive.get(key)]))
          }
        }
        for (const server of servers.values()) await server.stop()
        expect(alive.size).toBe(0)
        await engine.close()
      }),
      { numRuns: 15 },
    )
  })
})
