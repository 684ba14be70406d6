import { checkName, unavailable } from './checks.js'
import { Subscriber } from './deliveries.js'
import type { Events } from './events.js'
import type {
  HistoryOptions,
  HistoryPage,
  Log,
  LogHandler,
  LogSubscription,
  Published,
  PublishOptions,
  SubscribeOptions,
} from './log.js'
import { checkHistory, checkPublish, checkSubscribe } from './log-checks.js'
import { keySize, MemoryChannel, sizeOf } from './memory-channel.js'
import { page, recover } from './recovery.js'
import type { Sweep, Swept } from './sweep.js'

/** Channels that one sweep looks at. */
const SWEEP = 10_000

/** How much a log in memory holds. */
export interface MemoryLogLimits {
  readonly channels: number
  readonly bytes: number
}

/**
 * A log in the memory of this process, up to a number of channels and bytes.
 *
 * Past them the channels without subscribers that have been published to least recently are dropped, then the
 * histories of the others: they begin anew, or trimmed, and recovery says so.
 */
export class MemoryLog implements Log, Swept {
  readonly #now: () => number
  readonly #limits: MemoryLogLimits
  readonly #sweep: Sweep
  readonly #events: Events
  readonly #channels = new Map<string, MemoryChannel>()
  /** Channels without subscribers, least recently published first. */
  readonly #idle = new Map<string, MemoryChannel>()
  /** Channels that keep something or have keys, least recently published first. */
  readonly #holding = new Map<string, MemoryChannel>()
  /** Goes round and round through those. */
  #round = this.#holding.values()
  #bytes = 0
  #outbox: (() => void)[] = []
  #closed = false

  constructor(now: () => number, limits: MemoryLogLimits, sweep: Sweep, events: Events) {
    this.#now = now
    this.#limits = limits
    this.#sweep = sweep
    this.#events = events
    sweep.add(this)
  }

