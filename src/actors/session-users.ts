import type { Logger } from '../log.js'
import { userIdOf } from '../middleware/client-key.js'
import type { StoredSession } from '../sessions/session.js'
import type { BrokerConnection } from './connection.js'
import type { LiveSession } from './live-session.js'

/**
 * Whose the sessions in use are: an index that is kept while they change.
 *
 * `userOf` is asked when a session comes into use and each time its data are replaced, so that a message to a
 * user costs nothing for the sessions of others.
 */
export class SessionUsers {
  readonly #userOf: (session: StoredSession) => string | undefined
  readonly #log: Logger
  readonly #sessions = new Map<string, Set<LiveSession>>()
  readonly #users = new Map<LiveSession, string>()

  constructor(userOf: (session: StoredSession) => string | undefined, log: Logger) {
    this.#userOf = userOf
    this.#log = log
  }

  /** A session has come into use, or has other data than before. */
  look(session: LiveSession): void {
    const user = this.#read(session.data)
    const before = this.#users.get(session)
    if (user === before) return
    if (before !== undefined) this.forget(session)
    if (user === undefined) return
    this.#users.set(session, user)
    const sessions = this.#sessions.get(user)
    if (sessions === undefined) this.#sessions.set(user, new Set([session]))
    else sessions.add(session)
  }

  /** A session is no longer in use. */
  forget(session: LiveSession): void {
    const user = this.#users.get(session)
    if (user === undefined) return
    this.#users.delete(session)
    const sessions = this.#sessions.get(user)!
    sessions.delete(session)
    if (sessions.size === 0) this.#sessions.delete(user)
  }

  /** The user of a session in use. */
  of(session: LiveSession): string | undefined {
    return session.end === undefined ? this.#users.get(session) : undefined
  }

  /** The sessions in use of a user. */
  sessionsOf(user: string): ReadonlySet<LiveSession> {
    return this.#sessions.get(user) ?? NONE
  }

  /** It is the application's, and must not keep a session from being saved. */
  #read(data: StoredSession): string | undefined {
    try {
      const user: unknown = this.#userOf(data)
      return user === undefined || user === null || user === '' ? undefined : String(user)
    } catch (error) {
      this.#log.error('sessions.userOf failed', { error })
      return undefined
    }
  }
}

/** Connections by their users: those that `authenticate` has named, and those of users' sessions. */
export class Users {
  readonly #named = new Map<string, Set<BrokerConnection>>()
  /** As they were named when they opened: what `authenticate` returned is the application's to change. */
  readonly #names = new WeakMap<BrokerConnection, string>()
  readonly #sessions: SessionUsers

  constructor(sessions: SessionUsers) {
    this.#sessions = sessions
  }

  opened(connection: BrokerConnection): void {
    const id = userIdOf(connection.user)
    if (id === undefined) return
    const user = String(id)
    this.#names.set(connection, user)
    const connections = this.#named.get(user)
    if (connections === undefined) this.#named.set(user, new Set([connection]))
    else connections.add(connection)
  }

  closed(connection: BrokerConnection): void {
    const user = this.#names.get(connection)
    if (user === undefined) return
    const connections = this.#named.get(user)
    if (connections?.delete(connection) && connections.size === 0) this.#named.delete(user)
  }

  /** What `authenticate` has returned, or its `id`; else the user of the session. */
  of(connection: BrokerConnection): string | undefined {
    return this.#names.get(connection) ?? this.#sessions.of(connection.liveSession)
  }

  /** The open connections of a user. */
  connectionsOf(user: string): readonly BrokerConnection[] {
    const found = [...(this.#named.get(user) ?? [])]
    for (const session of this.#sessions.sessionsOf(user)) {
      if (session.end !== undefined) continue
      for (const connection of session.connections) {
        if (connection.open && !this.#names.has(connection)) found.push(connection)
      }
    }
    return found
  }
}

const NONE: ReadonlySet<never> = new Set()
