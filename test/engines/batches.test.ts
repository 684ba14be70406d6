import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Batches } from '../../src/engines/batches.js'
import { eachMessage } from '../../src/engines/redis-messages.js'
import { Outbox } from '../../src/engines/redis-outbox.js'

const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ place: fc.nat(2), bytes: fc.nat(100_000) }) },
  { weight: 1, arbitrary: fc.constant('flush' as const) },
)

describe('batches', () => {
  test('keep the order of each place, and their bounds', () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 600 }), async steps => {
        const sent: { id: number; place: number }[] = []
        const batches = new Batches<number, { id: number; bytes: number }>((items, place) => {
          const bytes = items.reduce((sum, item) => sum + item.bytes, 0)
          expect(items.length).toBeLessThanOrEqual(128)
          expect(items.length === 1 || bytes <= 256 * 1024).toBe(true)
          for (const { id } of items) sent.push({ id, place })
        })
        const added: typeof sent = []
        for (const [id, one] of steps.entries()) {
          if (one === 'flush') {
            batches.flush()
            expect(sent.length).toBe(added.length)
          } else {
            batches.add(one.place, { id, bytes: one.bytes }, one.bytes)
            added.push({ id, place: one.place })
          }
        }
        await new Promise(resolve => setImmediate(resolve))
        for (const place of [0, 1, 2]) {
          const of = (list: typeof sent) => list.filter(each => each.place === place)
          expect(of(sent)).toEqual(of(added))
        }
      }),
      { numRuns: 30 },
    ))

  test('take along what is added by whoever waited for a promise of this turn', async () => {
    const sent: number[][] = []
    const batches = new Batches<string, number>(items => void sent.push([...items]))
    const first = Promise.resolve()
    const all = [1, 2, 3].map(item => first.then(() => batches.add('a', item, 1)))
    await Promise.all(all)
    await new Promise(resolve => setImmediate(resolve))
    expect(sent).toEqual([[1, 2, 3]])
  })
})

const sending = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      topic: fc.constantFrom('a', 'b', 'c'),
      size: fc.oneof(fc.nat(100), fc.nat(100_000)),
    }),
  },
  { weight: 1, arbitrary: fc.constant('flush' as const) },
)

describe('the outbox of the bus', () => {
  test('keeps the order of each topic, its bounds, and each message as it was when it was added', () =>
    fc.assert(
      fc.asyncProperty(fc.array(sending, { maxLength: 300 }), async steps => {
        const sent: { topic: string; bytes: Buffer }[] = []
        const outbox = new Outbox((topic, batch) => {
          let count = 0
          eachMessage(batch.bytes, message => {
            sent.push({ topic, bytes: Buffer.from(message) })
            count++
          })
          expect(count).toBe(batch.count)
          expect(count === 1 || batch.bytes.length <= 256 * 1024).toBe(true)
          batch.resolve(true)
        })
        const added: typeof sent = []
        const heard: Promise<boolean>[] = []
        for (const [id, one] of steps.entries()) {
          if (one === 'flush') {
            outbox.flush()
            expect(sent.length).toBe(added.length)
          } else {
            const bytes = Buffer.alloc(one.size, id)
            heard.push(outbox.add(one.topic, bytes))
            added.push({ topic: one.topic, bytes: Buffer.from(bytes) })
            bytes.fill(255)
          }
        }
        expect((await Promise.all(heard)).every(each => each)).toBe(true)
        for (const topic of ['a', 'b', 'c']) {
          const of = (list: typeof sent) => list.filter(each => each.topic === topic)
          expect(of(sent).length).toBe(of(added).length)
          for (const [at, { bytes }] of of(sent).entries()) {
            expect(Buffer.compare(bytes, of(added)[at]!.bytes)).toBe(0)
          }
        }
      }),
      { numRuns: 30 },
    ))

  test('has one promise for a batch, and another one for the next', async () => {
    const outcomes = [true, false]
    const outbox = new Outbox((_topic, batch) => batch.resolve(outcomes.shift() === true))
    const first = outbox.add('a', new Uint8Array(1))
    expect(outbox.add('a', new Uint8Array(1))).toBe(first)
    outbox.flush()
    const second = outbox.add('a', new Uint8Array(1))
    expect(await Promise.all([first, second])).toEqual([true, false])
  })

  test('rejects all of a batch that was not sent', async () => {
    const outbox = new Outbox((_topic, batch) => batch.reject(new Error('away')))
    const all = await Promise.allSettled([
      outbox.add('a', new Uint8Array(1)),
      outbox.add('a', new Uint8Array(2)),
    ])
    expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  })
})

describe('messages of the bus', () => {
  test('are what they were once they are taken apart', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), messages => {
        const heard: number[][] = []
        const outbox = new Outbox((_topic, { bytes }) =>
          eachMessage(bytes, message => heard.push([...message])),
        )
        for (const message of messages) outbox.add('a', message)
        outbox.flush()
        expect(heard).toEqual(messages.map(message => [...message]))
      }),
    )
  })

  test('end where the bytes are none', () => {
    fc.assert(
      fc.property(fc.uint8Array(), bytes => {
        let size = 0
        eachMessage(Buffer.from(bytes), message => {
          size += 4 + message.length
        })
        expect(size).toBeLessThanOrEqual(bytes.length)
      }),
    )
  })
})
