import { Writable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Frame } from '../../src/codec/codec.js'
import { bodySize, headerSize, packFrames, writeFrames } from '../../src/transports/websocket-frames.js'

const pack = (...frames: Frame[]) => packFrames(frames, 0, frames.length)

describe('WebSocket frames', () => {
  test.each([
    ['no bytes', new Uint8Array(0), '8200'],
    ['an empty text', '', '8100'],
    ['text by its bytes, not its characters', 'ü', '8102c3bc'],
    ['125 bytes', new Uint8Array(125), `827d${'00'.repeat(125)}`],
    ['126 bytes', new Uint8Array(126), `827e007e${'00'.repeat(126)}`],
    ['65,535 bytes', new Uint8Array(65_535), `827effff${'00'.repeat(65_535)}`],
    ['65,536 bytes', new Uint8Array(65_536), `827f0000000000010000${'00'.repeat(65_536)}`],
  ])('hold %s', (_what, frame, hex) => {
    const packed = pack(frame)
    expect(packed.toString('hex') === hex).toBe(true)
    expect(packed.length).toBe(headerSize(bodySize(frame)) + bodySize(frame))
  })

  test('are the same bytes whether packed or written in parts', () => {
    const size = fc.oneof(fc.nat(300), fc.integer({ min: 16_300, max: 16_500 }), fc.constant(65_536))
    const frame = fc.oneof(
      fc.tuple(size, fc.nat(255)).map(([length, byte]): Frame => new Uint8Array(length).fill(byte)),
      fc.tuple(size, fc.constantFrom('a', 'ü', '👋')).map(([length, part]): Frame => part.repeat(length)),
    )
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), frames => {
        const chunks: Buffer[] = []
        const socket = new Writable({
          write(chunk, _encoding, done) {
            chunks.push(chunk)
            done()
          },
        })
        writeFrames(socket, frames)
        expect(Buffer.concat(chunks).equals(pack(...frames))).toBe(true)
      }),
      { numRuns: 50 },
    )
  })
})
