/**
 * The msgpack codec for browsers: small, and nothing from Node.
 *
 * It encodes with `@msgpack/msgpack`. On the server it does what msgpackr cannot.
 */
import { Encoder, ExtensionCodec } from '@msgpack/msgpack'
import { type Extensions, LIMITS } from '../protocol/envelope.js'
import type { Codec, CodecFactory, Envelope, Frame, PayloadReader } from './codec.js'
import { joinFrame, readHeader } from './msgpack-header.js'
import { readValue } from './msgpack-read.js'
import { EXT_SET, scan } from './msgpack-scan.js'
import { changed, examine } from './values.js'

/** An encoder keeps its buffer; past this many bytes it is given up. */
const MAX_KEPT = 0x1_0000

const extensionCodec = new ExtensionCodec()
extensionCodec.register({
  type: EXT_SET,
  encode: value => (value instanceof Set ? encoder.encode([...value]) : null),
  decode: () => undefined,
})
let encoder = createEncoder()

const codec: Codec = { name: 'msgpack', binary: true, encode, decode }
const reader: PayloadReader = { read }

/** The msgpack codec for browsers; it keeps no state, so all connections share one. */
export function msgpack(): CodecFactory {
  return { name: 'msgpack', binary: true, open: () => codec }
}

/**
 * Encodes a value that `examine` has passed.
 *
 * @throws SocketStreamError `UNENCODABLE` when the value is another by now
 */
export function encodeValue(value: unknown): Uint8Array {
  try {
    const bytes = encoder.encode(value)
    if (bytes.length > MAX_KEPT) encoder = createEncoder()
    return bytes
  } catch (cause) {
    throw changed(cause)
  }
}

function createEncoder(): Encoder {
  // it counts the members of the innermost container as one level more
  return new Encoder({ extensionCodec, useBigInt64: true, ignoreUndefined: true, maxDepth: LIMITS.depth + 1 })
}

function encode(kind: number, service: number, id: number, payload: unknown, extensions?: Extensions): Frame {
  examine(payload)
  examine(extensions)
  const middle = extensions === undefined ? undefined : encodeValue(extensions)
  return joinFrame(kind, service, id, middle, encodeValue(payload))
}

function decode(frame: Frame): Envelope {
  return readHeader(reader, frame)
}

function read(frame: Frame, start: number, end: number): unknown {
  scan(frame as Uint8Array, start, end)
  return readValue(frame as Uint8Array, start)
}
