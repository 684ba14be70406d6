import { Packr, pack, unpack } from 'msgpackr'
import { expect, it } from 'vitest'

const samples = [new Set([1]), new Map([['a', 1]]), new Date(5), /x/g, { a: 1 }, Buffer.of(1), undefined, 2n]

const everything = () => {
  const plain = new Packr()
  const rich = new Packr({ moreTypes: true, structuredClone: true })
  return samples.flatMap(value =>
    [pack(value), plain.pack(value), rich.pack(value)].map(bytes => bytes.toString('hex')),
  )
}

it('msgpackr is to its other users what it was before the codec was loaded and used', async () => {
  const before = everything()
  const { codecs, send } = await import('./samples.js')
  for (const codec of Object.values(codecs)) {
    send(codec, codec, { set: new Set([new Date(5)]), bytes: new Uint8Array(500), gone: undefined })
    expect(() => send(codec, codec, () => 1)).toThrow()
  }
  expect(everything()).toStrictEqual(before)
  const rich = new Packr({ moreTypes: true })
  expect(rich.unpack(rich.pack(new Set([1])))).toStrictEqual(new Set([1]))
  expect(new Packr().unpack(new Packr().pack(new Set([1])))).toStrictEqual([1])
  // a reader that knows no extension 1 still knows none
  expect(() => unpack(Buffer.from('d40190', 'hex'))).toThrow('Unknown extension')
})
