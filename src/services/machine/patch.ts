/**
 * Differences of plain data: what makes one value into another, as a list that can be sent.
 *
 * Plain data are objects, arrays and primitives. Anything else, such as a Date, is replaced as a whole.
 */

/** Keys and indexes from the outermost value inward. */
export type Path = readonly (string | number)[]

/**
 * One difference: `[path, value]` puts a value there, `[path]` takes it away.
 *
 * The empty path is the whole value. Of an array, taking an index away cuts it off there.
 */
export type Change = readonly [path: Path, value: unknown] | readonly [path: Path]

type Container = Record<string, unknown> | unknown[]

/**
 * What is to be done to `before` so that it equals `after`; an empty list when it does.
 *
 * A property that is `undefined` counts as missing.
 */
export function diff(before: unknown, after: unknown): Change[] {
  const changes: Change[] = []
  compare(before, after, [], changes)
  return changes
}

/**
 * The value with the changes done; the given one stays as it is.
 *
 * Parts without a change are the same objects as before.
 *
 * @throws TypeError when the changes are for another value: a path leads nowhere
 */
export function patch(value: unknown, changes: readonly Change[]): unknown {
  /** Copies made here, which may be written to. */
  const own = new Set<unknown>()
  let root = value
  const copy = (part: unknown): Container => {
    if (own.has(part)) return part as Container
    if (!isContainer(part)) throw new TypeError('The changes are for another value')
    const made = Array.isArray(part) ? [...part] : { ...part }
    own.add(made)
    return made
  }
  for (const change of changes) {
    const [path] = change
    const last = path.at(-1)
    if (last === undefined) {
      root = change[1]
      continue
    }
    let part = copy(root)
    root = part
    for (const key of path.slice(0, -1)) {
      const inner = copy(Object.hasOwn(part, key) ? (part as Record<string, unknown>)[key] : undefined)
      put(part, key, inner)
      part = inner
    }
    if (change.length === 2) put(part, last, change[1])
    else if (Array.isArray(part)) part.length = index(last)
    else delete part[last]
  }
  return root
}

function compare(before: unknown, after: unknown, path: Path, changes: Change[]): void {
  if (isSame(before, after)) return
  if (Array.isArray(before) && Array.isArray(after)) {
    const shared = Math.min(before.length, after.length)
    for (let i = 0; i < shared; i++) compare(before[i], after[i], [...path, i], changes)
    for (let i = shared; i < after.length; i++) changes.push([[...path, i], after[i]])
    if (after.length < before.length) changes.push([[...path, after.length]])
    return
  }
  if (!isRecord(before) || !isRecord(after)) {
    changes.push([path, after])
    return
  }
  for (const key of Object.keys(before)) {
    if (before[key] !== undefined && at(after, key) === undefined) changes.push([[...path, key]])
  }
  for (const key of Object.keys(after)) {
    if (after[key] === undefined) continue
    const earlier = at(before, key)
    if (earlier === undefined) changes.push([[...path, key], after[key]])
    else compare(earlier, after[key], [...path, key], changes)
  }
}

function isSame(before: unknown, after: unknown): boolean {
  if (Object.is(before, after)) return true
  return before instanceof Date && after instanceof Date && Object.is(before.getTime(), after.getTime())
}

function at(record: Record<string, unknown>, key: string): unknown {
  return Object.hasOwn(record, key) ? record[key] : undefined
}

function put(part: Container, key: string | number, value: unknown): void {
  if (Array.isArray(part)) part[index(key)] = value
  // Defined, not assigned: `__proto__` is a key like any other then.
  else Object.defineProperty(part, key, { value, writable: true, enumerable: true, configurable: true })
}

function index(key: string | number): number {
  if (typeof key === 'number' && Number.isSafeInteger(key) && key >= 0) return key
  throw new TypeError('The changes are for another value')
}

function isContainer(value: unknown): value is Container {
  return Array.isArray(value) || isRecord(value)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
