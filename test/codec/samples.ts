import type { Codec, Frame } from '../../src/codec/codec.js'
import { json } from '../../src/codec/json.js'
import { json as jsonPortable } from '../../src/codec/json-portable.js'
import { msgpack } from '../../src/codec/msgpack.js'
import { msgpack as portable } from '../../src/codec/msgpack-portable.js'
import { text } from '../../src/codec/text.js'
import { KIND } from '../../src/protocol/envelope.js'

const none = new Map()

/** A service without callbacks whose payloads are JSON: through it the text wire carries what JSON has. */
const jsonService = new Map([[5, { id: 5, json: true, callbacks: false }]])

/** Codecs by name. */
export const codecs = {
  msgpack: msgpack().open(none),
  portable: portable().open(none),
  json: json().open(none),
  jsonPortable: jsonPortable().open(none),
  text: text().open(jsonService),
} satisfies Record<string, Codec>

/** Every pair of ends that must understand each other: who writes, who reads. */
export const ends: [from: keyof typeof codecs, to: keyof typeof codecs][] = [
  ['msgpack', 'msgpack'],
  ['msgpack', 'portable'],
  ['portable', 'msgpack'],
  ['portable', 'portable'],
  ['json', 'json'],
  ['json', 'jsonPortable'],
  ['jsonPortable', 'json'],
  ['jsonPortable', 'jsonPortable'],
]

/** Writes a frame as hex without the 0x, or as the text it is. */
export function show(frame: Frame): string {
  return typeof frame === 'string' ? frame : Buffer.from(frame).toString('hex')
}

/** Bytes from hex; spaces are for the reader. */
export function hex(digits: string): Uint8Array {
  return Uint8Array.from(Buffer.from(digits.replaceAll(' ', ''), 'hex'))
}

/** Sends a value from one end to the other. */
export function send(from: Codec, to: Codec, value: unknown): unknown {
  return to.decode(from.encode(KIND.MESSAGE, 5, 0, value)).payload
}

/** Reads a lone msgpack value, as the payload of a message. */
export function readBytes(codec: Codec, value: Uint8Array): unknown {
  return codec.decode(Buffer.concat([hex('93 00 05'), value])).payload
}

/** Arrays within one another. */
export function nested(depth: number): unknown {
  let value: unknown = 'core'
  for (let i = 0; i < depth; i++) value = [value]
  return value
}

/** Agreed values, each with what arrives when that is something else. */
export const agreed: [name: string, value: unknown, arrives?: unknown][] = [
  ['null', null],
  ['true', true],
  ['false', false],
  ['undefined', undefined, null],
  ...[0, 1, 0x1f, 0x3f, 0x40, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x1_0000, 0xffff_ffff, 0x1_0000_0000].map(
    (n): [string, unknown] => [`the number ${n}`, n],
  ),
  ...[-1, -0x20, -0x21, -0x80, -0x81, -0x8000, -0x8001, -0x8000_0000, -0x8000_0001].map(
    (n): [string, unknown] => [`the number ${n}`, n],
  ),
  ...[0.5, -1.25, 1e300, 5e-324, 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 64].map((n): [string, unknown] => [
    `the number ${n}`,
    n,
  ]),
  ['the number -0', -0, 0],
  ['the numbers that JSON lacks', [NaN, Infinity, -Infinity]],
  ['NaN alone', NaN],
  ...[0n, 1n, -1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, -(2n ** 63n)].map(
    (n): [string, unknown] => [`the bigint ${n}`, n],
  ),
  ['an empty text', ''],
  ...[5, 31, 32, 63, 64, 65, 139, 255, 256, 65_535, 65_536].map((n): [string, unknown] => [
    `a text of ${n} characters`,
    'x'.repeat(n),
  ]),
  ['a text of all planes', 'aé€😀\u0000\u2028"\\'],
  ['a long text of all planes', 'aé€😀'.repeat(100)],
  ['a short text that begins with U+FEFF', '\ufeffabc'],
  ['a long text that begins with U+FEFF', `\ufeff${'abc'.repeat(200)}`],
  ['a long key that begins with U+FEFF', { [`\ufeff${'key'.repeat(50)}`]: 1 }],
  ['texts that look like tags', ['$t', '{"$t":["d",1]}', '__proto__', '\\u005f']],
  ['no bytes', new Uint8Array(0)],
  ...[1, 255, 256, 70_000].map((n): [string, unknown] => [
    `${n} bytes`,
    Uint8Array.from({ length: n }, (_, i) => i),
  ]),
  ['a Buffer', Buffer.from([1, 2, 3]), Uint8Array.of(1, 2, 3)],
  ...[
    0,
    1000,
    1_700_000_000_123,
    -1,
    -1000,
    4_294_967_295_000,
    4_294_967_296_000,
    2 ** 34 * 1000,
    8.64e15,
    -8.64e15,
  ].map((n): [string, unknown] => [`the date at ${n}`, new Date(n)]),
  ['an empty array', []],
  ...[15, 16, 65_535, 65_536].map((n): [string, unknown] => [
    `an array of ${n}`,
    Array.from({ length: n }, (_, i) => i % 100),
  ]),
  ['an array with undefined', [undefined, 1, undefined], [null, 1, null]],
  ['a sparse array', new Array(3), [null, null, null]],
  ['an empty object', {}],
  ['an object', { a: 1, b: 'two', c: [1, 2, 3] }],
  ['an object with undefined', { a: undefined, b: 1, c: { d: undefined } }, { b: 1, c: {} }],
  ['a large object with undefined', { long: 'x'.repeat(100), gone: undefined }, { long: 'x'.repeat(100) }],
  ['many empty arrays', Array.from({ length: 60_000 }, () => [])],
  ['an object without prototype', Object.assign(Object.create(null), { a: 1 }), { a: 1 }],
  ...[15, 16, 17, 300].map((n): [string, unknown] => [
    `an object of ${n}`,
    Object.fromEntries(Array.from({ length: n }, (_, i) => [`key ${i}`, i])),
  ]),
  ['an object with odd keys', { '': 1, 'a b': 2, ключ: 3, constructor: 4, toJSON: 5, length: 6 }],
  ['an object with a key hasOwnProperty', { hasOwnProperty: 1, valueOf: null }],
  ['an object with a key $t', { $t: ['d', 0], other: 1 }],
  ['an object with only a key $t', { a: [{ $t: { $t: 'deep', date: new Date(5) } }] }],
  ['an empty Set', new Set()],
  ['a Set', new Set([1, 'two', null, 3n])],
  ['a Set of undefined', new Set([undefined]), new Set([null])],
  [
    'everything in everything',
    {
      when: new Date(1_234_567_890_123),
      bytes: Uint8Array.of(0, 255),
      big: [2n ** 63n, { n: NaN, gone: null }],
      set: new Set<unknown>([
        new Set<unknown>([new Date(0), new Uint8Array(3)]),
        { $t: new Set([[]]), list: [new Set(['a'])] },
        'long enough for the array to have more than sixteen bytes',
      ]),
    },
  ],
]
