import { SocketStreamError } from '../errors.js'
import type { Logger } from '../log.js'
import type { OneTimeCodes } from '../sessions/codes.js'
import type { SessionRepository } from '../sessions/repository.js'
import type { SessionChanges, StoredSession } from '../sessions/session.js'
import type { SessionEnd } from '../sessions/shared-store.js'
import type { BrokerConnection } from './connection.js'
import { type Done, ended, LiveSession } from './live-session.js'
import type { ActorRef, Behaviour } from './runtime/index.js'
import { SessionBehaviour } from './session.js'
import { SessionMemory, type SessionMemoryBounds } from './session-memory.js'
import { SessionUsers } from './session-users.js'

/**
 * Who comes and goes must not be lost: a join unanswered or a leave unheard would last for good. Connections
 * bound them, at most a few messages each.
 */
export const UNBOUNDED = { capacity: Infinity }

/** What the session cache is told. */
export type SessionCacheMessage =
  | {
      readonly type: 'join'
      readonly id: string | undefined
      /** The id was made for this connection: there is nothing to be read. */
      readonly fresh?: boolean
      readonly connection: BrokerConnection
    }
  | { readonly type: 'leave'; readonly session: LiveSession; readonly connection: BrokerConnection }
  | { readonly type: 'gone'; readonly session: LiveSession }
  /** By the web side without a `session`. */
  | {
      readonly type: 'commit'
      readonly id: string
      readonly session?: LiveSession
      readonly changes: SessionChanges
      readonly done: Done
    }
  | { readonly type: 'touch'; readonly id: string; readonly data: StoredSession; readonly done: Done }
  | { readonly type: 'refresh'; readonly id: string; readonly session: LiveSession; readonly done: Done }
  | {
      readonly type: 'destroy'
      readonly id: string
      readonly end: SessionEnd
      /** Its connection stays until its call is answered. */
      readonly by?: BrokerConnection
      readonly done: Done
    }
  | {
      readonly type: 'regenerate'
      readonly session: LiveSession
      readonly by: BrokerConnection | undefined
      made(outcome: { source: LiveSession; code: string }): void
      readonly done: Done
    }
  /** Read before there was a connection, which may be a while ago: what is known already is newer. */
  | { readonly type: 'found'; readonly id: string; readonly data: StoredSession }
  /** Written by the web side, past the session actors. */
  | { readonly type: 'told'; readonly id: string }
  /** Destroyed, as somebody else says. */
  | { readonly type: 'destroyed'; readonly id: string; readonly end: SessionEnd }
  /** What other servers have said of sessions until now may not have come. */
  | { readonly type: 'missed'; readonly now: number }
  | { readonly type: 'sweep'; readonly now: number }

/** Counters of the cache. */
export interface SessionCacheCounters {
  hits: number
  misses: number
}

/** How the session cache is made. */
export interface SessionCacheOptions {
  readonly repository: SessionRepository
  /** Bounds of what is kept in RAM; false: the store is asked every time. */
  readonly caching: false | SessionMemoryBounds
  /** Milliseconds between looks at the store for sessions in use; 0: never. */
  readonly recheck: number
  readonly saveUninitialized: boolean
  readonly log: Logger
  /** A session has ended, for the first time that is heard of here. */
  ended?(id: string, how: SessionEnd): void
  /** The user of a session. */
  userOf(session: StoredSession): string | undefined
  /** Codes for sessions that got another id; undefined when nobody redeems them. */
  codes(): OneTimeCodes | undefined
}

/** The session cache's state; others may read it. */
export interface SessionCache {
  readonly counters: SessionCacheCounters
  /** Sessions with an actor, by id; for a moment also one that has ended. */
  readonly live: ReadonlyMap<string, LiveSession>
  /** Sessions that are not in use. */
  readonly memory: Pick<SessionMemory, 'size' | 'bytes' | 'evictions' | 'peek' | 'isBuried'>
  /** Whose the sessions in use are. */
  readonly users: SessionUsers
}

/** What there is to work with. */
interface State extends SessionCache {
  readonly options: SessionCacheOptions
  readonly self: ActorRef<SessionCacheMessage>
  readonly live: Map<string, LiveSession>
  readonly memory: SessionMemory
  readonly timer: NodeJS.Timeout
  /** What was checked before then may have been destroyed elsewhere, unheard. */
  missedAt: number
}

