import type { Events } from './events.js'
import type { PresenceHandler, Subscription } from './presence.js'
import type { RedisLink } from './redis-link.js'
import { splitMessage } from './redis-names.js'
import { PRESENCE } from './redis-scripts.js'

/** Milliseconds between two looks at what is due. */
const LOOK = 250
/** Milliseconds until a watched channel is looked at again at the latest. */
const LATEST = 30_000
/** Milliseconds until what has failed is tried again, and within which what was told is heard. */
const SOON = 1000
/** Channels swept in one call, of one slot. */
const AT_ONCE = 100
/** Groups whose sweeping begins with one look: in a cluster there are as many as slots. */
const MOST_BEGUN = 1000
/** Channels whose watchers are told of a gap in one turn. */
const GAPS_AT_ONCE = 100

interface Watched {
  readonly topic: string
  /** Channels of the same group go in one call. */
  readonly group: number
  readonly handlers: Set<{ readonly handler: PresenceHandler }>
  readonly ready: Promise<void>
  /** The look with which it is due, by the clock of this process. */
  due: number
  /** How far what was told has been heard: as Redis counts it, 0 once nobody is there, undefined when it is not known. */
  heard: number | undefined
  /** How far it was heard, and since when, while Redis had something else. */
  doubt: { readonly heard: number; readonly since: number } | undefined
}

/** The keys of a channel, all in one slot. */
export function keysOf(topic: string): string[] {
  return [`${topic}:t`, `${topic}:i`, `${topic}:n`]
}

/**
 * The channels of presence that are watched.
 *
 * Whoever watches a channel drops those whose time is over, and sees whether all that Redis has told was heard: after a loss of
 * its data nothing else would show that what was heard before is no longer so.
 */
export class RedisWatches {
  readonly #link: RedisLink
  readonly #events: Events
  readonly #watched = new Map<string, Watched>()
  readonly #due = new Map<number, Set<Watched>>()
  /** Those that are due and not swept yet, by group. */
  readonly #waiting = new Map<number, Watched[]>()
  /** Those whose watchers are to be told of a gap. */
  readonly #behind = new Set<Watched>()
  #telling: NodeJS.Immediate | undefined
  readonly #timer: NodeJS.Timeout

  constructor(link: RedisLink, events: Events) {
    this.#link = link
    this.#events = events
    link.onAgain(() => {
      for (const watched of this.#watched.values()) {
        this.#gap(watched)
        this.#schedule(watched, 0)
      }
    })
    this.#timer = setInterval(() => this.#look(), LOOK).unref()
  }

