import type { SocketStreamError } from '../errors.js'
import { merged, type SessionChanges, type StoredSession } from '../sessions/session.js'
import { type Done, ended } from './live-session.js'
import type { SessionInit } from './session.js'

/** When a session was checked of which nobody knows whether it is stored. */
const NEVER = Number.NEGATIVE_INFINITY

/** Something that the store is to be asked for. */
export type SessionTask =
  | { readonly kind: 'refresh'; readonly done: Done }
  /** With the session as the web side has it, whose cookie counts. */
  | { readonly kind: 'touch'; readonly data?: StoredSession; readonly done: Done }
  | { readonly kind: 'commit'; readonly changes: SessionChanges; readonly done: Done }
  | { readonly kind: 'destroy'; readonly done: Done }

/**
 * What one session asks of the store, one round at a time.
 *
 * A round reads what is stored, merges all changes that have gathered, and writes once. Whoever asks while
 * a round is under way gets the next one, which begins after they asked.
 */
export class SessionRounds {
  /** The store has the session no longer. */
  lost = false
  readonly #init: SessionInit
  readonly #later: (finish: () => void) => void
  #tasks: SessionTask[] = []
  #stopped: SocketStreamError | undefined

  /** @param later runs what ends a round within the actor, or at once if that has stopped */
  constructor(init: SessionInit, later: (finish: () => void) => void) {
    this.#init = init
    this.#later = later
  }

  /** Whether the store is being asked. */
  get busy(): boolean {
    return this.#init.live.busy
  }

  add(task: SessionTask): void {
    if (this.#stopped) return task.done(this.#stopped)
    this.#tasks.push(task)
    if (!this.busy) this.#begin()
  }

  /** Answers everything that waits, and all that comes, with an error. A round under way has its own end. */
  stop(error: SocketStreamError): void {
    this.#stopped = error
    for (const { done } of this.#tasks.splice(0)) done(error)
  }

  #begin(): void {
    const { live } = this.#init
    const tasks = this.#tasks
    if (tasks.length === 0 || this.#stopped) return
    this.#tasks = []
    live.busy = true
    this.#ask(tasks).then(finish =>
      this.#later(() => {
        live.busy = false
        finish()
        this.#begin()
      }),
    )
  }

  #ask(tasks: readonly SessionTask[]): Promise<() => void> {
    if (tasks.some(({ kind }) => kind === 'destroy')) return this.#destroy(tasks)
    return (tasks.every(({ kind }) => kind === 'touch') ? this.#touch(tasks) : this.#update(tasks)).catch(
      error => () => {
        // Whether it is still there is not asked again at once.
        if (tasks.some(({ kind }) => kind === 'refresh')) this.#init.live.checkedAt = Date.now()
        for (const { done } of tasks) done(error as SocketStreamError)
      },
    )
  }

  /** Whoever wanted to change a session that is destroyed comes too late. */
  async #destroy(tasks: readonly SessionTask[]): Promise<() => void> {
    const { live, repository } = this.#init
    const error = await repository.destroy(live.id).then(
      () => undefined,
      (error: SocketStreamError) => error,
    )
    return () => {
      const others = tasks.filter(({ kind }) => kind !== 'destroy')
      // It may be gone all the same.
      if (error !== undefined) live.checkedAt = NEVER
      // A store that failed: the others are tried by themselves.
      if (error !== undefined && this.#stopped === undefined) this.#tasks.unshift(...others)
      for (const { kind, done } of tasks) if (kind === 'destroy') done(error)
      if (error === undefined) for (const { done } of others) done(ended())
      else if (this.#stopped !== undefined) for (const { done } of others) done(this.#stopped)
    }
  }

  async #touch(tasks: readonly SessionTask[]): Promise<() => void> {
    const { live, repository } = this.#init
    const given = tasks.map(task => (task.kind === 'touch' ? task.data : undefined)).findLast(Boolean)
    const touched = await repository.touch(live.id, given ?? live.data)
    if (touched === undefined) return this.#update(tasks)
    return () => {
      // It tells nothing of whether the session is still there, nor of what is in it.
      if (!live.unread && live.end === undefined) live.replace({ ...live.data, cookie: touched.cookie })
      for (const { done } of tasks) done()
    }
  }

  async #update(tasks: readonly SessionTask[]): Promise<() => void> {
    const { live, repository } = this.#init
    const writes = tasks.some(({ kind }) => kind !== 'refresh')
    const found = live.stored || live.unsure ? await repository.load(live.id) : null
    const base = found ?? (live.stored ? null : live.data)
    // Somebody may have said meanwhile that it is destroyed.
    if (base === null || live.end !== undefined) return () => this.#lose(tasks)
    const changes = tasks.flatMap(task => (task.kind === 'commit' ? [task.changes] : []))
    const data = writes ? await this.#save(changes.reduce(merged, base)) : base
    return () => {
      if (live.end !== undefined) return this.#lose(tasks)
      live.checkedAt = Date.now()
      live.unread = false
      live.unsure = false
      live.stored ||= writes || found !== null
      live.replace(data)
      for (const { done } of tasks) done()
    }
  }

  async #save(data: StoredSession): Promise<StoredSession> {
    const { live, repository } = this.#init
    try {
      return await repository.save(live.id, data)
    } finally {
      // Somebody has said meanwhile that it is destroyed. What failed may have been written all the same.
      if (live.end !== undefined) await repository.destroy(live.id)
    }
  }

  #lose(tasks: readonly SessionTask[]): void {
    this.lost = true
    for (const { done } of tasks) done(ended())
  }
}
