import fc from 'fast-check'
import { immutableJSONPatch } from 'immutable-json-patch'
import { describe, expect, test } from 'vitest'
import { diff, reuse } from '../../src/services/model/diff.js'
import { memoryStorage, model } from '../../src/services/model/index.js'

const good = { ...memoryStorage(), authorize: () => true }

describe('the options of a model', () => {
  test.each<[options: unknown, message: RegExp]>([
    [undefined, /options are needed/],
    [{ ...good, wacthes: 1 }, /there is no option 'wacthes'/],
    [{ authorize: () => true }, /`load` must be a function/],
    [{ ...good, list: 7 }, /`list` must be a function/],
    [memoryStorage(), /`authorize` must be a function/],
    [{ ...good, schema: {} }, /`schema` must be a Standard Schema/],
    [{ ...good, key: '' }, /`key` must be the name/],
    [{ ...good, key: '__proto__' }, /`key` must be the name/],
    [{ ...good, viewer: 'all' }, /`viewer` must be a function/],
    [{ ...good, queries: 7 }, /`queries` must be an object/],
    [{ ...good, queries: { open: true } }, /`queries.open` must be an object/],
    [{ ...good, queries: { open: { sort: () => 0 } } }, /`queries.open` has no option 'sort'/],
    [{ ...good, queries: { open: { filter: true } } }, /`queries.open.filter` must be a function/],
    [{ ...good, queries: { open: { params: {} } } }, /`queries.open.params` must be a Standard Schema/],
    [{ ...good, watches: 0 }, /`watches` must be a whole number/],
    [{ ...good, results: 1.5 }, /`results` must be a whole number/],
    [{ ...good, live: '7' }, /`live` must be a whole number/],
  ])('%j are refused with the fix', (options, message) => {
    const make = () => model(options as never)
    expect(make).toThrow(message)
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(make).toThrow(/; give /)
  })
})

describe('differences', () => {
  const value = fc.jsonValue({ maxDepth: 4 })
  const record = fc.dictionary(
    fc.oneof(fc.constantFrom('a', 'b', 'a/b', '~1', '-', ''), fc.string()).filter(key => key !== '__proto__'),
    value,
  )
  const json = (given: unknown) => JSON.parse(JSON.stringify(given))

  test('are JSON Patches that make one record into the other', () => {
    fc.assert(
      fc.property(record, record, (one, other) => {
        const [before, after] = [json(one), json(other)]
        fc.pre(!JSON.stringify([before, after]).includes('__proto__'))
        const copy = structuredClone(before)
        expect(immutableJSONPatch(before, diff(before, after) as never)).toEqual(after)
        expect(before).toEqual(copy)
        expect(diff(before, structuredClone(before))).toEqual([])
      }),
      { numRuns: Number(process.env.RUNS ?? 300) },
    )
  })

  test('leave what is equal the same object', () => {
    const before = { a: { b: [1, { c: 2 }] }, d: [3], e: 4 }
    expect(reuse(before, structuredClone(before))).toBe(before)
    const after = reuse(before, { a: { b: [1, { c: 2 }] }, d: [3, 4], e: 4 })
    expect(after).toEqual({ a: { b: [1, { c: 2 }] }, d: [3, 4], e: 4 })
    expect(after.a).toBe(before.a)
    expect(after.d).not.toBe(before.d)
    expect(reuse({ length: 1, 0: 1 }, [1])).toEqual([1])
    expect(reuse(before, null)).toBeNull()
  })
})
