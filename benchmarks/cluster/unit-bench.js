/** A Redis, as one unit has it to itself, and how units are done. */
import { redis } from 'socketstream-server/engines/redis'
import { connect, url } from './sides.js'

/** @typedef {(at: number) => Promise<unknown>} One does it for the n-th time */

/** What a unit has opened on its Redis. */
export class Bench {
  #port
  /** @type {(() => unknown)[]} */
  #ends = []
  /** Connections, once all are made. */
  connections = 0

  /** @param {number} port */
  constructor(port) {
    this.#port = port
  }

  /** An engine, as each server has one. */
  engine() {
    const engine = redis({ url: url(this.#port) })
    this.#ends.push(() => engine.close())
    this.connections += 2
    return engine
  }

  /** @param {number} count */
  engines(count) {
    return Array.from({ length: count }, () => this.engine())
  }

  /** A client of node-redis, set up as the engine's are. */
  async client() {
    const client = await connect(this.#port)
    this.#ends.push(() => client.destroy())
    this.connections++
    return client
  }

  /** @param {number} count */
  clients(count) {
    return Promise.all(Array.from({ length: count }, () => this.client()))
  }

  async end() {
    for (const end of this.#ends) await end()
  }
}

/** Does it so many times, some of them at once. @param {number} count @param {number} together @param {One} one */
export async function times(count, together, one) {
  for (let from = 0; from < count; from += together) {
    const length = Math.min(together, count - from)
    await Promise.all(Array.from({ length }, (_, i) => one(from + i)))
  }
}
