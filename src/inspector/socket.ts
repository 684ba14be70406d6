import { createServer, type IncomingMessage } from 'node:http'
import type { Logger } from '../log.js'
import { Server } from '../server.js'
import { ws } from '../transports/ws.js'
import { inspectorService } from './api.js'
import type { Inspector } from './inspector.js'

/** A store that keeps nothing: viewers have no sessions. */
const NO_STORE = {
  get: (_id: string, done: (error: unknown, session?: null) => void) => done(null, null),
  set: (_id: string, _session: unknown, done?: (error?: unknown) => void) => done?.(),
  destroy: (_id: string, done?: (error?: unknown) => void) => done?.(),
}

/**
 * The server of the viewers: a SocketStream server of its own, with the inspector as its one service.
 *
 * It has its own connections, ids and limits: clients of the inspected server cannot reach it, and it does not
 * appear among what it shows. It listens nowhere; upgrades that were let in are handed to it.
 */
export class InspectorSocket {
  /** Never listens: it only carries upgrades from one server to the other. */
  readonly #http = createServer()
  readonly #server

  constructor(inspector: Inspector, path: string, log: Logger) {
    const quiet = {
      debug() {},
      info() {},
      warn: (details: object, message: string) => log.warn(`inspector: ${message}`, details),
      error: (details: object, message: string) => log.error(`inspector: ${message}`, details),
    }
    this.#server = new Server({
      // Who may connect has been decided, the page's origin among it.
      transport: ws({ server: this.#http, path, origins: '*', maxPayload: 64 * 1024 }),
      sessionStore: NO_STORE as never,
      client: false,
      resume: false,
      log: quiet,
      limits: { calls: 64 },
    }).service('inspector', inspectorService(inspector))
  }

  start(): Promise<unknown> {
    return this.#server.start()
  }

  /** Takes over a request that was let in. */
  upgrade(request: IncomingMessage, head: Buffer): void {
    this.#http.emit('upgrade', request, request.socket, head)
  }

  /** Lets viewers know that they may come back. */
  stop(): Promise<void> {
    return this.#server.stop({ drain: 0 })
  }
}
