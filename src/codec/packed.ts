import { KIND } from '../protocol/envelope.js'
import { msgpack } from './msgpack.js'
import { headerSize } from './msgpack-header.js'
import { readValue } from './msgpack-read.js'
import { scan } from './msgpack-scan.js'
import { packSmall } from './msgpack-small.js'
import { NOT_SMALL, readSmall } from './msgpack-small-read.js'

const codec = msgpack().open(new Map())
const HEADER = headerSize(KIND.MESSAGE, 0, 0)
/** Bytes up to which a value is first tried in one pass. */
const SMALL = 256

/**
 * Packs a value as engines keep it: msgpack, of the values that every codec carries.
 *
 * @throws SocketStreamError `UNENCODABLE`
 */
export function pack(value: unknown): Uint8Array {
  return packSmall(value) ?? (codec.encode(KIND.MESSAGE, 0, 0, value) as Uint8Array).subarray(HEADER)
}

/** Reads what `pack` has made. @throws SocketStreamError `BAD_FRAME` for other bytes */
export function unpack(bytes: Uint8Array): unknown {
  return unpackAt(bytes, 0, bytes.length)
}

/** The same, of a part of these bytes. @throws SocketStreamError `BAD_FRAME` */
export function unpackAt(bytes: Uint8Array, start: number, end: number): unknown {
  if (end - start <= SMALL) {
    const small = readSmall(bytes, start, end)
    if (small !== NOT_SMALL) return small
  }
  scan(bytes, start, end)
  return readValue(bytes, start)
}
