import { setImmediate as nextTurn } from 'node:timers/promises'
import { Server } from 'socketstream-server'
import { msgpack } from 'socketstream-server/codec/msgpack'
import { rpc } from 'socketstream-server/services/rpc'
import { memory } from 'socketstream-server/transports/memory'
import { SECRET } from './stored.js'

const KIND = { HELLO: 16, WELCOME: 17 }
const hello = /** @type {Uint8Array} */ (
  msgpack().open(new Map()).encode(KIND.HELLO, 0, 0, { v: 1, caps: [] })
)

/** A server in memory, and clients that do no more than come and go. */
export class Site {
  app
  #transport = memory()
  /** @type {import('socketstream-server/transports/memory').MemoryClientLink[]} */
  #links = []

  /** @param {import('express-session').Store} sessionStore */
  constructor(sessionStore) {
    this.app = new Server({
      transport: this.#transport,
      env: 'production',
      sessionStore,
      sessions: { secret: SECRET },
    }).service('rpc', rpc({ echo: (_ctx, message) => message }))
  }

  /**
   * Connects a client for each of these headers, all at once.
   *
   * @param {readonly Record<string, string>[]} headers
   * @returns {Promise<number[]>} milliseconds from connecting to the welcome, of each
   */
  connect(headers) {
    return Promise.all(headers.map(one => this.#connect(one)))
  }

  /** @param {Record<string, string>} headers */
  async #connect(headers) {
    const start = performance.now()
    const link = await this.#transport.connect({ headers, protocols: ['ss1.msgpack'] })
    this.#links.push(link)
    await new Promise((resolve, reject) => {
      link.listen({
        // [kind, …]: the kind is the second byte.
        frame: frame => frame[1] === KIND.WELCOME && resolve(undefined),
        closed: (code, reason) => reject(new Error(`The server closed a connection: ${code} ${reason}`)),
      })
      link.send(hello)
    })
    return performance.now() - start
  }

  /** Closes them, and waits until no session is in use. */
  async leave() {
    for (const link of this.#links) link.close()
    this.#links = []
    while (this.app.sessions.statistics.live > 0) await nextTurn()
  }
}
