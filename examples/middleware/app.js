// @ts-check
/**
 * A small bank, behind all of the middleware shelf.
 *
 * They run in this order for every request: what costs least and knows most comes first.
 */
import { Server, SocketStreamError } from 'socketstream-server'
import { authorize } from 'socketstream-server/middleware/authorize'
import { maxInFlight } from 'socketstream-server/middleware/max-in-flight'
import { quota } from 'socketstream-server/middleware/quota'
import { rateLimiter } from 'socketstream-server/middleware/rate-limiter'
import { requestLogger } from 'socketstream-server/middleware/request-logger'
import { timeout } from 'socketstream-server/middleware/timeout'
import { validate } from 'socketstream-server/middleware/validate'
import { rpc } from 'socketstream-server/services/rpc'
import { ws } from 'socketstream-server/transports/ws'
import { z } from 'zod'

/** @typedef {ReturnType<typeof createApp>} BankApp the server's type, from which clients are typed */

/** Who has which token. Real ones are signed, or looked up. @type {Record<string, { id: string, admin: boolean }>} */
const USERS = { 'token-of-ann': { id: 'ann', admin: true }, 'token-of-bob': { id: 'bob', admin: false } }

const name = z.enum(['ann', 'bob'])

/**
 * Makes the server; `start()` it.
 *
 * @param {{ port: number, log?: import('socketstream-server').LogTarget }} options
 */
export function createApp({ port, log }) {
  /** @type {Record<z.infer<typeof name>, number>} */
  const accounts = { ann: 100, bob: 20 }

  return new Server({
    transport: ws({ port }),
    authenticate: ({ url }) => userOf(url),
    ...(log && { log }),
  })
    .use(requestLogger({ slow: 500 }))
    .use(rateLimiter({ maxRequestsPerSecond: 200 }))
    .use(quota({ limit: 100, window: 60_000 }))
    .use(
      authorize({
        bank: req => req.user !== undefined,
        admin: req => /** @type {{ admin: boolean } | undefined} */ (req.user)?.admin === true,
      }),
    )
    .use(maxInFlight({ perUser: 5, perService: { admin: 1 } }))
    .use(timeout({ admin: 200, '*': 2000 }))
    .use(validate({ bank: { send: z.tuple([name, z.coerce.number().int().positive()]) } }))
    .service(
      'bank',
      rpc({
        /** What the caller has. */
        balance: ctx => accounts[idOf(ctx)],

        /** Sends money. @param {z.infer<typeof name>} to @param {number} amount */
        send(ctx, to, amount) {
          const from = idOf(ctx)
          if (accounts[from] < amount) throw new SocketStreamError('TOO_LITTLE', `You have ${accounts[from]}`)
          accounts[from] -= amount
          accounts[to] += amount
          return accounts[from]
        },
      }),
    )
    .service(
      'admin',
      rpc({
        total: () => accounts.ann + accounts.bob,

        /** Takes longer than anybody is given, and stops when nobody waits any more. */
        audit: ctx =>
          new Promise((_, reject) => ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason))),
      }),
    )
}

/** @param {string} url the path and query that the client connects to */
function userOf(url) {
  const token = new URL(url, 'ws://localhost').searchParams.get('token') ?? ''
  return Object.hasOwn(USERS, token) ? USERS[token] : undefined
}

/**
 * The caller, whom `authorize` has let in.
 *
 * @param {{ user: unknown }} ctx
 */
function idOf(ctx) {
  return /** @type {{ id: z.infer<typeof name> }} */ (ctx.user).id
}
