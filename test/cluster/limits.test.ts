import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Limiter } from '../../src/engines/limiter.js'
import { RecordLimiter } from '../../src/engines/record-limiter.js'
import type { RecordOf, Records, Standing } from '../../src/engines/records.js'
import { SharedAccount, SharedCount } from '../../src/middleware/shared-count.js'
import { manualClock } from '../../src/testing/index.js'

const LIMIT = 20
const INTERVAL = 10

/** A limiter on a clock of the test, whose answers take their time. */
function limiterOn(now: () => number) {
  let kept: RecordOf | undefined
  const records: Pick<Records, 'change'> = {
    async change(_name, step) {
      const { result, record } = step({ record: kept, now: now() } as Standing)
      if (record) kept = record
      return result
    },
  }
  const limiter = new RecordLimiter(records as Records)
  const counted = { calls: 0 }
  const take: Limiter['take'] = (key, allowance) => {
    counted.calls++
    return limiter.take(key, allowance)
  }
  return { limiter: { take }, counted }
}

const settled = () => new Promise(resolve => setImmediate(resolve))

describe('a count over all nodes', () => {
  test('lets through no more than the limit, a batch of each node and what comes back, and uses it up', () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 8 }),
        fc.array(fc.record({ node: fc.nat(2), requests: fc.nat(12), wait: fc.nat(60) }), { maxLength: 40 }),
        async (batch, steps) => {
          const clock = manualClock()
          const { limiter } = limiterOn(() => clock.now())
          const nodes = [0, 1, 2].map(() => ({
            count: new SharedCount(limiter, LIMIT, INTERVAL, batch, () => clock.now()),
            account: new SharedAccount(),
          }))
          const passed: number[] = []
          for (const { node, requests, wait } of steps) {
            const { count, account } = nodes[node]!
            for (let i = 0; i < requests; i++) {
              const verdict = await count.take('a', account)
              if (verdict.allowed) passed.push(clock.now())
              else expect(verdict.retryAfter).toBeGreaterThan(0)
            }
            clock.advance(wait)
          }
          // In every stretch of time.
          for (let from = 0; from < passed.length; from++) {
            for (let to = from; to < passed.length; to++) {
              const time = passed[to]! - passed[from]!
              const most = LIMIT + Math.floor(time / INTERVAL + 1e-6) + nodes.length * batch
              expect(to - from + 1).toBeLessThanOrEqual(most)
            }
          }
          // Nobody has asked for this long: a whole quota is there, for one node alone to take.
          clock.advance(LIMIT * INTERVAL)
          const { count, account } = nodes[0]!
          for (let i = 0; i < LIMIT; i++) expect((await count.take('a', account)).allowed).toBe(true)
          expect((await count.take('a', account)).allowed).toBe(false)
        },
      ),
      { numRuns: 60 },
    ))

  test('asks once for a batch, once for all who wait, and not at all for who was just refused', async () => {
    const clock = manualClock()
    const { limiter, counted } = limiterOn(() => clock.now())
    const count = new SharedCount(limiter, LIMIT, INTERVAL, 5, () => clock.now())
    const account = new SharedAccount()
    for (let i = 0; i < 5; i++) await count.take('a', account)
    expect(counted.calls).toBe(1)
    const all = await Promise.all(Array.from({ length: 12 }, () => count.take('a', account)))
    expect(all.every(({ allowed }) => allowed)).toBe(true)
    await settled()
    // The first asks for a batch, and the others together for what is missing.
    expect(counted.calls).toBe(3)
    while ((await count.take('a', account)).allowed);
    const { calls } = counted
    const refused = await count.take('a', account)
    expect([refused, counted.calls]).toEqual([{ allowed: false, retryAfter: INTERVAL }, calls])
    clock.advance(INTERVAL)
    expect((await count.take('a', account)).allowed).toBe(true)
  })

  test('fails for all who wait when the engine does, and asks again for the next', async () => {
    let fails = true
    const count = new SharedCount(
      {
        async take() {
          if (fails) throw new Error('gone')
          return { allowed: true, retryAfter: 0, remaining: 1 }
        },
      },
      LIMIT,
      INTERVAL,
      1,
      () => 0,
    )
    const account = new SharedAccount()
    const both = await Promise.allSettled([count.take('a', account), count.take('a', account)])
    expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    fails = false
    expect((await count.take('a', account)).allowed).toBe(true)
    expect(account.waiting).toBe(0)
  })
})
