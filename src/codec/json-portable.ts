/**
 * The JSON codec for browsers: small, and nothing from Node.
 *
 * Frames are the same as those of `json.ts`. They are parsed whole, and as they come from the server
 * that the page has chosen, what they cost is not bounded and unknown kinds are left to the reader.
 */
import { SocketStreamError } from '../errors.js'
import { type Extensions, FIRST, HEADER, HEADERS } from '../protocol/envelope.js'
import type { Codec, CodecFactory, Envelope, Frame } from './codec.js'
import { fromBase64, toTagged } from './tagged-json.js'

const codec: Codec & CodecFactory = { name: 'json', binary: false, open: () => codec, encode, decode }

/** The JSON codec for browsers; it keeps no state, so all connections share one. */
export function json(): CodecFactory {
  return codec
}

function encode(
  kind: number,
  service: number,
  id: number,
  payload: unknown,
  extensions?: Extensions,
): string {
  const layout = HEADERS[kind & FIRST.KIND]!
  const items: unknown[] = [kind & ~FIRST.EXTENSIONS]
  if (layout & HEADER.SERVICE) items.push(service)
  if (layout & HEADER.ID) items.push(id)
  if (extensions) {
    items[0] = kind | FIRST.EXTENSIONS
    items.push(toTagged(extensions))
  }
  items.push(toTagged(payload))
  return JSON.stringify(items)
}

function decode(frame: Frame): Envelope {
  try {
    const items = JSON.parse(frame as string)
    const first = items.shift()
    const kind = first & FIRST.KIND
    const layout = HEADERS[kind]!
    return {
      kind,
      flags: first - kind,
      service: layout & HEADER.SERVICE ? items.shift() : 0,
      id: layout & HEADER.ID ? items.shift() : 0,
      extensions: first & FIRST.EXTENSIONS ? (untag(items.shift()) as Extensions) : undefined,
      payload: untag(items.shift()),
      size: frame.length,
    }
  } catch (cause) {
    throw new SocketStreamError('BAD_FRAME', 'A malformed frame', { cause })
  }
}

/** Puts values in the place of their tags, in what `JSON.parse` just built. */
function untag(value: unknown): unknown {
  if (Object(value) !== value) return value
  const { $t: tag } = value as { $t?: [name: string, content: never] }
  if (tag === undefined) return untagMembers(value as object)
  const [name, content] = tag
  switch (name) {
    case 's':
      return new Set(untagMembers<unknown[]>(content))
    case 'o':
      return untagMembers(content)
    case 'd':
      return new Date(content)
    case 'n':
      return +content
    case 'b':
      return BigInt(content)
    case 'u8':
      return fromBase64(content)
  }
  throw new TypeError(name)
}

function untagMembers<Container extends object>(container: Container): Container {
  const members = container as Record<string, unknown>
  for (const [key, member] of Object.entries(members)) {
    if (key === '__proto__') throw new TypeError(key)
    members[key] = untag(member)
  }
  return container
}
