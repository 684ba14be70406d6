import type { Logger } from '../../log.js'
import type { SessionLike } from '../../sessions/session.js'
import type { Connection, Request, RequestSession, Responder, ServiceServer } from '../service.js'
import { fail, isThenable } from './answer.js'
import { isReserved } from './names.js'
import { unknownMethod } from './payload.js'

/**
 * Answers the caller of an action.
 *
 * One value is sent as it is, several as an array, none as null. An `Error` as the only value is
 * sent as an error.
 */
export type ActionResponse = (...values: unknown[]) => void

/** Runs before an action: calls `next()`, answers through `res`, or fails with `next(error)`. */
export type ActionMiddleware = (
  req: ActionRequest,
  res: ActionResponse,
  next: (error?: unknown) => void,
) => unknown

/** What actions can use of the server. */
export interface ActionScope {
  /** The server-side API of all services by name: what `app.api` is. */
  readonly api: Readonly<Record<string, unknown>>
  readonly log: Logger
}

/** What a file of actions exports as `actions`: called for every request, returns the methods. */
export type Actions = (req: ActionRequest, res: ActionResponse, ss: ActionScope) => unknown

/** A request as actions see it: the broker's, with the method and its arguments. */
export class ActionRequest implements Request {
  /** The method called, such as `demo.square`. */
  readonly method: string
  /** The caller's arguments; middleware may change them. */
  params: unknown[]
  readonly #request: Request
  readonly #stack: ActionMiddleware[]

  constructor(request: Request, method: string, params: unknown[], stack: ActionMiddleware[]) {
    this.method = method
    this.params = params
    this.#request = request
    this.#stack = stack
  }

  /**
   * Adds a middleware that runs before the action, in the order added.
   *
   * @throws TypeError if it is no function
   */
  use(middleware: ActionMiddleware): void {
    if (typeof middleware !== 'function') {
      throw new TypeError('req.use() takes a function (req, res, next) => { ...; next() }')
    }
    this.#stack.push(middleware)
  }

  get kind(): Request['kind'] {
    return this.#request.kind
  }

  get connection(): Connection {
    return this.#request.connection
  }

  get connectionId(): string {
    return this.#request.connectionId
  }

  get socketId(): string {
    return this.#request.socketId
  }

  get clientIp(): string {
    return this.#request.clientIp
  }

  get transport(): string {
    return this.#request.transport
  }

  get service(): string {
    return this.#request.service
  }

  get message(): unknown {
    return this.#request.message
  }

  set message(message: unknown) {
    this.#request.message = message
  }

  get size(): number {
    return this.#request.size
  }

  get session(): SessionLike {
    return this.#request.session
  }

  get user(): unknown {
    return this.#request.user
  }

  openSession(): RequestSession {
    return this.#request.openSession()
  }

  get attributes(): Request['attributes'] {
    return this.#request.attributes
  }
}

/** A call of an action. */
export interface ActionCall {
  /** The whole dot path, such as `demo.square`. */
  readonly method: string
  /** The last part of it. */
  readonly name: string
  readonly args: unknown[]
}

/**
 * Runs one action: asks the file for its methods, runs the middleware they added, then the method.
 *
 * @throws SocketStreamError `UNKNOWN_METHOD`, and what `actions` throws
 */
export function runAction(
  actions: Actions,
  call: ActionCall,
  request: Request,
  responder: Responder,
  server: ServiceServer,
): void {
  const stack: ActionMiddleware[] = []
  const req = new ActionRequest(request, call.method, call.args, stack)
  const failed = (error: unknown): void => fail(error, responder, server.log)
  const res: ActionResponse = (...values) => {
    try {
      if (values.length === 1 && values[0] instanceof Error) responder.error(values[0])
      else responder.reply(values.length > 1 ? values : (values[0] ?? null))
    } catch (error) {
      failed(error)
    }
  }
  const guard = (run: () => unknown): void => {
    try {
      const result = run()
      if (isThenable(result)) Promise.resolve(result).catch(failed)
    } catch (error) {
      failed(error)
    }
  }
  const table = actions(req, res, { api: server.api, log: server.log })
  const action = ownFunction(table, call.name)
  if (action === undefined) throw unknownMethod(call.method)
  const step = (index: number): void => {
    if (responder.ended) return
    const middleware = stack[index]
    if (middleware === undefined) {
      guard(() => action.apply(table, req.params))
      return
    }
    let passed = false
    const next = (error?: unknown): void => {
      if (passed) return
      passed = true
      if (error === undefined || error === null) step(index + 1)
      else failed(error)
    }
    guard(() => middleware(req, res, next))
  }
  step(0)
}

function ownFunction(table: unknown, name: string): ((...args: unknown[]) => unknown) | undefined {
  if (typeof table !== 'object' || table === null || isReserved(name) || !Object.hasOwn(table, name)) {
    return undefined
  }
  const entry = (table as Record<string, unknown>)[name]
  return typeof entry === 'function' ? (entry as (...args: unknown[]) => unknown) : undefined
}
