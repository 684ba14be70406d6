import type { HistoryPage, Log, LogEntry, Position, RecoveryFailure } from '../../engines/log.js'
import { hasCode, SocketStreamError } from '../../errors.js'
import type { ServiceServer } from '../service.js'
import type { Channel } from './channel.js'
import type { Tails } from './tails.js'

/**
 * Why what was missed is not given; besides the engine's reasons `unavailable`: the channel does not
 * recover, or its engine could not be asked.
 */
export type NotRecovered = RecoveryFailure | 'unavailable'

/** How a subscription begins. */
export interface Recovery {
  /** What follows comes after this. */
  readonly position: Position
  /** Whether `entries` are all between the position asked for and this one. */
  readonly recovered: boolean
  readonly reason?: NotRecovered
  readonly entries: readonly LogEntry[]
}

/** Whoever waits for a recovery; told once, in the turn in which it holds. */
export interface RecoveryListener {
  done(recovery: Recovery): void
  failed(error: unknown): void
}

/** How often a recovery begins anew when continuity is lost meanwhile. */
const ATTEMPTS = 3
/** Bytes that an entry takes besides its payload. */
export const OVERHEAD = 16

/**
 * The recoveries of one channel: reads that are under way are shared by all who ask for the same.
 *
 * While a read is under way, entries that are delivered are noted: read and noted ones together reach up to
 * the moment of the answer, however busy the channel. They are kept for a while for those who ask a little later.
 */
export class Recoveries {
  readonly #channel: Channel
  readonly #log: Log
  readonly #name: string
  readonly #server: ServiceServer
  readonly #tails: Tails
  readonly #waiting = new Map<string, RecoveryListener[]>()

  constructor(channel: Channel, log: Log, name: string, server: ServiceServer, tails: Tails) {
    this.#channel = channel
    this.#log = log
    this.#name = name
    this.#server = server
    this.#tails = tails
  }

  /** Tells what was published after a position, at once if that is nothing. */
  ask(since: Position | undefined, listener: RecoveryListener): void {
    const { rule } = this.#channel
    const position = this.#channel.position!
    const same = since !== undefined && since.epoch === position.epoch && since.offset === position.offset
    if (same || (since === undefined && !rule.cache)) {
      return listener.done({ position, recovered: same, entries: [] })
    }
    if (since !== undefined && since.epoch === position.epoch && !rule.cache && rule.recover) {
      const entries = this.#tails.after(this.#channel, since.offset)
      if (entries !== undefined && this.#fits(entries)) {
        const end = { epoch: position.epoch, offset: since.offset + entries.length }
        return listener.done({ position: end, recovered: true, entries })
      }
    }
    const key = since === undefined ? '' : `${since.offset} ${since.epoch}`
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) return void waiting.push(listener)
    this.#waiting.set(key, [listener])
    this.#read(key, since, ATTEMPTS)
  }

  #read(key: string, since: Position | undefined, attempts: number): void {
    const channel = this.#channel
    const { run } = channel
    const { epoch } = channel.position!
    const noted: LogEntry[] = []
    const stop = channel.listen({
      // Past the limit only the newest is of use.
      entry(entry) {
        noted[Math.min(noted.length, channel.rule.limit)] = entry
      },
    })
    const settle = (pages: readonly HistoryPage[]): void => {
      stop()
      const same = channel.run === run
      // Where others have read of an epoch that has yet to be heard of here, the subscription is of no use.
      if (same && pages.every(({ position }) => position.epoch === epoch)) {
        const recovery = this.#join(since, pages, noted)
        if (since !== undefined && recovery.recovered && !channel.rule.cache) {
          this.#tails.keep(channel, since.offset, recovery.entries)
        }
        for (const { done } of this.#take(key)) done(recovery)
      } else if (attempts === 1) this.#fail(key, new Error('continuity was lost again and again'))
      else {
        const open = same ? channel.reopen() : channel.ready()
        const again = (): void => this.#read(key, since, attempts - 1)
        if (open === undefined) again()
        else open.then(again, error => this.#fail(key, error))
      }
    }
    // In a turn of its own: who asks in the same turn as the first one shares a read that is fast, too.
    this.#pages(since).then(
      pages => setImmediate(settle, pages),
      error => {
        stop()
        this.#fail(key, error)
      },
    )
  }

  #take(key: string): RecoveryListener[] {
    const all = this.#waiting.get(key) ?? []
    this.#waiting.delete(key)
    return all
  }

  #fail(key: string, cause: unknown): void {
    const what = `What was missed of ${this.#channel.name} cannot be read; try again`
    const error = hasCode(cause) ? cause : new SocketStreamError('ENGINE_UNAVAILABLE', what, { cause })
    for (const { failed } of this.#take(key)) failed(error)
  }

  /** What follows a position, and for a cache the newest entry. */
  #pages(since: Position | undefined): Promise<HistoryPage[]> {
    const { recover, limit, cache } = this.#channel.rule
    const pages: Promise<HistoryPage>[] = []
    const most = recover && !cache ? limit : 1
    if (since !== undefined) pages.push(this.#log.history(this.#name, { since, limit: most }))
    if (cache) pages.push(this.#log.history(this.#name, { reverse: true, limit: 1 }))
    return Promise.all(pages)
  }

  #join(since: Position | undefined, pages: readonly HistoryPage[], noted: readonly LogEntry[]): Recovery {
    const { rule } = this.#channel
    const { epoch, offset } = this.#channel.position!
    const page = since && pages[0]
    let reason: NotRecovered | undefined = page?.reason
    if (since && page && reason === undefined) {
      const entries = contiguous(since.offset, [...page.entries, ...noted])
      const end = since.offset + entries.length
      const most = rule.cache ? 1 : rule.limit
      const fits = page.complete && entries.length <= most && this.#fits(entries)
      if (fits && end >= offset) return { position: { epoch, offset: end }, recovered: true, entries }
      reason = 'limit'
    }
    const newest = rule.cache ? (noted.at(-1) ?? pages.at(-1)?.entries[0]) : undefined
    const end = Math.max(offset, newest?.offset ?? 0)
    const entries = newest !== undefined && newest.offset === end ? [newest] : []
    return { position: { epoch, offset: end }, recovered: false, entries, ...(reason && { reason }) }
  }

  /** Whether entries go into half a frame, as other codecs need more than the engine's. One alone always does. */
  #fits(entries: readonly LogEntry[]): boolean {
    const bytes = entries.reduce((sum, { payload }) => sum + payload.length + OVERHEAD, 0)
    return entries.length <= 1 || bytes <= this.#server.limits.maxFrame / 2
  }
}

/** The entries after an offset, as far as they follow one another. */
export function contiguous(after: number, entries: readonly LogEntry[]): LogEntry[] {
  const found: LogEntry[] = []
  for (const entry of entries) if (entry.offset === after + found.length + 1) found.push(entry)
  return found
}
