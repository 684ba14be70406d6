import { KIND } from '../protocol/envelope.js'
import { msgpack } from './msgpack.js'
import { headerSize } from './msgpack-header.js'
import { readValue } from './msgpack-read.js'
import { scan } from './msgpack-scan.js'

const codec = msgpack().open(new Map())
const HEADER = headerSize(KIND.MESSAGE, 0, 0)

/**
 * Packs a value as engines keep it: msgpack, of the values that every codec carries.
 *
 * @throws SocketStreamError `UNENCODABLE`
 */
export function pack(value: unknown): Uint8Array {
  return (codec.encode(KIND.MESSAGE, 0, 0, value) as Uint8Array).subarray(HEADER)
}

/** Reads what `pack` has made. @throws SocketStreamError `BAD_FRAME` for other bytes */
export function unpack(bytes: Uint8Array): unknown {
  scan(bytes, 0, bytes.length)
  return readValue(bytes, 0)
}
