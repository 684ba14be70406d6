import type { SocketStreamError } from '../errors.js'
import type { SessionRepository } from '../sessions/repository.js'
import type { SessionLike, StoredSession } from '../sessions/session.js'
import type { BrokerConnection } from './connection.js'
import type { ActorRef, Behaviour } from './runtime/index.js'
import type { SessionCacheMessage } from './session-cache.js'

/** What a session actor is told. */
export type SessionMessage =
  | { readonly type: 'join'; readonly connection: BrokerConnection }
  | { readonly type: 'leave'; readonly connection: BrokerConnection }
  | { readonly type: 'loaded'; readonly data: StoredSession | null }
  | { readonly type: 'failed'; readonly error: SocketStreamError }
  | { readonly type: 'refresh'; readonly done: (error?: SocketStreamError) => void }
  | { readonly type: 'refreshed'; readonly data: StoredSession | null; readonly done: () => void }

/** How a session actor begins. */
export interface SessionInit {
  readonly live: LiveSession
  /** Whether the store must be asked first. */
  readonly stored: boolean
  readonly repository: SessionRepository
  readonly cache: ActorRef<SessionCacheMessage>
}

/** A session in use: shared by all its connections (tabs). */
export class LiveSession {
  readonly id: string
  readonly connections = new Set<BrokerConnection>()
  /** The session actor; set by whoever spawns it. */
  ref!: ActorRef<SessionMessage>
  /** Whether the store has had it: if it has it no longer, somebody destroyed it. */
  stored = false
  readonly #repository: SessionRepository
  #data: StoredSession | undefined
  #session: SessionLike | undefined

  constructor(id: string, repository: SessionRepository, data: StoredSession | undefined) {
    this.id = id
    this.#repository = repository
    this.#data = data
    this.stored = data !== undefined
  }

  /** Connect's session object, made when first asked for. */
  get session(): SessionLike {
    if (this.#session === undefined) {
      this.#session = this.#repository.make(this.id, this.#data)
      this.#data = undefined
    }
    return this.#session
  }

  /** Takes over what the store holds now. */
  replace(data: StoredSession | undefined): void {
    this.stored = data !== undefined
    this.#data = data
    this.#session = undefined
  }
}

interface State extends SessionInit {
  /** Connections waiting for the store; undefined once it has answered. */
  waiting: BrokerConnection[] | undefined
  /** Set when the store had nothing: whoever still joins is sent back to the cache. */
  ended: boolean
}

/**
 * The session actor: one per live session, created for its first connection, gone after its last.
 *
 * It loads the session once, however many connections ask, and tells each of them.
 */
export function sessionBehaviour(init: SessionInit): Behaviour<SessionMessage, State> {
  return {
    initial(self) {
      const { live, stored, repository } = init
      if (!stored) return { ...init, waiting: undefined, ended: false }
      repository.load(live.id).then(
        data => self.tell({ type: 'loaded', data }),
        error => self.tell({ type: 'failed', error }),
      )
      return { ...init, waiting: [], ended: false }
    },
    receive(state, message, self) {
      const { cache, repository } = state
      switch (message.type) {
        case 'join':
          if (state.ended) cache.tell({ type: 'join', id: state.live.id, connection: message.connection })
          else if (state.waiting !== undefined) state.waiting.push(message.connection)
          else admit(state, message.connection)
          return
        case 'loaded': {
          const waiting = end(state, message.data === null)
          if (message.data === null) {
            // Nothing is stored under this id: never adopt one that the server did not give out.
            for (const connection of waiting) cache.tell({ type: 'join', id: undefined, connection })
            return
          }
          state.live.replace(message.data)
          cache.tell({ type: 'saved', id: state.live.id, data: message.data })
          for (const connection of waiting) admit(state, connection)
          return
        }
        case 'failed':
          for (const connection of end(state, true))
            connection.ref.tell({ type: 'session', session: message.error })
          return
        case 'leave':
          state.live.connections.delete(message.connection)
          if (state.live.connections.size === 0) cache.tell({ type: 'gone', session: state.live })
          return
        case 'refresh':
          repository.load(state.live.id).then(data => {
            // Whoever waits must go on also when the session's last connection has left meanwhile.
            if (!self.tell({ type: 'refreshed', data, done: message.done })) message.done()
          }, message.done)
          return
        case 'refreshed':
          // Never stored: the session in hand is all there is. Stored and gone: somebody destroyed it.
          if (message.data !== null || state.live.stored) state.live.replace(message.data ?? undefined)
          message.done()
      }
    },
  }
}

/** The store has answered: returns who waited for it. */
function end(state: State, ended: boolean): readonly BrokerConnection[] {
  const waiting = state.waiting ?? []
  state.waiting = undefined
  state.ended = ended
  if (ended) state.cache.tell({ type: 'gone', session: state.live })
  return waiting
}

function admit(state: State, connection: BrokerConnection): void {
  state.live.connections.add(connection)
  connection.ref.tell({ type: 'session', session: state.live })
}
