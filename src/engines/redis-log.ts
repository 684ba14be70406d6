import { randomBytes } from 'node:crypto'
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
import { checkHistory, checkPublish, checkSubscribe, DEFAULT_LIMIT, KEY_TTL } from './log-checks.js'
import { type Kept, page, recover } from './recovery.js'
import { type Heard, type Part, RedisFeed } from './redis-feed.js'
import type { RedisLink } from './redis-link.js'
import { type RedisNames, splitMessage } from './redis-names.js'
import { PUBLISH, READ, REMOVE } from './redis-scripts.js'

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
  readonly #feeds = new Map<string, RedisFeed>()
  readonly #timer: NodeJS.Timeout

  constructor(link: RedisLink, names: RedisNames, events: Events, checkEvery: number) {
    this.#link = link
    this.#names = names
    this.#events = events
    link.onAgain(() => {
      for (const feed of this.#feeds.values()) feed.resync()
    })
    this.#timer = setInterval(() => this.#check(), checkEvery).unref()
  }

  async publish(channel: string, payload: Uint8Array, options: PublishOptions = {}): Promise<Published> {
    this.#link.checkOpen()
    const { size, ttl, key = '' } = checkPublish(channel, payload, options)
    const reply = (await this.#link.run(PUBLISH, [
      ...this.#keys(channel),
      this.#names.of('log', channel, `k:${key}`),
      newEpoch(),
      this.#names.of('log', channel),
      Buffer.from(payload),
      String(size),
      String(Number.isFinite(ttl) ? ttl : 0),
      key,
      String(KEY_TTL),
    ])) as [Buffer, number, number]
    return { epoch: reply[0].toString(), offset: reply[1], duplicate: reply[2] === 1 }
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
    await this.#link.run(REMOVE, [...this.#keys(channel), newEpoch(), this.#names.of('log', channel)])
  }

  close(): void {
    clearInterval(this.#timer)
    for (const { subscribers } of this.#feeds.values()) for (const each of subscribers) each.close()
    this.#feeds.clear()
  }

  #keys(channel: string): string[] {
    return [this.#names.of('log', channel, 'm'), this.#names.of('log', channel, 's')]
  }

  #feed(channel: string): RedisFeed {
    const standing = this.#feeds.get(channel)
    if (standing) return standing
    const feed = new RedisFeed(since => this.#read(channel, { since, limit: DEFAULT_LIMIT }))
    this.#feeds.set(channel, feed)
    feed.ready = this.#link.subscribe(this.#names.of('log', channel), message => feed.hear(parse(message)))
    feed.ready.catch(() => undefined)
    return feed
  }

  #leave(channel: string, feed: RedisFeed): void {
    if (feed.subscribers.size > 0 || feed.joining.size > 0 || this.#feeds.get(channel) !== feed) return
    this.#feeds.delete(channel)
    this.#link.unsubscribe(this.#names.of('log', channel))
  }

  async #read(channel: string, { since, limit, reverse, latest }: Want): Promise<Part> {
    const reply = (await this.#link.run(READ, [
      ...this.#keys(channel),
      newEpoch(),
      this.#names.of('log', channel),
      since?.epoch ?? '',
      String(since?.offset ?? 0),
      String(limit),
      reverse ? 'b' : 'f',
      latest ? '1' : '0',
    ])) as unknown[]
    const entries: LogEntry[] = []
    for (let at = 3; at < reply.length; at += 4) {
      const [offset, payload, key, time] = reply.slice(at, at + 4) as [number, Buffer, Buffer, number]
      entries.push({ offset, payload, time, ...(key.length > 0 && { key: key.toString() }) })
    }
    const [epoch, top, floor] = reply as [Buffer, number, number]
    return { epoch: epoch.toString(), top, floor, entries }
  }

  /** Finds what was lost without a message after it. */
  async #check(): Promise<void> {
    let count = 0
    for (const feed of this.#feeds.values()) {
      if (!feed.active) {
        feed.resync()
        if (++count % CHECKS === 0) await new Promise(resolve => setTimeout(resolve, 10).unref())
      }
      feed.active = false
    }
  }
}

/** Most are thrown away, as a call only brings one along: random bytes for each were a quarter of its cost. */
const epochs = { prefix: randomBytes(9).toString('base64url'), count: 0 }

function newEpoch(): string {
  return `${epochs.prefix}${(epochs.count++).toString(36)}`
}

function parse(message: Buffer): Heard {
  const { words, rest } = splitMessage(message)
  const [offset, epoch, time, length] = words as [string, string, string, string]
  const key = rest.toString('utf8', 0, Number(length))
  const payload = rest.subarray(Number(length))
  return { epoch, entry: { offset: Number(offset), payload, time: Number(time), ...(key && { key }) } }
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
