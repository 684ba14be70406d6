import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decode } from '../../src/cluster/messages.js'
import { packList, unpackList } from '../../src/cluster/packed-list.js'
import { pack, unpack } from '../../src/codec/packed.js'

const item = fc.oneof(
  fc.constant(null),
  fc.string({ maxLength: 40, unit: 'binary' }).filter(text => Buffer.from(text).toString() === text),
  fc.integer(),
  fc.double({ noNaN: true }),
  fc.nat(2 ** 32),
  fc.uint8Array({ maxLength: 300 }),
  fc.record({ channel: fc.string({ maxLength: 100 }), spared: fc.array(fc.string(), { maxLength: 3 }) }),
)
const list = fc.array(item, { maxLength: 18 })

test('a list is read as any packed value is, and the other way round', () =>
  fc.assert(
    fc.property(list, items => {
      const bytes = packList(items)
      const [expected, read] = [unpack(pack(items)), unpack(bytes)]
      expect(read).toEqual(expected)
      if (items.length > 15) return
      for (const packed of [bytes, pack(items)]) {
        const given = unpackList(packed)?.map(each =>
          each instanceof Uint8Array ? new Uint8Array(each) : each,
        )
        expect(given).toEqual(expected)
      }
    }),
  ))

test('bytes of 255, 256, 65,535 and 65,536 have the heads of msgpack', () => {
  for (const size of [0, 255, 256, 65_535, 65_536]) {
    const items = ['a', new Uint8Array(size).fill(7)]
    expect(Buffer.compare(packList(items), pack(items))).toBe(0)
  }
})

test('whatever other bytes come, they are no message, and nothing throws', () =>
  fc.assert(
    fc.property(list, fc.nat(), fc.nat(255), fc.boolean(), (items, where, byte, isCut) => {
      const bytes = new Uint8Array(packList(['ask', 'node', ...items.slice(0, 10)]))
      const at = where % bytes.length
      bytes[at] = byte
      const message = decode(isCut ? bytes.subarray(0, at) : bytes)
      if (message !== undefined) expect(typeof message[1]).toBe('string')
      if (isCut) expect(message).toBe(undefined)
    }),
  ))