/** Milliseconds between looks at what has expired. */
const SWEEP = 1000
/** Ids that codes for a session are redeemed for: that of the cookie is among them. */
const MAX_REPLACED = 8
/** The part of `recheck` over which sessions are checked of which something may have been missed: not all at once. */
const SOON = 1 / 6

/**
 * The session-cache actor: an LRU of sessions in front of the store, parent of the session actors.
 *
 * A session in use has an actor, which all its connections share, and which the web side's writes go through
 * as well; the LRU keeps what was known of a session when it was last in use.
 */
export function sessionCacheBehaviour(
  options: SessionCacheOptions,
): Behaviour<SessionCacheMessage, State> & { readonly state: SessionCache } {
  const shared = {
    counters: { hits: 0, misses: 0 },
    live: new Map<string, LiveSession>(),
    memory: new SessionMemory(options.caching),
    users: new SessionUsers(options.userOf, options.log),
  }
  return {
    state: shared,
    initial(self) {
      const timer = setInterval(() => self.tell({ type: 'sweep', now: Date.now() }), SWEEP).unref()
      return { ...shared, options, self, timer, missedAt: Number.NEGATIVE_INFINITY }
    },
    receive(state, message) {
      switch (message.type) {
        case 'join':
          return join(state, message)
        case 'leave':
          return leave(message)
        case 'gone':
          return gone(state, message)
        case 'commit':
        case 'refresh':
          return pass(state, message)
        case 'touch':
        case 'destroy':
          return void inUse(state, message.id).ref.tell(message)
        case 'regenerate':
          return regenerate(state, message)
        case 'found':
          if (state.live.has(message.id) || state.memory.has(message.id)) return
          return state.memory.keep(message.id, { data: message.data, checkedAt: Date.now() })
        case 'told':
          state.memory.forget(message.id)
          state.live.get(message.id)?.ref.tell({ type: 'refresh', done: ignore })
          return
        case 'destroyed':
          state.memory.bury(message.id)
          state.live.get(message.id)?.ref.tell({ type: 'ended', end: message.end })
          return
        case 'missed':
          return missed(state, message.now)
        case 'sweep':
          return sweep(state, message.now)
      }
    },
    stopped: state => clearInterval(state.timer),
  }
}

function join(state: State, { id, fresh = false, connection }: SessionCacheMessage & { type: 'join' }): void {
  const { counters, live, memory } = state
  if (id === undefined || memory.isBuried(id)) {
    const { repository } = state.options
    return void beginNew(state, repository.newId(), connection).ref.tell({ type: 'join', connection })
  }
  const session = live.get(id)
  if (session !== undefined) {
    counters.hits++
    return void session.ref.tell({ type: 'join', connection })
  }
  // Two tabs may have been given one new id, and the first may have come, stored something and gone.
  if (fresh && !memory.begin(id)) {
    return void beginNew(state, id, connection).ref.tell({ type: 'join', connection })
  }
  counters[memory.has(id) ? 'hits' : 'misses']++
  begin(state, named(state, id, fresh, connection.secure)).ref.tell({ type: 'join', connection })
}

/** A session in which nothing is yet. */
function beginNew(
  state: State,
  id: string,
  connection: BrokerConnection,
  replaces?: readonly string[],
): LiveSession {
  const { repository, saveUninitialized, log } = state.options
  const data = repository.empty(connection.secure)
  const live = begin(
    state,
    new LiveSession({ id, cache: state.self, data, stored: false, ...(replaces && { replaces }) }),
  )
  if (saveUninitialized) {
    const done: Done = error => error && log.warn('a new session could not be stored', { error })
    live.ref.tell({ type: 'commit', changes: new Map(), done })
  }
  return live
}

/** A session of which there is the id only. */
function named(
  { options, self, memory, missedAt }: State,
  id: string,
  unsure = false,
  secure = false,
): LiveSession {
  const kept = memory.take(id)
  if (kept === undefined) {
    const data = options.repository.empty(secure)
    return new LiveSession({ id, cache: self, data, stored: !unsure, unread: true, unsure })
  }
  const { recheck } = options
  // What was checked too long ago may have been destroyed elsewhere.
  const unread = recheck > 0 && (Date.now() - kept.checkedAt >= recheck || kept.checkedAt < missedAt)
  return new LiveSession({ id, cache: self, ...kept, stored: true, unread, known: true })
}

