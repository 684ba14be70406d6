import { SocketStreamError } from '../errors.js'
import { storedCookie } from './cookie.js'
import { isCopyOf } from './plain-data.js'
import type { StoredSession } from './session.js'

/**
 * What of a session was changed, by its top-level keys.
 *
 * @param own values that may have changed
 * @param gone keys that were deleted
 * @throws SocketStreamError `UNENCODABLE` for what JSON cannot express
 */
export function changesIn(
  own: Readonly<Record<string, unknown>>,
  base: StoredSession,
  gone: Iterable<string> = Object.keys(base).filter(key => !Object.hasOwn(own, key)),
): Map<string, unknown> {
  const changes = new Map<string, unknown>()
  for (const key of gone) changes.set(key, undefined)
  for (const [key, value] of Object.entries(own)) {
    const stored = Object.hasOwn(base, key) ? base[key] : undefined
    if (isCopyOf(value, stored)) continue
    const text = toJson(value)
    if (textOf(key, text) === textOf(key, toJson(stored))) continue
    changes.set(key, text === undefined ? undefined : JSON.parse(text))
  }
  return changes
}

/** Whether a value is kept as another is; what cannot be kept is like none. */
export function isSame(key: string, value: unknown, stored: unknown): boolean {
  try {
    return textOf(key, toJson(value)) === textOf(key, toJson(stored))
  } catch {
    return false
  }
}

/** What values are compared by. */
function textOf(key: string, text: string | undefined): string | undefined {
  if (key !== 'cookie' || text === undefined) return text
  // Stores give back a cookie's fields in any order.
  const { expires, ...fields } = storedCookie(JSON.parse(text)).toJSON() as { expires?: unknown }
  const lasts = typeof (fields as { originalMaxAge?: unknown }).originalMaxAge === 'number'
  // Of one with a time to live that begins anew with every write.
  return JSON.stringify(lasts ? fields : { ...fields, expires })
}

/** A value as stores keep it; undefined for what JSON leaves out. */
function toJson(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw new SocketStreamError('UNENCODABLE', 'a session holds what JSON can express; this it cannot', {
      cause,
    })
  }
}
