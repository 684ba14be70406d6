import type { Log, LogEntry, LogHandler } from '../engines/log.js'
import { bytes, type EnginePart, Heard, refusal } from './engine-conformance-fixture.js'

const KEPT = { size: 100, ttl: 3_600_000 }
const ignore: LogHandler = { entry: () => undefined, gap: () => undefined }

/** Offset and first byte of entries. */
export function brief(entries: readonly LogEntry[]): number[][] {
  return entries.map(({ offset, payload }) => [offset, payload[0]!])
}

/** A subscriber that notes what it hears: `[offset, byte]`, or `[reason, offset]` for a gap. */
export function listener() {
  const heard = new Heard<unknown[]>()
  const handler: LogHandler = {
    entry: entry => heard.add(brief([entry])[0]!),
    gap: (reason, { offset }) => heard.add([reason, offset]),
  }
  return { heard, handler }
}

/** Publishes the bytes from one number to another, one after the other; gives the position of the last. */
export async function fill(log: Log, channel: string, from: number, to: number, options: object = KEPT) {
  let last = await log.publish(channel, bytes(from), options)
  for (let value = from + 1; value <= to; value++) last = await log.publish(channel, bytes(value), options)
  return { epoch: last.epoch, offset: last.offset }
}

/** The part of the suite on publications and their delivery, of `log.ts`. */
export const logPart: EnginePart<'log'> = {
  capability: 'log',
  lacking: 'it has no log',
  tests({ check, expect }) {
    check('gives publications of a channel the offsets 1, 2, 3 in one epoch', async log => {
      const done = await Promise.all(Array.from({ length: 20 }, (_, i) => log.publish('a', bytes(i), KEPT)))
      expect(done.map(({ offset }) => offset)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
      expect(new Set(done.map(({ epoch }) => epoch)).size).toBe(1)
      expect(done.some(({ duplicate }) => duplicate)).toBe(false)
      expect((await log.publish('b', bytes(1))).offset).toBe(1)
    })

    check('delivers what is published, in order, to every subscriber, kept or not', async log => {
      const listeners = [listener(), listener()]
      for (const { handler } of listeners) await log.subscribe('a', handler)
      const options = [KEPT, {}, { size: 1 }]
      await Promise.all(Array.from({ length: 30 }, (_, i) => log.publish('a', bytes(i), options[i % 3])))
      const all = Array.from({ length: 30 }, (_, i) => [i + 1, i])
      for (const { heard } of listeners) expect(await heard.atLeast(30)).toEqual(all)
    })

    check('delivers entries as they were published', async log => {
      const heard = new Heard<LogEntry>()
      await log.subscribe('a', { ...ignore, entry: heard.add })
      const payload = bytes(1, 2, 3)
      const publishing = log.publish('a', payload, { ...KEPT, key: 'once' })
      payload.fill(9)
      await publishing
      await log.publish('a', new Uint8Array(0), KEPT)
      const [first, second] = await heard.atLeast(2)
      expect([[...first!.payload], first!.key, first!.offset]).toEqual([[1, 2, 3], 'once', 1])
      expect([[...second!.payload], second!.key, second!.offset]).toEqual([[], undefined, 2])
      expect(first!.time <= second!.time).toBe(true)
      const kept = (await log.history('a')).entries
      expect(kept.map(entry => [[...entry.payload], entry.key, entry.time])).toEqual([
        [[1, 2, 3], 'once', first!.time],
        [[], undefined, second!.time],
      ])
    })

    check('does not call the handler within publish', async log => {
      let within = false
      const { heard, handler } = listener()
      const seen: boolean[] = []
      const note: LogHandler['entry'] = entry => {
        seen.push(within)
        handler.entry(entry)
      }
      await log.subscribe('a', { ...handler, entry: note })
      within = true
      const publishing = log.publish('a', bytes(1))
      within = false
      await publishing
      await heard.atLeast(1)
      expect(seen).toEqual([false])
    })

    check('keeps the order for all when a handler publishes', async log => {
      const { heard, handler } = listener()
      const again = new Heard<unknown>()
      await log.subscribe('a', {
        ...ignore,
        entry: ({ offset }) => offset < 5 && void log.publish('a', bytes(offset), KEPT).then(again.add),
      })
      await log.subscribe('a', handler)
      await log.publish('a', bytes(0), KEPT)
      expect(await heard.atLeast(5)).toEqual([0, 1, 2, 3, 4].map(value => [value + 1, value]))
      await again.atLeast(4)
    })

    check('goes on after a handler that throws, and tells of it', async (log, { engine }) => {
      const faults = new Heard<unknown>()
      engine.on('fault', faults.add)
      const fault = new Error('a bad handler')
      await log.subscribe('a', {
        ...ignore,
        entry() {
          throw fault
        },
      })
      const { heard, handler } = listener()
      await log.subscribe('a', handler)
      await fill(log, 'a', 1, 3)
      expect(await heard.atLeast(3)).toEqual([1, 2, 3].map(value => [value, value]))
      expect((await faults.atLeast(3))[0]).toBe(fault)
    })

    check('delivers nothing to a subscription that has been closed', async log => {
      const gone = listener()
      const stays = listener()
      const subscription = await log.subscribe('a', gone.handler)
      await log.subscribe('a', stays.handler)
      await fill(log, 'a', 1, 2)
      await gone.heard.atLeast(2)
      subscription.close()
      subscription.close()
      await fill(log, 'a', 3, 4)
      await stays.heard.atLeast(4)
      expect(gone.heard.items.length).toBe(2)
    })

    check('publishes once with one key, and gives the same answer each time', async log => {
      const { heard, handler } = listener()
      await log.subscribe('a', handler)
      const options = { ...KEPT, key: 'order 7' }
      const calls = await Promise.all([1, 2, 3].map(value => log.publish('a', bytes(value), options)))
      expect(calls.map(({ offset, duplicate }) => [offset, duplicate])).toEqual([
        [1, false],
        [1, true],
        [1, true],
      ])
      expect(new Set(calls.map(({ epoch }) => epoch)).size).toBe(1)
      expect((await log.publish('b', bytes(4), options)).duplicate).toBe(false)
      expect((await log.publish('a', bytes(5), { ...KEPT, key: 'order 8' })).offset).toBe(2)
      expect(await heard.atLeast(2)).toEqual([
        [1, 1],
        [2, 5],
      ])
      expect(brief((await log.history('a')).entries)).toEqual([
        [1, 1],
        [2, 5],
      ])
    })

    check('remembers a key for five minutes, and for nothing kept', async (log, subject) => {
      const options = { key: 'once' }
      await log.publish('a', bytes(1), options)
      if (subject.advance) {
        subject.advance(299_999)
        expect((await log.publish('a', bytes(2), options)).duplicate).toBe(true)
        subject.advance(1)
        expect((await log.publish('a', bytes(3), options)).offset).toBe(2)
      }
      expect((await log.publish('a', bytes(4), options)).duplicate).toBe(true)
    })

    check('begins a new epoch when a channel is removed, and tells its subscribers', async log => {
      const { heard, handler } = listener()
      const before = await log.publish('a', bytes(1), { ...KEPT, key: 'once' })
      await log.subscribe('a', handler)
      await log.remove('a')
      await log.remove('never')
      const after = await log.publish('a', bytes(2), { ...KEPT, key: 'once' })
      expect(after.epoch === before.epoch).toBe(false)
      expect([after.offset, after.duplicate]).toEqual([1, false])
      expect(brief((await log.history('a')).entries)).toEqual([[1, 2]])
      expect(await heard.atLeast(2)).toEqual([
        ['epoch', 0],
        [1, 2],
      ])
    })

    check('refuses what is no name, payload, option or position', async log => {
      const long = 'c'.repeat(513)
      const calls = [
        log.publish('', bytes(1)),
        log.publish(long, bytes(1)),
        log.publish('half \ud83d', bytes(1)),
        log.publish('a', 'text' as never),
        log.publish('a', new Uint8Array(2 ** 24 + 1)),
        log.publish('a', bytes(1), { size: -1 }),
        log.publish('a', bytes(1), { size: 1, ttl: 0 }),
        log.publish('a', bytes(1), { key: '' }),
        log.publish('a', bytes(1), { key: long }),
        log.subscribe(long, ignore),
        log.subscribe('a', {} as never),
        log.subscribe('a', ignore, { since: { epoch: 'e', offset: -1 } }),
        log.subscribe('a', ignore, { limit: 0 }),
        log.history('', {}),
        log.history('a', { since: { offset: 1 } as never }),
        log.history('a', { limit: 1.5 }),
        log.remove(''),
      ]
      expect(await Promise.all(calls.map(refusal))).toEqual(calls.map(() => 'INVALID_ARGUMENTS'))
      expect((await log.history('a')).position.offset).toBe(0)
    })

    check('takes payloads of up to 16 MiB', async log => {
      const largest = new Uint8Array(2 ** 24).fill(7)
      await log.publish('a', largest, { size: 1 })
      const [entry] = (await log.history('a')).entries
      expect(Buffer.compare(entry!.payload, largest)).toBe(0)
    })

    check(
      'settles what is under way when it closes, and is unavailable and silent then',
      async (log, subject) => {
        const { heard, handler } = listener()
        await log.subscribe('a', handler)
        const calls = Array.from({ length: 20 }, (_, i) => log.publish('a', bytes(i), KEPT))
        const closing = subject.engine.close()
        const count = heard.items.length
        const results = await Promise.allSettled(calls)
        await closing
        for (const result of results) {
          if (result.status === 'rejected') expect(result.reason.code).toBe('ENGINE_UNAVAILABLE')
        }
        expect(heard.items.length).toBe(count)
        const late = [
          log.publish('a', bytes(1)),
          log.subscribe('a', ignore),
          log.history('a'),
          log.remove('a'),
        ]
        expect(await Promise.all(late.map(refusal))).toEqual(late.map(() => 'ENGINE_UNAVAILABLE'))
      },
    )
  },
}
