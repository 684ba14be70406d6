type Plain = Readonly<Record<string, unknown>>

/**
 * A copy of what JSON gave: handlers get one of every object that they read.
 *
 * Of small objects it takes a tenth of the time of `structuredClone`.
 */
export function copyOf(value: unknown): unknown {
  if (value === null || typeof value !== 'object') return value
  if (Array.isArray(value)) return value.map(copyOf)
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const inner = copyOf((value as Plain)[key])
    if (key !== '__proto__') copy[key] = inner
    else Object.defineProperty(copy, key, { ...ENTRY, value: inner })
  }
  return copy
}

/**
 * Whether a value is certainly written as what JSON gave is, without writing either.
 *
 * False for all that would take a closer look, such as keys in another order, dates and class instances.
 */
export function isCopyOf(value: unknown, stored: unknown): boolean {
  if (value === null || typeof value !== 'object') return typeof value !== 'function' && value === stored
  if (stored === null || typeof stored !== 'object') return false
  const prototype: unknown = Object.getPrototypeOf(value)
  const isList = prototype === Array.prototype
  if ((!isList && prototype !== Object.prototype) || isList !== Array.isArray(stored)) return false
  if ((value as { toJSON?: unknown }).toJSON !== undefined) return false
  return isList
    ? isListOf(value as unknown[], stored as unknown[])
    : hasEntriesOf(value as Plain, stored as Plain)
}

function isListOf(values: readonly unknown[], stored: readonly unknown[]): boolean {
  if (values.length !== stored.length) return false
  // Not `every`, which passes over holes.
  for (let i = 0; i < values.length; i++) if (!isCopyOf(values[i], stored[i])) return false
  return true
}

function hasEntriesOf(value: Plain, stored: Plain): boolean {
  const keys = Object.keys(value)
  const storedKeys = Object.keys(stored)
  if (keys.length !== storedKeys.length) return false
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!
    if (key !== storedKeys[i] || !isCopyOf(value[key], stored[key])) return false
  }
  return true
}

const ENTRY = { writable: true, enumerable: true, configurable: true }
