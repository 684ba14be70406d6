/** One operation of JSON Patch, RFC 6902; these three are all that is used. */
export type Operation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }

/**
 * What makes one JSON value into another, as JSON Patch; an empty list when they are equal.
 *
 * Takes time in proportion to their size: the items of arrays are compared by their places.
 */
export function diff(before: unknown, after: unknown): Operation[] {
  const operations: Operation[] = []
  compare(before, after, '', operations)
  return operations
}

/** The same value as `after`, made of the parts of `before` that are equal: itself, if all are. */
export function reuse<T>(before: unknown, after: T): T {
  if (Object.is(before, after) || !isObject(before) || !isObject(after)) return after
  if (Array.isArray(before) !== Array.isArray(after)) return after
  const keys = Object.keys(after)
  const made = (Array.isArray(after) ? [] : {}) as Record<string, unknown>
  let equal = keys.length === Object.keys(before).length
  for (const key of keys) {
    const earlier = Object.hasOwn(before, key) ? before[key] : undefined
    made[key] = reuse(earlier, after[key])
    equal &&= Object.hasOwn(before, key) && Object.is(made[key], earlier)
  }
  return (equal ? before : made) as T
}

function compare(before: unknown, after: unknown, path: string, operations: Operation[]): void {
  if (Object.is(before, after)) return
  if (!isObject(before) || !isObject(after) || Array.isArray(before) !== Array.isArray(after)) {
    operations.push({ op: 'replace', path, value: after })
  } else if (Array.isArray(before)) {
    const [earlier, later] = [before as unknown[], after as unknown as unknown[]]
    const shared = Math.min(earlier.length, later.length)
    for (let index = 0; index < shared; index++) {
      compare(earlier[index], later[index], `${path}/${index}`, operations)
    }
    for (let index = earlier.length - 1; index >= shared; index--) {
      operations.push({ op: 'remove', path: `${path}/${index}` })
    }
    for (let index = shared; index < later.length; index++) {
      operations.push({ op: 'add', path: `${path}/${index}`, value: later[index] })
    }
  } else if (!Object.is(reuse(before['-'], after['-']), before['-'])) {
    // At the end of a path the library that clients have takes it for the end of an array, also in an object.
    operations.push({ op: 'replace', path, value: after })
  } else {
    for (const key of Object.keys(before)) {
      if (!Object.hasOwn(after, key)) operations.push({ op: 'remove', path: `${path}/${pointer(key)}` })
    }
    for (const [key, value] of Object.entries(after)) {
      const inner = `${path}/${pointer(key)}`
      if (Object.hasOwn(before, key)) compare(before[key], value, inner, operations)
      else operations.push({ op: 'add', path: inner, value })
    }
  }
}

function pointer(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
