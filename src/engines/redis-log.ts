import { checkName } from './checks.js'
import { Subscriber } from './deliveries.js'
import type { Events } from './events.js'
import type {
  HistoryOptions,
  HistoryPage,
  Log,
  LogEntry,
  LogHandler,
  LogSubscription,
  Position,
  Published,
  PublishOptions,
  SubscribeOptions,
} from './log.js'
import { checkHistory, checkPublish, checkSubscribe, DEFAULT_LIMIT } from './log-checks.js'
import { type Kept, page, recover } from './recovery.js'
import { type Heard, type Part, RedisFeed } from './redis-feed.js'
import type { RedisLink } from './redis-link.js'
import { eachEntry, readEntry } from './redis-messages.js'
import type { RedisNames } from './redis-names.js'
import { logKeys, newEpoch, RedisPublisher } from './redis-publisher.js'
import { RedisResyncs } from './redis-resyncs.js'
import { READ, REMOVE } from './redis-scripts.js'

/** Channels whose positions are checked at once. */
const CHECKS = 64

interface Want {
  readonly since?: Position | undefined
  readonly limit: number
  readonly reverse?: boolean
  readonly latest?: boolean
}

/** A log in Redis: numbering and history in one script for each call, delivery by its publish and subscribe. */
export class RedisLog implements Log {
  readonly #link: RedisLink
  readonly #names: RedisNames
  readonly #events: Events
  readonly #publisher: RedisPublisher
  readonly #resyncs = new RedisResyncs()
  readonly #feeds = new Map<string, RedisFeed>()
  readonly #timer: NodeJS.Timeout

  constructor(link: RedisLink, names: RedisNames, events: Events, checkEvery: number) {
    this.#link = link
    this.#names = names
    this.#events = events
    this.#publisher = new RedisPublisher(link, names)
    link.onAgain(() => this.#resync())
    this.#timer = setInterval(() => this.#check(), checkEvery).unref()
  }

  async publish(channel: string, payload: Uint8Array, options: PublishOptions = {}): Promise<Published> {
    this.#link.checkOpen()
    return this.#publisher.publish(channel, payload, checkPublish(channel, payload, options))
  }

  async subscribe(
    channel: string,
    handler: LogHandler,
    options: SubscribeOptions = {},
  ): Promise<LogSubscription> {
    this.#link.checkOpen()
    const { since, limit, latest } = checkSubscribe(channel, handler, options)
    const feed = this.#feed(channel)
    const messages: Heard[] = []
    feed.joining.add(messages)
    try {
      await feed.ready
      messages.length = 0
      const part = await this.#read(channel, { since, limit: since ? limit : 0, latest })
      this.#link.checkOpen()
      const recovery = recover(asKept(part), { limit, latest }, since)
      const subscriber = new Subscriber(handler, recovery.position, this.#events)
      feed.joining.delete(messages)
      feed.begin(subscriber, messages)
      const close = () => {
        subscriber.close()
        if (feed.subscribers.delete(subscriber)) this.#leave(channel, feed)
      }
      return { ...recovery, close }
    } catch (error) {
      feed.joining.delete(messages)
      this.#leave(channel, feed)
      throw error
    }
  }

  async history(channel: string, options: HistoryOptions = {}): Promise<HistoryPage> {
    this.#link.checkOpen()
    const { since, limit, reverse } = checkHistory(channel, options)
    return page(asKept(await this.#read(channel, { since, limit, reverse })), limit, reverse, since)
  }

  async remove(channel: string): Promise<void> {
    this.#link.checkOpen()
    checkName('channel', channel)
    await this.#link.run(REMOVE, [
      ...logKeys(this.#names.of('log', channel)),
      newEpoch(),
      this.#names.of('log', channel),
    ])
  }

  close(): void {
    clearInterval(this.#timer)
    for (const { subscribers } of this.#feeds.values()) for (const each of subscribers) each.close()
    this.#feeds.clear()
    this.#resyncs.clear()
  }

  #feed(channel: string): RedisFeed {
    const standing = this.#feeds.get(channel)
    if (standing) return standing
    const feed = new RedisFeed(since => this.#read(channel, { since, limit: DEFAULT_LIMIT }), this.#resyncs)
    this.#feeds.set(channel, feed)
    const hear = (heard: Heard) => feed.hear(heard)
    feed.ready = this.#link.subscribe(this.#names.of('log', channel), message => eachEntry(message, hear))
    feed.ready.catch(() => undefined)
    return feed
  }

  #leave(channel: string, feed: RedisFeed): void {
    if (feed.subscribers.size > 0 || feed.joining.size > 0 || this.#feeds.get(channel) !== feed) return
    this.#feeds.delete(channel)
    this.#resyncs.delete(feed)
    this.#link.unsubscribe(this.#names.of('log', channel))
  }

  async #read(channel: string, { since, limit, reverse, latest }: Want): Promise<Part> {
    const reply = (await this.#link.run(READ, [
      ...logKeys(this.#names.of('log', channel)),
      newEpoch(),
      since?.epoch ?? '',
      String(since?.offset ?? 0),
      String(limit),
      reverse ? 'b' : 'f',
      latest ? '1' : '0',
    ])) as unknown[]
    const entries: LogEntry[] = []
    for (let at = 3; at < reply.length; at += 2) {
      const bytes = reply[at + 1] as Buffer
      entries.push(readEntry(reply[at] as number, bytes, 0, bytes.length))
    }
    const [epoch, top, floor] = reply as [Buffer, number, number]
    return { epoch: epoch.toString(), top, floor, entries }
  }

  /** Has all channels read what they may have missed, those first where something comes. */
  #resync(): void {
    for (const isActive of [true, false]) {
      for (const feed of this.#feeds.values()) if (feed.active === isActive) feed.resync(false)
    }
  }

  /** Finds what was lost without a message after it. */
  async #check(): Promise<void> {
    let count = 0
    for (const feed of this.#feeds.values()) {
      if (!feed.active) {
        feed.resync(false)
        if (++count % CHECKS === 0) await new Promise(resolve => setTimeout(resolve, 10).unref())
      }
      feed.active = false
    }
  }
}

/** What was read, as one that can be asked for parts: they end where an entry is missing. */
function asKept({ epoch, top, floor, entries }: Part): Kept {
  const byOffset = new Map(entries.map(entry => [entry.offset, entry]))
  const walk = (from: number, step: number, count: number): LogEntry[] => {
    const found: LogEntry[] = []
    for (let offset = from; found.length < count; offset += step) {
      const entry = byOffset.get(offset)
      if (!entry) break
      found.push(entry)
    }
    return found
  }
  return {
    epoch,
    top,
    floor,
    read: (after, upTo, limit) => walk(after + 1, 1, Math.min(limit, upTo - after)),
    readBack: (after, upTo, limit) => walk(upTo, -1, Math.min(limit, upTo - after)),
  }
}
