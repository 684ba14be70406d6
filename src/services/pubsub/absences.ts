import type { HistoryPage, Log, LogEntry, Position } from '../../engines/log.js'
import type { ServiceServer } from '../service.js'
import type { Channel } from './channel.js'
import { publicationOf } from './entry.js'
import type { Seat, Seats } from './fan.js'
import { contiguous, OVERHEAD } from './recoveries.js'

/** A connection whose client is away, or is being sent what it has missed. */
interface Absent extends Seat {
  /** It has all up to here. */
  offset: number
  skipped: boolean
  /** It is being sent what it has missed: to be called when that is over. */
  readonly done?: () => void
}

/** Most entries of one reading. */
const PAGE = 64

/**
 * Those whom a run of a channel does not tell what comes, because their clients are away, and how they catch up.
 *
 * Of each only its place is kept. Who is back is sent what the history has behind that, a page at a time and no
 * faster than it reads, and joins the others when it has all. Those at one place share readings and frames. Who has
 * missed more than is recovered, or than is kept, is told that the run has ended: its client asks, and is told why.
 */
export class Absences {
  readonly #channel: Channel
  readonly #log: Log
  readonly #name: string
  readonly #server: ServiceServer
  readonly #absent = new Map<string, Absent>()
  /** Those who wait for the same entries, by the offset before them. */
  #reading = new Map<number, Absent[]>()
  readonly #ids = new WeakMap<Absent, string>()

  /** @param name of the channel in the log */
  constructor(channel: Channel, log: Log, name: string, server: ServiceServer) {
    this.#channel = channel
    this.#log = log
    this.#name = name
    this.#server = server
  }

  /** The place of one that is away, or catches up. */
  of(id: string): (Seat & { readonly offset: number }) | undefined {
    return this.#absent.get(id)
  }

  /** Keeps the place of a connection: it has all up to an offset. */
  add(id: string, seat: Seat, offset: number): void {
    this.#put(id, { ...seat, offset })
  }

  /** Its client has gone again, if it was back: what it was sent so far it has. */
  pause(id: string): void {
    const one = this.#absent.get(id)
    if (one?.done === undefined) return
    const { done, ...place } = one
    this.#put(id, place)
    done()
  }

  /** It is none of these any more. */
  leave(id: string): void {
    const one = this.#absent.get(id)
    this.#absent.delete(id)
    one?.done?.()
  }

  /** Its client is back: resolves when it is told what comes, or has left; undefined when that is so at once. */
  back(id: string): Promise<void> | undefined {
    const one = this.#absent.get(id)
    if (one === undefined || one.done !== undefined || this.#settled(id, one)) return undefined
    return new Promise(done => this.#catchUp(id, this.#put(id, { ...one, done })))
  }

  /** Takes everybody out. */
  clear(): readonly Seats[] {
    const all = [...this.#absent]
    this.#absent.clear()
    this.#reading = new Map()
    const seats = seated(all.map(([id, { run }]) => ({ run, id })))
    // Not before the end of their run has been told.
    for (const [, { done }] of all) if (done) queueMicrotask(done)
    return seats
  }

  #put(id: string, one: Absent): Absent {
    this.#absent.set(id, one)
    this.#ids.set(one, id)
    return one
  }

  /** Whether one has all that there is, or can no more be sent it. */
  #settled(id: string, one: Absent): boolean {
    const { position, rule } = this.#channel
    const behind = position!.offset - one.offset
    if (behind > (rule.cache ? 1 : rule.limit)) {
      this.#giveUp(id, one)
      return true
    }
    if (behind > 0) return false
    this.#absent.delete(id)
    this.#channel.rejoin(id, one)
    if (one.skipped) this.#tell([id], one.run, [-1, one.offset, 0])
    one.done?.()
    return true
  }

  /** Its client asks by itself from where it is, and is told what cannot be recovered. */
  #giveUp(id: string, one: Absent): void {
    this.#absent.delete(id)
    this.#tell([id], one.run, [])
    one.done?.()
  }

