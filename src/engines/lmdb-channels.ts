import type { RangeOptions } from 'lmdb'
import { type Channel, channelOf, entryOf, FORGET_AFTER, newChannel, rowOf, toBytes } from './lmdb-channel.js'
import { doubles, FIRST, type LmdbStore, type Table } from './lmdb-store.js'
import type { LogEntry } from './log.js'
import { KEY_TTL, type Retention } from './log-checks.js'
import type { Kept } from './recovery.js'

/** Old entries or keys that one transaction, or one publication, removes along the way. */
const SWEEP = 64
/** Bytes of payloads read at once, from the first on. */
const MAX_READ = 2 ** 26

/** What one publication did. */
export interface Appended {
  readonly channel: Channel
  readonly offset: number
  /** Undefined for a duplicate. */
  readonly entry?: LogEntry
}

/** The channels in an open LMDB. All but `find` and `kept` belong into a transaction. */
export class LmdbChannels {
  readonly #store: LmdbStore
  /** Name to channel. */
  readonly #channels: Table
  /** Number of the channel, offset and time to key and payload. */
  readonly #entries: Table
  /** Number of the channel and idempotency key to offset and end. */
  readonly #keys: Table
  /** End, number and key of those, in the order of the ends. */
  readonly #keyEnds: Table
  /** When a channel has to be looked at, and its number, to its name. */
  readonly #ends: Table
  /** Number of a channel that was removed to the offsets of what it left. */
  readonly #removed: Table

  constructor(store: LmdbStore) {
    this.#store = store
    this.#channels = store.table('log.channels')
    this.#entries = store.table('log.entries')
    this.#keys = store.table('log.keys')
    this.#keyEnds = store.table('log.keyEnds')
    this.#ends = store.table('log.ends')
    this.#removed = store.table('log.removed')
    store.onSweep(now => this.#sweep(now))
  }

  find(name: Buffer): Channel | undefined {
    const bytes = this.#channels.get(name)
    return bytes && channelOf(bytes)
  }

  open(name: Buffer, now: number): Channel {
    const found = this.find(name)
    if (found) return found
    const channel = newChannel(this.#store.next('log.channel'), now)
    this.#save(name, channel)
    return channel
  }

  append(name: Buffer, payload: Uint8Array, { size, ttl, key }: Retention, now: number): Appended {
    const channel = this.open(name, now)
    const keyBytes = key === undefined ? undefined : Buffer.concat([doubles(channel.id), Buffer.from(key)])
    const used = keyBytes && this.#keys.get(keyBytes)
    if (used && used.readDoubleBE(8) > now) return { channel, offset: used.readDoubleBE(0) }
    channel.floor = this.#floorOf(channel, now)
    const isEmpty = channel.first > channel.top
    const offset = ++channel.top
    channel.time = Math.max(channel.time, now)
    channel.ttl = ttl
    channel.floor = Math.max(channel.floor, offset - size)
    const entry = { offset, payload, time: channel.time, ...(key !== undefined && { key }) }
    if (size > 0) this.#entries.put(doubles(channel.id, offset, channel.time), rowOf(entry))
    else if (isEmpty) channel.first = offset + 1
    if (keyBytes) {
      this.#keys.put(keyBytes, doubles(offset, now + KEY_TTL))
      this.#keyEnds.put(Buffer.concat([doubles(now + KEY_TTL), keyBytes]), FIRST)
    }
    this.#trim(channel)
    this.#save(name, channel)
    return { channel, offset, entry }
  }

  /** Has a channel begin anew; undefined when there is none. */
  remove(name: Buffer, now: number): Channel | undefined {
    const old = this.find(name)
    if (!old) return undefined
    if (old.due > 0) this.#ends.remove(doubles(old.due, old.id))
    if (old.first <= old.top) this.#removed.put(doubles(old.id), doubles(old.first, old.top))
    this.#channels.remove(name)
    return this.open(name, now)
  }

  /** What can be read of a channel now. */
  kept(channel: Channel, epoch: string, now: number): Kept {
    const { id, top } = channel
    return {
      epoch,
      top,
      floor: this.#floorOf(channel, now),
      read: (after, upTo, limit) =>
        this.#read({ start: doubles(id, after + 1), end: doubles(id, upTo + 1), limit }),
      readBack: (after, upTo, limit) =>
        this.#read({ start: doubles(id, upTo + 1), end: doubles(id, after + 1), limit, reverse: true }),
    }
  }

  #read(range: { start: Buffer; end: Buffer; limit: number; reverse?: boolean }): LogEntry[] {
    const entries: LogEntry[] = []
    let bytes = 0
    for (const { key, value } of this.#entries.getRange(range)) {
      bytes += value.length
      if (bytes > MAX_READ && entries.length > 0) break
      entries.push(entryOf(key, value))
    }
    return entries
  }

  /** The offset before the oldest entry whose time is not over. Times never fall, so that it can be halved for. */
  #floorOf({ id, floor, top, time, ttl }: Channel, now: number): number {
    if (ttl === Number.POSITIVE_INFINITY || floor === top) return floor
    if (time + ttl <= now) return top
    let [over, fresh] = [floor, top]
    // The oldest is most often the answer.
    for (let probe = floor + 1; over + 1 < fresh; probe = Math.floor((over + fresh) / 2)) {
      const [key] = this.#entries.getKeys({ start: doubles(id, probe), limit: 1 })
      if (key!.readDoubleBE(16) + ttl <= now) over = probe
      else fresh = probe
    }
    return fresh - 1
  }

