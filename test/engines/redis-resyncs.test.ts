import { afterEach, expect, test } from 'vitest'
import { Events } from '../../src/engines/events.js'
import { RedisLink } from '../../src/engines/redis-link.js'
import { RedisLog } from '../../src/engines/redis-log.js'
import { RedisNames } from '../../src/engines/redis-names.js'
import { LIMIT, READ, SCRIPTS } from '../../src/engines/redis-scripts.js'
import type { Reply } from '../../src/engines/redis-wire.js'
import { FakeWire } from '../support/redis-wire.js'

const CHANNELS = Array.from({ length: 500 }, (_, i) => `c${i}`)
const EPOCH = 'e'

const closing: { close(): void }[] = []
afterEach(() => {
  for (const each of closing.splice(0)) each.close()
})

/** A log with many channels; what reads them is answered by the test once it has `stopped`. */
async function manyChannels() {
  const wire = new FakeWire()
  const names = new RedisNames('p')
  const channelOf = new Map(CHANNELS.map(channel => [`${names.of('log', channel)}:m`, channel]))
  const reading = new Map<string, (reply: Reply) => void>()
  const reads: string[] = []
  let isStopped = false
  let most = 0
  const nothing = [Buffer.from(EPOCH), 0, 0]
  wire.answer = ([, digest], key) => {
    if (digest !== READ.digest) return 1
    if (!isStopped) return nothing
    const channel = channelOf.get(key)!
    reads.push(channel)
    return new Promise(resolve => {
      reading.set(channel, resolve)
      most = Math.max(most, reading.size)
    })
  }
  const events = new Events()
  const link = new RedisLink(wire.connected, 5000, SCRIPTS, events)
  const log = new RedisLog(link, names, events, 1e9)
  closing.push(log, link)
  const gaps = new Map<string, number>()
  const heard: string[] = []
  for (const channel of CHANNELS) {
    await log.subscribe(channel, {
      entry: () => void heard.push(channel),
      gap: () => void gaps.set(channel, (gaps.get(channel) ?? 0) + 1),
    })
  }
  isStopped = true
  const turn = () => new Promise(resolve => setImmediate(resolve))
  await turn()
  return {
    ...{ wire, link, reads, reading, gaps, heard, turn },
    most: () => most,
    /** An entry that comes on a channel. */
    hear(channel: string, offset: number) {
      wire.events.heard(names.of('log', channel), Buffer.from(`${EPOCH}\n${offset} 5\n0 0\nx`))
    },
    /** Answers all that read now. */
    answer(reply: Reply = nothing) {
      const answers = [...reading.values()]
      reading.clear()
      for (const resolve of answers) resolve(reply)
    },
  }
}

/** Answers until nothing reads any more. */
async function answerAll({ reading, answer, turn }: Awaited<ReturnType<typeof manyChannels>>, reply?: Reply) {
  while (reading.size > 0) {
    answer(reply)
    await turn()
  }
}

test('channels that may have missed something are read a few at a time, until all have been', async () => {
  const many = await manyChannels()
  many.wire.events.again()
  await many.turn()
  expect(many.most()).toBeLessThanOrEqual(64)
  // Calls of the application go out at once.
  expect(await many.link.run(LIMIT, ['k'])).toBe(1)
  await answerAll(many, [Buffer.from('another'), 0, 0])
  expect(many.most()).toBeLessThanOrEqual(64)
  expect([...many.reads].sort()).toEqual([...CHANNELS].sort())
  expect([...many.gaps]).toHaveLength(CHANNELS.length)
  expect(new Set(many.gaps.values())).toEqual(new Set([1]))
})

test('those where something comes are read first, those that surely have missed something before all', async () => {
  const many = await manyChannels()
  const last = CHANNELS.slice(-10)
  for (const channel of last) many.hear(channel, 1)
  many.wire.events.again()
  await many.turn()
  expect(many.reads.slice(0, 10)).toEqual(last)
  many.hear('c400', 2)
  many.hear('c400', 3)
  many.answer()
  await many.turn()
  expect(many.reads[many.reads.length - many.reading.size]).toBe('c400')
  await answerAll(many)
  expect([...many.reads].sort()).toEqual([...CHANNELS].sort())
})

test('what comes before a channel has been read is heard once, in order', async () => {
  const many = await manyChannels()
  many.wire.events.again()
  await many.turn()
  expect(many.reads).not.toContain('c499')
  many.hear('c499', 1)
  many.hear('c499', 3)
  const entry = (offset: number) => [offset, Buffer.from('0 0\nx')]
  await answerAll(many, [Buffer.from(EPOCH), 3, 0, ...entry(1), ...entry(2), ...entry(3)])
  many.hear('c499', 4)
  expect(many.heard.filter(channel => channel === 'c499')).toHaveLength(4)
  expect(many.gaps.size).toBe(0)
})

test('channels that are lost once more while they are read are all read again', async () => {
  const many = await manyChannels()
  many.wire.events.again()
  await many.turn()
  const first = [...many.reads]
  many.answer()
  await many.turn()
  many.wire.events.again()
  await answerAll(many)
  const count = (channel: string) => many.reads.filter(each => each === channel).length
  for (const channel of first) expect([channel, count(channel)]).toEqual([channel, 2])
  for (const channel of CHANNELS) expect(count(channel)).toBeGreaterThan(0)
  expect(many.most()).toBeLessThanOrEqual(64)
})
