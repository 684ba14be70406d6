import type { Json } from './protocol/index.js'

/** Makes JSON of any value, with what must not be seen hidden, and cut to a bounded size. */
export type Redactor = (value: unknown) => Json

const HIDDEN = /password|passwd|token|secret|authorization|cookie/i
/** Levels of objects in objects. */
const DEPTH = 8
/** Entries of one object or list. */
const ENTRIES = 100
/** Characters of one text. */
const TEXT = 1000
/** Values of one whole, however they are nested. */
const VALUES = 2000

/**
 * Makes a redactor: values of keys that name secrets are hidden, whatever is too large is cut with a mark.
 *
 * It never throws and calls no `toJSON`; a getter that throws is shown as such. What the application's function
 * throws hides the value.
 *
 * @param redact the option `redact`
 */
export function redactor(redact?: (key: string, value: unknown) => unknown): Redactor {
  return value => {
    const state = { left: VALUES, above: new Set<object>(), redact }
    return show('', value, 0, state)
  }
}

interface State {
  left: number
  readonly above: Set<object>
  readonly redact: ((key: string, value: unknown) => unknown) | undefined
}

const cut = (why: string): Json => ({ '…': why })

function show(key: string, given: unknown, depth: number, state: State): Json {
  if (HIDDEN.test(key)) return cut('redacted')
  let value = given
  try {
    if (state.redact !== undefined) value = state.redact(key, given)
  } catch {
    return cut('redacted')
  }
  if (--state.left < 0) return cut('long')
  switch (typeof value) {
    case 'string':
      return value.length > TEXT ? `${value.slice(0, TEXT)}… (${value.length} characters)` : value
    case 'number':
      return Number.isFinite(value) ? value : String(value)
    case 'boolean':
      return value
    case 'bigint':
      return `${value}n`
    case 'symbol':
      return value.toString()
    case 'function':
      return cut('function')
    case 'undefined':
      return null
    default:
      return value === null ? null : showObject(value as object, depth, state)
  }
}

function showObject(value: object, depth: number, state: State): Json {
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'Invalid Date' : value.toISOString()
  if (value instanceof Error) return `${value.name}: ${value.message}`.slice(0, TEXT)
  if (ArrayBuffer.isView(value)) return cut(`${value.byteLength} bytes`)
  if (value instanceof ArrayBuffer) return cut(`${value.byteLength} bytes`)
  if (state.above.has(value)) return cut('circular')
  if (depth >= DEPTH) return cut('deep')
  state.above.add(value)
  try {
    if (Array.isArray(value)) return list(value, value.length, depth, state)
    if (value instanceof Set) return list(value, value.size, depth, state)
    if (value instanceof Map) return entries(mapEntries(value), value.size, depth, state)
    const { constructor: made } = Object.getPrototypeOf(value) ?? { constructor: Object }
    // What has state of its own behind it, such as a socket, is named and not walked through.
    if (made !== Object && typeof made === 'function') return cut(`class ${made.name}`)
    const keys = Object.keys(value)
    return entries(ownEntries(value, keys), keys.length, depth, state)
  } catch {
    return cut('unreadable')
  } finally {
    state.above.delete(value)
  }
}

function list(values: Iterable<unknown>, size: number, depth: number, state: State): Json {
  const shown: Json[] = []
  for (const value of values) {
    if (shown.length >= ENTRIES || state.left <= 0) {
      shown.push(cut(`${size - shown.length} more`))
      break
    }
    shown.push(show('', value, depth + 1, state))
  }
  return shown
}

function entries(pairs: Iterable<[string, unknown]>, size: number, depth: number, state: State): Json {
  const shown: Record<string, Json> = Object.create(null)
  let count = 0
  for (const [key, value] of pairs) {
    if (count >= ENTRIES || state.left <= 0) {
      shown['…'] = `${size - count} more`
      break
    }
    count++
    shown[key.slice(0, TEXT)] = show(key, value, depth + 1, state)
  }
  // With a prototype again: what is sent on may be asked for one.
  return { ...shown }
}

function* ownEntries(value: object, keys: readonly string[]): Generator<[string, unknown]> {
  for (const key of keys) {
    let own: unknown
    try {
      own = (value as Record<string, unknown>)[key]
    } catch {
      own = '(unreadable)'
    }
    yield [key, own]
  }
}

function* mapEntries(map: ReadonlyMap<unknown, unknown>): Generator<[string, unknown]> {
  for (const [key, value] of map) yield [typeof key === 'object' ? '(object)' : String(key), value]
}