  /** Removes some of what a channel keeps no longer; gives whether there may be more. */
  #trim(channel: Channel): boolean {
    if (channel.first > channel.floor) return false
    const more = this.#removeEntries(channel.id, channel.first, channel.floor)
    channel.first = more ?? channel.floor + 1
    return more !== undefined
  }

  /** Removes some entries; gives the offset to go on from, or undefined when all are removed. */
  #removeEntries(id: number, from: number, upTo: number): number | undefined {
    const range = { start: doubles(id, from), end: doubles(id, upTo + 1), limit: SWEEP }
    const keys = Array.from(this.#entries.getKeys(range), key => Buffer.from(key))
    for (const key of keys) this.#entries.remove(key)
    return keys.length === SWEEP ? keys.at(-1)!.readDoubleBE(8) + 1 : undefined
  }

  #save(name: Buffer, channel: Channel): void {
    const { id, time, ttl } = channel
    const due = channel.floor < channel.top ? time + ttl : time + FORGET_AFTER
    // A later end is written when the earlier one has come: one of many publications pays for it.
    if (due < Number.POSITIVE_INFINITY && (channel.due === 0 || due < channel.due)) {
      if (channel.due > 0) this.#ends.remove(doubles(channel.due, id))
      channel.due = due
      this.#ends.put(doubles(due, id), name)
    }
    this.#channels.put(name, toBytes(channel))
  }

  #sweep(now: number): void {
    for (const end of Array.from(this.#keyEnds.getKeys(upTo(now, SWEEP)), each => Buffer.from(each))) {
      const used = this.#keys.get(end.subarray(8))
      // It may have been used again since.
      if (used && used.readDoubleBE(8) <= now) this.#keys.remove(end.subarray(8))
      this.#keyEnds.remove(end)
    }
    const [due] = rows(this.#ends, upTo(now, 1))
    if (due) this.#sweepChannel(due.key, due.value, now)
    const [removed] = rows(this.#removed, { start: FIRST, limit: 1 })
    if (!removed) return
    const { key, value } = removed
    const more = this.#removeEntries(key.readDoubleBE(), value.readDoubleBE(0), value.readDoubleBE(8))
    if (more === undefined) this.#removed.remove(key)
    else this.#removed.put(key, doubles(more, value.readDoubleBE(8)))
  }

  #sweepChannel(end: Buffer, name: Buffer, now: number): void {
    const channel = this.find(name)
    if (channel?.id !== end.readDoubleBE(8)) {
      this.#ends.remove(end)
      return
    }
    channel.floor = this.#floorOf(channel, now)
    const more = this.#trim(channel)
    if (more) {
      this.#channels.put(name, toBytes(channel))
      return
    }
    this.#ends.remove(end)
    channel.due = 0
    if (channel.floor === channel.top && channel.time + FORGET_AFTER <= now) this.#channels.remove(name)
    else this.#save(name, channel)
  }
}

/** The rows whose keys begin with a time until now. */
function upTo(now: number, limit: number): RangeOptions {
  return { start: FIRST, end: doubles(now + 1), limit }
}

/** Copies of rows: what is changed meanwhile does not show in them. */
function rows(table: Table, range: RangeOptions): { key: Buffer; value: Buffer }[] {
  return Array.from(table.getRange(range), ({ key, value }) => ({
    key: Buffer.from(key),
    value: Buffer.from(value),
  }))
}
