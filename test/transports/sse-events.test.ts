import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EventReader } from '../../src/client/event-reader.js'
import { readBatch, writeBatch } from '../../src/transports/frame-batch.js'

/** Strings of any code units: line ends of all kinds, and halves of pairs. */
const text = fc
  .array(
    fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.constantFrom(10, 13, 0x2028, 0x2029, 0xd83d, 0xfeff)),
  )
  .map(units => String.fromCharCode(...units))
const frame = fc.oneof(text, fc.uint8Array())

/** Reads a stream that comes in pieces of these sizes, over and over. */
function readInPieces(stream: string, sizes: readonly number[]): string[] {
  const bytes = Buffer.from(stream)
  const decoder = new TextDecoder()
  const reader = new EventReader()
  const events: string[] = []
  for (let start = 0, i = 0; start < bytes.length; i++) {
    const size = sizes[i % sizes.length]!
    events.push(...reader.read(decoder.decode(bytes.subarray(start, start + size), { stream: true })))
    start += size
  }
  return events
}

describe('the events of a stream', () => {
  test.each([
    ['data: one\n\ndata:two\n\n', ['one', 'two']],
    ['data: a\r\ndata: b\r\n\r\n', ['a\nb']],
    ['data: a\rdata: b\r\rdata: c\r\r', ['a\nb', 'c']],
    [': a comment\n\nid: 7\nevent: x\ndata\ndata:  two blanks\nretry: 1\n\n', [' two blanks']],
    ['\n\n\r\n:\n\ndata: x\n\n\n\n', ['x']],
    ['data: unfinished\n', []],
    ['data:\n\n', ['']],
  ])('are read whole from %j, wherever it is cut', (stream, events) => {
    for (let size = 1; size <= stream.length; size++) expect(readInPieces(stream, [size])).toEqual(events)
  })

  test('give back any frames, in pieces of any size', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 })
    const batches = fc.array(fc.array(frame))
    fc.assert(
      fc.property(batches, sizes, (batches, sizes) => {
        const stream = batches.map(frames => `data: ${writeBatch({ frames })}\n\n`).join(':\n\n')
        const read = readInPieces(stream, sizes).map(data => readBatch(Buffer.from(data))?.frames)
        expect(read).toEqual(batches.map(frames => frames.map(asReceived)))
      }),
    )
  })
})

describe('a batch', () => {
  test('has a close behind its frames', () => {
    const batch = { frames: ['a'], close: { code: 4001, reason: 'had\nenough' } }
    expect(writeBatch(batch)).toBe('["ta","c4001 had\\nenough"]')
    expect(readBatch(Buffer.from(writeBatch(batch)))).toEqual(batch)
  })

  test('has its reason cut to 123 bytes, whoever wrote it', () => {
    const read = readBatch(Buffer.from(JSON.stringify([`c1000 ${'€'.repeat(50)}`])))
    expect(read?.close?.reason).toBe('€'.repeat(41))
  })

  test('is read from whatever strangers send, or is not', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map(json => Buffer.from(json)),
        ),
        body => {
          const batch = readBatch(body)
          if (batch) expect(readBatch(Buffer.from(writeBatch(batch)))).toEqual(batch)
        },
      ),
    )
  })
})

/** Bytes are received as Buffers. */
function asReceived(frame: string | Uint8Array): string | Buffer {
  return typeof frame === 'string' ? frame : Buffer.from(frame)
}
