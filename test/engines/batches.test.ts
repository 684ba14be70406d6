import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Batches } from '../../src/engines/batches.js'
import { eachMessage, joinMessages } from '../../src/engines/redis-messages.js'

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

describe('messages of the bus', () => {
  test('are what they were once they are taken apart', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), messages => {
        const heard: number[][] = []
        eachMessage(joinMessages(messages), message => heard.push([...message]))
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
