import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { RedisDeadlines } from '../../src/engines/redis-deadlines.js'
import { SocketStreamError } from '../../src/errors.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const outcomeOf = (call: Promise<unknown>) =>
  call.then(
    value => `${value}`,
    error => `${error.code}: ${error.message}`,
  )

test('calls end when they are answered, or at their own deadline, in whatever order', async () => {
  const call = fc.record({
    begins: fc.integer({ min: 1, max: 300 }),
    takes: fc.integer({ min: 1, max: 250 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 1, maxLength: 20 }), async calls => {
      const deadlines = new RedisDeadlines(100)
      const ended = new Map<number, { at: number; how: string }>()
      const start = performance.now()
      for (const [index, { begins, takes }] of calls.entries()) {
        setTimeout(() => {
          const answer = new Promise(resolve => setTimeout(resolve, takes, 'answered'))
          void outcomeOf(deadlines.within(answer)).then(how =>
            ended.set(index, { at: performance.now() - start, how }),
          )
        }, begins)
      }
      await vi.advanceTimersByTimeAsync(1000)
      for (const [index, { begins, takes }] of calls.entries()) {
        const { at, how } = ended.get(index)!
        if (takes < 100) expect([at, how]).toEqual([begins + takes, 'answered'])
        else if (takes > 100) {
          expect(how).toMatch(/^ENGINE_UNAVAILABLE: .*within 100 ms/)
          expect(at).toBe(begins + 100)
        }
      }
      expect([deadlines.size, vi.getTimerCount()]).toEqual([0, 0])
    }),
    { numRuns: 50 },
  )
})

test('what fails is the engine that is unavailable, and says why', async () => {
  const deadlines = new RedisDeadlines(100)
  const cause = new Error('OOM command not allowed')
  const failed = await deadlines.within(Promise.reject(cause)).catch(error => error)
  expect([failed.code, failed.cause, deadlines.size]).toEqual(['ENGINE_UNAVAILABLE', cause, 0])
  const own = new SocketStreamError('ENGINE_UNAVAILABLE', 'closed')
  expect(await deadlines.within(Promise.reject(own)).catch(error => error)).toBe(own)
})

test('all that wait end with the engine, and nothing of them is kept', async () => {
  const deadlines = new RedisDeadlines(100)
  const waiting = Array.from({ length: 3 }, () => outcomeOf(deadlines.within(new Promise(() => undefined))))
  expect(deadlines.size).toBe(3)
  deadlines.close(new SocketStreamError('ENGINE_UNAVAILABLE', 'closed'))
  expect(await Promise.all(waiting)).toEqual(Array(3).fill('ENGINE_UNAVAILABLE: closed'))
  expect([deadlines.size, vi.getTimerCount()]).toEqual([0, 0])
})