  #tell(ids: readonly string[], run: number | undefined, line: readonly unknown[]): void {
    if (ids.length > 0) this.#server.sendToSocketIds(ids, [run ?? this.#channel.run, ...line])
  }

  #catchUp(id: string, one: Absent): void {
    if (this.#settled(id, one)) return
    const others = this.#reading.get(one.offset)
    if (others !== undefined) return void others.push(one)
    const together = [one]
    this.#reading.set(one.offset, together)
    this.#read(this.#channel.position!, one.offset, together)
  }

  #read({ epoch }: Position, offset: number, together: readonly Absent[]): void {
    const noted: LogEntry[] = []
    const stop = this.#channel.listen({
      entry: entry => void (noted.length < PAGE && noted.push(entry)),
    })
    const settle = (page: HistoryPage | undefined): void => {
      stop()
      if (this.#reading.get(offset) === together) this.#reading.delete(offset)
      // Others have left meanwhile, have gone again, or were told that the run has ended.
      const there = together.filter(one => this.#absent.get(this.#ids.get(one)!) === one)
      const known = page !== undefined && page.reason === undefined && page.position.epoch === epoch
      const entries = known ? this.#fitting(contiguous(offset, [...page.entries, ...noted])) : []
      if (entries.length > 0) return this.#send(there, entries)
      for (const one of there) this.#giveUp(this.#ids.get(one)!, one)
    }
    // In a turn of its own: who is back in the same turn as the first one shares a read that is fast, too.
    this.#log.history(this.#name, { since: { epoch, offset }, limit: PAGE }).then(
      page => setImmediate(settle, page),
      () => settle(undefined),
    )
  }

  /** So many as are sent at once, one at least; what this server has not told others yet comes with the rest. */
  #fitting(entries: readonly LogEntry[]): readonly LogEntry[] {
    const { offset } = this.#channel.position!
    let bytes = this.#server.limits.maxFrame / 2
    const end = entries.findIndex((entry, at) => {
      bytes -= entry.payload.length + OVERHEAD
      return entry.offset > offset || (at > 0 && bytes < 0)
    })
    return end < 0 ? entries : entries.slice(0, end)
  }

  #send(there: readonly Absent[], entries: readonly LogEntry[]): void {
    const groups = new Map<string, Absent[]>()
    for (const one of there) {
      const key = `${one.run ?? ''} ${one.filter?.key ?? ''}`
      const group = groups.get(key)
      if (group === undefined) groups.set(key, [one])
      else group.push(one)
    }
    for (const group of groups.values()) this.#sendTo(group, entries)
    for (const one of there) {
      const id = this.#ids.get(one)!
      void this.#server.drained(id).then(open => {
        if (open && this.#absent.get(id) === one) this.#catchUp(id, one)
      })
    }
  }

  /** Sends entries to those who have one filter. */
  #sendTo(group: readonly Absent[], entries: readonly LogEntry[]): void {
    const { filter, run } = group[0]!
    const ids = group.map(one => this.#ids.get(one)!)
    let skipped = group.some(one => one.skipped)
    for (const entry of entries) {
      const { message, except, tags } = publicationOf(entry)
      if (filter !== undefined && (message.length === 0 || !filter.matches(tags))) {
        skipped = true
        continue
      }
      if (skipped) this.#tell(ids, run, [-1, entry.offset - 1, 0])
      skipped = false
      const spared = except !== undefined && ids.includes(except)
      const others = spared ? ids.filter(id => id !== except) : ids
      this.#tell(others, run, [entry.offset, ...message])
      // Its place, so that the next one is no gap.
      if (spared) this.#tell([except], run, [entry.offset])
    }
    for (const one of group) {
      one.offset = entries.at(-1)!.offset
      one.skipped = skipped
    }
  }
}

function seated(all: readonly { readonly run: number | undefined; readonly id: string }[]): Seats[] {
  const byRun = new Map<number | undefined, string[]>()
  for (const { run, id } of all) {
    const ids = byRun.get(run)
    if (ids === undefined) byRun.set(run, [id])
    else ids.push(id)
  }
  return [...byRun].map(([run, ids]) => ({ run, ids }))
}
