import type { Logger } from '../../log.js'
import { isThenable } from '../../thenable.js'
import type { Request, Responder, ServiceServer } from '../service.js'
import { fail } from './answer.js'
import { isClassic } from './classic.js'
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

/** What actions can use of the server; the API of each service also by its name alone, as in `ss.pubsub`. */
export interface ActionScope {
  /** The server-side API of all services by name: what `app.api` is. */
  readonly api: Readonly<Record<string, unknown>>
  readonly log: Logger
}

/** What a file of actions exports as `actions`: called for every request, returns the methods. */
export type Actions = (req: ActionRequest, res: ActionResponse, ss: ActionScope) => unknown

/** A request as actions see it: the broker's own, with the method and its arguments. */
export interface ActionRequest extends Request {
  /** The method called, such as `demo.square`. */
  method: string
  /** The caller's arguments; middleware may change them. */
  params: unknown[]
  /**
   * Adds a middleware that runs before the action, in the order added.
   *
   * As with `app.use()`, a function of one parameter is a factory: it is called with the next argument and
   * returns the middleware. So is one that is given arguments, and one without parameters that returns one.
   *
   * @throws TypeError if it is no function
   */
  use(middleware: ActionMiddleware | ((...options: never[]) => unknown), ...options: unknown[]): void
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
  // On the request itself, as middleware of the server may have written on it.
  const req: ActionRequest = Object.assign(request, {
    method: call.method,
    params: call.args,
    use: (middleware: unknown, ...options: unknown[]) => void stack.push(made(middleware, options)),
  })
  const failed = (error: unknown): void => fail(error, responder, server.log)
  const res: ActionResponse = (...values) => {
    try {
      if (values.length === 1 && values[0] instanceof Error) responder.error(values[0])
      else if (isClassic(responder)) responder.replyAll(values)
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
  const table = actions(req, res, scopeOf(server))
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

/** The APIs of all services by name, as in 0.4; `api` and `log` beside them. */
function scopeOf(server: ServiceServer): ActionScope {
  const { api, log } = server
  return Object.assign(Object.create(api), { api, log }) as ActionScope
}

/** The middleware that `req.use()` was given, or that what it was given makes. */
function made(given: unknown, options: readonly unknown[]): ActionMiddleware {
  if (typeof given !== 'function') {
    throw new TypeError('req.use() takes a function (req, res, next) => { ...; next() }')
  }
  if (options.length > 0 || given.length === 1) return made(given(...options), [])
  if (given.length > 0) return given as ActionMiddleware
  return (req, res, next) => {
    const outcome: unknown = given(req, res, next)
    return typeof outcome === 'function' ? outcome(req, res, next) : outcome
  }
}

function ownFunction(table: unknown, name: string): ((...args: unknown[]) => unknown) | undefined {
  if (typeof table !== 'object' || table === null || isReserved(name) || !Object.hasOwn(table, name)) {
    return undefined
  }
  const entry = (table as Record<string, unknown>)[name]
  return typeof entry === 'function' ? (entry as (...args: unknown[]) => unknown) : undefined
}
