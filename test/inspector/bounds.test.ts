import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { Places } from '../../src/inspector/attention.js'
import { percentile } from '../../src/inspector/method-counts.js'
import { answerFile } from '../../src/inspector/page-files.js'
import { BUCKETS } from '../../src/inspector/protocol/index.js'
import { redactor } from '../../src/inspector/redact.js'
import { Tail } from '../../src/inspector/tail.js'
import { TapBudget } from '../../src/inspector/tap-budget.js'

describe('a redactor', () => {
  const redact = redactor()

  test('hides what names a secret, however deep and however it is spelt', () => {
    const value = {
      a: [{ userPassword: 'x', Cookie: ['y'], nested: { API_TOKEN: { z: 1 }, authorization: 1 } }],
      secretary: 1,
    }
    expect(redact(value)).toEqual({
      a: [
        {
          userPassword: { '…': 'redacted' },
          Cookie: { '…': 'redacted' },
          nested: { API_TOKEN: { '…': 'redacted' }, authorization: { '…': 'redacted' } },
        },
      ],
      secretary: { '…': 'redacted' },
    })
    expect(
      redact(
        new Map([
          ['token', 'x'],
          ['b', 'c'],
        ]),
      ),
    ).toEqual({ token: { '…': 'redacted' }, b: 'c' })
  })

  test('makes JSON of a bounded size of anything, and never throws', () => {
    fc.assert(
      fc.property(
        fc.anything({
          maxDepth: 12,
          withBigInt: true,
          withMap: true,
          withSet: true,
          withDate: true,
          withTypedArray: true,
          withNullPrototype: true,
          withSparseArray: true,
        }),
        value => {
          const text = JSON.stringify(redact(value))
          expect(JSON.parse(text)).toBeDefined()
          expect(text.length).toBeLessThan(1_000_000)
        },
      ),
    )
  })

  test('cuts what is long, deep, circular or of a class', () => {
    const circular: Record<string, unknown> = {}
    circular.self = circular
    expect(redact(circular)).toEqual({ self: { '…': 'circular' } })
    let deep: unknown = 1
    for (let i = 0; i < 10_000; i++) deep = { deep }
    expect(JSON.stringify(redact(deep))).toContain('{"…":"deep"}')
    expect(redact(Array.from({ length: 1000 }, () => 1))).toHaveLength(101)
    expect((redact('x'.repeat(5000)) as string).length).toBeLessThan(1100)
    expect(redact({ socket: new EventTarget(), bytes: new Uint8Array(9) })).toEqual({
      socket: { '…': 'class EventTarget' },
      bytes: { '…': '9 bytes' },
    })
    const wide = Array.from({ length: 100 }, () => Array.from({ length: 100 }, () => 'x'.repeat(1000)))
    expect(JSON.stringify(redact(wide)).length).toBeLessThan(2_200_000)
  })

  test('shows a getter that throws as such, and hides where the rule throws', () => {
    const broken = {
      get value() {
        throw new Error('no')
      },
    }
    expect(redact(broken)).toEqual({ value: '(unreadable)' })
    const strict = redactor(key => {
      if (key === 'bad') throw new Error('no')
      return key
    })
    expect(strict({ bad: 1 })).toEqual('')
    expect(redactor((key, value) => (key === 'iban' ? 'hidden' : value))({ iban: 'DE00', x: 1 })).toEqual({
      iban: 'hidden',
      x: 1,
    })
  })
})

test('a tail has the last ones in order, and says how many are missing', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.oneof(fc.constant('push' as const), fc.integer({ min: 1, max: 25 })), { maxLength: 100 }),
      (most, steps) => {
        const tail = new Tail<number>(most)
        let read = 0
        let pushed = 0
        for (const step of steps) {
          if (step === 'push') tail.push(pushed++)
          else {
            const { items, dropped } = tail.since(read, step)
            expect(items.length + dropped).toBe(pushed - read)
            expect(items).toEqual(
              Array.from({ length: items.length }, (_one, index) => pushed - items.length + index),
            )
            expect(items.length).toBe(Math.min(pushed - read, most, step))
            read = tail.end
          }
          expect(tail.last).toBe(pushed === 0 ? undefined : pushed - 1)
          expect(tail.size).toBe(Math.min(pushed, most))
        }
      },
    ),
  )
})

test('a percentile is the bound of the bucket that it lies in', () => {
  const histogram = new Array<number>(BUCKETS.length + 1).fill(0)
  expect(percentile(histogram, 0.99)).toBeUndefined()
  histogram[0] = 98
  histogram[3] = 2
  expect([percentile(histogram, 0.5), percentile(histogram, 0.99)]).toEqual([BUCKETS[0], BUCKETS[3]])
})

describe('taps within a budget', () => {
  test('come off for the rest of a period, and go on again with the next', () => {
    vi.useFakeTimers()
    try {
      let on = 0
      const budget = new TapBudget(50, () => {
        on++
        return [() => on--]
      })
      budget.begin()
      expect([1, 2, 3, 4].map(() => budget.heard())).toEqual([false, false, false, false])
      expect(on).toBe(1)
      expect(budget.heard()).toBe(true)
      expect(on).toBe(0)
      vi.advanceTimersByTime(100)
      expect(on).toBe(1)
      vi.advanceTimersByTime(1000)
      expect(on).toBe(1)
      budget.end()
      vi.advanceTimersByTime(1000)
      expect([on, vi.getTimerCount()]).toEqual([0, 0])
    } finally {
      vi.useRealTimers()
    }
  })
})

test('places are taken and left, and no more than there are', () => {
  const places = new Places(2, 'viewers')
  places.take()
  places.take()
  expect(() => places.take()).toThrow(expect.objectContaining({ code: 'OVERLOADED' }))
  places.leave()
  places.take()
  expect(places.taken).toBe(2)
})

test('a file of the page that was not built is missed, and nothing thrown', async () => {
  const nowhere = new URL('file:///nowhere/at/all/')
  expect(await answerFile('page.js', {} as never, {} as never, nowhere)).toBe(false)
})

test('the licences of what is in the bundle lie beside it', async () => {
  const licenses = await readFile(new URL('../../dist/inspector/LICENSES.txt', import.meta.url), 'utf8')
  for (const name of ['preact', 'uplot']) {
    expect(licenses).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\(MIT\\)$`, 'm'))
  }
  expect(licenses.match(/Permission is hereby granted/g)).toHaveLength(2)
})
