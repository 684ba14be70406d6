import { msgpack } from '../../codec/msgpack.js'
import { headerSize } from '../../codec/msgpack-header.js'
import { readValue } from '../../codec/msgpack-read.js'
import { scan } from '../../codec/msgpack-scan.js'
import type { LogEntry } from '../../engines/log.js'
import { KIND } from '../../protocol/envelope.js'

const codec = msgpack().open(new Map())
const HEADER = headerSize(KIND.MESSAGE, 0, 0)

/** A publication, as it stands in an engine's log. */
export interface Publication {
  /** `[event, ...args]`; empty when it was written by something else. */
  readonly message: readonly unknown[]
  /** The connection that it is not for. */
  readonly except: string | undefined
}

/** What was read before; entries are the engine's own objects, one for all that are given them. */
const read = new WeakMap<LogEntry, Publication>()

/**
 * Encodes `[event, ...args]` for an engine, with `{ except }` before it where somebody is spared.
 *
 * @throws SocketStreamError `UNENCODABLE`
 */
export function encodePublication(message: readonly unknown[], except: string | undefined): Uint8Array {
  const payload = except === undefined ? message : [{ except }, ...message]
  return (codec.encode(KIND.MESSAGE, 0, 0, payload) as Uint8Array).subarray(HEADER)
}

/** Reads an entry. What is no publication gives an empty message, which keeps its place. */
export function publicationOf(entry: LogEntry): Publication {
  const known = read.get(entry)
  if (known !== undefined) return known
  const publication = decode(entry.payload)
  read.set(entry, publication)
  return publication
}

/** An entry as clients are sent it: `[offset, event, ...args]`, or its place alone. */
export function lineOf(entry: LogEntry, connectionId?: string): unknown[] {
  const { message, except } = publicationOf(entry)
  return except !== undefined && except === connectionId ? [entry.offset] : [entry.offset, ...message]
}

function decode(payload: Uint8Array): Publication {
  try {
    scan(payload, 0, payload.length)
    const value = readValue(payload, 0) as unknown[]
    const [head] = value
    if (typeof head === 'string') return { message: value, except: undefined }
    const { except } = head as { except?: unknown }
    if (typeof value[1] === 'string' && typeof except === 'string') return { message: value.slice(1), except }
  } catch {
    // Somebody else writes to this channel: told by the empty message.
  }
  return { message: [], except: undefined }
}
