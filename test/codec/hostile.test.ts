import { describe, expect, it } from 'vitest'
import { KIND, LIMITS } from '../../src/protocol/envelope.js'
import { golden } from './golden.js'
import { codecs, hex, readBytes, show } from './samples.js'

const { msgpack, portable, json, jsonPortable, text } = codecs
const refusal = expect.objectContaining({ name: 'SocketStreamError', code: 'BAD_FRAME' })
const repeat = (unit: string, times: number) => hex(unit.repeat(times))

/** A million bytes of hostility must be refused within this many milliseconds. */
const BOUND = 500

/** Payloads that no decoder may be shown. */
const hostile: [name: string, payload: Uint8Array][] = [
  ['nothing', hex('')],
  ['bytes behind the value', hex('01 01')],
  ['the byte c1', hex('c1')],
  ['a pointer', hex('d670 00000001')],
  ['a shared reference', hex('d669 00000001 90')],
  ['a record definition', hex('d47240 91a161 01')],
  ['a record definition of two bytes', hex('d5726000 91a161 01')],
  ['a RegExp', hex('d47800 92 a4 28612b29 a0')],
  ['an Error', hex('d46500 92 a5 4572726f72 a178')],
  ['a typed array', hex('c70574 06 00000001')],
  ['a Set of msgpackr', hex('d47300 9101')],
  ['a bundle of texts', hex('d662 00000001 c1')],
  ['undefined as extension 0', hex('d40000')],
  ['an unknown extension', hex('d40501')],
  ['an unknown negative extension', hex('d4fe01')],
  ['a bigint of a megabyte', Buffer.concat([hex('c9 00100000 42'), Buffer.alloc(0x10_0000, 0x7f)])],
  ['a timestamp of a wrong size', hex('d4ff00')],
  ['a timestamp of 16 bytes', hex(`d8ff${'00'.repeat(16)}`)],
  ['a timestamp with too many nanoseconds', hex('d7ff ee6b280000000000')],
  ['a timestamp with too many nanoseconds, long', hex('c70cff 3b9aca00 0000000000000000')],
  ['a timestamp past all dates', hex('c70cff 00000000 000007dba8218001')],
  ['a timestamp before all dates', hex('c70cff 00000000 8000000000000000')],
  ['a Set that is empty of an array', hex('c70001')],
  ['a Set of a map', hex('d40180')],
  ['a Set of a number', hex('d40101')],
  ['a Set shorter than it says', hex('d5019000')],
  ['a Set longer than it says', hex('d4019101')],
  ['a Set with a cut length', hex('d501dc00')],
  ['a key that is a number', hex('810101')],
  ['a key that is null', hex('81c001')],
  ['a key that is an array', hex('819001')],
  ['a key that is bytes', hex('81c4016101')],
  ['the key __proto__', hex('81a9 5f5f70726f746f5f5f 80')],
  ['the key __proto__ in longer forms', hex('9181d909 5f5f70726f746f5f5f 80')],
  ['the key __proto__ in the longest form', hex('81db00000009 5f5f70726f746f5f5f 80')],
  ['a text that is cut', hex('a561')],
  ['a text of 4 GiB', hex('dbffffffff 61')],
  ['bytes of 4 GiB', hex('c6ffffffff 61')],
  ['an extension of 4 GiB', hex('c9ffffffff ff')],
  ['an array of 4 G', hex('ddffffffff 01')],
  ['a map of 4 G', hex('dfffffffff a16101')],
  ['a map of 2 G, whose doubled size wraps', hex('df80000000 a16101')],
  ['arrays that all say more than there is', repeat('dd000fffff', 90)],
  ['200,000 levels of arrays', repeat('91', 200_000)],
  ['200,000 levels of maps', repeat('81a161', 200_000)],
  ['200,000 levels of Sets', repeat('c9000fffff0191', 200_000)],
  ['101 levels', hex(`${'91'.repeat(101)}00`)],
  ['a million empty maps', Buffer.concat([hex('dd000f4240'), Buffer.alloc(1_000_000, 0x80)])],
  ['a million numbers', Buffer.concat([hex('dd000f4240'), Buffer.alloc(1_000_000, 1)])],
  ['one value too many', Buffer.concat([hex('dd000186a0'), Buffer.alloc(LIMITS.elements, 1)])],
  ['one value too many in maps', Buffer.concat([hex('de c351'), repeat('a1619100', 50_001)])],
]

