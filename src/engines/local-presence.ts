import { checkBytes, checkName, checkRange, checkTtl, invalid, unavailable } from './checks.js'
import type { Events } from './events.js'
import type { LeaveReason, Member, Presence, PresenceHandler, Subscription } from './presence.js'
import { SWEEP_EVERY, type Sweep, type Swept } from './sweep.js'

interface Present extends Member {
  /** The name in UTF-8, for its place among the others. */
  readonly bytes: Buffer
  readonly channel: string
  expires: number
}

/** Presence within this process. */
export class LocalPresence implements Presence, Swept {
  readonly #now: () => number
  readonly #most: number
  readonly #sweep: Sweep
  readonly #events: Events
  readonly #channels = new Map<string, Map<string, Present>>()
  /** Members by the bytes of their names, of channels that have been asked for them. */
  readonly #ordered = new Map<string, Present[]>()
  readonly #watchers = new Map<string, Set<{ readonly handler: PresenceHandler }>>()
  /** Members by the sweep that looks at them next. */
  readonly #due = new Map<number, Set<Present>>()
  #count = 0
  #closed = false

  /** @param most members of all channels together */
  constructor(now: () => number, most: number, sweep: Sweep, events: Events) {
    this.#now = now
    this.#most = most
    this.#sweep = sweep
    this.#events = events
    sweep.add(this)
  }

  async join(channel: string, member: string, info: Uint8Array, ttl: number): Promise<boolean> {
    this.#check(channel)
    const bytes = checkName('member', member)
    checkBytes('info', info)
    checkTtl(ttl)
    const standing = this.#find(channel, member)
    if (!standing && this.#count >= this.#most) {
      throw unavailable(`The engine has room for ${this.#most} members; raise its option \`items\` for more`)
    }
    const present = { channel, member, bytes, info: new Uint8Array(info), expires: this.#now() + ttl }
    if (standing) this.#forget(standing)
    const members = this.#channels.get(channel) ?? new Map<string, Present>()
    this.#channels.set(channel, members.set(member, present))
    this.#count++
    const ordered = this.#ordered.get(channel)
    ordered?.splice(place(ordered, bytes), 0, present)
    this.#schedule(present)
    if (!standing) this.#tell(channel, handler => handler.joined(asMember(present)))
    return !standing
  }

  async refresh(channel: string, member: string, ttl: number): Promise<boolean> {
    this.#check(channel)
    checkName('member', member)
    checkTtl(ttl)
    const standing = this.#find(channel, member)
    if (!standing) return false
    // The sweep finds it at its old time, or at the new one where that is earlier.
    const earlier = this.#now() + ttl < standing.expires
    standing.expires = this.#now() + ttl
    if (earlier) this.#schedule(standing)
    return true
  }

  async leave(channel: string, member: string): Promise<boolean> {
    this.#check(channel)
    checkName('member', member)
    const standing = this.#find(channel, member)
    if (standing) this.#remove(standing, 'left')
    return standing !== undefined
  }

  async members(channel: string, options: { after?: string; limit?: number } = {}): Promise<Member[]> {
    this.#check(channel)
    const { after, limit } = checkRange(options)
    const members = this.#channels.get(channel)
    if (members === undefined) return []
    let ordered = this.#ordered.get(channel)
    if (ordered === undefined) {
      ordered = [...members.values()].sort((one, other) => one.bytes.compare(other.bytes))
      this.#ordered.set(channel, ordered)
    }
    const now = this.#now()
    const page: Member[] = []
    let at = place(ordered, after)
    if (ordered[at]?.bytes.equals(after)) at++
    for (; at < ordered.length && page.length < limit; at++) {
      const present = ordered[at]!
      if (present.expires > now) page.push(asMember(present))
    }
    return page
  }

  async count(channel: string): Promise<number> {
    this.#check(channel)
    const now = this.#now()
    let count = this.#channels.get(channel)?.size ?? 0
    for (const { expires } of this.#channels.get(channel)?.values() ?? []) if (expires <= now) count--
    return count
  }

  async watch(channel: string, handler: PresenceHandler): Promise<Subscription> {
    this.#check(channel)
    if (typeof handler?.joined !== 'function' || typeof handler.left !== 'function') {
      throw invalid('The handler must have the methods `joined` and `left`')
    }
    const watcher = { handler }
    const watchers = this.#watchers.get(channel) ?? new Set()
    this.#watchers.set(channel, watchers.add(watcher))
    const close = () => {
      watchers.delete(watcher)
      if (watchers.size === 0 && this.#watchers.get(channel) === watchers) this.#watchers.delete(channel)
    }
    return { close }
  }

  sweep(now: number): boolean {
    for (const [due, members] of this.#due) {
      if (due > now) continue
      this.#due.delete(due)
      for (const present of members) {
        if (this.#channels.get(present.channel)?.get(present.member) !== present) continue
        if (present.expires <= now) this.#remove(present, 'expired')
        else this.#schedule(present)
      }
    }
    return this.#due.size > 0
  }

  close(): void {
    this.#closed = true
    for (const watchers of this.#watchers.values()) watchers.clear()
    for (const map of [this.#channels, this.#ordered, this.#watchers, this.#due]) map.clear()
  }

  /** Who is present; one whose time is over leaves now. */
  #find(channel: string, member: string): Present | undefined {
    const found = this.#channels.get(channel)?.get(member)
    if (!found || found.expires > this.#now()) return found
    this.#remove(found, 'expired')
    return undefined
  }

  #schedule(present: Present): void {
    const due = Math.ceil(present.expires / SWEEP_EVERY) * SWEEP_EVERY
    const members = this.#due.get(due) ?? new Set()
    this.#due.set(due, members.add(present))
    this.#sweep.wake()
  }

  #remove(present: Present, reason: LeaveReason): void {
    this.#forget(present)
    this.#tell(present.channel, handler => handler.left(asMember(present), reason))
  }

  #forget({ channel, member, bytes }: Present): void {
    const members = this.#channels.get(channel)
    if (members?.delete(member)) this.#count--
    const ordered = this.#ordered.get(channel)
    ordered?.splice(place(ordered, bytes), 1)
    if (members?.size !== 0) return
    this.#channels.delete(channel)
    this.#ordered.delete(channel)
  }

  /** Tells those who watch now, in none of their stacks. */
  #tell(channel: string, tell: (handler: PresenceHandler) => void): void {
    const watchers = this.#watchers.get(channel)
    for (const watcher of watchers ?? []) {
      queueMicrotask(() => {
        if (watchers?.has(watcher)) this.#events.guard(() => tell(watcher.handler))
      })
    }
  }

  #check(channel: string): void {
    if (this.#closed) throw unavailable('The engine is closed')
    checkName('channel', channel)
  }
}

/** Where a name is among others, or would be. */
function place(ordered: readonly Present[], name: Uint8Array): number {
  let from = 0
  for (let to = ordered.length; from < to; ) {
    const middle = (from + to) >> 1
    if (ordered[middle]!.bytes.compare(name) < 0) from = middle + 1
    else to = middle
  }
  return from
}

function asMember({ member, info }: Present): Member {
  return { member, info }
}