  /** Tells a handler who comes and goes. Resolves once it does. */
  async add(topic: string, handler: PresenceHandler): Promise<Subscription> {
    const one = { handler }
    let watched = this.#watched.get(topic)
    if (!watched) {
      watched = {
        topic,
        group: this.#link.group(topic),
        handlers: new Set(),
        ready: this.#link.subscribe(topic, message => this.#hear(topic, message)),
        due: Number.POSITIVE_INFINITY,
        heard: undefined,
        doubt: undefined,
      }
      this.#watched.set(topic, watched)
      this.#schedule(watched, 0)
    }
    const standing = watched
    standing.handlers.add(one)
    const close = () => {
      if (!standing.handlers.delete(one) || standing.handlers.size > 0) return
      if (this.#watched.get(topic) !== standing) return
      this.#watched.delete(topic)
      this.#due.get(standing.due)?.delete(standing)
      this.#behind.delete(standing)
      this.#link.unsubscribe(topic)
    }
    try {
      await standing.ready
    } catch (error) {
      close()
      throw error
    }
    return { close }
  }

  /** Members were read: what comes of them is told from here on. @param told as Redis counts it */
  read(topic: string, told: number): void {
    const watched = this.#watched.get(topic)
    if (watched) watched.heard ??= told
  }

  close(): void {
    clearInterval(this.#timer)
    clearImmediate(this.#telling)
    for (const { handlers } of this.#watched.values()) handlers.clear()
    for (const each of [this.#watched, this.#due, this.#behind]) each.clear()
  }

  #hear(topic: string, message: Buffer): void {
    const watched = this.#watched.get(topic)
    if (!watched) return
    const { words, rest } = splitMessage(message)
    const [kind, ttl, length, told, stay] = words
    const info = new Uint8Array(rest.subarray(Number(length)))
    const member = { member: rest.toString('utf8', 0, Number(length)), info }
    if (kind === 'J') this.#schedule(watched, Number(ttl))
    for (const { handler } of [...watched.handlers]) {
      this.#events.guard(() => {
        if (kind === 'J') handler.joined(member)
        else handler.left(member, kind === 'L' ? 'left' : 'expired')
      })
    }
    const { heard } = watched
    // Members were read after it was told.
    if (heard !== undefined && Number(told) <= heard) return
    watched.heard = stay === '0' ? 0 : Number(told)
    if (heard && Number(told) > heard + 1) this.#gap(watched)
  }

  // ---- sweeping -----------------------------------------------------------------------------------

  /** Has a channel looked at in so many milliseconds, or earlier. */
  #schedule(watched: Watched, ms: number): void {
    const due = Math.ceil((performance.now() + ms) / LOOK)
    if (watched.due <= due) return
    this.#due.get(watched.due)?.delete(watched)
    watched.due = due
    const others = this.#due.get(due) ?? new Set()
    this.#due.set(due, others.add(watched))
  }

  #look(): void {
    const now = performance.now() / LOOK
    const looks = [...this.#due.keys()].filter(look => look <= now).sort((one, other) => one - other)
    let begun = 0
    for (const look of looks) {
      const due = this.#due.get(look) ?? new Set()
      for (const watched of due) {
        const waiting = this.#waiting.get(watched.group)
        // The others with the next look.
        if (!waiting && ++begun > MOST_BEGUN) return
        due.delete(watched)
        watched.due = Number.POSITIVE_INFINITY
        if (waiting) waiting.push(watched)
        else void this.#sweepGroup(watched)
      }
      this.#due.delete(look)
    }
  }

  /** Sweeps what is due of a group, one call at a time: another group may be where no answer comes from. */
  async #sweepGroup(first: Watched): Promise<void> {
    const waiting = [first]
    this.#waiting.set(first.group, waiting)
    // The others of this look come along.
    await undefined
    while (waiting.length > 0) {
      const batch = waiting.splice(0, AT_ONCE).filter(({ handlers }) => handlers.size > 0)
      if (batch.length > 0) waiting.push(...(await this.#sweep(batch)))
    }
    this.#waiting.delete(first.group)
  }

  /** Gives those that have more to drop. */
  async #sweep(batch: readonly Watched[]): Promise<Watched[]> {
    const keys = batch.flatMap(({ topic }) => keysOf(topic))
    let reply: number[]
    try {
      reply = (await this.#link.runNow(PRESENCE, [...keys, 'sweep'], keys.length)) as number[]
    } catch {
      for (const watched of batch) if (watched.handlers.size > 0) this.#schedule(watched, SOON)
      return []
    }
    const unfinished: Watched[] = []
    for (const [at, watched] of batch.entries()) {
      const [next, told] = reply.slice(at * 2) as [number, number]
      if (watched.handlers.size === 0) continue
      this.#compare(watched, told)
      if (next === 0) unfinished.push(watched)
      else this.#schedule(watched, next < 0 ? LATEST : Math.min(next, LATEST))
    }
    return unfinished
  }

  // ---- what was not heard -------------------------------------------------------------------------

  /** What was told may not have come yet: if it does not come soon, it was lost, or the data were. */
  #compare(watched: Watched, told: number): void {
    watched.heard ??= told
    const { heard, doubt } = watched
    if (heard === told) {
      watched.doubt = undefined
      return
    }
    if (doubt?.heard !== heard) watched.doubt = { heard, since: performance.now() }
    else if (performance.now() - doubt.since >= SOON) return this.#gap(watched)
    this.#schedule(watched, SOON)
  }

  #gap(watched: Watched): void {
    watched.heard = undefined
    watched.doubt = undefined
    this.#behind.add(watched)
    this.#telling ??= setImmediate(() => this.#tellGaps())
  }

  /** Tells some, and the others in turns of their own: each may read all its members again. */
  #tellGaps(): void {
    this.#telling = undefined
    for (const watched of [...this.#behind].slice(0, GAPS_AT_ONCE)) {
      this.#behind.delete(watched)
      for (const { handler } of [...watched.handlers]) this.#events.guard(() => handler.gap?.())
    }
    if (this.#behind.size > 0) this.#telling ??= setImmediate(() => this.#tellGaps())
  }
}