describe.each([
  ['msgpack', msgpack],
  ['portable', portable],
] as const)('%s', (_, codec) => {
  it.each(hostile)('refuses %s', (_name, payload) => {
    const began = performance.now()
    expect(() => readBytes(codec, payload)).toThrow(refusal)
    expect(performance.now() - began).toBeLessThan(BOUND)
  })

  it('refuses the same as an extension map', () => {
    for (const [name, payload] of hostile.slice(1)) {
      const frame = Buffer.concat([hex('94 20 05 81 a178'), payload, hex('00')])
      if (name === 'bytes behind the value') continue
      expect(() => codec.decode(frame).payload, name).toThrow(refusal)
    }
  })

  it('refuses every truncation of every golden frame', () => {
    for (const [kind, service, id, payload] of golden) {
      for (const extensions of [undefined, { deadline: 5 }]) {
        const frame = codec.encode(KIND[kind], service, id, payload, extensions) as Uint8Array
        for (let size = 0; size < frame.length; size++) {
          expect(() => codec.decode(frame.slice(0, size)).payload, `${show(frame)} cut at ${size}`).toThrow(
            refusal,
          )
        }
        const longer = Buffer.concat([frame, hex('00')])
        expect(() => codec.decode(longer).payload).toThrow(refusal)
      }
    }
  })

  it('reads the bytes that name records as the numbers they are', () => {
    const all = Array.from({ length: 64 }, (_, i) => 0x40 + i)
    const frame = Buffer.concat([hex('dc0080'), Buffer.from([...all, ...all])])
    expect(readBytes(codec, frame)).toStrictEqual([...all, ...all])
    expect(readBytes(codec, hex('72'))).toBe(0x72)
  })

  it('reads nothing that encodes to much more than it was', () => {
    const bomb = Buffer.concat([hex('dc0064'), ...Array.from({ length: 100 }, () => hex('9401020304'))])
    const value = readBytes(codec, bomb)
    expect(codec.encode(KIND.MESSAGE, 5, 0, value).length).toBeLessThan(2 * bomb.length)
  })

  it('keeps overlong spellings of __proto__ apart from the key', () => {
    const value = readBytes(codec, hex('81 aa c19f 5f70726f746f5f5f 81 a161 01'))
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect({}).not.toHaveProperty('a')
  })
})

/** Tags that are wrong; on the text wire they are objects like others. */
const tags: [name: string, payload: string][] = [
  ['an unknown tag', '{"$t":["x",1]}'],
  ['an unknown tag spelt in escapes', '{"\\u0024t":["x",1]}'],
  ['a tag that is no array', '{"$t":"d"}'],
  ['a tag that is null', '{"$t":null}'],
  ['a tag without content', '{"$t":["d"]}'],
  ['a tag with too much content', '{"$t":["d",1,2]}'],
  ['a tag with company', '{"$t":["d",1],"a":1}'],
  ['a date that is a text', '{"$t":["d","2020"]}'],
  ['a date past all dates', '{"$t":["d",8640000000000001]}'],
  ['a date of a fraction', '{"$t":["d",0.5]}'],
  ['a date of null', '{"$t":["d",null]}'],
  ['bytes that are no base64', '{"$t":["u8","*"]}'],
  ['bytes that are a number', '{"$t":["u8",1]}'],
  ['a number that JSON has', '{"$t":["n","1"]}'],
  ['a bigint of 65 bits', '{"$t":["b","18446744073709551616"]}'],
  ['a bigint too negative', '{"$t":["b","-9223372036854775809"]}'],
  ['a bigint in hex', '{"$t":["b","0x10"]}'],
  ['a bigint with a leading zero', '{"$t":["b","01"]}'],
  ['a bigint of a megabyte', `{"$t":["b","${'9'.repeat(1_000_000)}"]}`],
  ['a Set of an object', '{"$t":["s",{}]}'],
  ['an escape of an array', '{"$t":["o",[]]}'],
]

