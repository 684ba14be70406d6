import { decode as decodeElsewhere } from '@msgpack/msgpack'
import { Packr } from 'msgpackr'
import { describe, expect, it } from 'vitest'
import { codecs, hex, readBytes } from './samples.js'

/** Every format of the msgpack specification that is agreed on, in its shortest form and in longer ones. */
const vectors: [value: unknown, encodings: string[]][] = [
  [null, ['c0']],
  [false, ['c2']],
  [true, ['c3']],
  [
    0,
    [
      '00',
      'cc00',
      'cd0000',
      'ce00000000',
      'd000',
      'd10000',
      'd200000000',
      'ca00000000',
      'cb0000000000000000',
    ],
  ],
  [
    1,
    [
      '01',
      'cc01',
      'cd0001',
      'ce00000001',
      'd001',
      'd10001',
      'd200000001',
      'ca3f800000',
      'cb3ff0000000000000',
    ],
  ],
  [63, ['3f', 'cc3f']],
  [64, ['40', 'cc40']],
  [127, ['7f', 'cc7f', 'd07f']],
  [128, ['cc80', 'cd0080', 'd10080']],
  [255, ['ccff', 'cd00ff', 'ce000000ff']],
  [256, ['cd0100', 'ce00000100']],
  [65_535, ['cdffff', 'd20000ffff']],
  [65_536, ['ce00010000', 'd200010000']],
  [4_294_967_295, ['ceffffffff', 'cb41efffffffe00000']],
  [-1, ['ff', 'd0ff', 'd1ffff', 'd2ffffffff', 'cabf800000', 'cbbff0000000000000']],
  [-32, ['e0', 'd0e0', 'd1ffe0']],
  [-33, ['d0df', 'd1ffdf']],
  [-128, ['d080', 'd1ff80']],
  [-129, ['d1ff7f', 'd2ffffff7f']],
  [-32_768, ['d18000', 'd2ffff8000']],
  [-32_769, ['d2ffff7fff']],
  [-2_147_483_648, ['d280000000', 'cbc1e0000000000000']],
  [0.5, ['ca3f000000', 'cb3fe0000000000000']],
  [-0.25, ['cabe800000', 'cbbfd0000000000000']],
  [NaN, ['ca7fc00000', 'cb7ff8000000000000']],
  [Infinity, ['ca7f800000', 'cb7ff0000000000000']],
  [0n, ['cf0000000000000000', 'd30000000000000000']],
  [72_057_594_037_927_936n, ['cf0100000000000000', 'd30100000000000000']],
  [18_446_744_073_709_551_615n, ['cfffffffffffffffff']],
  [-1n, ['d3ffffffffffffffff']],
  [-9_223_372_036_854_775_808n, ['d38000000000000000']],
  ['', ['a0', 'd900', 'da0000', 'db00000000']],
  ['k', ['a16b', 'd9016b', 'da00016b', 'db000000016b']],
  ['grün €', ['a96772c3bc6e20e282ac', 'd9096772c3bc6e20e282ac']],
  ['😀', ['a4f09f9880', 'da0004f09f9880']],
  ['\ufffd', ['a1ff', 'a180']],
  [new Uint8Array(0), ['c400', 'c50000', 'c600000000']],
  [Uint8Array.of(1, 0, 255), ['c4030100ff', 'c500030100ff', 'c6000000030100ff']],
  [[], ['90', 'dc0000', 'dd00000000']],
  [
    [1, 'k'],
    ['9201a16b', 'dc000201a16b', 'dd0000000201a16b'],
  ],
  [{}, ['80', 'de0000', 'df00000000']],
  [
    { k: 1 },
    ['81a16b01', '81d9016b01', '81da00016b01', '81db000000016b01', 'de0001a16b01', 'df00000001a16b01'],
  ],
  [{ k: { k: [] } }, ['81a16b81a16b90']],
  [
    new Date(0),
    [
      'd6ff00000000',
      'd7ff0000000000000000',
      'c70cff000000000000000000000000',
      'c704ff00000000',
      'c80004ff00000000',
    ],
  ],
  [new Date(1_500), ['d7ff7735940000000001', 'c70cff1dcd65000000000000000001', 'c708ff7735940000000001']],
  [new Date(-500), ['c70cff1dcd6500ffffffffffffffff']],
  [new Date(17_179_869_183_000), ['d7ff00000003ffffffff', 'c70cff0000000000000003ffffffff']],
  [new Set(), ['d40190', 'c7010190', 'c800010190', 'c9000000010190', 'c70301dc0000', 'c70501dd00000000']],
  [
    new Set([1, 2, 3]),
    ['d60193010203', 'c7040193010203', 'c80004 01 93010203', 'c90000000401 93010203', 'c70601dc0003010203'],
  ],
  [new Set([new Set([1]), 0]), ['c71101 dc0002 c702019101 cb0000000000000000']],
]

describe.each(['msgpack', 'portable'] as const)('%s', name => {
  it.each(vectors.flatMap(([value, list]) => list.map(bytes => [bytes, value] as const)))(
    'reads %s',
    (bytes, value) => {
      expect(readBytes(codecs[name], hex(bytes))).toStrictEqual(value)
      // behind enough other values, the other way of reading is taken
      const long = Buffer.concat([hex('dc0065'), Buffer.alloc(100, 0xc3), hex(bytes)])
      expect((readBytes(codecs[name], long) as unknown[])[100]).toStrictEqual(value)
    },
  )

  it('writes what the plain packages read', () => {
    const value = {
      a: [1, -1, 0.5, 'text', 'x'.repeat(100)],
      b: new Uint8Array(3),
      c: new Date(1500),
      d: null,
    }
    const payload = codecs[name].encode(0, 5, 0, value).slice(3) as Uint8Array
    expect(decodeElsewhere(payload)).toMatchObject({ a: value.a, c: value.c, d: null })
    expect(new Packr({ useRecords: false }).unpack(payload)).toMatchObject({
      a: value.a,
      c: value.c,
      d: null,
    })
  })
})
