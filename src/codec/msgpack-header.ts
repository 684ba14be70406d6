/**
 * The header of a msgpack frame: the array's head and the integers, by hand.
 *
 * Both msgpack codecs use it, so that a header is read without decoding anything else.
 */
import { type Extensions, FLAG_EXTENSIONS, HEADER, HEADERS, KIND_MASK } from '../protocol/envelope.js'
import { badFrame, type Envelope, type Frame, LazyEnvelope, type PayloadReader } from './codec.js'
import { skipValue } from './msgpack-scan.js'

/** Bytes that the header of a kind takes, without extensions; 2 to 12. */
export function headerSize(kind: number, service: number, id: number): number {
  const layout = HEADERS[kind & KIND_MASK]!
  return 2 + (layout & HEADER.SERVICE ? integerSize(service) : 0) + (layout & HEADER.ID ? integerSize(id) : 0)
}

/**
 * Writes a header in its shortest form.
 *
 * @param extended whether an extension map follows
 * @returns the index behind it
 */
export function writeHeader(
  target: Uint8Array,
  start: number,
  kind: number,
  service: number,
  id: number,
  extended: boolean,
): number {
  const layout = HEADERS[kind & KIND_MASK]!
  let at = start + 2
  let items = extended ? 0x93 : 0x92
  if (layout & HEADER.SERVICE) {
    items++
    at = writeInteger(target, at, service)
  }
  if (layout & HEADER.ID) {
    items++
    at = writeInteger(target, at, id)
  }
  target[start] = items
  target[start + 1] = extended ? kind | FLAG_EXTENSIONS : kind & ~FLAG_EXTENSIONS
  return at
}

/** Puts header, encoded extensions and encoded payload into one new frame. */
export function joinFrame(
  kind: number,
  service: number,
  id: number,
  extensions: Uint8Array | undefined,
  payload: Uint8Array,
): Uint8Array {
  const size = headerSize(kind, service, id) + (extensions?.length ?? 0)
  const frame = new Uint8Array(size + payload.length)
  const start = writeHeader(frame, 0, kind, service, id, extensions !== undefined)
  if (extensions !== undefined) frame.set(extensions, start)
  frame.set(payload, size)
  return frame
}

let at = 0

/**
 * Reads the header of a frame, extensions included.
 *
 * @param reader what shall read the payload
 * @throws SocketStreamError `BAD_FRAME`
 */
export function readHeader(reader: PayloadReader, frame: Frame): Envelope {
  if (typeof frame === 'string') throw badFrame('A text where bytes are agreed')
  at = 1
  const first = readInteger(frame)
  const layout = first < 0x80 ? HEADERS[first & KIND_MASK]! : -1
  if (layout < 0) throw badFrame('A frame of an unknown kind')
  let items = 0x92
  let service = 0
  let id = 0
  if (layout & HEADER.SERVICE) {
    service = readInteger(frame)
    items++
  }
  if (layout & HEADER.ID) {
    id = readInteger(frame)
    items++
  }
  let extensions: Extensions | undefined
  if (first & FLAG_EXTENSIONS) {
    extensions = readExtensions(reader, frame)
    items++
  }
  if (frame[0] !== items) throw badFrame('A frame that is no array of the length its kind has')
  if (at >= frame.length) throw badFrame('A frame without payload')
  const flags = first & ~KIND_MASK
  return new LazyEnvelope(first & KIND_MASK, flags, service, id, extensions, reader, frame, at, frame.length)
}

function readExtensions(reader: PayloadReader, frame: Uint8Array): Extensions {
  const head = frame[at]
  if (head === undefined || !((head & 0xf0) === 0x80 || head === 0xde || head === 0xdf)) {
    throw badFrame('A frame whose extensions are no map')
  }
  const start = at
  at = skipValue(frame, start, frame.length)
  return reader.read(frame, start, at) as Extensions
}

/** Reads an unsigned integer of up to 32 bits; longer forms than needed are taken too. */
function readInteger(frame: Uint8Array): number {
  const byte = frame[at++]!
  if (byte < 0x80) return byte
  const width = byte === 0xcc ? 1 : byte === 0xcd ? 2 : byte === 0xce ? 4 : 0
  if (width === 0 || at + width > frame.length) throw badFrame('A malformed integer')
  let value = 0
  for (let i = 0; i < width; i++) value = value * 256 + frame[at++]!
  return value
}

function integerSize(value: number): number {
  return value < 0x80 ? 1 : value < 0x100 ? 2 : value < 0x1_0000 ? 3 : 5
}

function writeInteger(target: Uint8Array, start: number, value: number): number {
  let i = start
  if (value < 0x80) target[i++] = value
  else if (value < 0x100) {
    target[i++] = 0xcc
    target[i++] = value
  } else {
    if (value < 0x1_0000) target[i++] = 0xcd
    else {
      target[i++] = 0xce
      target[i++] = value >>> 24
      target[i++] = value >>> 16
    }
    target[i++] = value >>> 8
    target[i++] = value
  }
  return i
}
