/** A session as handlers see it: express-session's session object, whose methods also give promises. */
export interface SessionLike {
  readonly id: string
  /** Writes what was changed to the store; without a callback it returns a promise. */
  save(callback?: (error: unknown) => void): unknown
  /** Takes what the store has, and drops what was changed; without a callback it returns a promise. */
  reload(callback?: (error: unknown) => void): unknown
  /** Removes it from the store and closes its connections; without a callback it returns a promise. */
  destroy(callback?: (error: unknown) => void): unknown
  /**
   * Begins a new, empty session in its place, under another id. Gives a code that a page redeems over
   * HTTP for the cookie; see docs/sessions.md. Without a callback it returns a promise of the code.
   */
  regenerate(callback?: (error: unknown, code?: string) => void): unknown
  [key: string]: unknown
}

/** What Connect stores keep: plain data with the cookie's settings. */
export interface StoreData {
  readonly cookie: object
}

/** A session as stores keep it, with what the application has put in. */
export interface StoredSession extends StoreData {
  readonly [key: string]: unknown
}

/** What was changed in a session: new values by key, undefined for keys that are gone. */
export type SessionChanges = ReadonlyMap<string, unknown>

/** Milliseconds since 1970 at which a session expires; undefined when it does not by itself. */
export function expiryOf({ cookie }: StoredSession): number | undefined {
  const { expires } = cookie as { expires?: string | Date | null }
  return expires ? new Date(expires).getTime() : undefined
}

/** The session with its time to live begun anew. */
export function renewed(data: StoredSession, now: number): StoredSession {
  const { originalMaxAge } = data.cookie as { originalMaxAge?: number | null }
  if (typeof originalMaxAge !== 'number') return data
  return { ...data, cookie: { ...data.cookie, expires: new Date(now + originalMaxAge).toISOString() } }
}

/** The session with changes merged in. */
export function merged(data: StoredSession, changes: SessionChanges): StoredSession {
  const result: Record<string, unknown> = { ...data }
  for (const [key, value] of changes) {
    // What stores cannot do without, and what would not become a key.
    if ((key === 'cookie' && value === undefined) || key === '__proto__') continue
    if (value === undefined) delete result[key]
    else result[key] = value
  }
  return result as StoredSession
}