/** JSON payloads that are no agreed value. */
const texts: [name: string, payload: string][] = [
  ['two values', '1,2'],
  ['a bracket too many', '1],[2'],
  ['nonsense', 'undefined'],
  ['a cut text', '"abc'],
  ['a bare NaN', 'NaN'],
  ['the key __proto__', '{"__proto__":{"a":1}}'],
  ['the key __proto__ spelt in escapes', '[{"\\u005f_proto_\\u005f":{"a":1}}]'],
  ['the key __proto__ in a tag', '{"$t":["o",{"$t":1,"__proto__":1}]}'],
  ['the key __proto__ beside a tag', '{"$t":["d",1],"__proto__":1}'],
  ['101 levels', `${'['.repeat(101)}${']'.repeat(101)}`],
  ['101 levels of objects', `${'{"a":'.repeat(101)}1${'}'.repeat(101)}`],
  ['101 levels of Sets', `${'{"$t":["s",['.repeat(101)}${']]}'.repeat(101)}`],
  ['101 levels and a tag', `[{"$t":["d",1]},${'['.repeat(100)}${']'.repeat(100)}]`],
  ['200,000 levels', '['.repeat(200_000)],
  ['200,000 levels of tags', '{"$t":["s",['.repeat(200_000)],
  ['a million empty objects', `[${'{},'.repeat(999_999)}{}]`],
  ['a million numbers and a tag', `[${'1,'.repeat(999_999)}{"$t":["d",1]}]`],
  ['one value too many', `[${'1,'.repeat(LIMITS.elements - 1)}1]`],
  ['one value too many, with blanks', `[ ${'1 , '.repeat(LIMITS.elements - 1)}1 ]`],
  ['one value too many in a Set', `{"$t":["s",[${'1,'.repeat(LIMITS.elements - 1)}1]]}`],
  ['one tag too many', `[${'{"$t":["d",1]},'.repeat(LIMITS.elements - 1)}1]`],
  ['a million quotes', '"\\"'.repeat(1_000_000)],
]

describe.each([
  ['json', json, '[0,5,', ']', [...texts, ...tags]],
  ['text', text, '5|', '', texts],
] as const)('%s', (_, codec, before, after, payloads) => {
  it.each(payloads)('refuses %s', (_name, payload) => {
    const began = performance.now()
    expect(() => codec.decode(before + payload + after).payload).toThrow(refusal)
    expect(performance.now() - began).toBeLessThan(BOUND)
  })

  it('leaves the prototype of all objects alone', () => {
    expect({}).not.toHaveProperty('a')
  })

  it('counts brackets and commas in texts for nothing', () => {
    const value = ['[{,'.repeat(70_000), { '\\"[,': '\\' }, [[], {}]]
    expect(codec.decode(before + JSON.stringify(value) + after).payload).toStrictEqual(value)
  })
})

describe('json', () => {
  it('refuses every truncation of every golden frame', () => {
    for (const [kind, service, id, payload] of golden) {
      const frame = json.encode(KIND[kind], service, id, payload, { deadline: 5 }) as string
      for (let size = 0; size < frame.length; size++) {
        expect(() => json.decode(frame.slice(0, size)).payload, frame.slice(0, size)).toThrow(refusal)
      }
    }
  })

  it('refuses hostile extension maps', () => {
    for (const [name, payload] of [...texts, ...tags]) {
      expect(() => json.decode(`[32,5,{"a":${payload}},1]`), name).toThrow(refusal)
    }
  })
})

describe('json for browsers', () => {
  it.each([
    ['bytes', hex('93 00 05 01')],
    ['an empty text', ''],
    ['a cut frame', '[0,5,"abc"'],
    ['an object', '{"0":1}'],
    ['a text in a text', '"[0,5,1]"'],
    ['null', 'null'],
    ['the key __proto__', '[0,5,{"__proto__":{"a":1}}]'],
    ['the key __proto__ spelt in escapes', '[0,5,[{"\\u005f_proto_\\u005f":{"a":1}}]]'],
    ['the key __proto__ in a tag', '[0,5,{"$t":["o",{"$t":1,"__proto__":1}]}]'],
    ['an unknown tag', '[0,5,{"$t":["x",1]}]'],
    ['a tag that is null', '[0,5,{"$t":null}]'],
    ['bytes that are no base64', '[0,5,{"$t":["u8","*"]}]'],
    ['a bigint of letters', '[0,5,{"$t":["b","ten"]}]'],
    ['a Set of a number', '[0,5,{"$t":["s",1]}]'],
    ['200,000 levels', `[0,5,${'['.repeat(200_000)}${']'.repeat(200_000)}]`],
  ])('refuses %s', (_name, frame) => {
    expect(() => jsonPortable.decode(frame).payload).toThrow(refusal)
    expect({}).not.toHaveProperty('a')
  })
})
