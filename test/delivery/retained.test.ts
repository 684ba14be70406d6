import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Outgoing } from '../../src/actors/outgoing.js'
import { isSameUser } from '../../src/actors/resumption.js'
import { Retained, weightOf } from '../../src/actors/retained.js'
import { msgpack } from '../../src/codec/msgpack.js'
import { KIND } from '../../src/protocol/envelope.js'

const codec = msgpack().open(new Map())
const message = (text: string) => new Outgoing(codec, KIND.MESSAGE, 1, 0, text)

describe('what is kept for a client', () => {
  test('is what was sent and not acknowledged, as far as the bytes reach, whatever the order of things', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ add: fc.integer({ min: 0, max: 400 }) }),
        fc.record({ acknowledge: fc.double({ min: 0, max: 1, noNaN: true }) }),
      ),
      { maxLength: 900, size: 'max' },
    )
    fc.assert(
      fc.property(steps, fc.integer({ min: 150, max: 6_000 }), (list, limit) => {
        const retained = new Retained(limit)
        const all: Outgoing[] = []
        let acknowledged = 0
        /** How many of all are not kept any more. */
        let before = 0
        const kept = () => all.slice(before)
        const bytes = () => kept().reduce((sum, outgoing) => sum + weightOf(outgoing), 0)
        for (const step of list) {
          if ('add' in step) {
            const outgoing = message('x'.repeat(step.add))
            all.push(outgoing)
            retained.add(outgoing)
            while (bytes() > limit) before++
          } else {
            const number = Math.floor(step.acknowledge * all.length)
            retained.acknowledge(number)
            acknowledged = Math.max(acknowledged, number)
            before = Math.max(before, acknowledged)
          }
          expect(retained.sent).toBe(all.length)
          expect(retained.acknowledged).toBe(acknowledged)
          expect(retained.bytes).toBe(bytes())
          expect([retained.covers(before), retained.covers(before - 1)]).toEqual([true, false])
        }
        expect(retained.all()).toEqual(kept())
      }),
      { numRuns: 30 },
    )
  })

  test('does not hold the larger buffer that its frame was written into', () => {
    const outgoing = message('small')
    const before = outgoing.frameFor(codec) as Uint8Array
    expect(before.buffer.byteLength).toBeGreaterThan(1_000)
    outgoing.compact()
    const after = outgoing.frameFor(codec) as Uint8Array
    expect(after.buffer.byteLength).toBe(after.length)
    expect([...after]).toEqual([...before])
  })
})

test('two users are one by their ids, or by all that is known of them', () => {
  expect(isSameUser(undefined, undefined)).toBe(true)
  expect(isSameUser('ann', { id: 'ann', since: 1 })).toBe(true)
  expect(isSameUser({ id: 1, at: 1 }, { id: 1, at: 2 })).toBe(true)
  expect(isSameUser({ role: 'a' }, { role: 'a' })).toBe(true)
  expect(isSameUser({ role: 'a' }, { role: 'b' })).toBe(false)
  expect(isSameUser({ id: 'ann' }, undefined)).toBe(false)
  expect(isSameUser(undefined, { id: 'ann' })).toBe(false)
})
