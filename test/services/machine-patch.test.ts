import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { diff, patch } from '../../src/services/machine/patch.js'

/** Plain data with few keys, so that two of them often meet. */
const { data } = fc.letrec<{ data: unknown }>(tie => ({
  data: fc.oneof(
    { depthSize: 'small' },
    fc.integer({ min: 0, max: 3 }),
    fc.constantFrom(null, true, '', 'a', Number.NaN),
    fc.date({ min: new Date(0), max: new Date(3), noInvalidDate: true }),
    fc.array(tie('data'), { maxLength: 4 }),
    fc
      .array(fc.tuple(fc.constantFrom('a', 'b', 'length', '0', '__proto__', 'constructor'), tie('data')))
      .map(entries => Object.fromEntries(entries)),
  ),
}))

describe('a patch', () => {
  test('makes of the one value the other, and leaves the one as it was', () => {
    fc.assert(
      fc.property(data, data, (before, after) => {
        const copy = structuredClone(before)
        expect(isDeepStrictEqual(patch(before, diff(before, after)), after)).toBe(true)
        expect(isDeepStrictEqual(before, copy)).toBe(true)
      }),
    )
  })

  test('of equal values is empty, and gives the same object', () => {
    fc.assert(
      fc.property(data, value => {
        const changes = diff(value, structuredClone(value))
        expect(changes).toEqual([])
        expect(patch(value, changes)).toBe(value)
      }),
    )
  })

  test('leaves what has not changed the same objects', () => {
    fc.assert(
      fc.property(data, data, data, (kept, before, after) => {
        const value = { kept, list: [kept, before], part: { kept, before } }
        const next = {
          kept: structuredClone(kept),
          list: [structuredClone(kept), after],
          part: { kept, after },
        }
        const patched = patch(value, diff(value, next)) as typeof value
        expect(patched.kept).toBe(kept)
        expect(patched.list[0]).toBe(kept)
        expect(patched.part.kept).toBe(kept)
      }),
    )
  })

  test('says only what is different', () => {
    const before = { a: { b: [1, 2, 3], c: 'x' }, d: 1 }
    expect(diff(before, { a: { b: [1, 5], c: 'x' }, e: 2 })).toEqual([
      [['d']],
      [['a', 'b', 1], 5],
      [['a', 'b', 2]],
      [['e'], 2],
    ])
    expect(diff({ a: undefined, b: 1 }, { b: 1 })).toEqual([])
    expect(diff(1, [1])).toEqual([[[], [1]]])
  })

  test('reaches nothing that is not its own', () => {
    expect(() => patch({}, [[['__proto__', 'polluted'], true]])).toThrow(TypeError)
    expect(() => patch({}, [[['constructor', 'polluted'], true]])).toThrow(TypeError)
    expect(() => patch([], [[['push'], 1]])).toThrow(TypeError)
    expect(() => patch([], [[[-1], 1]])).toThrow(TypeError)
    const patched = patch({}, [[['__proto__'], { polluted: true }]]) as { polluted?: boolean }
    expect(patched.polluted).toBeUndefined()
    expect(Object.getPrototypeOf(patched)).toBe(Object.prototype)
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('for another value is refused', () => {
    expect(() => patch({ a: 1 }, [[['a', 'b'], 1]])).toThrow(TypeError)
    expect(() => patch(new Date(), [[['a'], 1]])).toThrow(TypeError)
    expect(() => patch(undefined, [[['a']]])).toThrow(TypeError)
  })
})
