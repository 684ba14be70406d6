import { SocketStreamError } from '../../errors.js'
import type { Connection, ServiceServer, Whose } from '../service.js'
import { checkName, invalid } from './names.js'

/** Subscriptions that the server has made, of one service on a node at most. */
const MAX_STANDING = 100_000

/** Bounds the text of a session's, user's or connection's id. */
const MAX_ID = 1024

/**
 * Subscriptions that the server has made, for sessions, users and connections.
 *
 * Who is meant is looked up at each publication: whoever is of the session or user by then hears it.
 */
export class Standing {
  readonly #server: ServiceServer
  readonly #byChannel = new Map<string, Map<string, Whose>>()
  /** Channels of single connections, which end with them. */
  readonly #byConnection = new Map<string, Set<string>>()
  #size = 0

  constructor(server: ServiceServer) {
    this.#server = server
  }

  /**
   * Subscribes; false when that stood already, or the connection has gone.
   *
   * @throws SocketStreamError `INVALID_ARGUMENTS`, `OVERLOADED`
   */
  add(whose: Whose, channel: string): boolean {
    const key = keyOf(whose)
    const standing = this.#byChannel.get(checkName(channel, 'channel')) ?? new Map<string, Whose>()
    if (standing.has(key)) return false
    if ('connection' in whose && this.#server.connectionsOf(whose).length === 0) return false
    if (this.#size >= MAX_STANDING) {
      throw new SocketStreamError(
        'OVERLOADED',
        `The server has made ${MAX_STANDING} subscriptions; take some back with unsubscribe()`,
      )
    }
    if ('connection' in whose) {
      const channels = this.#byConnection.get(whose.connection) ?? new Set<string>()
      this.#byConnection.set(whose.connection, channels.add(channel))
    }
    this.#byChannel.set(channel, standing.set(key, whose))
    this.#size++
    return true
  }

  /** Takes one back; false when there is none. @throws SocketStreamError `INVALID_ARGUMENTS` */
  remove(whose: Whose, channel: string): boolean {
    const standing = this.#byChannel.get(checkName(channel, 'channel'))
    if (!standing?.delete(keyOf(whose))) return false
    this.#size--
    if (standing.size === 0) this.#byChannel.delete(channel)
    if ('connection' in whose) {
      const channels = this.#byConnection.get(whose.connection)
      channels?.delete(channel)
      if (channels?.size === 0) this.#byConnection.delete(whose.connection)
    }
    return true
  }

  /** A connection has gone; gives the channels that it alone was subscribed to. */
  closed({ id }: Connection): readonly string[] {
    return this.ofConnection(id).filter(
      channel => this.remove({ connection: id }, channel) && !this.occupies(channel),
    )
  }

  /** The channels of a connection by itself. */
  ofConnection(id: string): readonly string[] {
    return [...(this.#byConnection.get(id) ?? [])]
  }

  /** Whether anybody is subscribed to a channel, here or not. */
  occupies(channel: string): boolean {
    return this.#byChannel.has(channel)
  }

  /** Whether a connection is meant. */
  has({ id, session, userId }: Connection, channel: string): boolean {
    const standing = this.#byChannel.get(channel)
    if (standing === undefined) return false
    if (standing.has(keyOf({ connection: id })) || standing.has(keyOf({ session: session.id }))) return true
    return userId !== undefined && standing.has(keyOf({ user: userId }))
  }

  /** The connections that are there, each once. */
  of(channel: string): ReadonlySet<Connection> {
    const found = new Set<Connection>()
    for (const whose of this.#byChannel.get(channel)?.values() ?? []) {
      for (const connection of this.#server.connectionsOf(whose)) found.add(connection)
    }
    return found
  }
}

function keyOf(whose: Whose): string {
  const entries = Object.entries(whose ?? {}) as [string, unknown][]
  const [[kind, id] = []] = entries
  if (entries.length === 1 && (kind === 'session' || kind === 'user' || kind === 'connection')) {
    if (typeof id === 'string' && id !== '' && id.length <= MAX_ID) return `${kind}:${id}`
  }
  throw invalid(
    'Say who is to hear the channel: one of { session }, { user } and { connection }, with its id',
  )
}
