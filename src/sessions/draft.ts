import session from 'express-session'
import { SocketStreamError } from '../errors.js'
import { changesIn, isSame } from './changes.js'
import { type SessionCookie, storedCookie } from './cookie.js'
import { copyOf } from './plain-data.js'
import type { SessionChanges, SessionLike, StoredSession } from './session.js'

/** Where a draft comes from, and where its changes go. */
export interface DraftSource {
  readonly id: string
  /** What the store has, as far as is known; never changed in place. */
  readonly data: StoredSession
  /** Merges changes into what the store has now. */
  commit(changes: SessionChanges): Promise<void>
  /** Asks the store again. */
  reload(): Promise<void>
  destroy(): Promise<void>
  /** Begins another session; resolves to that and the code to redeem for its cookie. */
  regenerate(): Promise<{ readonly source: DraftSource; readonly code: string }>
}

type Callback = ((error: unknown, value?: never) => void) | undefined

/**
 * A session object that can be changed without anybody else noticing, until it is committed.
 *
 * It costs next to nothing until it is used: values are read from the source, and only those that could be
 * changed in place are copied. It is a real express-session `Session`, down to its cookie.
 */
export class SessionDraft implements ProxyHandler<Record<string, unknown>> {
  /** What handlers get. */
  readonly session: SessionLike
  /** Keys that were set, and copies of objects that were read. */
  readonly #own: Record<string, unknown>
  #source: DraftSource
  #base: StoredSession
  #deleted: Set<string> | undefined
  #destroyed = false
  #methods: Map<string, (callback?: never) => unknown> | undefined
  /** What was asked of the source and is not answered yet. */
  #underWay: Set<Promise<unknown>> | undefined

