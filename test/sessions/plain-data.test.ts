import { describe, expect, test } from 'vitest'
import { copyOf, isCopyOf } from '../../src/sessions/plain-data.js'

const STORED = [
  null,
  true,
  -0,
  1.5,
  '',
  [],
  {},
  [null, [1, 'a'], { b: [] }],
  { a: { b: { c: [{ d: 1 }] } }, e: null },
  JSON.parse('{"__proto__":{"a":1},"constructor":2,"toString":[3],"1":4}'),
]

describe('a copy of what JSON gave', () => {
  test.each(STORED.map(value => [value]))('is like it: %j', stored => {
    const copy = copyOf(stored)
    expect(JSON.stringify(copy)).toBe(JSON.stringify(stored))
    expect(isCopyOf(copy, stored)).toBe(true)
  })

  test('is changed without it', () => {
    const stored = { list: [{ a: 1 }] }
    const copy = copyOf(stored) as typeof stored
    copy.list[0]!.a = 2
    copy.list.push({ a: 3 })
    expect(stored).toEqual({ list: [{ a: 1 }] })
    expect(isCopyOf(copy, stored)).toBe(false)
  })

  test('has no prototype that came in a key', () => {
    const copy = copyOf(JSON.parse('{"__proto__":{"admin":true}}')) as { admin?: unknown }
    expect(copy.admin).toBeUndefined()
    expect(Object.keys(copy)).toEqual(['__proto__'])
  })
})

test('two of what JSON gave are copies of each other only when they are written alike', () => {
  for (const a of STORED) {
    for (const b of STORED) expect(isCopyOf(a, b)).toBe(JSON.stringify(a) === JSON.stringify(b))
  }
})

test('what JSON would write otherwise than it looks is no copy for certain', () => {
  const hidden = Object.defineProperty({}, 'toJSON', { value: () => 1 })
  const holes = [1, 2]
  delete holes[0]
  const cyclic: unknown[] = []
  cyclic.push(cyclic)
  const pairs: [unknown, unknown][] = [
    [hidden, {}],
    [new Date(0), '1970-01-01T00:00:00.000Z'],
    [new Date(0), {}],
    [new Map(), {}],
    [Object.create({ a: 1 }), {}],
    [holes, [null, 2]],
    [holes, [1, 2]],
    [{ a: undefined }, {}],
    [
      { a: 1, b: 2 },
      { b: 2, a: 1 },
    ],
    [Number.NaN, null],
    [Object, Object],
    [cyclic, [[[]]]],
    [[], {}],
    [{}, []],
    [[1], [1, 2]],
    [[1, 2], [1]],
  ]
  for (const [value, stored] of pairs) expect(isCopyOf(value, stored)).toBe(false)
})
