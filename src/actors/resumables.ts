import type { BrokerConnection } from './connection.js'
import type { ResumeSettings } from './resume-options.js'
import { readToken } from './resume-token.js'
import { type Identity, isSameUser, type ResumeRefusal, type ResumeRequest } from './resumption.js'

/** Connections whose end is remembered, to say why they cannot be resumed. */
const REMEMBERED = 1000

/**
 * The connections that their clients may come back to, and those that are waited for.
 *
 * Bounded over all of them: whoever is away longest is given up first.
 */
export class Resumables {
  /** Undefined: lost connections are not kept. */
  readonly settings: ResumeSettings | undefined
  readonly #byId: ReadonlyMap<string, BrokerConnection>
  /** Those that are away, the longest first, with the bytes kept for each. */
  readonly #away = new Map<BrokerConnection, number>()
  readonly #ended = new Map<string, ResumeRefusal>()
  #bytes = 0
  #draining = false
  /** Whether those that are away wait for another server to take them over. */
  #leaving = false

  constructor(settings: ResumeSettings | undefined, byId: ReadonlyMap<string, BrokerConnection>) {
    this.settings = settings
    this.#byId = byId
  }

  /** How many are away, and the bytes kept for them. */
  get away(): { readonly connections: number; readonly bytes: number } {
    return { connections: this.#away.size, bytes: this.#bytes }
  }

  /** Whether a connection that is lost now is kept. */
  get keeping(): boolean {
    return this.settings !== undefined && (!this.#draining || this.#leaving)
  }

  /** The connection that a client of this server wants to go on with, or why it cannot. */
  find(asked: ResumeRequest, who: Identity): BrokerConnection | ResumeRefusal {
    return this.#draining ? 'draining' : this.look(asked, who)
  }

  /** The same for a client of any server. */
  look(asked: ResumeRequest, who: Identity): BrokerConnection | ResumeRefusal {
    if (this.settings === undefined) return 'off'
    const { id, secret } = readToken(asked.token)
    const connection = this.#byId.get(id)
    const resumption = connection?.resumption
    if (connection === undefined || resumption === undefined) return this.#ended.get(id) ?? 'unknown'
    if (!resumption.knows(secret)) return 'unknown'
    const { id: session, end } = connection.liveSession
    // One that has ended names nobody any more, though its connections are not closed yet.
    if (end !== undefined || who.session !== session) return 'session'
    if (!isSameUser(connection.user, who.user)) return 'session'
    // Who has logged out, or somebody else in, has the same session: what was kept is not theirs.
    if (connection.state === 'detached' && connection.userId !== resumption.lost.user) return 'session'
    const refusal = resumption.attempt(asked)
    if (refusal === undefined) return connection
    // It was this client's own, which will never be able to go on with it.
    if (refusal !== 'superseded') connection.giveUp(refusal)
    return refusal
  }

  /** A connection has lost its link, or more is kept for one that has. */
  kept(connection: BrokerConnection, bytes: number): void {
    const { settings } = this
    if (settings === undefined) return
    this.#bytes += bytes - (this.#away.get(connection) ?? 0)
    this.#away.set(connection, bytes)
    for (const oldest of this.#away.keys()) {
      if (this.#bytes <= settings.total && this.#away.size <= settings.connections) return
      this.back(oldest)
      oldest.giveUp('evicted')
    }
  }

  /** A connection is away no more. */
  back(connection: BrokerConnection): void {
    this.#bytes -= this.#away.get(connection) ?? 0
    this.#away.delete(connection)
  }

  /** A connection is over for good. */
  ended(connection: BrokerConnection, why: ResumeRefusal): void {
    this.back(connection)
    this.#ended.delete(connection.id)
    this.#ended.set(connection.id, why)
    if (this.#ended.size <= REMEMBERED) return
    const [oldest] = this.#ended.keys()
    this.#ended.delete(oldest!)
  }

  /** Memory is short: gives up all that are away; returns how many. */
  evictAll(): number {
    const away = [...this.#away.keys()]
    for (const connection of away) {
      this.back(connection)
      connection.giveUp('evicted')
    }
    return away.length
  }

  /** The server stops: nobody comes back to it. @param isLeft whether those that are away are left to other servers */
  drain(isLeft = false): void {
    this.#draining = true
    this.#leaving = isLeft
    if (isLeft) return
    for (const connection of [...this.#away.keys()]) connection.giveUp('draining')
  }
}
