import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { msgpack } from '../../src/codec/msgpack.js'
import { headerSize } from '../../src/codec/msgpack-header.js'
import { pack, unpack } from '../../src/codec/packed.js'
import { SocketStreamError } from '../../src/errors.js'
import { KIND } from '../../src/protocol/envelope.js'
import { codecs, ends, send } from './samples.js'

const key = fc
  .oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('$t', 'constructor', 'a'))
  .filter(k => k !== '__proto__')
const { value: agreed } = fc.letrec(tie => ({
  leaf: fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double().map(n => (n === 0 ? 0 : n)),
    fc.string({ unit: 'binary', maxLength: 300 }),
    fc.string({ unit: 'grapheme-ascii', maxLength: 80 }),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array({ maxLength: 300 }),
  ),
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 20 }),
    fc.dictionary(key, tie('value'), { maxKeys: 20, noNullPrototype: true }),
    fc.array(tie('leaf'), { maxLength: 20 }).map(list => new Set(list)),
    tie('value').map(inner => new Set([inner])),
  ),
}))

/** Reads a frame whole; what it throws must be a coded refusal. */
function read(codec: (typeof codecs)[keyof typeof codecs], frame: Uint8Array | string): void {
  try {
    const envelope = codec.decode(frame)
    // what was read can be sent again
    codec.encode(KIND.MESSAGE, 5, 0, envelope.payload)
  } catch (error) {
    expect(error).toBeInstanceOf(SocketStreamError)
    expect(error).toMatchObject({ code: 'BAD_FRAME' })
  }
}

describe('any agreed value', () => {
  it.each(ends)('arrives from %s at %s', (from, to) => {
    fc.assert(
      fc.property(agreed, value => {
        // expect's own comparison stumbles over a key `constructor`
        expect(isDeepStrictEqual(send(codecs[from], codecs[to], value), value)).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})

describe('any frame', () => {
  it('of random bytes is read or refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, framed) => {
        const frame = framed ? Uint8Array.of(0x93, 0, 5, ...bytes) : bytes
        read(codecs.msgpack, frame)
        read(codecs.portable, frame)
      }),
      { numRuns: 2000 },
    )
  })

  it('of random text is read or refused', () => {
    const tokens = [
      '[',
      ']',
      '{',
      '}',
      ',',
      ':',
      '"',
      '"$t"',
      '"s"',
      '"__proto__"',
      '1',
      '"d"',
      '|',
      '\\u0024',
      'null',
    ]
    const noise = fc.oneof(
      fc.string(),
      fc.array(fc.constantFrom(...tokens), { maxLength: 30 }).map(list => list.join('')),
    )
    fc.assert(
      fc.property(noise, fc.boolean(), (text, framed) => {
        read(codecs.json, framed ? `[0,5,${text}]` : text)
        read(codecs.text, framed ? `5|${text}` : text)
      }),
      { numRuns: 2000 },
    )
  })

  it('of a valid one with bytes changed is read or refused', () => {
    const change = fc.tuple(fc.nat(), fc.nat(255))
    fc.assert(
      fc.property(agreed, fc.array(change, { minLength: 1, maxLength: 4 }), (value, changes) => {
        for (const name of ['msgpack', 'portable', 'json', 'text'] as const) {
          const frame = Buffer.from(codecs[name].encode(KIND.MESSAGE, 5, 0, value, undefined))
          for (const [at, byte] of changes) frame[at % frame.length] = byte
          read(codecs[name], codecs[name].binary ? frame : frame.toString('latin1'))
        }
      }),
      { numRuns: 500 },
    )
  })
})

it('packs a value for an engine as the payload of a frame, and reads it back', () => {
  const codec = msgpack().open(new Map())
  fc.assert(
    fc.property(agreed, value => {
      const frame = codec.encode(KIND.MESSAGE, 0, 0, value) as Uint8Array
      const packed = pack(value)
      expect(Buffer.compare(packed, frame.subarray(headerSize(KIND.MESSAGE, 0, 0)))).toBe(0)
      expect(isDeepStrictEqual(unpack(packed), codec.decode(frame).payload)).toBe(true)
    }),
  )
})
