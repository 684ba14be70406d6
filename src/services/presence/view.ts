import type { Presence, Subscription } from '../../engines/presence.js'
import { Roster, type Row } from './roster.js'
import { nameOf, type Stay, stayOf } from './stay.js'

/** What a view does with what it sees. */
export interface ViewHost {
  readonly presence: Presence
  readonly interval: number
  readonly maxListed: number
  /** A number that no other view of this server has: the epoch of its versions. */
  readonly run: number
  send(connectionIds: readonly string[], message: unknown): void
  after(ms: number, callback: () => void): () => void
  /** Something may have been missed: `outdate` it, and have it read again. */
  missed(): void
  /** A user has come or gone, with this entry, since the members were first read. */
  changed(event: 'joined' | 'left', stay: Stay, reason: 'left' | 'expired'): void
}

/** Entries asked for at once. */
const PAGE = 1000
/** Users in one message at the most. */
const BATCH = 200
/** Milliseconds until watchers who follow the count hear of a change of less than a hundredth. */
const SMALL_CHANGE = 1000
/** Of the members up to which a channel is listed, those below which it is listed again. */
const AGAIN = 0.9

/** One channel as this server sees it: its members, who watches, and what they have not been told yet. */
export class View {
  /** Connections that are told of changes; see `enter`. */
  readonly watchers = new Set<string>()
  /** What keeps it open besides watchers. */
  uses = 0
  version = 0
  listed = true
  readonly #host: ViewHost
  readonly #channel: string
  #roster = new Roster()
  /** Users that have changed since clients were told last. */
  readonly #dirty = new Set<string>()
  #counted = 0
  #cancel: (() => void) | undefined
  #wait = 0
  #subscription: Subscription | undefined
  #loading: Promise<void> | undefined
  /** Settles when nothing is read any more. */
  #read: Promise<unknown> = Promise.resolve()
  /** Names of entries that have gone while the others were read. */
  #gone: Set<string> | undefined
  #loaded = false
  #closed = false

  constructor(host: ViewHost, channel: string) {
    this.#host = host
    this.#channel = channel
  }

  get run(): number {
    return this.#host.run
  }

  get count(): number {
    return this.#roster.size
  }

  get closed(): boolean {
    return this.#closed
  }

  has(user: string): boolean {
    return this.#roster.has(user)
  }

  page(after: string | undefined, limit: number): { rows: Row[]; more: boolean } {
    return this.#roster.page(after, limit)
  }

  /** Resolves when all members have been read; tries again when asked again after a failure. */
  ready(): Promise<void> {
    if (this.#loading !== undefined) return this.#loading
    // One after the other: each has its own account of who has gone meanwhile.
    const loading = this.#read.then(() => this.#load())
    this.#loading = loading
    this.#read = loading.catch(() => {
      if (this.#loading === loading) this.#loading = undefined
    })
    return loading
  }

  /** From now on `ready` reads everything again. */
  outdate(): void {
    this.#loading = undefined
  }

  /** Tells a connection of all changes from now on. */
  enter(connectionId: string): void {
    // Nobody was told: how the channel was when somebody was, does not count.
    if (this.watchers.size === 0) {
      this.listed = this.count <= this.#host.maxListed
      this.#counted = this.count
    }
    this.watchers.add(connectionId)
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
    this.#subscription?.close()
  }

  async #load(): Promise<void> {
    const { presence } = this.#host
    this.#subscription ??= await presence.watch(this.#channel, {
      joined: member => {
        const stay = stayOf(member)
        if (stay !== undefined) this.#joined(stay)
      },
      left: (member, reason) => {
        const stay = stayOf(member)
        if (stay !== undefined) this.#left(stay, reason)
      },
      gap: () => this.#host.missed(),
    })
    if (this.#closed) return this.#subscription.close()
    this.#gone = new Set()
    const before = this.#roster.without(NONE)
    const names = new Set<string>()
    for (let after: string | undefined; ; ) {
      const members = await presence.members(this.#channel, {
        limit: PAGE,
        ...(after !== undefined && { after }),
      })
      for (const member of members) {
        const stay = stayOf(member)
        names.add(member.member)
        if (stay !== undefined && !this.#gone.has(member.member)) this.#joined(stay)
      }
      after = members.at(-1)?.member
      if (members.length < PAGE) break
    }
    this.#gone = undefined
    this.#loaded = true
    // Of those known before only: who has joined meanwhile need not be on a page that was read already.
    for (const stay of before) if (!names.has(nameOf(stay))) this.#left(stay, 'expired')
  }

  #joined(stay: Stay): void {
    if (this.#gone?.has(nameOf(stay))) return
    const came = this.#roster.add(stay)
    this.#mark(stay.user)
    if (came && this.#loaded) this.#host.changed('joined', stay, 'left')
  }

  #left(stay: Stay, reason: 'left' | 'expired'): void {
    this.#gone?.add(nameOf(stay))
    const went = this.#roster.remove(stay)
    this.#mark(stay.user)
    if (went && this.#loaded) this.#host.changed('left', stay, reason)
  }

  // ---- telling clients ----------------------------------------------------------------------------

  #mark(user: string): void {
    if (this.watchers.size === 0) return
    if (this.listed) this.#dirty.add(user)
    // The count of many: else what all of them are told of all of them coming grew with their square.
    const slow = !this.listed && this.count > this.#host.maxListed * AGAIN
    if (!slow) this.#schedule(this.#host.interval)
    else if (Math.abs(this.count - this.#counted) * 100 >= this.#counted) this.#schedule(this.#host.interval)
    else this.#schedule(Math.max(this.#host.interval, SMALL_CHANGE))
  }

  /** Tells after so many milliseconds, or earlier. */
  #schedule(ms: number): void {
    if (this.#cancel !== undefined && this.#wait <= ms) return
    this.#cancel?.()
    this.#wait = ms
    this.#cancel = this.#host.after(ms, () => {
      this.#cancel = undefined
      this.#tell()
    })
  }

  #tell(): void {
    const { maxListed } = this.#host
    const changed = [...this.#dirty]
    this.#dirty.clear()
    const ids = [...this.watchers]
    if (ids.length === 0) return
    const count = this.count
    if (count > maxListed || (!this.listed && count > maxListed * AGAIN)) {
      this.listed = false
      if (count !== this.#counted) this.#host.send(ids, [this.run, ++this.version, count])
      this.#counted = count
      return
    }
    if (!this.listed) {
      this.listed = true
      // All of them anew: clients have followed the count only.
      this.#host.send(ids, [this.run])
      return
    }
    for (let at = 0; at < changed.length; at += BATCH) {
      const rows = changed.slice(at, at + BATCH).map(user => this.#roster.row(user) ?? [user])
      this.#host.send(ids, [this.run, ++this.version, count, rows])
    }
  }
}

const NONE: ReadonlySet<never> = new Set()
