import { checkName } from './checks.js'
import { Subscriber } from './deliveries.js'
import type { Events } from './events.js'
import type { Channel } from './lmdb-channel.js'
import { LmdbChannels } from './lmdb-channels.js'
import { LmdbMarks } from './lmdb-marks.js'
import type { LmdbStore } from './lmdb-store.js'
import type {
  HistoryOptions,
  HistoryPage,
  Log,
  LogEntry,
  LogHandler,
  LogSubscription,
  Published,
  PublishOptions,
  SubscribeOptions,
} from './log.js'
import { checkHistory, checkPublish, checkSubscribe, DEFAULT_LIMIT } from './log-checks.js'
import { page, recover } from './recovery.js'
import type { Sweep, Swept } from './sweep.js'

/** A subscriber of a channel, and the numbering that it follows. */
interface Follower {
  readonly subscriber: Subscriber
  id: number
  generation: number
}

/** What a transaction has changed: the how-manieth change of all, by which others are noticed. */
interface Change {
  readonly change: number
  readonly generation: number
}

/**
 * A log in an open LMDB.
 *
 * What this process publishes is delivered after its commit. What others do shows in the count of changes:
 * subscribers then read on from where they are.
 */
export class LmdbLog implements Log, Swept {
  readonly #store: LmdbStore
  readonly #sweep: Sweep
  readonly #events: Events
  readonly #channels: LmdbChannels
  readonly #marks: LmdbMarks
  readonly #followers = new Map<string, Set<Follower>>()
  /** The last change that was delivered. */
  #seen = 0
  /** Changes of this process that are not delivered yet. */
  #underWay = 0

  constructor(store: LmdbStore, sweep: Sweep, events: Events) {
    this.#store = store
    this.#sweep = sweep
    this.#events = events
    this.#channels = new LmdbChannels(store)
    this.#marks = new LmdbMarks(store)
    sweep.add(this)
  }

  async publish(name: string, payload: Uint8Array, options: PublishOptions = {}): Promise<Published> {
    this.#store.checkOpen()
    const retention = checkPublish(name, payload, options)
    const bytes = Buffer.from(name)
    const copy = new Uint8Array(payload)
    const append = (now: number) => this.#channels.append(bytes, copy, retention, now)
    const done = await this.#change(name, append, result => result.entry !== undefined)
    const { channel, offset, entry, generation } = done
    return { epoch: epochOf(channel, generation), offset, duplicate: entry === undefined }
  }

  async subscribe(
    name: string,
    handler: LogHandler,
    options: SubscribeOptions = {},
  ): Promise<LogSubscription> {
    this.#store.checkOpen()
    const { since, ...rest } = checkSubscribe(name, handler, options)
    await this.#open(name)
    const [recovery, follower] = this.#store.read(now => {
      const { channel, generation, kept } = this.#look(name, now)!
      const found = recover(kept, rest, since)
      const subscriber = new Subscriber(handler, found.position, this.#events)
      return [found, { subscriber, id: channel.id, generation }] as const
    })
    const followers = this.#followers.get(name) ?? new Set()
    this.#followers.set(name, followers.add(follower))
    this.#sweep.wake()
    const close = () => {
      follower.subscriber.close()
      followers.delete(follower)
      if (followers.size === 0 && this.#followers.get(name) === followers) this.#followers.delete(name)
    }
    return { ...recovery, close }
  }

  async history(name: string, options: HistoryOptions = {}): Promise<HistoryPage> {
    this.#store.checkOpen()
    const { since, limit, reverse } = checkHistory(name, options)
    await this.#open(name)
    return this.#store.read(now => page(this.#look(name, now)!.kept, limit, reverse, since))
  }

