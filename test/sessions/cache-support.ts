import type { Broker } from '../../src/actors/broker.js'
import type { BrokerConnection } from '../../src/actors/connection.js'
import { answerUnheard, LiveSession } from '../../src/actors/live-session.js'
import { DraftedSession } from '../../src/actors/request-session.js'
import { ActorSystem } from '../../src/actors/runtime/index.js'
import { type SessionCacheOptions, sessionCacheBehaviour, UNBOUNDED } from '../../src/actors/session-cache.js'
import { SessionControl } from '../../src/actors/session-control.js'
import type { SocketStreamError } from '../../src/errors.js'
import { createLogger } from '../../src/log.js'
import { SessionIdentity } from '../../src/sessions/identity.js'
import { type RepositoryOptions, SessionRepository } from '../../src/sessions/repository.js'
import type { SessionLike } from '../../src/sessions/session.js'
import { SharedStore } from '../../src/sessions/shared-store.js'
import { SteppedStore } from './stepped-store.js'

/** A connection as sessions know it. */
export class Tab {
  received = 0
  readonly secure = false
  /** The code that it was closed with. */
  closed: number | undefined
  answer: LiveSession | SocketStreamError | undefined
  readonly #cache: Site['cache']
  #alive = true

  readonly ref: Pick<BrokerConnection['ref'], 'tell' | 'live'>

  constructor(cache: Site['cache']) {
    this.#cache = cache
    const isAlive = (): boolean => this.#alive
    this.ref = {
      tell: message => {
        if (!isAlive()) return false
        this.answer = (message as { session?: Tab['answer'] }).session
        return true
      },
      get live() {
        return isAlive()
      },
    }
  }

  /** The session it has; throws if there is none. */
  get liveSession(): LiveSession {
    if (this.answer instanceof LiveSession) return this.answer
    throw new Error('it has no session')
  }

  get connection(): BrokerConnection {
    return this as unknown as BrokerConnection
  }

  end(code: number): void {
    this.closed ??= code
    this.leave()
  }

  /** Goes, having said so. */
  leave(): void {
    if (!this.#alive) return
    this.#alive = false
    if (this.answer instanceof LiveSession)
      this.#cache.tell({ type: 'leave', session: this.answer, connection: this.connection })
  }

  /** Goes without a word. */
  vanish(): void {
    this.#alive = false
  }
}

/** A session cache with its store and the web side of one process, without transports. */
export interface SiteOptions {
  readonly cacheSessions?: SessionCacheOptions['caching']
  readonly cookie?: RepositoryOptions['cookie']
  readonly recheck?: number
  readonly saveUninitialized?: boolean
  readonly store?: SteppedStore
}

/** Makes one; `close` fails when an actor has crashed. */
export function createSite(options: SiteOptions = {}) {
  const { cacheSessions = { max: 100, maxBytes: 1_000_000 }, cookie = {}, recheck = 60_000 } = options
  const { saveUninitialized = false, store = new SteppedStore() } = options
  const crashes: unknown[] = []
  const system = new ActorSystem({ crashed: ({ error }) => void crashes.push(error) })
  system.deadLetters.subscribe((_letter, message) => answerUnheard(message))
  const repository = new SessionRepository(store, { cookie })
  const identity = new SessionIdentity({ secrets: ['secret'], name: 'connect.sid' })
  const control = new SessionControl({
    store: new SharedStore(store),
    repository,
    identity,
    userOf: ({ user }) => user as string | undefined,
  })
  const behaviour = sessionCacheBehaviour({
    repository,
    caching: cacheSessions,
    recheck,
    saveUninitialized,
    log: createLogger(undefined, 'test'),
    userOf: ({ user }) => user as string | undefined,
    codes: () => control.codes,
  })
  const cache = system.root.spawn('sessions', behaviour, UNBOUNDED)
  control.attach({ sessions: cache } as Broker, behaviour.state)

  const site = {
    store,
    system,
    cache,
    control,
    identity,
    state: behaviour.state,
    /** A tab that joins a session; a new one without an id. */
    join(id?: string, fresh = false): Tab {
      const tab = new Tab(cache)
      cache.tell({ type: 'join', id, fresh, connection: tab.connection })
      return tab
    },
    /** What a call does: runs a handler on a draft, commits, answers. */
    async call<T>(tab: Tab, handler: (session: SessionLike) => T | Promise<T>): Promise<T> {
      if (cacheSessions === false) await tab.liveSession.reload()
      const drafted = new DraftedSession(tab.connection)
      try {
        const value = await handler(drafted.session)
        await drafted.commit()
        return value
      } finally {
        drafted.release()
      }
    },
    /** A request of the web side that has begun: its session object; null when none is stored. */
    request(id: string): Promise<(Record<string, unknown> & { save(): Promise<void> }) | null> {
      return new Promise((resolve, reject) =>
        control.store.get(id, (error, data) => {
          if (error) return reject(error)
          if (!data) return resolve(null)
          const request = { sessionID: id, sessionStore: control.store }
          const session = control.store.createSession(request as never, data) as unknown
          const save = (): Promise<void> =>
            new Promise((done, fail) =>
              control.store.set(id, session as never, error => (error ? fail(error) : done())),
            )
          Object.defineProperty(session, 'save', { value: save })
          resolve(session as never)
        }),
      )
    },
    sweep(now: number): void {
      cache.tell({ type: 'sweep', now })
    },
    close(): void {
      store.release()
      control.detach()
      system.stop()
      if (crashes.length > 0) throw crashes[0]
    },
  }
  return site
}

/** A site with its tabs. */
export type Site = ReturnType<typeof createSite>

/** Resolves when all that follows from what has happened has happened. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
}