/** Starts the actor of a session. */
function begin(state: State, live: LiveSession): LiveSession {
  const { options, self, users } = state
  state.live.set(live.id, live)
  live.users = users
  users.look(live)
  const behaviour = new SessionBehaviour({ live, repository: options.repository, cache: self })
  live.ref = self.spawn(actorName(live.id), behaviour, UNBOUNDED)
  return live
}

/** Ids of Express may hold anything; names of actors may not hold a slash. */
function actorName(id: string): string {
  return /^[ -~]+$/.test(id) ? encodeURIComponent(id) : `%%${Buffer.from(id, 'utf16le').toString('hex')}`
}

/** The session with an actor, for one thing to be done. */
function inUse(state: State, id: string): LiveSession {
  return state.live.get(id) ?? begin(state, named(state, id))
}

/** Has the session's actor ask the store; a handler may outlive the last connection. */
function pass(state: State, message: SessionCacheMessage & { type: 'commit' | 'refresh' }): void {
  const { id, session, done } = message
  if (session?.end !== undefined || state.memory.isBuried(id)) return done(ended())
  if (session === undefined || state.live.get(id) === session) {
    return void inUse(state, id).ref.tell(message)
  }
  if (!state.live.has(id)) {
    // Another connection may have stored it, or another process.
    session.unsure ||= !session.stored
    state.memory.forget(id)
    return void begin(state, session).ref.tell(message)
  }
  const live = inUse(state, id)
  live.ref.tell({
    ...message,
    done(error) {
      if (error === undefined) {
        session.stored ||= live.stored
        session.replace(live.data)
      }
      done(error)
    },
  })
}

function leave({ session, connection }: SessionCacheMessage & { type: 'leave' }): void {
  if (session.ref.live) session.ref.tell({ type: 'leave', connection })
  else session.connections.delete(connection)
}

/** Ends the actor of a session that nobody uses any more, or that is no more. */
function gone(state: State, message: SessionCacheMessage & { type: 'gone' }): void {
  const { session } = message
  const { live, memory, self } = state
  // One that could not be read may be there the next time.
  if (session.end !== undefined && !session.unread) {
    if (!memory.isBuried(session.id)) state.options.ended?.(session.id, session.end)
    memory.bury(session.id)
  }
  if (live.get(session.id) !== session || session.busy) return
  if (session.end === undefined && session.connections.size > 0) return
  // Somebody may have joined between its last message and this one; it may have something to write.
  if (session.ref.depth > 0) return void self.tell(message)
  if (session.end === undefined && session.stored && !session.unread) memory.keep(session.id, session)
  live.delete(session.id)
  session.users = undefined
  state.users.forget(session)
  session.ref.stop()
}

function regenerate(
  state: State,
  { session, by, made, done }: SessionCacheMessage & { type: 'regenerate' },
): void {
  const codes = state.options.codes()
  if (codes === undefined || by === undefined) {
    return done(
      new SocketStreamError(
        'SESSION_NEEDS_HTTP',
        'regenerate() in an HTTP request, or give pages app.sessions.handler() to redeem its code at',
      ),
    )
  }
  if (session.end !== undefined || state.memory.isBuried(session.id)) return done(ended())
  session.successors ??= new WeakMap()
  let source = session.successors.get(by)
  // Two handlers at once go on with one session.
  if (source === undefined) {
    const replaces = [...session.replaces, session.id].slice(-MAX_REPLACED)
    source = beginNew(state, state.options.repository.newId(), by, replaces)
    session.successors.set(by, source)
    leave({ type: 'leave', session, connection: by })
    source.ref.tell({ type: 'join', connection: by })
  }
  made({ source, code: codes.issue({ from: source.replaces, to: source.id }) })
}

/** Has what is known checked before it is due. */
function missed(state: State, now: number): void {
  const { recheck } = state.options
  state.missedAt = now
  if (recheck === 0) return
  for (const session of state.live.values()) {
    const due = now + Math.random() * SOON * recheck
    session.checkedAt = Math.min(session.checkedAt, due - recheck)
  }
}

function sweep({ live, options }: State, now: number): void {
  for (const session of live.values()) {
    const task = session.upkeep.next(now, options.recheck)
    if (task !== undefined) session.ref.tell({ type: 'upkeep', task, now })
  }
}

function ignore(): void {}
