/**
 * The JSON codec of the server: frames are texts `[kind,…integers,{extensions}?,payload]`.
 *
 * It reads headers without parsing payloads, and frames are the same as those of
 * `json-portable.ts`. What the payload looks like is in `tagged-json.ts`.
 */
import {
  type Extensions,
  FLAG_EXTENSIONS,
  HEADER,
  HEADERS,
  KIND_MASK,
  LIMITS,
  MAX_ID,
} from '../protocol/envelope.js'
import {
  badFrame,
  type Codec,
  type CodecFactory,
  type Envelope,
  type Frame,
  LazyEnvelope,
  type PayloadReader,
} from './codec.js'
import { fromText, skipText, toText } from './json-text.js'
import { SHAPE, shapeOf } from './shape.js'

const codec: Codec = { name: 'json', binary: false, encode, decode }
const reader: PayloadReader = { read }

/** The JSON codec; it keeps no state, so all connections share one. */
export function json(): CodecFactory {
  return { name: 'json', binary: false, open: () => codec }
}

function encode(
  kind: number,
  service: number,
  id: number,
  payload: unknown,
  extensions?: Extensions,
): string {
  const layout = HEADERS[kind & KIND_MASK]!
  let frame = `[${extensions === undefined ? kind & ~FLAG_EXTENSIONS : kind | FLAG_EXTENSIONS},`
  if (layout & HEADER.SERVICE) frame += `${service},`
  if (layout & HEADER.ID) frame += `${id},`
  if (extensions !== undefined) frame += `${toText(extensions)},`
  return `${frame}${toText(payload)}]`
}

let at = 0

// The integers stand without blanks between them, as every encoder writes them: one spelling only.
function decode(frame: Frame): Envelope {
  if (typeof frame !== 'string' || frame.charCodeAt(0) !== 0x5b) throw badFrame('A frame that is no array')
  at = 1
  const first = readInteger(frame)
  const layout = first < 0x80 ? HEADERS[first & KIND_MASK]! : -1
  if (layout < 0) throw badFrame('A frame of an unknown kind')
  const service = layout & HEADER.SERVICE ? readInteger(frame) : 0
  const id = layout & HEADER.ID ? readInteger(frame) : 0
  let extensions: Extensions | undefined
  if (first & FLAG_EXTENSIONS) {
    if (frame.charCodeAt(at) !== 0x7b) throw badFrame('A frame whose extensions are no object')
    const end = skipText(frame, at, 4, 3 * LIMITS.depth + 2)
    extensions = fromText(frame.slice(at, end)) as Extensions
    if (shapeOf(extensions) !== SHAPE.OBJECT) throw badFrame('A frame whose extensions are no object')
    if (frame.charCodeAt(end) !== 0x2c) throw badFrame('A frame without payload')
    at = end + 1
  }
  const end = frame.length - 1
  if (at >= end || frame.charCodeAt(end) !== 0x5d) throw badFrame('A frame cut short')
  return new LazyEnvelope(
    first & KIND_MASK,
    first & ~KIND_MASK,
    service,
    id,
    extensions,
    reader,
    frame,
    at,
    end,
  )
}

function read(frame: Frame, start: number, end: number): unknown {
  return fromText((frame as string).slice(start, end))
}

/** Reads digits and the comma behind them. */
function readInteger(frame: string): number {
  const start = at
  let value = 0
  for (; ; at++) {
    const digit = frame.charCodeAt(at) - 0x30
    if (!(digit >= 0 && digit <= 9)) break
    value = value * 10 + digit
    if (value > MAX_ID || (at > start && frame.charCodeAt(start) === 0x30))
      throw badFrame('A malformed integer')
  }
  if (at === start || frame.charCodeAt(at) !== 0x2c) throw badFrame('A malformed integer')
  at++
  return value
}
