import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { unmask, WebSocketReader } from '../../src/transports/websocket-reader.js'

const BOUNDS = { maxPayload: 100_000, maxFragments: 4, maxBufferedChunks: 0 }

/** Reads chunks; gives what was told, in order. */
function read(chunks: readonly Buffer[], bounds = BOUNDS): string[] {
  const told: string[] = []
  const reader = new WebSocketReader(
    {
      message: (body, binary) => told.push(binary ? `bytes ${body.toString('hex')}` : `text ${body}`),
      ping: data => told.push(`ping ${data.toString('hex')}`),
      concluded: (code, reason) => told.push(`close ${code} ${reason}`),
      failed: code => told.push(`failed ${code}`),
    },
    bounds,
  )
  // Copies, as a reader writes to what it is given.
  for (const chunk of chunks) reader.read(Buffer.from(chunk))
  return told
}

function frame(first: number, body: Buffer, mask: number): Buffer {
  const { length } = body
  const head = Buffer.alloc(length < 126 ? 6 : length < 65_536 ? 8 : 14)
  head[0] = first
  head[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127)
  if (head.length === 8) head.writeUInt16BE(length, 2)
  if (head.length === 14) head.writeBigUInt64BE(BigInt(length), 2)
  head.writeUInt32BE(mask, head.length - 4)
  return Buffer.concat([head, body.map((byte, i) => byte ^ head[head.length - 4 + (i & 3)]!)])
}

const mask = fc.nat(0xffff_ffff)
const sizes = fc.oneof(fc.nat(130), fc.integer({ min: 1000, max: 1100 }), fc.constantFrom(65_535, 65_536))
const body = fc
  .tuple(sizes, fc.nat(255))
  .map(([size, seed]) => Buffer.from(Buffer.alloc(size).map((_, i) => i * 7 + seed)))
const one = fc.oneof(
  fc.tuple(body, mask).map(([bytes, key]) => ({
    wire: [frame(0x82, bytes, key)],
    told: [`bytes ${bytes.toString('hex')}`],
  })),
  fc.tuple(fc.string({ unit: 'grapheme', maxLength: 40 }), mask).map(([text, key]) => ({
    wire: [frame(0x81, Buffer.from(text), key)],
    told: [`text ${text}`],
  })),
  fc.tuple(fc.uint8Array({ maxLength: 125 }), mask).map(([bytes, key]) => ({
    wire: [frame(0x89, Buffer.from(bytes), key), frame(0x8a, Buffer.from(bytes), key)],
    told: [`ping ${Buffer.from(bytes).toString('hex')}`],
  })),
  // In two fragments, cut anywhere, with a ping between them.
  fc.tuple(body, mask, fc.double({ min: 0, max: 1, noNaN: true })).map(([bytes, key, share]) => {
    const cut = Math.floor(bytes.length * share)
    const parts = [frame(0x02, bytes.subarray(0, cut), key), frame(0x80, bytes.subarray(cut), key)]
    return {
      wire: [parts[0]!, frame(0x89, Buffer.alloc(0), key), parts[1]!],
      told: ['ping ', `bytes ${bytes.toString('hex')}`],
    }
  }),
)

describe('a reader of WebSocket frames', () => {
  test('tells the same in the same order, wherever what comes is cut', () => {
    fc.assert(
      fc.property(fc.array(one, { maxLength: 6 }), fc.array(fc.nat(400), { maxLength: 20 }), (all, cuts) => {
        const close = frame(0x88, Buffer.from('03e8627965', 'hex'), 7)
        const wire = Buffer.concat([
          ...all.flatMap(({ wire }) => wire),
          close,
          frame(0x82, Buffer.alloc(3), 1),
        ])
        const chunks: Buffer[] = []
        let at = 0
        for (const size of cuts) {
          chunks.push(wire.subarray(at, at + size))
          at += size
        }
        chunks.push(wire.subarray(at))
        expect(read(chunks)).toEqual([...all.flatMap(({ told }) => told), 'close 1000 bye'])
      }),
      { numRuns: 100 },
    )
  })

  test.each([
    ['a reserved bit', 'c280'],
    ['no mask', '8200'],
    ['an unknown opcode', '8380'],
    ['a continuation of nothing', '8080'],
    ['a ping in fragments', '0980'],
    ['a ping of 126 bytes', '89fe'],
    ['a close frame of one byte', '8881'],
    ['a message within another', '0280000000008280'],
    ['a close code that may not be sent', '88820000000003ed'],
  ])('fails with 1002 on %s, as soon as that is there', (_what, hex) => {
    expect(read([Buffer.from(hex, 'hex')])).toEqual(['failed 1002'])
  })

  test('fails with 1009 on a size over the bound, before the bytes, fragments added up', () => {
    const part = frame(0x02, Buffer.alloc(60_000), 1)
    expect(read([Buffer.from('82ff00000000000186a1', 'hex')])).toEqual(['failed 1009'])
    expect(read([Buffer.from('82ff0040000000000000', 'hex')])).toEqual(['failed 1009'])
    expect(read([part, frame(0x00, Buffer.alloc(60_000), 1).subarray(0, 4)])).toEqual(['failed 1009'])
  })

  test('fails with 1008 on more fragments or chunks than allowed, and with 1007 on text that is none', () => {
    const fragments = [frame(0x02, Buffer.alloc(1), 1), ...Array(4).fill(frame(0x00, Buffer.alloc(1), 1))]
    expect(read(fragments)).toEqual(['failed 1008'])
    const bytes = [...frame(0x82, Buffer.alloc(20), 1)].map(byte => Buffer.of(byte))
    expect(read(bytes, { ...BOUNDS, maxBufferedChunks: 10 })).toEqual(['failed 1008'])
    expect(read([frame(0x81, Buffer.of(0xc3, 0x28), 1)])).toEqual(['failed 1007'])
  })
})

test('unmasking takes off what masking put on, wherever the body lies', () => {
  fc.assert(
    fc.property(body, mask, fc.nat(9), (bytes, key, offset) => {
      const wire = frame(0x82, bytes, key)
      const place = Buffer.from(new ArrayBuffer(wire.length + offset + 8), offset, wire.length)
      wire.copy(place)
      unmask(place, wire.length - bytes.length, bytes.length)
      expect(place.subarray(wire.length - bytes.length).equals(bytes)).toBe(true)
    }),
    { numRuns: 200 },
  )
})
