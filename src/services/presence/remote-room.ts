import { hasCode } from '../../errors.js'
import type { PresenceMember, PresenceSnapshot, RemotePresence } from './api.js'

/** What is told of a member; without devices it has gone. */
export type Row = [user: string, devices?: [id: string, meta: unknown][]]

/** What a room needs of its client. */
export interface RoomHost {
  call(payload: unknown): Promise<unknown>
  closed(room: RemoteRoom): void
  /** Takes out the changes of a run that came before its answer was handled. */
  early(run: number): readonly Change[]
  /** Calls back after about this many milliseconds. */
  later(callback: () => void, ms: number): void
}

/** What comes of a change, behind the number of its run. */
export type Change = [version?: number, count?: number, rows?: Row[]]

type Answer = [run: number, version: number, count: number, listed: boolean, rows: Row[], next: string | null]

const MIN_DELAY = 500
const MAX_DELAY = 30_000

/** A refusal with the connection: the next one asks again. */
export function isGone(error: unknown): boolean {
  return (
    hasCode(error) && ['CONNECTION_LOST', 'NOT_CONNECTED', 'DRAINING', 'DRAIN_TIMEOUT'].includes(error.code)
  )
}

/** A refusal that says nothing of the next attempt. */
export function isPassing(error: unknown): boolean {
  const codes = [
    'ENGINE_UNAVAILABLE',
    'TIMEOUT',
    'OVERLOADED',
    'SESSION_UNAVAILABLE',
    'INTERNAL',
    'CANCELLED',
  ]
  return hasCode(error) && codes.includes(error.code)
}

/**
 * A watched channel: its members, kept up to date.
 *
 * Rows and changes say how a member is, not what happened: whichever arrives last counts.
 */
export class RemoteRoom {
  readonly channel: string
  /** What changes of this channel begin with, on this connection. */
  run = 0
  readonly #host: RoomHost
  readonly #members = new Map<string, PresenceMember<unknown>>()
  readonly #listeners = new Set<{ readonly call: () => void }>()
  #version = 0
  /** Of members that changed while pages were asked for: the version, so that no older page undoes it. */
  #since: Map<string, number> | undefined
  #count = 0
  #listed = true
  #ready = false
  #snapshot: PresenceSnapshot<unknown> | undefined
  /** How often it was asked for. */
  #uses = 0
  /** Another one each time that everything is asked for; what an older one brings is stale. */
  #asking = 0
  #first: Promise<void> | undefined
  #delay = MIN_DELAY

  constructor(host: RoomHost, channel: string) {
    this.#host = host
    this.channel = channel
  }

  /** One more use of it. */
  open(): RemotePresence<unknown> {
    this.#uses++
    this.#first ??= this.#ask()
    // Who does not wait for it sees it in the snapshot.
    this.#first.catch(() => {})
    let closed = false
    const room = this
    return {
      getSnapshot: () => this.#look(),
      subscribe: listener => {
        const entry = { call: listener }
        this.#listeners.add(entry)
        return () => void this.#listeners.delete(entry)
      },
      get ready() {
        return room.#first!
      },
      close: () => {
        if (closed) return
        closed = true
        this.#close()
      },
    }
  }

  /** A new connection: asks again, and shows what it knows until the answer is there. */
  renew(): void {
    this.#delay = MIN_DELAY
    this.#again()
  }

  /** A change from the server: `[version, count, rows]`; without a version all is to be asked for again. */
  change(...[version, count, rows]: Change): void {
    if (version === undefined || version !== this.#version + 1) return this.#again()
    this.#version = version
    this.#count = count!
    if (rows === undefined) {
      this.#listed = false
      this.#members.clear()
    } else this.#take(rows)
    this.#changed()
  }

  #take(rows: readonly Row[]): void {
    for (const [user, devices] of rows) {
      this.#since?.set(user, this.#version)
      if (devices === undefined) this.#members.delete(user)
      else this.#members.set(user, { user, devices: devices.map(([id, meta]) => ({ id, meta })) })
    }
  }

  #again(): void {
    this.run = 0
    if (this.#ready) {
      this.#ready = false
      this.#changed()
    }
    this.#first = this.#ask()
    this.#first.catch(() => {})
  }

  async #ask(): Promise<void> {
    const asking = ++this.#asking
    const stale = (): boolean => asking !== this.#asking || this.#uses === 0
    try {
      const answer = (await this.#host.call(['watch', this.channel])) as Answer
      if (stale()) return this.#newer()
      const [run, , count, listed] = answer
      let [, version, , , rows, next] = answer
      this.run = run
      this.#version = version
      this.#count = count
      this.#listed = listed
      this.#members.clear()
      this.#take(rows)
      this.#since = new Map()
      for (const change of this.#host.early(run)) {
        if (change[0] === undefined || change[0] > version) this.change(...change)
      }
      while (next !== null && this.#listed && !stale()) {
        const page = await this.#host.call(['page', this.channel, next, null])
        if (stale()) return this.#newer()
        ;[rows, next, version] = page as [Row[], string | null, number]
        const since: Map<string, number> = this.#since
        this.#since = undefined
        if (this.#listed) this.#take(rows.filter(([user]) => (since.get(user) ?? 0) <= version))
        this.#since = since
      }
      if (stale()) return this.#newer()
      this.#since = undefined
      this.#delay = MIN_DELAY
      this.#ready = true
      this.#changed()
    } catch (error) {
      if (!stale() && isPassing(error)) {
        this.#host.later(() => !stale() && this.#again(), this.#delay)
        this.#delay = Math.min(this.#delay * 2, MAX_DELAY)
      }
      throw error
    }
  }

  /** Everything was asked for anew meanwhile: that counts. */
  #newer(): Promise<void> | undefined {
    return this.#uses > 0 ? this.#first : undefined
  }

  #look(): PresenceSnapshot<unknown> {
    this.#snapshot ??= {
      ready: this.#ready,
      listed: this.#listed,
      count: this.#count,
      members: [...this.#members.values()].sort((one, other) => (one.user < other.user ? -1 : 1)),
    }
    return this.#snapshot
  }

  #changed(): void {
    this.#snapshot = undefined
    for (const { call } of [...this.#listeners]) {
      try {
        call()
      } catch (error) {
        // The others must hear of it all the same.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  #close(): void {
    if (--this.#uses > 0) return
    this.#listeners.clear()
    this.#host.closed(this)
    // A connection that is gone has no watches.
    this.#host.call(['unwatch', this.channel]).catch(() => {})
  }
}
