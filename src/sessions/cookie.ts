import session from 'express-session'

/** Settings of a session's cookie, as express-session takes them. */
export interface CookieSettings {
  readonly maxAge?: number | null | undefined
  readonly expires?: Date | null | undefined
  readonly path?: string | undefined
  readonly domain?: string | undefined
  readonly httpOnly?: boolean | undefined
  /** `'auto'`: as the connection is. */
  readonly secure?: boolean | 'auto' | undefined
  readonly sameSite?: boolean | 'lax' | 'strict' | 'none' | undefined
  readonly priority?: 'low' | 'medium' | 'high' | undefined
  readonly partitioned?: boolean | undefined
  readonly signed?: boolean | undefined
}

/** A cookie as express-session has it: with its text, and the JSON that stores keep. */
export interface SessionCookie extends CookieSettings {
  expires?: Date | null | undefined
  originalMaxAge: number | null
  serialize(name: string, value: string): string
  toJSON(): object
}

const Cookie = session.Cookie as unknown as new (options?: object) => SessionCookie

/** The cookie of a new session. */
export function newCookie(settings: CookieSettings): SessionCookie {
  return new Cookie(settings)
}

/** The cookie of a stored session, with the time that it has left. */
export function storedCookie(stored: object): SessionCookie {
  const { expires, originalMaxAge, ...settings } = stored as {
    readonly expires?: string | Date | null
    readonly originalMaxAge?: number | null
  }
  const cookie = new Cookie(settings)
  if (expires) cookie.expires = new Date(expires)
  cookie.originalMaxAge = originalMaxAge ?? null
  return cookie
}
