import type { LogEntry } from './log.js'
import type { Heard } from './redis-feed.js'

const LENGTH = 4
const NEWLINE = 10
const SPACE = 32
const ZERO = 48

/** Calls back with each message of a batch of the bus; what is none ends it. */
export function eachMessage(joined: Buffer, call: (message: Buffer) => void): void {
  for (let at = 0; at + LENGTH <= joined.length; ) {
    const start = at + LENGTH
    at = start + joined.readUInt32BE(at)
    if (at > joined.length) return
    call(joined.subarray(start, at))
  }
}

/** Calls back with each entry of a message of the log's scripts. */
export function eachEntry(message: Buffer, call: (heard: Heard) => void): void {
  const end = message.indexOf(NEWLINE)
  const epoch = message.toString('latin1', 0, end)
  for (let at = end + 1; at < message.length; ) {
    const space = message.indexOf(SPACE, at)
    const start = message.indexOf(NEWLINE, space) + 1
    const offset = wholeNumber(message, at, space)
    at = start + wholeNumber(message, space + 1, start - 1)
    call({ epoch, entry: readEntry(offset, message, start, at) })
  }
}

/** An entry as Redis keeps it, in a part of these bytes. */
export function readEntry(offset: number, bytes: Buffer, start: number, end: number): LogEntry {
  const space = bytes.indexOf(SPACE, start)
  const keyStart = bytes.indexOf(NEWLINE, space) + 1
  const keyEnd = keyStart + wholeNumber(bytes, space + 1, keyStart - 1)
  const time = wholeNumber(bytes, start, space)
  const payload = bytes.subarray(keyEnd, end)
  if (keyEnd === keyStart) return { offset, payload, time }
  return { offset, payload, time, key: bytes.toString('utf8', keyStart, keyEnd) }
}

/** The number that digits stand for. */
function wholeNumber(bytes: Buffer, start: number, end: number): number {
  let value = 0
  for (let at = start; at < end; at++) value = value * 10 + (bytes[at] as number) - ZERO
  return value
}