  async remove(name: string): Promise<void> {
    this.#store.checkOpen()
    const bytes = checkName('channel', name)
    const remove = (now: number) => ({ channel: this.#channels.remove(bytes, now) })
    await this.#change(name, remove, ({ channel }) => channel !== undefined)
  }

  /** Notices what other processes have done. */
  sweep(): boolean {
    // What is under way notices it by itself.
    if (this.#followers.size > 0 && this.#underWay === 0) {
      this.#events.guard(() => {
        const change = this.#store.read(() => this.#store.counter('log.changes'))
        if (change !== this.#seen) this.#readOn(change)
      })
    }
    return this.#followers.size > 0
  }

  /** What has to be written before the store closes. */
  lastWrite(): (() => void) | undefined {
    for (const followers of this.#followers.values())
      for (const { subscriber } of followers) subscriber.close()
    this.#followers.clear()
    return this.#marks.removal()
  }

  close(): void {
    this.#marks.forget()
  }

  /** Sees to it that a channel is there. */
  async #open(name: string): Promise<void> {
    const bytes = Buffer.from(name)
    const isThere = this.#store.read(() => this.#channels.find(bytes)) !== undefined
    const open = (now: number) => {
      this.#marks.check()
      this.#channels.open(bytes, now)
    }
    await Promise.all([this.#mark(), isThere || this.#store.write(open)])
  }

  #mark(): Promise<void> {
    return this.#marks.make(changes => {
      this.#seen = changes
    })
  }

  #look(name: string, now: number) {
    const channel = this.#channels.find(Buffer.from(name))
    const generation = this.#store.counter('log.generation')
    return (
      channel && {
        channel,
        generation,
        kept: this.#channels.kept(channel, epochOf(channel, generation), now),
      }
    )
  }

  /** Changes a channel, and delivers it in the order of the commits. */
  async #change<Result extends { channel?: Channel | undefined; entry?: LogEntry }>(
    name: string,
    body: (now: number) => Result,
    counts: (result: Result) => boolean,
  ): Promise<Result & Change> {
    const marked = this.#mark()
    this.#underWay++
    const write = (now: number) => {
      this.#marks.check()
      const result = body(now)
      const change = counts(result) ? this.#store.next('log.changes') : 0
      return { ...result, change, generation: this.#store.counter('log.generation') }
    }
    const written = this.#store.write(write, result => {
      this.#underWay--
      if (result?.channel && counts(result)) this.#deliver(name, { ...result, channel: result.channel })
    })
    const [result] = await Promise.all([written, marked])
    return result
  }

  #deliver(
    name: string,
    { channel, entry, change, generation }: Change & { channel: Channel; entry?: LogEntry },
  ) {
    const epoch = epochOf(channel, generation)
    const lagging: Follower[] = []
    for (const follower of this.#followers.get(name) ?? []) {
      const { subscriber } = follower
      // It began after this change.
      if (follower.generation > generation || follower.id > channel.id) continue
      const same = follower.generation === generation && follower.id === channel.id
      if (same && entry && entry.offset <= subscriber.position.offset) continue
      if (same && entry && entry.offset === subscriber.position.offset + 1) subscriber.entry(entry)
      else if (!same && !entry) {
        Object.assign(follower, { id: channel.id, generation })
        subscriber.gap('epoch', { epoch, offset: 0 })
      } else if (!same || entry) lagging.push(follower)
    }
    const missed = change !== this.#seen + 1
    if (missed && this.#followers.size > 0) this.#events.guard(() => this.#readOn(change))
    else for (const follower of lagging) this.#events.guard(() => this.#catchUp(name, follower))
    this.#seen = Math.max(this.#seen, change)
  }

  #readOn(change: number): void {
    for (const [name, followers] of this.#followers) {
      for (const follower of followers) this.#catchUp(name, follower)
    }
    this.#seen = Math.max(this.#seen, change)
  }

  /** Delivers what the database has for a subscriber, or tells it that something is missing. */
  #catchUp(name: string, follower: Follower): void {
    const { subscriber } = follower
    const { offset } = subscriber.position
    const found = this.#store.read(now => {
      const look = this.#look(name, now)
      if (!look) return undefined
      const { channel, generation, kept } = look
      const isSame = channel.id === follower.id && generation === follower.generation
      const canGoOn = isSame && kept.floor <= offset && kept.top - offset <= DEFAULT_LIMIT
      return { ...look, isSame, entries: canGoOn ? kept.read(offset, kept.top, DEFAULT_LIMIT) : [] }
    })
    if (!found) return
    const { channel, generation, kept, isSame, entries } = found
    if (isSame && kept.top <= offset) return
    Object.assign(follower, { id: channel.id, generation })
    for (const entry of entries) subscriber.entry(entry)
    if (isSame && entries.length === kept.top - offset) return
    subscriber.gap(isSame ? 'lost' : 'epoch', { epoch: kept.epoch, offset: kept.top })
  }
}

function epochOf({ epoch }: Channel, generation: number): string {
  return `${epoch}.${generation}`
}
