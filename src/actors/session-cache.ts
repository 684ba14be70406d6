import { LRUCache } from 'lru-cache'
import type { SessionRepository } from '../sessions/repository.js'
import type { StoredSession } from '../sessions/session.js'
import type { BrokerConnection } from './connection.js'
import type { ActorRef, Behaviour } from './runtime/index.js'
import { LiveSession, sessionBehaviour } from './session.js'

/**
 * Who comes and goes must not be lost: a join unanswered or a leave unheard would last for good. Connections
 * bound them, at most a few messages each.
 */
export const UNBOUNDED = { capacity: Infinity }

/** What the session cache is told. */
export type SessionCacheMessage =
  | { readonly type: 'join'; readonly id: string | undefined; readonly connection: BrokerConnection }
  | { readonly type: 'leave'; readonly session: LiveSession; readonly connection: BrokerConnection }
  | { readonly type: 'gone'; readonly session: LiveSession }
  | { readonly type: 'saved'; readonly id: string; readonly data: StoredSession }
  | { readonly type: 'destroyed'; readonly id: string }

/** Counters of the cache. */
export interface SessionCacheCounters {
  hits: number
  misses: number
  evictions: number
}

/** How the session cache is made. */
export interface SessionCacheOptions {
  readonly repository: SessionRepository
  /** Whether sessions are kept in RAM; otherwise the store is asked every time. */
  readonly caching: boolean
  /** Sessions kept at the most. Default 10,000. */
  readonly maxSessions?: number
}

/** The session cache's state; others may read it. */
export interface SessionCache {
  readonly counters: SessionCacheCounters
  /** Sessions in use, by id. */
  readonly live: ReadonlyMap<string, LiveSession>
}

interface State extends SessionCache {
  readonly live: Map<string, LiveSession>
  readonly recent: LRUCache<string, StoredSession> | undefined
}

/**
 * The session-cache actor: an LRU of sessions in front of the store, parent of the session actors.
 *
 * A session in use has an actor, which all its connections share; the LRU keeps what was last read from
 * the store or written to it.
 */
export function sessionCacheBehaviour(
  options: SessionCacheOptions,
): Behaviour<SessionCacheMessage, State> & { readonly state: SessionCache } {
  const state = createState(options)
  return {
    state,
    initial: () => state,
    receive(state, message, self) {
      switch (message.type) {
        case 'join':
          sessionFor(state, message.id, options, self).ref.tell({
            type: 'join',
            connection: message.connection,
          })
          return
        case 'leave':
          message.session.ref.tell({ type: 'leave', connection: message.connection })
          return
        case 'gone': {
          const { session } = message
          // Somebody may have joined between its last message and this one.
          if (session.connections.size > 0 || state.live.get(session.id) !== session) return
          if (session.ref.depth > 0) return void self.tell(message)
          state.live.delete(session.id)
          session.ref.stop()
          return
        }
        case 'saved':
          remember(state, message.id, message.data)
          return
        case 'destroyed':
          state.recent?.delete(message.id)
      }
    },
  }
}

function remember(state: State, id: string, data: StoredSession): void {
  const live = state.live.get(id)
  if (live !== undefined) live.stored = true
  const { expires } = data.cookie as { expires?: string | Date | null }
  if (!expires) return void state.recent?.set(id, data)
  const ttl = new Date(expires).getTime() - Date.now()
  if (ttl > 0) state.recent?.set(id, data, { ttl })
}

function createState(options: SessionCacheOptions): State {
  const counters: SessionCacheCounters = { hits: 0, misses: 0, evictions: 0 }
  return {
    counters,
    live: new Map(),
    recent: options.caching
      ? new LRUCache<string, StoredSession>({
          max: options.maxSessions ?? 10_000,
          dispose: (_data, _id, reason) => {
            if (reason === 'evict') counters.evictions++
          },
        })
      : undefined,
  }
}

function sessionFor(
  state: State,
  asked: string | undefined,
  { repository }: SessionCacheOptions,
  cache: ActorRef<SessionCacheMessage>,
): LiveSession {
  const inUse = asked === undefined ? undefined : state.live.get(asked)
  if (inUse !== undefined) {
    state.counters.hits++
    return inUse
  }
  const id = asked ?? repository.newId()
  const cached = asked === undefined ? undefined : state.recent?.get(asked)
  if (asked !== undefined) state.counters[cached === undefined ? 'misses' : 'hits']++
  const live = new LiveSession(id, repository, cached)
  const stored = asked !== undefined && cached === undefined
  // Ids of Express may hold anything; names of actors may not hold a slash.
  const init = { live, stored, repository, cache }
  live.ref = cache.spawn(encodeURIComponent(id), sessionBehaviour(init), UNBOUNDED)
  state.live.set(id, live)
  return live
}
