import { immutableJSONPatch } from 'immutable-json-patch'
import { SocketStreamError } from '../../errors.js'
import type { ServiceClient } from '../service.js'
import type { Changes, ModelSnapshot, RemoteRecord, WriteOptions } from './api.js'
import { type Operation, reuse } from './diff.js'
import { Watching } from './watching.js'

/** A record of any kind. */
export type AnyRecord = Readonly<Record<string, unknown>>

/** What follows a record besides its listeners: a query that shows it. */
export interface Follower {
  recordChanged(): void
}

/** An update that the server has not answered. */
interface Pending {
  readonly set: AnyRecord
  readonly unset: readonly string[]
  done: Promise<{ readonly version: number; readonly record: AnyRecord | undefined }>
}

/** One record in a client: what the server has sent, and on top of it what is under way there. */
export class RecordState {
  readonly id: string
  readonly watching: Watching
  readonly remote: RemoteRecord<AnyRecord>
  /** Queries that show it. */
  readonly followers = new Set<Follower>()
  snapshot: ModelSnapshot<AnyRecord>
  readonly #service: ServiceClient
  readonly #changedUse: (state: RecordState) => void
  #base: ModelSnapshot<AnyRecord>
  /** Of the base; 0 while it is unknown. */
  #version = 0
  #fetching = false
  /** Whether the snapshot has what is under way in it. */
  #composed = false
  readonly #pending: Pending[] = []

  /** @param of the state of an id: another one may have taken the place of this */
  constructor(
    service: ServiceClient,
    id: string,
    changedUse: (state: RecordState) => void,
    of: (id: string) => RecordState,
  ) {
    this.#service = service
    this.#changedUse = changedUse
    this.id = id
    this.watching = new Watching(service, {
      ask: () => ['get', id],
      leave: () => ['leave', id],
      changedUse: () => changedUse(this),
    })
    this.remote = {
      id,
      get error() {
        return of(id).watching.error
      },
      getSnapshot: () => of(id).snapshot,
      subscribe: listener => of(id).watching.subscribe(listener),
      async ready() {
        const state = of(id)
        await state.watching.ready()
        return state.snapshot ?? null
      },
      update: (changes, options) => of(id).update(changes, options),
      remove: options => of(id).remove(options),
    }
  }

  get used(): boolean {
    return this.followers.size > 0 || this.watching.active || this.#pending.length > 0
  }

  /** Takes the whole record; version 0 for one that is not there. */
  take(version: number, record: AnyRecord | null): void {
    this.#fetching = false
    this.#version = version
    this.#base = reuse(this.#base, record)
    this.#show()
  }

  /** Takes what has changed; asks for the whole when something is missing. */
  patch(from: number, to: number, operations: readonly Operation[]): void {
    if (this.#fetching || to === this.#version) return
    if (from !== this.#version || !this.#base) return this.#fetch()
    try {
      this.#base = immutableJSONPatch(this.#base, operations as never) as AnyRecord
    } catch {
      return this.#fetch()
    }
    this.#version = to
    this.#show()
  }

  /** Nothing is known of it any more. */
  forget(): void {
    this.#version = 0
    this.#base = undefined
    this.#fetching = false
    this.#show()
  }

  /** A new connection: whatever was asked for on the one before does not come. */
  renew(): void {
    this.#fetching = false
    this.watching.renew()
  }

  async update(changes: Changes<AnyRecord>, { version }: WriteOptions = {}): Promise<AnyRecord | undefined> {
    const known = this.used && this.#base ? (this.snapshot as AnyRecord) : undefined
    const edit = editOf(known, changes)
    const { id } = this
    if (known === undefined) {
      const answer = await this.#service.call(['update', id, version ?? 0, edit.set, edit.unset])
      return (answer as [number, AnyRecord | null])[1] ?? undefined
    }
    let expected = version ?? this.#version
    const before = this.#pending.at(-1)
    const write = async (): Promise<Awaited<Pending['done']>> => {
      if (before !== undefined) {
        const { version: made } = await before.done.catch(cause => {
          const text = 'The update before it was refused, so what this one has seen is not there'
          throw new SocketStreamError('STALE_VERSION', text, { cause, data: cause.data })
        })
        // It was made on top of that one: nothing else may have come in between.
        expected = version ?? made
      }
      const answer = await this.#service.call(['update', id, expected, edit.set, edit.unset])
      const [made, record] = answer as [number, AnyRecord | null]
      return { version: made, record: record ?? undefined }
    }
    const pending: Pending = { ...edit, done: undefined as never }
    this.#pending.push(pending)
    pending.done = write().finally(() => {
      this.#pending.splice(this.#pending.indexOf(pending), 1)
      if (this.used) this.#show()
      else this.forget()
      this.#changedUse(this)
    })
    this.#show()
    return (await pending.done).record
  }

  async remove({ version }: WriteOptions = {}): Promise<void> {
    const known = this.used && this.#base ? this.#version : 0
    const before = this.#pending.at(-1)
    const made = before && (await before.done).version
    await this.#service.call(['remove', this.id, version ?? made ?? known])
  }

  #fetch(): void {
    this.#fetching = true
    const over = (): void => {
      this.#fetching = false
    }
    // The record comes as a message before the answer.
    this.#service.call(['fetch', this.id]).then(over, over)
  }

  #show(): void {
    let next = this.#base
    const composed = next && this.#pending.length > 0
    if (next && composed) {
      for (const { set, unset } of this.#pending) next = edited(next, set, unset)
      next = reuse(this.snapshot, next)
    } else if (this.#composed && Object.is(reuse(this.snapshot, next), this.snapshot)) {
      // What was expected has come true: it stays the same object.
      this.#base = this.snapshot
      next = this.snapshot
    }
    this.#composed = Boolean(composed)
    if (Object.is(next, this.snapshot)) return
    this.snapshot = next
    for (const follower of [...this.followers]) follower.recordChanged()
    this.watching.notify()
  }
}

function edited(record: AnyRecord, set: AnyRecord, unset: readonly string[]): AnyRecord {
  const next: Record<string, unknown> = { ...record, ...set }
  for (const name of unset) delete next[name]
  return next
}

/** What changes say, as it is sent. @throws SocketStreamError `INVALID_STATE` */
function editOf(
  known: AnyRecord | undefined,
  changes: Changes<AnyRecord>,
): { readonly set: AnyRecord; readonly unset: string[] } {
  let next: AnyRecord
  let unset: string[] = []
  if (typeof changes === 'function') {
    if (known === undefined) {
      const text = 'update() takes a function only for a record that is watched; subscribe to it first'
      throw new SocketStreamError('INVALID_STATE', text)
    }
    next = changes(known)
    unset = Object.keys(known).filter(name => next[name] === undefined)
  } else {
    next = changes
    unset = Object.keys(changes).filter(name => changes[name] === undefined)
  }
  const set: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(next)) {
    if (value === undefined) continue
    const same =
      known !== undefined && Object.hasOwn(known, name) && reuse(known[name], value) === known[name]
    if (!same) set[name] = value
  }
  // A copy, as it is shown: what the caller does with its objects later has no effect.
  return { set: JSON.parse(JSON.stringify(set)), unset }
}
