import { CLOSE_CODES, type SocketStreamError } from '../errors.js'
import type { SessionRepository } from '../sessions/repository.js'
import { renewed, type SessionChanges, type StoredSession } from '../sessions/session.js'
import type { SessionEnd } from '../sessions/shared-store.js'
import type { BrokerConnection } from './connection.js'
import { type Done, ended, type LiveSession, stopped } from './live-session.js'
import type { ActorRef, Behaviour } from './runtime/index.js'
import type { SessionCacheMessage } from './session-cache.js'
import { SessionRounds } from './session-rounds.js'
import type { UpkeepTask } from './session-upkeep.js'

/** What a session actor is told. */
export type SessionMessage =
  | { readonly type: 'join'; readonly connection: BrokerConnection }
  | { readonly type: 'leave'; readonly connection: BrokerConnection }
  | { readonly type: 'commit'; readonly changes: SessionChanges; readonly done: Done }
  | { readonly type: 'touch'; readonly data: StoredSession; readonly done: Done }
  | { readonly type: 'refresh'; readonly done: Done }
  | {
      readonly type: 'destroy'
      readonly end: SessionEnd
      /** Its connection stays until its call is answered. */
      readonly by?: BrokerConnection
      readonly done: Done
    }
  | { readonly type: 'ended'; readonly end: SessionEnd }
  | { readonly type: 'upkeep'; readonly task: UpkeepTask; readonly now: number }
  | { readonly type: 'round'; readonly finish: () => void }

/** How a session actor begins. */
export interface SessionInit {
  readonly live: LiveSession
  readonly repository: SessionRepository
  readonly cache: ActorRef<SessionCacheMessage>
}

/** The state of a session actor; what asks the store is made when it first has to. */
class State implements SessionInit {
  readonly live: LiveSession
  readonly repository: SessionRepository
  readonly cache: ActorRef<SessionCacheMessage>
  /** Connections waiting for the store. */
  waiting: BrokerConnection[] | undefined
  #rounds: SessionRounds | undefined

  constructor({ live, repository, cache }: SessionInit) {
    this.live = live
    this.repository = repository
    this.cache = cache
  }

  get rounds(): SessionRounds {
    this.#rounds ??= new SessionRounds(this, finish => void this.live.ref.tell({ type: 'round', finish }))
    return this.#rounds
  }

  /** Answers whoever waits for the store that the server has stopped. */
  stop(): void {
    this.#rounds?.stop(stopped())
  }
}

/** Milliseconds that a call has to be answered when it has ended its own session. */
const GRACE = 10_000

/**
 * The session actor: one per session in use, created for its first connection, gone after its last.
 *
 * All that is done to the session in the store is done by it, one thing after another: what was changed in
 * several handlers meanwhile is merged into one write, and nothing is written after a destroy.
 */
export class SessionBehaviour implements Behaviour<SessionMessage, State> {
  readonly #init: SessionInit

  constructor(init: SessionInit) {
    this.#init = init
  }

