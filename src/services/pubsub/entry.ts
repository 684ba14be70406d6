import { pack, unpack } from '../../codec/packed.js'
import type { LogEntry } from '../../engines/log.js'
import type { Tags } from './filters.js'

/** A publication, as it stands in an engine's log. */
export interface Publication {
  /** `[event, ...args]`; empty when it was written by something else. */
  readonly message: readonly unknown[]
  /** The connection that it is not for. */
  readonly except: string | undefined
  readonly tags?: Tags | undefined
}

/** What was read before; entries are the engine's own objects, one for all that are given them. */
const read = new WeakMap<LogEntry, Publication>()

/**
 * Encodes `[event, ...args]` for an engine, with `{ except, tags }` before it where there is one of them.
 *
 * @throws SocketStreamError `UNENCODABLE`
 */
export function encodePublication({ message, except, tags }: Publication): Uint8Array {
  const head = { ...(except !== undefined && { except }), ...(tags && { tags }) }
  return pack(Object.keys(head).length === 0 ? message : [head, ...message])
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
  return lineFrom(entry.offset, publicationOf(entry), connectionId)
}

/** A publication as clients are sent it. */
export function lineFrom(
  offset: number,
  { message, except }: Publication,
  connectionId: string | undefined,
): unknown[] {
  return except !== undefined && except === connectionId ? [offset] : [offset, ...message]
}

function decode(payload: Uint8Array): Publication {
  try {
    const value = unpack(payload) as unknown[]
    const [head] = value
    if (typeof head === 'string') return { message: value, except: undefined }
    const { except, tags } = head as { except?: unknown; tags?: unknown }
    const spares = except === undefined || typeof except === 'string'
    const tagged = tags !== null && typeof tags === 'object' && !Array.isArray(tags)
    if (typeof value[1] === 'string' && spares && (tags === undefined || tagged)) {
      return { message: value.slice(1), except, ...(tagged && { tags: tags as Tags }) }
    }
  } catch {
    // Somebody else writes to this channel: told by the empty message.
  }
  return { message: [], except: undefined }
}
