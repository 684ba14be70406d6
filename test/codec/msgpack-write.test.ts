import { Encoder, ExtensionCodec } from '@msgpack/msgpack'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeValue } from '../../src/codec/msgpack-write.js'

const extensionCodec = new ExtensionCodec()
extensionCodec.register({
  type: 1,
  encode: value => (value instanceof Set ? reference([...value]) : null),
  decode: () => undefined,
})
const options = { extensionCodec, useBigInt64: true, ignoreUndefined: true }
const reference = (value: unknown) => new Encoder(options).encode(value)
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

const leaf = fc.oneof(
  fc.constantFrom(null, true, false, undefined, 0, -1, NaN, Infinity, -Infinity),
  fc.integer({ min: -(2 ** 33), max: 2 ** 33 }),
  fc.constantFrom(
    ...[7, 8, 15, 16, 31, 32, 53].flatMap(bits =>
      [-1, 0, 1].flatMap(by => [2 ** bits + by, -(2 ** bits) + by]),
    ),
  ),
  fc.double({ noNaN: true }).filter(number => !Object.is(number, -0)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
  fc.string({ minLength: 28, maxLength: 36 }),
  fc.uint8Array({ maxLength: 300 }),
  fc.date({ noInvalidDate: true, min: new Date(-8.64e15), max: new Date(8.64e15) }),
  fc.date({ noInvalidDate: true }).map(date => new Date(Math.floor(+date / 1000) * 1000)),
)
const { value } = fc.letrec(tie => ({
  value: fc.oneof(
    { maxDepth: 5 },
    leaf,
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(
      fc.string().filter(key => key !== '__proto__'),
      tie('value'),
      { maxKeys: 20 },
    ),
    fc.array(tie('value'), { maxLength: 20 }).map(items => new Set(items)),
  ),
}))

describe('the writer of msgpack', () => {
  it('writes the bytes that a library writes', () => {
    fc.assert(
      fc.property(value, one => {
        expect(hex(encodeValue(one))).toBe(hex(reference(one)))
      }),
      { numRuns: 2000 },
    )
  })

  it.each([0, 1, 0xff, 0x100, 0xffff, 0x1_0000])('writes what has %i parts', length => {
    for (const one of [
      'x'.repeat(length),
      'ü'.repeat(length),
      new Uint8Array(length),
      Array.from({ length }, (_, at) => at % 7),
      Object.fromEntries(Array.from({ length }, (_, at) => [`k${at}`, at])),
      new Set(Array.from({ length }, (_, at) => at)),
    ]) {
      expect(Buffer.compare(encodeValue(one), reference(one))).toBe(0)
    }
  })

  it('can be used from within a getter, also when its buffer grows there', () => {
    let inner: Uint8Array | undefined
    const outer = {
      first: 'a',
      get second() {
        inner = encodeValue(['y'.repeat(5000)])
        return 'b'
      },
      third: 'c',
    }
    expect(hex(encodeValue(outer))).toBe(hex(reference({ first: 'a', second: 'b', third: 'c' })))
    expect(hex(inner!)).toBe(hex(reference(['y'.repeat(5000)])))
  })

  it('gives bytes that are written to no more', () => {
    const first = encodeValue('first')
    encodeValue('other')
    expect(hex(first)).toBe(hex(reference('first')))
  })

  it('refuses what has become something else since it was examined', () => {
    for (const one of [() => 1, Symbol('s')]) {
      expect(() => encodeValue({ one })).toThrow(expect.objectContaining({ code: 'UNENCODABLE' }))
    }
    expect(hex(encodeValue(1))).toBe('01')
  })
})
