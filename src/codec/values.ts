/**
 * Examines outgoing values: what may be sent, and which of it needs more than plain JSON.
 *
 * It runs on every send, so the walk carries no path; where something is wrong, the walk of
 * `tagged-json.ts`, which does, says what and where.
 */
import { SocketStreamError } from '../errors.js'
import { LIMITS } from '../protocol/envelope.js'
import { fits64, SHAPE, shapeOf } from './shape.js'
import { toTagged } from './tagged-json.js'

/** Flag: something inside has no form in plain JSON. */
export const TAGGED = 1
/** Flag: a `Set` is inside. */
export const SET = 2
/** Flag: a property that is `undefined`, to be left out, is inside. */
export const GAPS = 4

/** Thrown where a value is refused. */
const REFUSED = {}

let count = 0

/**
 * Examines a value that is about to be encoded.
 *
 * @returns flags; 0 when `JSON.stringify` and a decoder together give an equal value
 * @throws SocketStreamError `UNENCODABLE`, naming the thing and its place, such as `$.a[2].b`
 */
export function examine(value: unknown): number {
  if (typeof value === 'string' || typeof value === 'boolean' || value == null) return 0
  if (typeof value === 'number') return Number.isFinite(value) ? 0 : TAGGED
  // a getter may send something itself, in the middle of this walk
  const outer = count
  count = 1
  try {
    return walk(value, 1)
  } catch (cause) {
    toTagged(value)
    throw changed(cause)
  } finally {
    count = outer
  }
}

/** The refusal of a value that was well when it was examined, or the other way round. */
export function changed(cause: unknown): SocketStreamError {
  return new SocketStreamError('UNENCODABLE', 'The value changed while it was encoded', { cause })
}

/** Values that need no walk; numbers that JSON lacks are the caller's matter. */
function isSimple(value: unknown): boolean {
  const type = typeof value
  return type === 'string' || type === 'number' || type === 'boolean' || value == null
}

function walk(value: unknown, depth: number): number {
  if (typeof value === 'bigint' && fits64(value)) return TAGGED
  if (typeof value !== 'object' || value === null) throw REFUSED
  const shape = shapeOf(value)
  if (shape >= SHAPE.BYTES) return TAGGED
  if (shape === SHAPE.NOTHING || depth > LIMITS.depth) throw REFUSED
  let flags = 0
  if (shape === SHAPE.ARRAY) {
    const array = value as unknown[] & { toJSON?: unknown }
    const length = array.length
    count += length
    if (count > LIMITS.elements) throw REFUSED
    // a subclass of Array may have one, and JSON.stringify would heed it
    if (array.toJSON !== undefined) flags = TAGGED
    for (let i = 0; i < length; i++) {
      const member = array[i]
      if (typeof member === 'number') {
        if (!Number.isFinite(member)) flags |= TAGGED
      } else if (!isSimple(member)) flags |= walk(member, depth + 1)
    }
    return flags
  }
  if (shape === SHAPE.SET) {
    const set = value as Set<unknown>
    count += set.size
    if (count > LIMITS.elements) throw REFUSED
    for (const member of set) if (!isSimple(member)) flags |= walk(member, depth + 1)
    return flags | SET | TAGGED
  }
  const object = value as Record<string, unknown>
  // three times faster than Object.keys; what it inherits does no harm if simple, else it is skipped
  for (const key in object) {
    const member = object[key]
    if (key === '$t') flags |= TAGGED
    else if (key === '__proto__') throw REFUSED
    if (member === undefined) flags |= GAPS
    else if (++count > LIMITS.elements) throw REFUSED
    else if (typeof member === 'number') {
      if (!Number.isFinite(member)) flags |= TAGGED
    } else if (!isSimple(member) && Object.hasOwn(object, key)) flags |= walk(member, depth + 1)
  }
  return flags
}
