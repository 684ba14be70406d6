import type { Allowance, Limiter } from '../engines/limiter.js'
import { type EnginePart, pass, refusal } from './engine-conformance-fixture.js'

/** The part of the suite on `limiter.ts`. */
export const limiterPart: EnginePart<'limiter'> = {
  capability: 'limiter',
  lacking: 'it has no limiter',
  tests({ check, expect }) {
    // One unit in 200 seconds: a test is over before the next, unless it moves the clock.
    const slow = { rate: 0.005, burst: 3 }
    const allowed = async (limiter: Limiter, key: string, allowance: Allowance) =>
      (await limiter.take(key, allowance)).allowed

    check('allows a burst, then refuses, and says for how long', async limiter => {
      for (const remaining of [2, 1, 0]) {
        expect(await limiter.take('a', slow)).toEqual({ allowed: true, retryAfter: 0, remaining })
      }
      const refused = await limiter.take('a', slow)
      expect({ ...refused, retryAfter: 0 }).toEqual({ allowed: false, retryAfter: 0, remaining: 0 })
      expect(refused.retryAfter > 150_000 && refused.retryAfter <= 200_000).toBe(true)
      expect(await allowed(limiter, 'b', slow)).toBe(true)
    })

    check('takes the whole cost or nothing', async limiter => {
      expect((await limiter.take('a', { ...slow, cost: 2 })).remaining).toBe(1)
      expect(await allowed(limiter, 'a', { ...slow, cost: 2 })).toBe(false)
      expect(await limiter.take('a', { ...slow, cost: 0 })).toEqual({
        allowed: true,
        retryAfter: 0,
        remaining: 1,
      })
      expect(await allowed(limiter, 'a', slow)).toBe(true)
      expect(await allowed(limiter, 'a', slow)).toBe(false)
    })

    check('allows no more than the burst, however many ask at once', async limiter => {
      const verdicts = await Promise.all(Array.from({ length: 50 }, () => limiter.take('a', slow)))
      expect(verdicts.filter(verdict => verdict.allowed).length).toBe(3)
    })

    check('allows again after the time it has said', async (limiter, subject) => {
      const fast = { rate: 10, burst: 2 }
      let refused = await limiter.take('a', { ...fast, cost: 2 })
      while (refused.allowed) refused = await limiter.take('a', { ...fast, cost: 2 })
      if (subject.advance) {
        subject.advance(refused.retryAfter - 1)
        expect(await allowed(limiter, 'a', { ...fast, cost: 2 })).toBe(false)
        subject.advance(1)
        expect(await allowed(limiter, 'a', { ...fast, cost: 2 })).toBe(true)
      } else await pass(subject, 0, () => allowed(limiter, 'a', { ...fast, cost: 2 }))
    })

    check('refuses what is no allowance', async limiter => {
      const wrong: object[] = [
        { rate: 0, burst: 1 },
        { rate: Number.NaN, burst: 1 },
        { rate: Number.MIN_VALUE, burst: 1 },
        { rate: 1, burst: 0 },
        { rate: 1, burst: 1.5 },
        { rate: 1, burst: 2, cost: 3 },
        { rate: 1, burst: 2, cost: -1 },
      ]
      for (const allowance of wrong) {
        expect(await refusal(limiter.take('a', allowance as Allowance))).toBe('INVALID_ARGUMENTS')
      }
      expect(await refusal(limiter.take('', slow))).toBe('INVALID_ARGUMENTS')
      expect(await refusal(limiter.take('k'.repeat(513), slow))).toBe('INVALID_ARGUMENTS')
    })

    check('is unavailable once the engine is closed', async (limiter, subject) => {
      await subject.engine.close()
      expect(await refusal(limiter.take('a', slow))).toBe('ENGINE_UNAVAILABLE')
    })
  },
}
