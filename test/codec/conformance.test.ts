import { isDeepStrictEqual } from 'node:util'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { KIND, LIMITS } from '../../src/protocol/envelope.js'
import { agreed, codecs, ends, nested, send } from './samples.js'

class Point {
  x = 1
}

const cycle: { self?: unknown } = {}
cycle.self = cycle

/** Refused values: what is named, and where. */
const refused: [value: unknown, complaint: RegExp][] = [
  [() => 1, /^function at \$ cannot be sent/],
  [Symbol('s'), /^symbol at \$ cannot be sent/],
  [new Map(), /^Map at \$ cannot be sent; send a plain object/],
  [{ a: [1, 2, { b: new Map() }] }, /^Map at \$\.a\[2\]\.b cannot be sent; send a plain object/],
  [{ p: new Point() }, /^Point at \$\.p cannot be sent; send a plain object/],
  [[new Float32Array(2)], /^Float32Array at \$\[0\] cannot be sent; send a Uint8Array/],
  [[new DataView(new ArrayBuffer(2))], /^DataView at \$\[0\]/],
  [{ b: new ArrayBuffer(2) }, /^ArrayBuffer at \$\.b cannot be sent; send a Uint8Array/],
  [[[new Date(NaN)]], /^invalid Date at \$\[0\]\[0\]/],
  [[2n ** 64n], /^bigint outside 64 bits at \$\[0\]/],
  [{ n: -(2n ** 63n) - 1n }, /^bigint outside 64 bits at \$\.n/],
  [{ a: JSON.parse('{"__proto__":1}') }, /^key __proto__ at \$\.a/],
  [JSON.parse('{"__proto__":{}}'), /^key __proto__ at \$ cannot/],
  [new Set([1, () => 1]), /^function at \$\[1\]/],
  [/x/, /^RegExp at \$/],
  [new Error('x'), /^Error at \$/],
  [Promise.resolve(), /^Promise at \$/],
  [Object.create({ inherited: 1 }), /^Object at \$/],
  [Object.create(Object.create(null)), /^object of an unnamed class at \$/],
  [new Number(1), /^Number at \$/],
  [{ toJSON: () => 1 }, /^function at \$\.toJSON/],
  [cycle, /^value deeper than 100 levels, or a cycle, at \$\.self\.self/],
  [nested(101), /^value deeper than 100 levels, or a cycle, at \$\[0\]\[0\]/],
  [{ list: new Array(100_000) }, /^more than 100000 values at \$\.list cannot be sent/],
  [new Array(2 ** 32 - 1), /^more than 100000 values at \$ cannot be sent/],
]

/** As `toStrictEqual`, which takes a second over large values; it says where they differ. */
function expectSame(actual: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toStrictEqual(expected)
}

describe.each(ends)('from %s to %s', (from, to) => {
  it.each(agreed)('%s arrives', (_, value, ...arrives) => {
    const expected = arrives.length === 0 ? value : arrives[0]
    expectSame(send(codecs[from], codecs[to], value), expected)
  })

  it('carries 100 levels', () => {
    expectSame(send(codecs[from], codecs[to], nested(100)), nested(100))
    let sets: unknown = Uint8Array.of(1)
    for (let i = 0; i < 100; i++) sets = new Set([sets])
    expectSame(send(codecs[from], codecs[to], sets), sets)
    let tags: unknown = new Date(1)
    for (let i = 0; i < 100; i++) tags = { $t: tags }
    expectSame(send(codecs[from], codecs[to], tags), tags)
  })

  it('carries as many values as the limit says', () => {
    const list = new Array(LIMITS.elements - 1).fill(0)
    expectSame(send(codecs[from], codecs[to], list), list)
    const set = new Set([new Date(0), new Array(LIMITS.elements - 3).fill(1)])
    expectSame(send(codecs[from], codecs[to], set), set)
  })

  it('gives bytes that own their memory and are no Buffer', () => {
    for (const value of [
      Uint8Array.of(1, 2),
      { a: new Uint8Array(200), text: 'x'.repeat(300) },
      [new Set(), Buffer.of(3)],
    ]) {
      const found: Uint8Array[] = []
      const visit = (member: unknown): void => {
        if (member instanceof Uint8Array) found.push(member)
        else if (typeof member === 'object' && member !== null) Object.values(member).forEach(visit)
      }
      visit(send(codecs[from], codecs[to], value))
      expect(found).toHaveLength(1)
      expect(found[0]!.constructor).toBe(Uint8Array)
      expect(found[0]!.buffer.byteLength).toBe(found[0]!.length)
    }
  })
})

