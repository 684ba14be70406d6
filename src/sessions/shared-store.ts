import type { EventEmitter } from 'node:events'
import session from 'express-session'
import { changesIn } from './changes.js'
import type { SessionStore } from './repository.js'
import type { SessionChanges, StoredSession } from './session.js'
import type { WebStore } from './web-store.js'

/** Why a session ends: it is over, or another has taken its place. */
export type SessionEnd = 'destroyed' | 'regenerated'

/** What hears of the sessions that the web side of this process writes and destroys. */
export interface SessionListener {
  /** Whether a session was destroyed here a while ago; it is not written again. */
  gone(id: string): boolean
  /** A session was written without being merged: one that is new. */
  saved(id: string): void
  /** Merges changes into what is stored. */
  commit(id: string, changes: SessionChanges, done: (error?: unknown) => void): void
  touch(id: string, data: StoredSession, done: (error?: unknown) => void): void
  /** Destroys a session, after what is under way with it. */
  destroy(id: string, end: SessionEnd, done: (error?: unknown) => void): void
}

type Done = (error?: unknown) => void

/** A store for express-session, and whom it tells. */
export interface SharedStore extends WebStore {
  /** Set while a server runs. */
  listener: SessionListener | undefined
}

/**
 * A store for express-session that tells a server what is done with it.
 *
 * Give it to express-session in place of the store itself: a log-out then closes the connections of the
 * session at once, and what a request saves is seen by the next message. It is merged with what handlers and
 * other requests of this process save, by top-level keys, for which the store is read before it is written. A
 * session destroyed here is not brought back by a request that was under way.
 */
export const SharedStore: new (store: SessionStore) => SharedStore = class SharedStore extends session.Store {
  readonly #store: SessionStore
  /** What requests were given, to tell what they have changed. */
  readonly #given = new WeakMap<object, StoredSession>()
  listener: SessionListener | undefined
  /** Present if the store has it: without one express-session writes instead. */
  declare touch: (id: string, data: session.SessionData, done?: () => void) => void

  constructor(store: SessionStore) {
    super()
    this.#store = store
    if (store.touch !== undefined) this.touch = (id, data, done) => this.#touch(id, data, done)
    this.#passOn('all')
    this.#passOn('length')
    this.#passOn('clear')
    const events = store as Partial<EventEmitter>
    for (const event of ['connect', 'disconnect']) events.on?.(event, (...args) => this.emit(event, ...args))
  }

  override get(id: string, done: (error: unknown, data?: session.SessionData | null) => void): void {
    this.#store.get(id, done as Parameters<SessionStore['get']>[1])
  }

  override createSession(
    request: Parameters<session.Store['createSession']>[0],
    data: session.SessionData,
  ): ReturnType<session.Store['createSession']> {
    const plain = JSON.parse(JSON.stringify(data)) as StoredSession
    const made = super.createSession(request, data)
    this.#given.set(made, plain)
    return made
  }

  override set(id: string, data: session.SessionData, done?: Done): void {
    if (this.listener?.gone(id)) return void process.nextTick(() => done?.())
    const plain = JSON.parse(JSON.stringify(data)) as StoredSession
    const given = this.#given.get(data)
    if (given === undefined || this.listener === undefined) {
      return this.#store.set(id, plain, error => {
        if (!error) this.#given.set(data, plain)
        if (!error) this.listener?.saved(id)
        done?.(error)
      })
    }
    this.listener.commit(id, changesIn(plain, given), error => {
      if (!error) this.#given.set(data, plain)
      answer(done, error)
    })
  }

  override destroy(id: string, done?: Done): void {
    this.#end(id, 'destroyed', done)
  }

  override regenerate(request: Parameters<session.Store['regenerate']>[0], done: Done): void {
    this.#end((request as unknown as { sessionID: string }).sessionID, 'regenerated', error => {
      // Set by express-session, on the store that it was given.
      ;(this as unknown as { generate(request: unknown): void }).generate(request)
      done(error)
    })
  }

  #touch(id: string, data: session.SessionData, done?: Done): void {
    if (this.listener?.gone(id)) return void process.nextTick(() => done?.())
    const plain = JSON.parse(JSON.stringify(data)) as StoredSession
    if (this.listener) this.listener.touch(id, plain, error => answer(done, error))
    else this.#store.touch?.(id, plain, done)
  }

  #end(id: string, end: SessionEnd, done: Done = () => {}): void {
    if (this.listener) this.listener.destroy(id, end, error => answer(done, error))
    else this.#store.destroy(id, done)
  }

  /** A method that not every store has. */
  #passOn(name: 'all' | 'length' | 'clear'): void {
    const method = (this.#store as unknown as Record<string, unknown>)[name]
    if (typeof method === 'function') {
      ;(this as unknown as Record<string, unknown>)[name] = method.bind(this.#store)
    }
  }
}

/** Calls back outside the actor that has done it. What was to be kept of a session that is over is nobody's. */
function answer(done: Done | undefined, error: unknown): void {
  const over = (error as { code?: unknown } | undefined)?.code === 'SESSION_ENDED'
  process.nextTick(() => (over ? done?.() : done?.(error)))
}
