import { CLOSE_CODES } from '../errors.js'
import { KIND } from '../protocol/envelope.js'
import type { Broker } from './broker.js'
import type { BrokerConnection } from './connection.js'
import type { Leaving } from './leaving.js'
import { Outgoing } from './outgoing.js'

/** Connections that are let go at once. */
const BATCH = 100
/** Milliseconds between two batches, if there is the time. */
const PACE = 50
/** What a connection is closed with that the server has no time for any more. */
export const STOPPING = 'the server is stopping'

/**
 * Lets the clients of a server that stops go, in batches: all at once would come back elsewhere all at once.
 *
 * Each is told when its turn comes. Who has calls in flight then stays until they have ended.
 */
export class Drain {
  readonly #leaving: Leaving | undefined
  readonly #batches: readonly (readonly BrokerConnection[])[]
  /** Milliseconds between two batches. */
  readonly #pace: number
  #timer: NodeJS.Timeout | undefined

  /** @param duration milliseconds for all of it, of which letting go takes half at the most */
  constructor(broker: Broker, duration: number) {
    this.#leaving = broker.connections.moving?.leaving
    const connections = [...broker.connections.byId.values()]
    const count = Math.ceil(connections.length / BATCH)
    this.#batches = Array.from({ length: count }, (_, at) => connections.slice(at * BATCH, (at + 1) * BATCH))
    this.#pace = count < 2 ? 0 : Math.min(PACE, duration / 2 / (count - 1))
  }

  /** Tells everybody, then lets go batch by batch; resolves after the last one. */
  run(): Promise<void> {
    this.#batches.forEach((batch, at) => {
      for (const connection of batch) {
        const after = Math.round(at * this.#pace)
        connection.deliver(
          new Outgoing(connection.codec, KIND.GO_AWAY, 0, CLOSE_CODES.SERVER_STOPPING, after),
        )
      }
    })
    // One batch is everybody: they are closed together when the last call has ended.
    if (this.#batches.length < 2) return Promise.resolve()
    return new Promise(resolve => this.#letGo(0, resolve))
  }

  /** Lets nobody go any more: the time is over. */
  end(): void {
    clearTimeout(this.#timer)
  }

  #letGo(at: number, done: () => void): void {
    for (const connection of this.#batches[at]!) {
      if (!connection.calling) this.#end(connection)
    }
    if (at + 1 === this.#batches.length) return done()
    this.#timer = setTimeout(() => this.#letGo(at + 1, done), this.#pace)
  }

  /** Another server may go on with it. */
  #end(connection: BrokerConnection): void {
    if (this.#leaving?.letGo(connection)) return
    connection.end(CLOSE_CODES.SERVER_STOPPING, STOPPING)
  }
}