  initial(): State {
    return new State(this.#init)
  }

  receive(state: State, message: SessionMessage): void {
    const { live } = state
    switch (message.type) {
      case 'join':
        return join(state, message.connection)
      case 'leave':
        live.connections.delete(message.connection)
        return leaveIfUnused(state)
      case 'commit':
        return state.rounds.add({ kind: 'commit', changes: message.changes, done: message.done })
      case 'touch':
        return state.rounds.add({ kind: 'touch', data: message.data, done: message.done })
      case 'refresh':
        return state.rounds.add({ kind: 'refresh', done: message.done })
      case 'destroy':
        return destroy(state, message)
      case 'ended':
        return end(state, message.end)
      case 'upkeep':
        return upkeep(state, message.task, message.now)
      case 'round':
        message.finish()
        if (state.rounds.lost) end(state, 'destroyed')
        leaveIfUnused(state)
    }
  }

  stopped(state: State): void {
    state.stop()
  }
}

function join(state: State, connection: BrokerConnection): void {
  const { live } = state
  if (live.end !== undefined) return elsewhere(state, connection)
  if (!live.unread) return admit(state, connection)
  if (state.waiting !== undefined) return void state.waiting.push(connection)
  state.waiting = [connection]
  state.rounds.add({ kind: 'refresh', done: error => read(state, error) })
}

/** The store has answered for those who wait. */
function read(state: State, error: SocketStreamError | undefined): void {
  const { live, waiting: joining = [] } = state
  state.waiting = undefined
  // A store that fails does not take away what is known.
  if (error?.code === 'SESSION_UNAVAILABLE' && live.known) live.unread = false
  for (const connection of joining) {
    if (error === undefined || !live.unread) admit(state, connection)
    else if (error.code === 'SESSION_ENDED') elsewhere(state, connection)
    else connection.ref.tell({ type: 'session', session: error })
  }
}

/** Nothing is stored under this id, or not any more: never adopt one that the server did not give out. */
function elsewhere({ cache }: State, connection: BrokerConnection): void {
  cache.tell({ type: 'join', id: undefined, connection })
}

function admit(state: State, connection: BrokerConnection): void {
  const { connections } = state.live
  connections.add(connection)
  // One that has ended will not say that it leaves.
  if (connection.ref.tell({ type: 'session', session: state.live })) return
  connections.delete(connection)
  leaveIfUnused(state)
}

function destroy(state: State, { end: how, by, done }: SessionMessage & { type: 'destroy' }): void {
  const { live } = state
  if (live.end !== undefined) return done()
  state.rounds.add({
    kind: 'destroy',
    done(error) {
      if (error === undefined) {
        // Nobody need ask any more.
        live.unread = false
        end(state, how, by)
      }
      done(error?.code === 'SESSION_ENDED' ? undefined : error)
    },
  })
}

/** The session is no more: nothing is written again, and its connections close. */
function end(state: State, how: SessionEnd, by?: BrokerConnection): void {
  const { live, cache } = state
  if (live.end !== undefined) return
  live.end = how
  state.rounds.stop(ended())
  // Whoever is still connected for a moment is nobody any more.
  live.replace({ cookie: live.data.cookie })
  cache.tell({ type: 'gone', session: live })
  // Whoever did this by one of them may still answer, at once; `by` for longer.
  setImmediate(() => {
    for (const connection of live.connections) if (connection !== by) endConnection(connection, how)
  })
  if (by !== undefined) setTimeout(endConnection, GRACE, by, how).unref()
}

/** Closes a connection whose session has ended. */
export function endConnection(connection: BrokerConnection, how: SessionEnd): void {
  if (!connection.ref.live) return
  if (how === 'destroyed') connection.end(CLOSE_CODES.SESSION_ENDED, 'the session has ended')
  else connection.end(CLOSE_CODES.SESSION_CHANGED, 'the session has another id now')
}

function upkeep(state: State, task: UpkeepTask, now: number): void {
  const { live } = state
  const touched: Done = error => error && live.upkeep.touchFailed()
  switch (task) {
    case 'expire':
      // It may have been stored since.
      if (!live.stored && !live.busy) end(state, 'destroyed')
      return
    case 'refresh':
      return state.rounds.add({ kind: 'refresh', done: ignore })
    case 'renew':
      return state.rounds.add({
        kind: 'refresh',
        done: error => (error ? touched(error) : state.rounds.add({ kind: 'touch', done: touched })),
      })
    case 'touch':
      if (live.stored) state.rounds.add({ kind: 'touch', done: touched })
      else live.replace(renewed(live.data, now))
      return
    case 'clear':
      for (const connection of live.connections) {
        if (!connection.ref.live) live.connections.delete(connection)
      }
      leaveIfUnused(state)
  }
}

function leaveIfUnused({ live, cache }: State): void {
  if (live.end !== undefined || (live.connections.size === 0 && !live.busy)) {
    cache.tell({ type: 'gone', session: live })
  }
}

function ignore(): void {}
