/** A session as handlers see it: Connect's session object. */
export interface SessionLike {
  readonly id: string
  /** Writes it to the store; Connect's callback form. */
  save(callback?: (error: unknown) => void): unknown
  [key: string]: unknown
}

/** A session as Connect stores keep it: plain data with the cookie's settings. */
export interface StoredSession {
  readonly cookie: object
}