  async publish(name: string, payload: Uint8Array, options: PublishOptions = {}): Promise<Published> {
    this.#checkOpen()
    const retention = checkPublish(name, payload, options)
    const { key } = retention
    const channel = this.#open(name)
    const { epoch } = channel
    const used = key === undefined ? undefined : channel.offsetOf(key)
    if (used !== undefined) return { epoch, offset: used, duplicate: true }
    const copy = new Uint8Array(payload)
    const needed = key === undefined ? 0 : keySize(key)
    const kept = retention.size > 0 && this.#makeRoom(needed + sizeOf({ payload, key }), channel)
    if (!kept && !this.#makeRoom(needed, channel)) {
      throw unavailable(
        'memory: the log is full of what must stay, such as idempotency keys; raise `logBytes`',
      )
    }
    const now = this.#now()
    const entry = this.#change(channel, () =>
      channel.next(copy, kept ? retention : { ...retention, size: 0 }, now),
    )
    this.#touch(channel)
    this.#post([...channel.subscribers], subscriber => subscriber.entry(entry))
    return { epoch, offset: entry.offset, duplicate: false }
  }

  async subscribe(
    name: string,
    handler: LogHandler,
    options: SubscribeOptions = {},
  ): Promise<LogSubscription> {
    this.#checkOpen()
    const { since, ...rest } = checkSubscribe(name, handler, options)
    const channel = this.#open(name)
    const recovery = recover(channel, rest, since)
    const subscriber = new Subscriber(handler, recovery.position, this.#events)
    // Shared by all epochs of the channel.
    const { subscribers } = channel
    subscribers.add(subscriber)
    this.#idle.delete(name)
    const close = () => {
      subscriber.close()
      const now = this.#channels.get(name)
      if (subscribers.delete(subscriber) && subscribers.size === 0 && now) this.#idle.set(name, now)
    }
    return { ...recovery, close }
  }

  async history(name: string, options: HistoryOptions = {}): Promise<HistoryPage> {
    this.#checkOpen()
    const { since, limit, reverse } = checkHistory(name, options)
    return page(this.#open(name), limit, reverse, since)
  }

  async remove(name: string): Promise<void> {
    this.#checkOpen()
    checkName('channel', name)
    const old = this.#channels.get(name)
    if (old === undefined) return
    const { subscribers } = old
    this.#drop(old)
    const { epoch } = this.#add(new MemoryChannel(name, subscribers))
    this.#post([...subscribers], subscriber => subscriber.gap('epoch', { epoch, offset: 0 }))
  }

  sweep(now: number): boolean {
    let mortal = false
    for (let looked = 0; looked < SWEEP; looked++) {
      const { value: channel, done } = this.#round.next()
      if (done) {
        this.#round = this.#holding.values()
        return mortal
      }
      this.#change(channel, () => channel.expire(now))
      this.#forgetEmpty(channel)
      mortal ||= channel.mortal
    }
    return true
  }

  close(): void {
    this.#closed = true
    for (const { subscribers } of this.#channels.values()) for (const each of subscribers) each.close()
    this.#channels.clear()
    this.#idle.clear()
    this.#holding.clear()
  }

  /** The channel of a name, without what is over; a new one if need be. */
  #open(name: string): MemoryChannel {
    const found = this.#channels.get(name)
    if (found) {
      this.#change(found, () => found.expire(this.#now()))
      return found
    }
    const [oldest] = this.#idle.values()
    if (this.#channels.size >= this.#limits.channels) {
      if (!oldest) throw unavailable('memory: all channels have subscribers; raise `channels` for more')
      this.#drop(oldest)
    }
    return this.#add(new MemoryChannel(name))
  }

  #add(channel: MemoryChannel): MemoryChannel {
    this.#channels.set(channel.name, channel)
    if (channel.subscribers.size === 0) this.#idle.set(channel.name, channel)
    this.#bytes += channel.bytes
    return channel
  }

  #drop(channel: MemoryChannel): void {
    for (const map of [this.#channels, this.#idle, this.#holding]) map.delete(channel.name)
    this.#bytes -= channel.bytes
  }

  /** Puts a channel behind the others of its kind. */
  #touch(channel: MemoryChannel): void {
    const { name } = channel
    if (this.#idle.delete(name)) this.#idle.set(name, channel)
    this.#holding.delete(name)
    this.#holding.set(name, channel)
    this.#forgetEmpty(channel)
    if (channel.mortal) this.#sweep.wake()
  }

  #forgetEmpty(channel: MemoryChannel): void {
    if (channel.kept === 0 && !channel.mortal) this.#holding.delete(channel.name)
  }

  /** Frees bytes for a channel at the cost of others, at last at its own; gives whether there are enough. */
  #makeRoom(bytes: number, spared: MemoryChannel): boolean {
    const missing = () => this.#bytes + bytes - this.#limits.bytes
    for (const channel of this.#idle.values()) {
      if (missing() <= 0) return true
      if (channel !== spared) this.#drop(channel)
    }
    for (const channel of this.#holding.values()) {
      if (missing() <= 0) return true
      if (channel !== spared) this.#free(channel, missing())
    }
    this.#free(spared, missing())
    return missing() <= 0
  }

  #free(channel: MemoryChannel, bytes: number): void {
    this.#change(channel, () => channel.free(bytes))
    this.#forgetEmpty(channel)
  }

  #change<T>(channel: MemoryChannel, change: () => T): T {
    const before = channel.bytes
    const result = change()
    this.#bytes += channel.bytes - before
    return result
  }

  /** Tells those who subscribe now, in the order of the calls and in none of their stacks. */
  #post(subscribers: Subscriber[], tell: (subscriber: Subscriber) => void): void {
    if (subscribers.length === 0) return
    this.#outbox.push(() => subscribers.forEach(tell))
    if (this.#outbox.length > 1) return
    queueMicrotask(() => {
      const outbox = this.#outbox
      this.#outbox = []
      for (const post of outbox) post()
    })
  }

  #checkOpen(): void {
    if (this.#closed) throw unavailable('The engine is closed')
  }
}
