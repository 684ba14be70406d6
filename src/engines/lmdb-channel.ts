import { doubles } from './lmdb-store.js'
import type { LogEntry } from './log.js'
import { newEpoch } from './memory-channel.js'

/** Milliseconds after which a channel that keeps nothing is forgotten: 30 days. */
export const FORGET_AFTER = 30 * 24 * 3_600_000

/** A channel as it stands in the table. */
export interface Channel {
  /** A number that grows with every channel, and with every time one begins anew. */
  readonly id: number
  /** Random; with the number of unclean starts it makes the epoch. */
  readonly epoch: string
  top: number
  /** Offset before the oldest entry kept, but for those whose time is over. */
  floor: number
  /** Offset of the oldest entry that may still be in the table. */
  first: number
  /** Milliseconds that entries are kept; may be infinite. */
  ttl: number
  /** When it was published to, or made. */
  time: number
  /** When it has to be looked at; 0 for never. */
  due: number
}

const NUMBERS = 7

/** A channel that nothing has been published to. */
export function newChannel(id: number, now: number): Channel {
  return {
    id,
    epoch: newEpoch(),
    top: 0,
    floor: 0,
    first: 1,
    ttl: Number.POSITIVE_INFINITY,
    time: now,
    due: 0,
  }
}

/** A channel as bytes. */
export function toBytes({ id, top, floor, first, ttl, time, due, epoch }: Channel): Buffer {
  return Buffer.concat([doubles(id, top, floor, first, ttl, time, due), Buffer.from(epoch)])
}

/** A channel from bytes. */
export function channelOf(bytes: Buffer): Channel {
  const [id, top, floor, first, ttl, time, due] = Array.from({ length: NUMBERS }, (_, at) =>
    bytes.readDoubleBE(8 * at),
  ) as [number, number, number, number, number, number, number]
  return { id, top, floor, first, ttl, time, due, epoch: bytes.toString('utf8', 8 * NUMBERS) }
}

/** Key and payload of an entry as bytes. */
export function rowOf({ key = '', payload }: LogEntry): Buffer {
  const bytes = Buffer.from(key)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(bytes.length)
  return Buffer.concat([length, bytes, payload])
}

/** An entry from the key and the value of its row. */
export function entryOf(row: Buffer, value: Buffer): LogEntry {
  const end = 2 + value.readUInt16BE()
  const key = value.toString('utf8', 2, end)
  // Copied: the row belongs to the database.
  const payload = new Uint8Array(value.subarray(end))
  return { offset: row.readDoubleBE(8), time: row.readDoubleBE(16), payload, ...(key !== '' && { key }) }
}
