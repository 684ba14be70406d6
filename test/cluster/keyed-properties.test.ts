import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hasCode } from '../../src/errors.js'
import { type FleetServer, fleet } from './keyed-fleet.js'

const NODES = ['one', 'two', 'three'] as const
const KEYS = ['a', 'a', 'a', 'b'] as const
const node = fc.nat(2)
const key = fc.constantFrom(...KEYS)

const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('call' as const), node, key }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(100, 400, 1100, 1500) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('freeze' as const), node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('thaw' as const), node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), node, key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill' as const), node }) },
)

test('of a key one instance acts at most, under fences that only grow, whatever pauses and dies', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async steps => {
      /** The greatest fence that each key has begun with. */
      const greatest = new Map<string, number>()
      /** A store that heeds fences, with what was written. */
      const store = new Map<string, { fence: number; count: number }>()
      let acted = 0
      const made = fleet(() => ({
        start({ key, fence, check }) {
          expect(fence).toBeGreaterThan(greatest.get(key) ?? 0)
          greatest.set(key, fence)
          return {
            call() {
              check()
              // Whoever passes the check is the youngest there is.
              expect(fence).toBe(greatest.get(key))
              const { fence: last, count } = store.get(key) ?? { fence: 0, count: 0 }
              expect(fence).toBeGreaterThanOrEqual(last)
              store.set(key, { fence, count: count + 1 })
              acted++
              return count + 1
            },
          }
        },
      }))
      const servers: FleetServer[] = NODES.map(name => made.server(name))
      const calls: Promise<unknown>[] = []
      let [answered, unknown, undone] = [0, 0, 0]
      const broken: unknown[] = []
      for (const what of steps) {
        if (what.do === 'call') {
          const call = servers[what.node]!.call(what.key, null, { deadline: 3000 }).then(
            () => answered++,
            error => {
              const { accepted } = (error.data ?? {}) as { accepted?: unknown }
              if (!hasCode(error) || !['TIMEOUT', 'CONNECTION_LOST'].includes(error.code)) broken.push(error)
              if (accepted === false) undone++
              else unknown++
            },
          )
          calls.push(call)
        } else if (what.do === 'release') void servers[what.node]!.release(what.key)
        else if (what.do === 'pass') await made.advance(what.ms)
        else servers[what.node]![what.do]()
        await made.settle()
      }
      for (const server of servers) server.thaw()
      // Those of a server that was killed are never settled, like its memory.
      await made.advance(5000)
      expect(broken).toEqual([])
      expect(acted).toBeGreaterThanOrEqual(answered)
      expect(acted).toBeLessThanOrEqual(calls.length - undone)
      expect(answered + undone + unknown).toBeLessThanOrEqual(calls.length)
    }),
    { numRuns: 100 },
  )
})
