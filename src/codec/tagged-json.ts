/**
 * Values as plain JSON: tags for what JSON lacks.
 *
 * | value | JSON |
 * |---|---|
 * | `Uint8Array` | `{"$t":["u8","<base64>"]}` |
 * | `Date` | `{"$t":["d",<milliseconds since the epoch>]}` |
 * | NaN, Infinity, -Infinity | `{"$t":["n","NaN"]}` and so on |
 * | bigint | `{"$t":["b","<decimal digits>"]}` |
 * | `Set` | `{"$t":["s",[<elements>]]}` |
 * | object with a key `$t` of its own | `{"$t":["o",{<the object>}]}` |
 *
 * It goes into the browser client, so it is small. `json-text.ts` reads tags of strangers, and
 * `json-portable.ts` those of the server.
 */
import { type ErrorDetails, SocketStreamError } from '../errors.js'
import { LIMITS } from '../protocol/envelope.js'
import { fits64, SHAPE, shapeOf } from './shape.js'

enum LONGEST {
  /** Longest run of bytes turned into base64 at once: a multiple of 3, few enough to pass as arguments. */
  RUN = 0x6000,
}

/**
 * Copies a value for `JSON.stringify`, with tags in it.
 *
 * @throws SocketStreamError `UNENCODABLE`, naming the thing and its place, such as `$.a[2].b`
 */
export function toTagged(root: unknown): unknown {
  /** Keys and indices from the root to where the walk is. */
  const trail: (string | number)[] = []
  let count = 1
  let refusal: unknown
  try {
    return copy(root)
  } catch (cause) {
    if (cause === refusal) throw cause
    return refuse('getter that throws', '', { cause })
  }

  function copy(value: unknown): unknown {
    if (value == null || typeof value === 'string' || typeof value === 'boolean') return value
    if (typeof value === 'number') return Number.isFinite(value) ? value : tag('n', `${value}`)
    if (typeof value === 'bigint')
      return fits64(value) ? tag('b', `${value}`) : refuse('bigint outside 64 bits')
    if (typeof value !== 'object') return refuse(typeof value)
    const shape = shapeOf(value)
    if (shape === SHAPE.DATE) return tag('d', +(value as Date))
    if (shape === SHAPE.BYTES) return tag('u8', toBase64(value as Uint8Array))
    if (shape === SHAPE.NOTHING) return refuseObject(value)
    if (trail.length === LIMITS.depth) refuse(`value deeper than ${LIMITS.depth} levels, or a cycle,`)
    if (shape === SHAPE.ARRAY) return Array.from(value as unknown[], copyMember)
    if (shape === SHAPE.SET) return tag('s', Array.from(value as Set<unknown>, copyMember))
    const object: Record<string, unknown> = {}
    for (const [key, member] of Object.entries(value)) {
      if (key === '__proto__') refuse('key __proto__')
      if (member !== undefined) object[key] = copyMember(member, key)
    }
    return Object.hasOwn(object, '$t') ? tag('o', object) : object
  }

  function copyMember(member: unknown, key: string | number): unknown {
    if (++count > LIMITS.elements) refuse(`more than ${LIMITS.elements} values`)
    trail.push(key)
    const made = copy(member)
    trail.pop()
    return made
  }

  function refuseObject(value: object): never {
    if (value instanceof Date) refuse('invalid Date')
    const name = value.constructor?.name || 'object of an unnamed class'
    refuse(name, `; send a ${'byteLength' in value ? 'Uint8Array' : 'plain object'}`)
  }

  function refuse(what: string, advice = '', details?: ErrorDetails): never {
    const place = trail.map(key => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('')
    const message = `${what} at $${place.slice(0, 80)} cannot be sent${advice}`
    refusal = new SocketStreamError('UNENCODABLE', message, details)
    throw refusal
  }
}

function tag(name: string, content: unknown): object {
  return { $t: [name, content] }
}

function toBase64(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += LONGEST.RUN) {
    text += btoa(String.fromCharCode(...bytes.subarray(i, i + LONGEST.RUN)))
  }
  return text
}

/**
 * Reads the content of the tag `u8`.
 *
 * @throws what `atob` throws
 */
export function fromBase64(text: string): Uint8Array {
  const binary = atob(text)
  // A loop: `Uint8Array.from` with a function takes twenty times as long.
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}
