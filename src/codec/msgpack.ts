/**
 * The msgpack codec of the server, on msgpackr.
 *
 * Frames are the same as those of `msgpack-portable.ts`. Nothing here touches what msgpackr shares
 * between its users: no `useBuffer`, no `addExtension`.
 */
import { Packr, RESERVE_START_SPACE } from 'msgpackr'
import type { Extensions } from '../protocol/envelope.js'
import type { Codec, CodecFactory, Envelope, Frame, PayloadReader } from './codec.js'
import { headerSize, joinFrame, readHeader, writeHeader } from './msgpack-header.js'
import { readValue } from './msgpack-read.js'
import { scan } from './msgpack-scan.js'
import { encodeSmall } from './msgpack-small.js'
import { NOT_SMALL, readSmall } from './msgpack-small-read.js'
import { encodeValue } from './msgpack-write.js'
import { changed, examine, GAPS, SET } from './values.js'

/** Payloads of up to this many bytes are read by hand, which has no set-up. */
const SMALL = 64
/** Payloads of up to this many bytes are unpacked in one buffer, for which msgpackr keeps a view. */
const SCRATCH = 0x2000
/** Most bytes that msgpackr can leave free in front. */
const MAX_RESERVED = 0xff

const refuse = (): never => {
  throw new Error('not an agreed value')
}
const OPTIONS = {
  useRecords: false,
  moreTypes: false,
  structuredClone: false,
  encodeUndefinedAsNil: true,
  copyBuffers: true,
  useToJSON: false,
  variableMapSize: true,
  writeFunction: refuse,
  onInvalidDate: refuse,
}
const packr = new Packr(OPTIONS)
// leaving out properties that are undefined costs a sixth more, so only those who have them pay
const WITH_GAPS = { ...OPTIONS, skipValues: [undefined] }
const gapsPackr = new Packr(WITH_GAPS)

const scratch = new Uint8Array(SCRATCH)
const range = { start: 0, end: 0 }

const codec: Codec = { name: 'msgpack', binary: true, encode, decode }
const reader: PayloadReader = { read }

/** The msgpack codec; it keeps no state, so all connections share one. */
export function msgpack(): CodecFactory {
  return { name: 'msgpack', binary: true, open: () => codec }
}

function encode(kind: number, service: number, id: number, payload: unknown, extensions?: Extensions): Frame {
  if (extensions === undefined) {
    const small = encodeSmall(kind, service, id, payload)
    if (small !== undefined) return small
  }
  const flags = examine(payload)
  const middle = extensions === undefined ? undefined : encodeBody(extensions, examine(extensions), 0)
  const before = headerSize(kind, service, id) + (middle?.length ?? 0)
  if (flags & SET || before > MAX_RESERVED) {
    return joinFrame(kind, service, id, middle, encodeBody(payload, flags, 0))
  }
  const frame = encodeBody(payload, flags, before)
  const start = writeHeader(frame, 0, kind, service, id, middle !== undefined)
  if (middle !== undefined) frame.set(middle, start)
  return frame
}

/** Encodes what `examine` gave these flags, with some bytes left free in front. */
function encodeBody(value: unknown, flags: number, reserved: number): Uint8Array {
  if (flags & SET) return encodeValue(value)
  try {
    return (flags & GAPS ? gapsPackr : packr).pack(value, RESERVE_START_SPACE | reserved)
  } catch (cause) {
    throw changed(cause)
  }
}

function decode(frame: Frame): Envelope {
  return readHeader(reader, frame)
}

function read(frame: Frame, start: number, end: number): unknown {
  const bytes = frame as Uint8Array
  const size = end - start
  const small = readSmall(bytes, start, end)
  if (small !== NOT_SMALL) return small
  // Sets, and marks at the beginning of texts, are what msgpackr gets wrong
  if (scan(bytes, start, end) !== 0 || size <= SMALL) return readValue(bytes, start)
  if (size > SCRATCH) return packr.unpack(new Uint8Array(bytes.buffer, bytes.byteOffset + start, size))
  scratch.set(bytes.subarray(start, end))
  range.end = size
  return packr.unpack(scratch, range)
}
