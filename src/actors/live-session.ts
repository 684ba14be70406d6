import { SocketStreamError } from '../errors.js'
import { type DraftSource, SessionDraft } from '../sessions/draft.js'
import { expiryOf, type SessionChanges, type SessionLike, type StoredSession } from '../sessions/session.js'
import type { SessionEnd } from '../sessions/shared-store.js'
import type { BrokerConnection } from './connection.js'
import type { ActorRef } from './runtime/index.js'
import type { SessionMessage } from './session.js'
import type { SessionCacheMessage } from './session-cache.js'
import { SessionUpkeep } from './session-upkeep.js'
import type { SessionUsers } from './session-users.js'

/** Hears how something ended. */
export type Done = (error?: SocketStreamError) => void

const NONE: readonly string[] = []

/** What is known of a session that comes into use. */
export interface LiveSessionInit {
  readonly id: string
  readonly cache: ActorRef<SessionCacheMessage>
  /** What the store has, as far as is known; what it shall have, of a session that was never stored. */
  readonly data: StoredSession
  /** Whether the store has it, or had. */
  readonly stored: boolean
  /** Whether the store must be asked before anybody joins. */
  readonly unread?: boolean
  /** Whether `data` is what the store once had. */
  readonly known?: boolean
  /** Whether the store may have it, and if not, all is well. */
  readonly unsure?: boolean
  /** When the store was last asked. Default now. */
  readonly checkedAt?: number
  /** Sessions whose place it takes, oldest first. */
  readonly replaces?: readonly string[]
}

/** A session in use: shared by all its connections (tabs). Changed by its actor only. */
export class LiveSession implements DraftSource {
  readonly id: string
  readonly connections = new Set<BrokerConnection>()
  readonly upkeep: SessionUpkeep
  readonly replaces: readonly string[]
  /** The session actor; set by whoever spawns it. */
  ref!: ActorRef<SessionMessage>
  /** Who is told that its data were replaced, while it is in use. */
  users: SessionUsers | undefined
  data: StoredSession
  /** When it expires, in milliseconds since 1970. */
  expiry: number | undefined
  stored: boolean
  unread: boolean
  readonly known: boolean
  unsure: boolean
  checkedAt: number
  /** How it ended; undefined while it has not. */
  end: SessionEnd | undefined
  /** Whether the store is being asked. */
  busy = false
  /** What connections went on with when they regenerated it. */
  successors: WeakMap<BrokerConnection, LiveSession> | undefined
  readonly #cache: ActorRef<SessionCacheMessage>
  #draft: SessionDraft | undefined

  constructor(init: LiveSessionInit) {
    const { id, cache, data, stored, unread = false, known = false, unsure = false } = init
    const { checkedAt = Date.now(), replaces = NONE } = init
    this.id = id
    this.#cache = cache
    this.data = data
    this.expiry = expiryOf(data)
    this.stored = stored
    this.unread = unread
    this.known = known
    this.unsure = unsure
    this.checkedAt = checkedAt
    this.replaces = replaces
    this.upkeep = new SessionUpkeep(this)
  }

  /** The session object that all its connections share, made when first asked for. */
  get session(): SessionLike {
    this.#draft ??= new SessionDraft(this)
    return this.#draft.session
  }

  /** Takes over what the store has now. */
  replace(data: StoredSession): void {
    this.data = data
    this.expiry = expiryOf(data)
    this.users?.look(this)
    this.#draft?.rebase()
  }

  commit(changes: SessionChanges): Promise<void> {
    return this.#ask(done => ({ type: 'commit', id: this.id, session: this, changes, done }))
  }

  reload(): Promise<void> {
    return this.#ask(done => ({ type: 'refresh', id: this.id, session: this, done }))
  }

  destroy(by?: BrokerConnection): Promise<void> {
    return this.#ask(done => ({ type: 'destroy', id: this.id, end: 'destroyed', ...(by && { by }), done }))
  }

  regenerate(by?: BrokerConnection): Promise<{ source: LiveSession; code: string }> {
    let made!: { source: LiveSession; code: string }
    return this.#ask(done => ({
      type: 'regenerate',
      session: this,
      by,
      made(outcome) {
        made = outcome
        done()
      },
      done,
    })).then(() => made)
  }

  #ask(question: (done: Done) => SessionCacheMessage): Promise<void> {
    return new Promise((resolve, reject) => {
      const message = question(error => (error === undefined ? resolve() : reject(error)))
      if (!this.#cache.tell(message)) reject(stopped())
    })
  }
}

/** The error for what comes after the end of a session. */
export function ended(): SocketStreamError {
  return new SocketStreamError('SESSION_ENDED', 'the session was destroyed or has expired')
}

/** The error for what comes after the end of the server. */
export function stopped(): SocketStreamError {
  return new SocketStreamError('SESSION_UNAVAILABLE', 'the server has stopped')
}

/** Answers whoever waits for a message that no actor will handle any more. */
export function answerUnheard(message: object): void {
  const { done, finish } = message as { done?: unknown; finish?: unknown }
  if (typeof finish === 'function') finish()
  else if (typeof done === 'function') done(stopped())
}