describe.each(Object.entries(codecs))('%s', (name, codec) => {
  it.each(refused.map(([value, complaint]) => [complaint.source, value, complaint] as const))(
    'refuses: %s',
    (_name, value, complaint) => {
      expect(() => codec.encode(KIND.MESSAGE, 5, 0, value)).toThrow(
        expect.objectContaining({ code: 'UNENCODABLE', message: expect.stringMatching(complaint) }),
      )
    },
  )

  it('takes plain objects, but no others, from another realm', () => {
    expect(send(codec, codec, runInNewContext('({ a: [1, { b: 2 }] })'))).toStrictEqual({ a: [1, { b: 2 }] })
    expect(() => codec.encode(KIND.MESSAGE, 5, 0, runInNewContext('new Map'))).toThrow(/^Map at \$/)
  })

  // The text wire has no dates and sets, and asks `toJSON` as 0.4 did.
  if (name !== 'text') {
    it('takes subclasses of arrays, dates, sets and bytes for what they extend', () => {
      class List extends Array<unknown> {
        toJSON(): string {
          return 'not asked'
        }
      }
      class Day extends Date {}
      class Bag extends Set<unknown> {}
      expect(send(codec, codec, List.from([1, 2]))).toStrictEqual([1, 2])
      const value = [List.from([1, 2]), new Day(5), new Bag([1])]
      expect(send(codec, codec, value)).toStrictEqual([[1, 2], new Date(5), new Set([1])])
    })
  }

  it('sends own properties only, whatever was added to the prototype of all objects', () => {
    const add = (value: unknown, text: string) => {
      Object.defineProperty(Object.prototype, 'added', { configurable: true, enumerable: true, value })
      try {
        return codec.encode(KIND.MESSAGE, 5, 0, { text, inner: { n: 1 } })
      } finally {
        Reflect.deleteProperty(Object.prototype, 'added')
      }
    }
    const values = [1, () => 1]
    const sent = values.flatMap(value => [add(value, 'xx'), add(value, 'x'.repeat(200))])
    sent.forEach((frame, i) => {
      const text = i % 2 === 0 ? 'xx' : 'x'.repeat(200)
      expect(codec.decode(frame).payload).toStrictEqual({ text, inner: { n: 1 } })
    })
  })

  it('sends from within a getter of what is being sent', () => {
    let inner: unknown
    const get = () => {
      inner = send(codec, codec, ['inner', { n: 1, long: 'y'.repeat(100) }])
      return 'outer'
    }
    for (const before of ['a', 'b'.repeat(300)]) {
      const value = Object.defineProperty({ before, after: 1 }, 'got', { get, enumerable: true })
      expect(send(codec, codec, value)).toStrictEqual({ before, after: 1, got: 'outer' })
      expect(inner).toStrictEqual(['inner', { n: 1, long: 'y'.repeat(100) }])
      const list = Object.defineProperty([before, 0, 2], 1, { get })
      expect(send(codec, codec, list)).toStrictEqual([before, 'outer', 2])
    }
  })

  it('works on after a getter that threw at any time', () => {
    for (let good = 0; good < 5; good++) {
      let left = good
      const get = () => {
        if (left-- <= 0) throw new Error('no')
        return 1
      }
      const value = Object.defineProperty({ before: 'x'.repeat(200) }, 'got', { get, enumerable: true })
      try {
        codec.encode(KIND.MESSAGE, 5, 0, value)
      } catch (error) {
        expect(error).toMatchObject({ code: 'UNENCODABLE' })
      }
      expect(send(codec, codec, { a: ['still', 'well'] })).toStrictEqual({ a: ['still', 'well'] })
    }
  })

  it('never lets one frame write into another', () => {
    const frames = Array.from({ length: 3000 }, (_, i) =>
      codec.encode(KIND.MESSAGE, 5, 0, ['n', i, 'x'.repeat(i % 70)]),
    )
    frames.forEach((frame, i) => {
      expect(codec.decode(frame).payload).toStrictEqual(['n', i, 'x'.repeat(i % 70)])
    })
  })
})
