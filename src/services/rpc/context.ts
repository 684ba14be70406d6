import type { Logger } from '../../log.js'
import type { SessionLike } from '../../sessions/session.js'
import type { Connection, Request, RequestSession, Responder, ServiceServer } from '../service.js'
import type { Aftermath } from './answer.js'

/** What a handler gets as its first argument: who calls, and what it can use. */
export interface RpcContext {
  /** The method called, such as `nested.deep`. */
  readonly method: string
  /**
   * The caller's session, as a draft: what the handler changes is merged into it and saved when the handler
   * has resolved, before the answer; when it fails, nothing is.
   */
  readonly session: SessionLike
  /** Who the caller is, by the server's `authenticate`. */
  readonly user: unknown
  /** The caller's connection; `connection.data` is the application's own. */
  readonly connection: Connection
  readonly connectionId: string
  readonly clientIp: string
  /** The server-side API of all services by name: what `app.api` is. */
  readonly services: Readonly<Record<string, unknown>>
  /** Aborted when nobody waits any more: the caller cancelled, timed out or is gone for good. */
  readonly signal: AbortSignal
  /** Logs with the service's name. */
  readonly log: Logger
}

/** The context of one call. All getters: a session or signal that no handler asks for costs nothing. */
export class CallContext implements RpcContext, Aftermath {
  readonly method: string
  readonly #request: Request
  readonly #responder: Responder
  readonly #server: ServiceServer
  #session: RequestSession | undefined

  constructor(method: string, request: Request, responder: Responder, server: ServiceServer) {
    this.method = method
    this.#request = request
    this.#responder = responder
    this.#server = server
  }

  get session(): SessionLike {
    this.#session ??= this.#request.openSession()
    return this.#session.session
  }

  get user(): unknown {
    return this.#request.user
  }

  commit(): Promise<void> | undefined {
    return this.#session?.commit()
  }

  release(): void {
    this.#session?.release()
  }

  get connection(): Connection {
    return this.#request.connection
  }

  get connectionId(): string {
    return this.#request.connectionId
  }

  get clientIp(): string {
    return this.#request.clientIp
  }

  get services(): Readonly<Record<string, unknown>> {
    return this.#server.api
  }

  get signal(): AbortSignal {
    return this.#responder.signal
  }

  get log(): Logger {
    return this.#server.log
  }
}
