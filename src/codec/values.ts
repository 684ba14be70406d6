/**
 * Examines outgoing values: what may be sent, and which of it needs more than plain JSON.
 *
 * It goes into the browser client and runs on every send, so the walk carries no path; where
 * something is wrong, a second walk looks for it.
 */
import { SocketStreamError } from '../errors.js'
import { LIMITS } from '../protocol/envelope.js'

/** Flag: something inside has no form in plain JSON. */
export const TAGGED = 1
/** Flag: a `Set` is inside. */
export const SET = 2
/** Flag: a property that is `undefined`, to be left out, is inside. */
export const GAPS = 4

/** What an object is to a codec; NOTHING when it cannot be sent. */
export const SHAPE = { NOTHING: 0, ARRAY: 1, OBJECT: 2, SET: 3, BYTES: 4, DATE: 5 } as const

/** Thrown by the first walk; the second finds out what was wrong. */
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
    throw new SocketStreamError('UNENCODABLE', complaint(value, cause), {
      cause: cause === REFUSED ? undefined : cause,
    })
  } finally {
    count = outer
  }
}

/** Says what an object is to a codec. */
export function shapeOf(value: object): number {
  if (Array.isArray(value)) return SHAPE.ARRAY
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return SHAPE.OBJECT
  if (value instanceof Uint8Array) return SHAPE.BYTES
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? SHAPE.NOTHING : SHAPE.DATE
  if (value instanceof Set) return SHAPE.SET
  // a plain object of another realm: its prototype is the end of the chain and that realm's own
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'isPrototypeOf')
    ? SHAPE.OBJECT
    : SHAPE.NOTHING
}

/** Whether a bigint fits a signed or an unsigned integer of 64 bits. */
export function fits64(value: bigint): boolean {
  return BigInt.asIntN(64, value) === value || BigInt.asUintN(64, value) === value
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

function complaint(value: unknown, cause: unknown): string {
  try {
    if (cause === REFUSED) return explain(value, '$', 1)
  } catch {
    // a getter that threw only now: same complaint as below
  }
  return 'a property of the value cannot be sent; reading it threw'
}

/** Says what the walk stumbled over, going down into the first member that fails it. */
function explain(value: unknown, place: string, depth: number): string {
  const at = `at ${place.length > 80 ? `${place.slice(0, 80)}…` : place} cannot be sent`
  if (typeof value === 'bigint') return `bigint outside 64 bits ${at}; send a string`
  if (typeof value !== 'object' || value === null) return `${typeof value} ${at}`
  const shape = shapeOf(value)
  if (shape === SHAPE.NOTHING) {
    if (value instanceof Date) return `invalid Date ${at}`
    const bytes = ArrayBuffer.isView(value) || value instanceof ArrayBuffer
    return `${nameOf(value)} ${at}; send ${bytes ? 'a Uint8Array' : 'a plain object'}`
  }
  if (depth > LIMITS.depth) return `value deeper than ${LIMITS.depth} levels, or a cycle, ${at}`
  const list = shape === SHAPE.SET ? [...(value as Set<unknown>)] : value
  const members = Object.keys(list).length > LIMITS.elements ? [] : Object.entries(list)
  for (const [key, member] of members) {
    const inside = place + (list !== value || Array.isArray(list) ? `[${key}]` : `.${key}`)
    if (key === '__proto__') return `key __proto__ at ${place} cannot be sent`
    count = 1
    try {
      if (!isSimple(member)) walk(member, depth + 1)
    } catch {
      return explain(member, inside, depth + 1)
    }
  }
  return `more than ${LIMITS.elements} values ${at}; send less at once`
}

function nameOf(value: object): string {
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && name !== '' ? name : 'object of an unnamed class'
}
