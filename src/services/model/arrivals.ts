import type { Connection, ServiceServer } from '../service.js'
import { readCall } from './calls.js'
import type { Watches } from './watches.js'

/** Connections that go on at another server, with what they watch. */
export class Arrivals {
  readonly #server: ServiceServer
  readonly #watches: Watches
  /** Connections that are not up to date yet. */
  readonly #arriving = new Map<string, Promise<void>>()

  constructor(server: ServiceServer, watches: Watches) {
    this.#server = server
    this.#watches = watches
  }

  /** What another server needs of a connection: the calls by which it watches. Undefined for one that has just come. */
  stateOf(connection: Connection): unknown[][] | undefined {
    if (this.#arriving.has(connection.id)) return undefined
    const [calls, records] = this.#watches.of(connection)
    const watching = calls.map(({ method, watch, query, params, offset, limit }) => {
      return [method, watch, query, params, offset, limit]
    })
    return [...watching, ...records.map(id => ['get', id])]
  }

  /** Takes over what another server has given, and sends all of it. Where that fails the client asks again. */
  take(connection: Connection, state: unknown): Promise<void> {
    const arriving = this.#take(connection, state)
      .catch(error => {
        this.#server.log.warn('what a client of another server watches cannot be shown', { error })
        return false
      })
      .then(isRight => {
        if (this.#arriving.get(connection.id) === arriving) this.#arriving.delete(connection.id)
        if (!isRight && connection.open) this.#server.send(connection.id, [0])
      })
    this.#arriving.set(connection.id, arriving)
    return arriving
  }

  /** Resolves when a connection is up to date: before that nothing with a number of this server may reach it. */
  async over({ id }: Pick<Connection, 'id'>): Promise<void> {
    await this.#arriving.get(id)
  }

  async #take(connection: Connection, state: unknown): Promise<boolean> {
    if (!Array.isArray(state)) return false
    const calls = state.map(readCall)
    const queries = calls.filter(call => call.method === 'watch')
    const records = calls.flatMap(call => (call.method === 'get' ? [call.id] : []))
    return this.#watches.goOn(connection, queries, records)
  }
}
