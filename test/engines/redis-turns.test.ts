import { EventEmitter } from 'node:events'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { RedisClustered } from '../../src/engines/redis-clustered.js'
import { slotOf } from '../../src/engines/redis-slots.js'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const DOWN = 'CLUSTERDOWN The cluster is down'
/** Milliseconds from a command to its answer. */
const WAY = 10
const DEADLINE = 1000

/** A cluster client, and what its servers have done. */
class FakeCluster extends EventEmitter {
  readonly isReady = true
  readonly slots = []
  readonly masters = []
  /** Slots whose commands are refused, with what. */
  readonly refusals = new Map<number, string>()
  readonly done: string[] = []
  sent = 0

  async connect() {}
  destroy() {}

  /** As on one connection: half way there, half way back. */
  async sendCommand(key: string, _isReadonly: boolean, words: readonly string[]) {
    this.sent++
    await new Promise(resolve => setTimeout(resolve, WAY / 2))
    const refusal = this.refusals.get(slotOf(key))
    if (!refusal) this.done.push(words.at(-1)!)
    await new Promise(resolve => setTimeout(resolve, WAY / 2))
    if (refusal) throw new Error(refusal)
    return words.at(-1)
  }
}

function clustered() {
  const cluster = new FakeCluster()
  const client = { nodeByAddress: new Map(), duplicate: () => cluster }
  const wire = new RedisClustered(client, DEADLINE, { ready() {}, heard() {}, again() {}, failed() {} })
  const outcomes = new Map<string, string>()
  const send = (key: string, name: string, command = 'EVALSHA') =>
    wire.send(key, [command, 'digest', name]).then(
      () => outcomes.set(name, 'done'),
      error => outcomes.set(name, error.message),
    )
  return { cluster, wire, outcomes, send }
}

test('a command that is put off is not overtaken by later ones of its slot', async () => {
  const { cluster, wire, outcomes, send } = clustered()
  cluster.refusals.set(slotOf('a'), DOWN)
  void send('a', '1')
  await vi.advanceTimersByTimeAsync(WAY)
  cluster.refusals.clear()
  for (const name of ['2', '3']) void send('a', name)
  void send('other', 'of another slot')
  void send('a', 'never repeated', 'SPUBLISH')
  await vi.advanceTimersByTimeAsync(DEADLINE)
  expect(cluster.done).toEqual(['of another slot', 'never repeated', '1', '2', '3'])
  expect(new Set(outcomes.values())).toEqual(new Set(['done']))
  wire.destroy()
})

test('a command that was overtaken on its way fails, and is not done after all', async () => {
  const { cluster, wire, outcomes, send } = clustered()
  cluster.refusals.set(slotOf('a'), DOWN)
  void send('a', '1')
  await vi.advanceTimersByTimeAsync(WAY / 2)
  cluster.refusals.clear()
  void send('a', '2')
  await vi.advanceTimersByTimeAsync(DEADLINE)
  expect(cluster.done).toEqual(['2'])
  expect([...outcomes].sort()).toEqual([
    ['1', DOWN],
    ['2', 'done'],
  ])
  wire.destroy()
})

test('one command at a time asks whether a slot is served again, until the deadline of each', async () => {
  const { cluster, wire, outcomes, send } = clustered()
  cluster.refusals.set(slotOf('a'), DOWN)
  for (let i = 0; i < 100; i++) void send('a', `${i}`)
  await vi.advanceTimersByTimeAsync(DEADLINE / 2)
  expect(cluster.sent).toBeLessThan(100 + DEADLINE / 2 / 50)
  void send('a', 'later')
  await vi.advanceTimersByTimeAsync(DEADLINE / 2 + 200)
  expect([outcomes.size, new Set(outcomes.values())]).toEqual([100, new Set([DOWN])])
  cluster.refusals.clear()
  await vi.advanceTimersByTimeAsync(DEADLINE)
  expect([cluster.done, outcomes.get('later')]).toEqual([['later'], 'done'])
  wire.destroy()
  // Only the look at where channels are is over with it, and nothing is repeated.
  expect(vi.getTimerCount()).toBe(0)
})

test('commands of each slot are done in the order in which they were sent, whatever is refused', async () => {
  const keys = ['a', 'b']
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ send: fc.constantFrom(...keys) }) },
    {
      weight: 2,
      arbitrary: fc.record({
        slot: fc.constantFrom(...keys),
        refusal: fc.constantFrom(undefined, DOWN, 'TRYAGAIN Multiple keys', 'LOADING Redis is loading'),
      }),
    },
    { weight: 3, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 60 }) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async steps => {
      const { cluster, wire, outcomes, send } = clustered()
      const sent: string[] = []
      for (const each of steps) {
        if ('send' in each) {
          const name = `${each.send} ${String(sent.length).padStart(3, '0')}`
          sent.push(name)
          void send(each.send, name)
        } else if ('wait' in each) await vi.advanceTimersByTimeAsync(each.wait)
        else if (each.refusal) cluster.refusals.set(slotOf(each.slot), each.refusal)
        else cluster.refusals.delete(slotOf(each.slot))
      }
      await vi.advanceTimersByTimeAsync(3 * DEADLINE)
      for (const key of keys) {
        const ofKey = cluster.done.filter(name => name.startsWith(key))
        expect(ofKey).toEqual([...ofKey].sort())
      }
      expect(outcomes.size).toBe(sent.length)
      const done = [...outcomes].filter(([, outcome]) => outcome === 'done').map(([name]) => name)
      expect([...cluster.done].sort()).toEqual(done.sort())
      wire.destroy()
    }),
    { numRuns: 300 },
  )
})