  constructor(source: DraftSource) {
    this.#source = source
    this.#base = source.data
    this.#own = Object.create(session.Session.prototype)
    this.session = new Proxy(this.#own, this) as SessionLike
  }

  /**
   * Merges what was changed into the session; undefined when there is nothing to be done.
   *
   * Waits for what the session's methods have begun, whether or not anybody awaits that. Rejects with
   * `SESSION_UNAVAILABLE` or `SESSION_ENDED`; then the changes are still here.
   *
   * @throws SocketStreamError `UNENCODABLE` for what JSON cannot express; the changes are still here
   */
  commit(): Promise<void> | undefined {
    if (this.#underWay?.size) return Promise.all(this.#underWay).then(() => this.#write())
    return this.#write()
  }

  /**
   * Takes over what the source has now, keeping changes that are not committed.
   *
   * @param committed changes that are in the source by now
   */
  rebase(committed?: SessionChanges): void {
    const before = this.#base
    this.#base = this.#source.data
    for (const [key, value] of Object.entries(this.#own)) {
      // Changed again meanwhile, it stays a change.
      const saved = committed?.has(key) && isSame(key, value, committed.get(key))
      if (saved || isSame(key, value, valueIn(before, key))) this.#takeOver(key, value)
    }
    for (const key of this.#deleted ?? []) {
      const saved = committed?.has(key) && committed.get(key) === undefined
      if (saved || !Object.hasOwn(this.#base, key)) this.#deleted?.delete(key)
    }
    if (this.#deleted?.size === 0) this.#deleted = undefined
  }

  // ---- the session object -----------------------------------------------------------------------

  get(own: Record<string, unknown>, key: string | symbol): unknown {
    if (typeof key === 'symbol' || Object.hasOwn(own, key)) return Reflect.get(own, key)
    if (this.#holds(key)) {
      const value = this.#base[key]
      if (value === null || typeof value !== 'object') return value
      own[key] = key === 'cookie' ? storedCookie(value) : copyOf(value)
      return own[key]
    }
    if (key === 'id') return this.#source.id
    return METHODS.has(key) ? this.#method(key) : Reflect.get(own, key)
  }

  set(own: Record<string, unknown>, key: string | symbol, value: unknown): boolean {
    if (typeof key !== 'string') return Reflect.set(own, key, value)
    if (isReserved(key)) {
      throw new SocketStreamError(
        'UNENCODABLE',
        `express-session keeps no value under the key "${key}" of a session; use another key`,
      )
    }
    if (key === 'cookie' && (typeof value !== 'object' || value === null)) return false
    this.#deleted?.delete(key)
    return Reflect.set(own, key, value)
  }

  deleteProperty(own: Record<string, unknown>, key: string | symbol): boolean {
    if (key === 'cookie') return false
    if (this.#holds(key)) {
      this.#deleted ??= new Set()
      this.#deleted.add(key as string)
    }
    return Reflect.deleteProperty(own, key)
  }

  has(own: Record<string, unknown>, key: string | symbol): boolean {
    return key === 'id' || this.#holds(key) || Reflect.has(own, key)
  }

  ownKeys(own: Record<string, unknown>): (string | symbol)[] {
    const missing = Object.keys(this.#base).filter(key => this.#holds(key) && !Object.hasOwn(own, key))
    return [...missing, ...Reflect.ownKeys(own)]
  }

  getOwnPropertyDescriptor(
    own: Record<string, unknown>,
    key: string | symbol,
  ): PropertyDescriptor | undefined {
    if (!Object.hasOwn(own, key) && !this.#holds(key)) return undefined
    return { value: this.get(own, key), writable: true, enumerable: true, configurable: true }
  }

  /** Plain values only: a store keeps neither getters nor what cannot be changed. */
  defineProperty(own: Record<string, unknown>, key: string | symbol, property: PropertyDescriptor): boolean {
    if (!('value' in property) || property.configurable === false || property.writable === false) return false
    return this.set(own, key, property.value)
  }

  /** A frozen target could not show what is still to be read. */
  preventExtensions(): boolean {
    return false
  }

  setPrototypeOf(): boolean {
    return false
  }

  /** Whether a value of the base is seen through the draft. */
  #holds(key: string | symbol): key is string {
    if (typeof key !== 'string' || isReserved(key)) return false
    return Object.hasOwn(this.#base, key) && !this.#deleted?.has(key)
  }

  #method(name: string): unknown {
    this.#methods ??= new Map<string, (callback?: never) => unknown>([
      ['save', (callback: Callback) => this.#answer(callback, () => this.commit())],
      ['reload', (callback: Callback) => this.#answer(callback, () => this.#reload())],
      ['destroy', (callback: Callback) => this.#answer(callback, () => this.#destroy())],
      ['regenerate', (callback: Callback) => this.#answer(callback, () => this.#regenerate())],
    ])
    return this.#methods.get(name)
  }

  #write(): Promise<void> | undefined {
    // What was changed in a session that is destroyed is nobody's.
    if (this.#destroyed || (this.#deleted === undefined && isEmpty(this.#own))) return undefined
    const changes = changesIn(this.#own, this.#base, this.#deleted ?? [])
    if (changes.size === 0) return undefined
    const source = this.#source
    return source.commit(changes).then(() => {
      // It may have become another session meanwhile.
      if (source === this.#source) this.rebase(changes)
    })
  }

  async #reload(): Promise<void> {
    await this.#source.reload()
    this.#forget()
  }

  async #destroy(): Promise<void> {
    await this.#source.destroy()
    this.#destroyed = true
  }

  async #regenerate(): Promise<string> {
    const { source, code } = await this.#source.regenerate()
    this.#source = source
    this.#forget()
    return code
  }

  #forget(): void {
    for (const key of Object.keys(this.#own)) delete this.#own[key]
    this.#deleted = undefined
    this.#base = this.#source.data
  }

  /** Drops a copy that is no change, unless somebody may hold it and still change it. */
  #takeOver(key: string, value: unknown): void {
    if (value instanceof session.Cookie) {
      Object.assign(value as SessionCookie, storedCookie(this.#base.cookie))
    } else if (value === null || typeof value !== 'object' || !isSame(key, value, valueIn(this.#base, key))) {
      delete this.#own[key]
    }
  }

  /** Connect's way, or a promise. */
  #answer(callback: Callback, work: () => Promise<unknown> | undefined): unknown {
    const outcome = new Promise(resolve => resolve(work()))
    this.#underWay ??= new Set()
    const underWay = this.#underWay.add(outcome)
    const over = (): void => void underWay.delete(outcome)
    // Whoever does not await it is told by `commit`.
    outcome.then(over, over)
    if (typeof callback !== 'function') return outcome
    outcome.then(
      value => callback(null, value as never),
      error => callback(error),
    )
    return this.session
  }
}

const METHODS = new Set(['save', 'reload', 'destroy', 'regenerate'])

/** Whether express-session would leave out a key when it makes a session object of what is stored. */
function isReserved(key: string): boolean {
  return key === 'id' || key === 'req' || key in session.Session.prototype
}

function valueIn(data: StoredSession, key: string): unknown {
  return Object.hasOwn(data, key) ? data[key] : undefined
}

function isEmpty(object: object): boolean {
  for (const key in object) if (Object.hasOwn(object, key)) return false
  return true
}
