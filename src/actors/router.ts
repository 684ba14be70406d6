import type { Middleware } from '../middleware/middleware.js'
import type { Broker } from './broker.js'
import type { BrokerConnection } from './connection.js'
import { Passage } from './passage.js'
import type { BrokerRequest } from './request.js'
import type { Behaviour } from './runtime/index.js'
import { Ring } from './runtime/ring.js'

/** What the router actor is told: requests, that a held connection goes on, and that one has gone. */
export type RouterMessage =
  | BrokerRequest
  | { readonly type: 'release'; readonly connection: BrokerConnection }
  | { readonly type: 'closed'; readonly connection: BrokerConnection }

/** Requests that may wait behind an asynchronous middleware before the client is no longer read. */
const HELD_BEFORE_PAUSE = 16

/** The requests of a connection behind an asynchronous middleware. */
interface Held {
  readonly waiting: Ring<BrokerRequest>
  paused: boolean
}

interface State {
  readonly held: Map<BrokerConnection, Held>
}

/**
 * The router actor: applies the middleware chain and forwards to the service.
 *
 * It never waits. A middleware that returns a promise holds its own connection's requests, in order,
 * until it calls `next` or the promise settles; all others go on.
 */
export function routerBehaviour(
  broker: Broker,
  chain: readonly Middleware[],
): Behaviour<RouterMessage, State> {
  return {
    initial: () => ({ held: new Map() }),
    receive(state, message) {
      if (message.type === 'release') return release(state, message.connection)
      if (message.type === 'closed') return void state.held.delete(message.connection)
      if (chain.length === 0 && message.target.ref.tell(message)) return
      const held = state.held.size === 0 ? undefined : state.held.get(message.connection)
      if (held === undefined) {
        if (pass(message)) state.held.set(message.connection, { waiting: new Ring(), paused: false })
        return
      }
      held.waiting.push(message)
      if (!held.paused && held.waiting.length >= HELD_BEFORE_PAUSE) pause(message.connection, held, true)
    },
  }

  /** Runs one request through the chain; returns whether its connection is held now. */
  function pass(request: BrokerRequest): boolean {
    const passage = new Passage(request, broker, chain)
    passage.from(0)
    return passage.holds
  }

  function release(state: State, connection: BrokerConnection): void {
    const held = state.held.get(connection)
    if (held === undefined) return
    let heldAgain = false
    while (!heldAgain) {
      const request = held.waiting.shift()
      if (request === undefined) break
      heldAgain = connection.open && pass(request)
    }
    if (held.paused && held.waiting.length < HELD_BEFORE_PAUSE) pause(connection, held, false)
    if (!heldAgain) state.held.delete(connection)
  }

  function pause(connection: BrokerConnection, held: Held, paused: boolean): void {
    held.paused = paused
    connection.ref.tell({ type: 'pause', paused })
  }
}
