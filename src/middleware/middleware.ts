import type { EventEmitter } from 'node:events'
import type { Logger } from '../log.js'
import type { Request } from '../services/service.js'

/**
 * Drops the request and tells the client: a text as `REFUSED`, an error by its code.
 *
 * A call's caller gets it as a rejection, the sender of a message as an `error` event.
 */
export type Respond = (reason: string | Error) => void

/**
 * Passes the request on; with an error it is answered with that error instead.
 *
 * Neither calling it nor `res` drops the request silently.
 */
export type Next = (error?: unknown) => void

/**
 * A middleware, as in Connect: inspects, transforms (`req.message = …`), answers or drops.
 *
 * One that waits returns a promise: the connection's later requests are then held back, in order,
 * until it calls `next` or settles. Without a promise a late `next` still passes the request on, but
 * later ones may have overtaken it.
 */
export type Middleware = (req: Request, res: Respond, next: Next) => unknown

/** Makes a middleware for a server; told from a middleware by its one parameter. */
export type MiddlewareFactory = (server: MiddlewareHost) => Middleware

/** What a middleware factory is given: the server. */
export interface MiddlewareHost {
  /** Emits `client:connect` and `client:disconnect` with a connection id. */
  readonly events: EventEmitter
  readonly log: Logger
  /** The services that clients can use; there from `start()` on. */
  publicServices(): readonly { readonly name: string; readonly type: string }[]
}
