import type { EventEmitter } from 'node:events'
import { SocketStreamError } from '../errors.js'
import type { Logger } from '../log.js'
import { isName, MAX_NAME } from '../protocol/names.js'
import type { BrokerConnection } from './connection.js'

/** What rooms need. */
export interface RoomsInit {
  /** Rooms of one connection at most. */
  readonly most: number
  /** Told `room:created` and `room:emptied` with a name. */
  readonly events: EventEmitter
  readonly log: Logger
}

/**
 * The rooms of a server: names, each with the connections that have joined.
 *
 * They change at once, in whoever's turn, so that what is sent next reaches who has just joined.
 */
export class Rooms {
  readonly #init: RoomsInit
  readonly #members = new Map<string, Set<BrokerConnection>>()
  readonly #rooms = new WeakMap<BrokerConnection, Set<string>>()

  constructor(init: RoomsInit) {
    this.#init = init
  }

  /** The connections in a room. */
  members(room: string): ReadonlySet<BrokerConnection> {
    return this.#members.get(room) ?? NONE
  }

  /** The rooms of a connection; of a closed one those that it was in at its end. */
  of(connection: BrokerConnection): ReadonlySet<string> {
    return this.#rooms.get(connection) ?? NONE
  }

  /**
   * Adds connections to rooms: each of them, or none if one cannot join.
   *
   * @returns how many are there; those that have gone join nothing
   * @throws SocketStreamError `INVALID_ARGUMENTS`, `OVERLOADED`
   */
  join(connections: Iterable<BrokerConnection>, names: string | readonly string[]): number {
    const rooms = namesOf(names)
    const there = [...connections].filter(({ open }) => open)
    for (const connection of there) this.#checkSpace(connection, rooms)
    const created: string[] = []
    for (const connection of there) {
      const own = this.#rooms.get(connection) ?? new Set<string>()
      this.#rooms.set(connection, own)
      for (const room of rooms) {
        own.add(room)
        const members = this.#members.get(room)
        if (members !== undefined) members.add(connection)
        else {
          this.#members.set(room, new Set([connection]))
          created.push(room)
        }
      }
    }
    for (const room of created) this.#emit('room:created', room)
    return there.length
  }

  /** Takes connections out of rooms. @throws SocketStreamError `INVALID_ARGUMENTS` */
  leave(connections: Iterable<BrokerConnection>, names: string | readonly string[]): void {
    const rooms = namesOf(names)
    const emptied: string[] = []
    for (const connection of [...connections]) {
      // The rooms of a closed connection are a record of its end.
      const own = connection.open ? this.#rooms.get(connection) : undefined
      for (const room of rooms) if (own?.delete(room)) this.#remove(connection, room, emptied)
    }
    for (const room of emptied) this.#emit('room:emptied', room)
  }

  /** A connection has closed: it is in no room any more, and `of` still says where it was. */
  closed(connection: BrokerConnection): void {
    const own = this.#rooms.get(connection)
    if (own === undefined) return
    const emptied: string[] = []
    for (const room of own) this.#remove(connection, room, emptied)
    for (const room of emptied) this.#emit('room:emptied', room)
  }

  #checkSpace(connection: BrokerConnection, rooms: readonly string[]): void {
    const own = this.of(connection)
    const { most } = this.#init
    if (own.size + rooms.length <= most) return
    if (new Set([...own, ...rooms]).size <= most) return
    throw new SocketStreamError(
      'OVERLOADED',
      `A connection may be in ${most} rooms; leave some first, or raise limits.topics`,
    )
  }

  #remove(connection: BrokerConnection, room: string, emptied: string[]): void {
    const members = this.#members.get(room)
    if (!members?.delete(connection) || members.size > 0) return
    this.#members.delete(room)
    emptied.push(room)
  }

  /** The emitter is the application's: what its listeners throw must not stop who joins. */
  #emit(event: 'room:created' | 'room:emptied', room: string): void {
    try {
      this.#init.events.emit(event, room)
    } catch (error) {
      this.#init.log.error(`a listener for ${event} failed`, { error })
    }
  }
}

const NONE: ReadonlySet<never> = new Set()

/** A list of names of rooms or connections. @throws SocketStreamError `INVALID_ARGUMENTS` */
export function namesOf(names: string | readonly string[]): readonly string[] {
  const list: readonly unknown[] = Array.isArray(names) ? names : [names]
  if (list.every(isName)) return list
  throw new SocketStreamError(
    'INVALID_ARGUMENTS',
    `The name of a room is a string of 1 to ${MAX_NAME} characters, none of them a control character; give one or a list`,
  )
}
