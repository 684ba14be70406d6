import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readPlain, writePlain } from '../../src/codec/plain-json.js'
import { LIMITS } from '../../src/protocol/envelope.js'

const refusal = expect.objectContaining({ code: 'BAD_FRAME' })

describe('JSON without tags', () => {
  it.each<[unknown, string]>([
    [new Date(5), '"1970-01-01T00:00:00.005Z"'],
    [new Set([1, new Set(['a'])]), '[1,["a"]]'],
    [{ a: Uint8Array.of(1, 2, 255) }, '{"a":"AQL/"}'],
    [[Buffer.from('hi')], '["aGk="]'],
    [9007199254740993n, '"9007199254740993"'],
    [[Number.NaN, Number.POSITIVE_INFINITY, -0], '[null,null,0]'],
    [{ a: undefined, b: null }, '{"b":null}'],
    [undefined, 'null'],
    [{ $t: ['d', 5] }, '{"$t":["d",5]}'],
  ])('writes %o in its nearest form', (value, text) => {
    expect(writePlain(value)).toBe(text)
  })

  it.each([[() => 1], [new Map()], [new Date(Number.NaN)], [{ a: Symbol('a') }]])('refuses %o', value => {
    expect(() => writePlain(value)).toThrow(expect.objectContaining({ code: 'UNENCODABLE' }))
  })

  it('reads tags as the objects that they are', () => {
    for (const text of ['{"$t":["d",5]}', '{"$t":["x"]}', '{"$t":1,"a":"\\u0024t"}', '"__proto__"']) {
      expect(readPlain(text)).toEqual(JSON.parse(text))
    }
  })

  it.each(['', '{', '[1]]', '{"__proto__":1}', '[{"\\u005f_proto__":{}}]'])('refuses %j', text => {
    expect(() => readPlain(text)).toThrow(refusal)
  })

  it('reads what is within the limits, and nothing past them', () => {
    const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
    const long = (values: number) => `[${'1,'.repeat(values - 2)}1]`
    expect(readPlain(deep(LIMITS.depth))).toHaveLength(1)
    expect(() => readPlain(deep(LIMITS.depth + 1))).toThrow(refusal)
    expect(readPlain(long(LIMITS.elements))).toHaveLength(LIMITS.elements - 1)
    expect(() => readPlain(long(LIMITS.elements + 1))).toThrow(refusal)
  })

  it('is what JSON makes of any JSON', () => {
    const plain = fc.jsonValue().filter(value => !JSON.stringify(value).includes('__proto__'))
    fc.assert(
      fc.property(plain, value => {
        expect(writePlain(value)).toBe(JSON.stringify(value))
        expect(readPlain(JSON.stringify(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
      { numRuns: 200 },
    )
  })
})
