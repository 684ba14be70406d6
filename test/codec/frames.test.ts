import { describe, expect, it } from 'vitest'
import { FLAG_EXTENSIONS, FLAG_VOLATILE, KIND } from '../../src/protocol/envelope.js'
import { golden } from './golden.js'
import { codecs, hex, show } from './samples.js'

const extensions = { trace: 'ab', deadline: 5 }
const { msgpack, portable, json, jsonPortable } = codecs

describe.each(golden)('%s of service %i, id %i', (kind, service, id, payload, bytes, text) => {
  it('has its golden bytes and text', () => {
    expect(show(msgpack.encode(KIND[kind], service, id, payload))).toBe(bytes.replaceAll(' ', ''))
    expect(show(portable.encode(KIND[kind], service, id, payload))).toBe(bytes.replaceAll(' ', ''))
    expect(json.encode(KIND[kind], service, id, payload)).toBe(text)
    expect(jsonPortable.encode(KIND[kind], service, id, payload)).toBe(text)
  })

  it('is read back, flags and extensions too', () => {
    for (const codec of [msgpack, portable, json, jsonPortable]) {
      for (const flag of [0, FLAG_VOLATILE]) {
        for (const ext of [undefined, extensions, { long: 'x'.repeat(300), set: new Set([1]) }]) {
          const envelope = codec.decode(codec.encode(KIND[kind] | flag, service, id, payload, ext))
          expect(envelope).toMatchObject({ kind: KIND[kind], service, id })
          expect(envelope.flags).toBe(flag | (ext === undefined ? 0 : FLAG_EXTENSIONS))
          expect(envelope.extensions).toStrictEqual(ext)
          expect(envelope.payload).toStrictEqual(payload)
        }
      }
    }
  })
})

describe('a frame', () => {
  it('carries flags and the extension map before the payload', () => {
    const bytes = '94 60 05 82 a57472616365 a26162 a8646561646c696e65 05 a5 68656c6c6f'.replaceAll(' ', '')
    for (const codec of [msgpack, portable]) {
      expect(show(codec.encode(KIND.MESSAGE | FLAG_VOLATILE, 5, 0, 'hello', extensions))).toBe(bytes)
      expect(show(codec.encode(KIND.MESSAGE | FLAG_VOLATILE, 5, 0, 'hello'))).toBe('934005a568656c6c6f')
    }
    for (const codec of [json, jsonPortable]) {
      expect(codec.encode(KIND.MESSAGE | FLAG_VOLATILE, 5, 0, 'hello', extensions)).toBe(
        '[96,5,{"trace":"ab","deadline":5},"hello"]',
      )
      expect(codec.encode(KIND.CALL, 5, 7, 1, {})).toBe('[33,5,7,{},1]')
    }
  })

  it('is written without the extension flag that a received kind may still have', () => {
    expect(show(msgpack.encode(FLAG_EXTENSIONS, 5, 0, 1))).toBe('93000501')
    expect(json.encode(FLAG_EXTENSIONS, 5, 0, 1)).toBe('[0,5,1]')
    expect(jsonPortable.encode(FLAG_EXTENSIONS, 5, 0, 1)).toBe('[0,5,1]')
  })

  it('takes three bytes over the payload for a push and four for a call', () => {
    expect(msgpack.encode(KIND.MESSAGE, 5, 0, 1)).toHaveLength(4)
    expect(msgpack.encode(KIND.CALL, 5, 7, 1)).toHaveLength(5)
  })

  it('is read where integers are longer than needed', () => {
    for (const codec of [msgpack, portable]) {
      const envelope = codec.decode(hex('94 cd0001 ce00000005 cc07 01'))
      expect(envelope).toMatchObject({ kind: KIND.CALL, service: 5, id: 7, payload: 1 })
    }
  })

  it('has a header that is read whatever the payload is', () => {
    for (const [codec, frame] of [
      [msgpack, hex('94 01 05 07 c1')],
      [portable, hex('94 01 05 07 c1')],
      [json, '[1,5,7,nonsense]'],
    ] as const) {
      const envelope = codec.decode(frame)
      expect(envelope).toMatchObject({ kind: KIND.CALL, service: 5, id: 7 })
      expect(() => envelope.payload).toThrow(expect.objectContaining({ code: 'BAD_FRAME' }))
    }
  })

  it('is refused when its header is wrong', () => {
    const frames = [
      '',
      '93',
      '92 00',
      '92 00 05',
      '93 00 05',
      '94 00 05 01',
      '92 0c 01',
      '92 1f 01',
      '92 80 01',
      '92 cc80 01',
      '92 ff 01',
      '93 00 ff 01',
      '93 00 cf0000000000000005 01',
      '93 00 cd05',
      '93 00 a135 01',
      '80 00 05 01',
      'dc0003 00 05 01',
      '94 20 05 01 01',
      '94 20 05 90 01',
      '94 20 05 81 01 01 01',
      '94 20 05 80',
      '93 20 05 80 01',
    ]
    for (const codec of [msgpack, portable]) {
      for (const frame of frames) {
        expect(() => codec.decode(hex(frame)), frame).toThrow(expect.objectContaining({ code: 'BAD_FRAME' }))
      }
      expect(() => codec.decode('[0,5,1]')).toThrow(expect.objectContaining({ code: 'BAD_FRAME' }))
    }
    const texts = [
      '',
      '[',
      '[]',
      '[0',
      '[0]',
      '[0,',
      '[0,5',
      '[0,5]',
      '[0,5,',
      '[0,5,]',
      '[0,5,1',
      '[ 0,5,1]',
      '[0 ,5,1]',
      '[00,5,1]',
      '[0,05,1]',
      '[0,-5,1]',
      '[0,5.5,1]',
      '[0,5e1,1]',
      '[0,"5",1]',
      '[0,4294967296,1]',
      '[12,1]',
      '[31,1]',
      '[128,1]',
      '[256,5,1]',
      '{"0":1}',
      '"[0,5,1]"',
      ' [0,5,1]',
      '[32,5,[],1]',
      '[32,5,{},]',
      '[32,5,{}]',
      '[32,5,{"a":1,1]',
      '[32,5,{"a":},1]',
      '[32,5,{"$t":["s",[]]},1]',
      '[32,5,{"__proto__":1},1]',
    ]
    for (const text of texts) {
      expect(() => json.decode(text), text).toThrow(expect.objectContaining({ code: 'BAD_FRAME' }))
    }
    expect(() => json.decode(hex('93 00 05 01'))).toThrow(expect.objectContaining({ code: 'BAD_FRAME' }))
  })
})
