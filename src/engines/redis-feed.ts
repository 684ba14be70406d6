import type { Subscriber } from './deliveries.js'
import type { LogEntry, Position } from './log.js'
import type { RedisResyncs } from './redis-resyncs.js'

/** Messages that are held back while a history is read; past it the history is read again. */
const MOST_HELD = 10_000

/** An entry as it was heard, or offset 0 for an epoch that begins. */
export interface Heard {
  readonly epoch: string
  readonly entry: LogEntry
}

/** What Redis has kept of a channel. */
export interface Part {
  readonly epoch: string
  readonly top: number
  readonly floor: number
  readonly entries: readonly LogEntry[]
}

/** A channel that this process subscribes to, and whoever hears it here. */
export class RedisFeed {
  readonly subscribers = new Set<Subscriber>()
  /** Messages for those that still begin. */
  readonly joining = new Set<Heard[]>()
  /** The subscription to Redis. */
  ready: Promise<void> | undefined
  /** Whether something was heard since the last check of the position. */
  active = false
  readonly #read: (since: Position | undefined) => Promise<Part>
  readonly #resyncs: RedisResyncs
  #held: Heard[] | undefined
  #again = false

  constructor(read: (since: Position | undefined) => Promise<Part>, resyncs: RedisResyncs) {
    this.#read = read
    this.#resyncs = resyncs
  }

  hear(heard: Heard): void {
    this.active = true
    for (const messages of this.joining) if (messages.length <= MOST_HELD) messages.push(heard)
    if (this.#held === undefined) this.#deliver(heard)
    else if (this.#held.length < MOST_HELD) this.#held.push(heard)
    else this.#again = true
  }

  /** Lets one hear, with what came while it began. */
  begin(subscriber: Subscriber, messages: readonly Heard[]): void {
    this.subscribers.add(subscriber)
    const { epoch } = subscriber.position
    // What was said of older epochs before this one was read is over.
    const first = messages.findIndex(heard => heard.epoch === epoch)
    let whole = messages.length <= MOST_HELD && (first >= 0 || messages.length === 0)
    for (const heard of first < 0 ? [] : messages.slice(first)) whole &&= accept(subscriber, heard)
    if (!whole || this.#held) this.resync(true)
  }

  /** Has read what was missed, in its turn; one read at a time. @param isUrgent whether it surely was */
  resync(isUrgent: boolean): void {
    if (this.#held) this.#again = true
    else this.#resyncs.add(this, isUrgent)
  }

  /** Reads what was missed. Until then what does not follow is dropped: the history has it. */
  async read(): Promise<void> {
    this.#held = []
    do {
      this.#again = false
      try {
        while (await this.#catchUp()) this.#again = false
      } catch {
        // The next `up` or check of the position tries again: what is held back is in the history then.
        break
      }
      const held: Heard[] = this.#held
      this.#held = []
      for (const heard of held) {
        for (const subscriber of this.subscribers) if (!accept(subscriber, heard)) this.#again = true
      }
    } while (this.#again)
    this.#held = undefined
  }

  /** Reads one page; gives whether there is more. */
  async #catchUp(): Promise<boolean> {
    const before = [...this.subscribers]
    const [one, ...others] = before
    if (!one) return false
    const same = others.every(({ position }) => position.epoch === one.position.epoch)
    const least = Math.min(...before.map(({ position }) => position.offset))
    const since = same ? { epoch: one.position.epoch, offset: least } : undefined
    const { epoch, top, floor, entries } = await this.#read(since)
    const last = entries.at(-1)?.offset ?? top
    for (const subscriber of before) {
      if (subscriber.position.epoch !== epoch) subscriber.gap('epoch', { epoch, offset: floor })
      for (const entry of entries) {
        const { offset } = subscriber.position
        if (entry.offset > offset + 1) subscriber.gap('lost', { epoch, offset: entry.offset - 1 })
        if (entry.offset > offset) subscriber.entry(entry)
      }
      if (entries.length === 0 && subscriber.position.offset < top) {
        subscriber.gap('lost', { epoch, offset: top })
      }
    }
    return entries.length > 0 && last < top
  }

  #deliver(heard: Heard): void {
    let behind = false
    for (const subscriber of this.subscribers) if (!accept(subscriber, heard)) behind = true
    if (behind) this.resync(true)
  }
}

/** Delivers what comes next, drops what has been heard; gives whether that is all. */
function accept(subscriber: Subscriber, { epoch, entry }: Heard): boolean {
  const { position } = subscriber
  if (epoch !== position.epoch) return false
  if (entry.offset === position.offset + 1) subscriber.entry(entry)
  return entry.offset <= position.offset + 1
}
