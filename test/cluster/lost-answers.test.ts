import { expect, onTestFinished, test } from 'vitest'
import { memory } from '../../src/engines/memory.js'
import { virtualTime } from '../../src/testing/index.js'
import { away, through } from './engine-faults.js'
import { startNode } from './support.js'

const LEASE = 1500

/** A server whose outcomes of calls are kept by an engine that fails as it is told, and work that takes some time. */
async function start(fails: (name: string, nth: number) => 'before' | 'after' | undefined) {
  const time = virtualTime()
  onTestFinished(() => time.restore())
  const engine = memory()
  onTestFinished(() => engine.close())
  const counts: Record<string, number> = {}
  const own = through(engine, async (name, call, [key]) => {
    if (!name.startsWith('kv.') || !String(key).startsWith('$cluster:once')) return call()
    counts[name] = (counts[name] ?? 0) + 1
    const how = fails(name.slice(3), counts[name])
    if (how === 'before') throw away()
    const result = await call()
    if (how === 'after') throw away()
    return result
  })
  const { app } = await time.until(startNode(own.engine, { cluster: { lease: LEASE, deadline: 60_000 } }))
  const state = { runs: 0 }
  const work = async () => {
    const run = ++state.runs
    await new Promise(resolve => setTimeout(resolve, 700))
    return `run ${run}`
  }
  app.cluster.answer('work', work)
  const things = app.cluster.keyed('thing', { start: () => ({ call: work }) })
  const once = { idempotencyKey: 'k' }
  const calls = {
    call: () => app.cluster.call('work', 1, once),
    keyed: () => things.call('a', 1, once),
  }
  return { time, state, calls, counts }
}

// The first write reserves the key, the second renews it, the third is the outcome.
const FAILURES = {
  'a renewal takes effect, and its answer is lost': { set: { 2: 'after' } },
  'and what stands there cannot be read then': { set: { 2: 'after' }, get: { 1: 'before' } },
  'the outcome is written, and the answer to that is lost': { set: { 3: 'after' } },
  'the outcome is written the second time': { set: { 3: 'before' } },
  'and nothing can be read in between': { set: { 3: 'before' }, get: { 1: 'before' } },
  'the outcome is written, and neither is told': { set: { 3: 'after' }, get: { 1: 'before' } },
} as const

test.each(
  Object.keys(FAILURES).flatMap(what => (['call', 'keyed'] as const).map(kind => [kind, what] as const)),
)('a %s with an idempotency key runs once: %s', async (kind, what) => {
  const failures = FAILURES[what as keyof typeof FAILURES] as Record<
    string,
    Record<number, 'before' | 'after'>
  >
  const { time, state, calls } = await start((name, nth) => failures[name]?.[nth])
  expect(await time.until(calls[kind]())).toBe('run 1')
  await time.advance(2 * LEASE)
  expect(await time.until(calls[kind]())).toBe('run 1')
  expect(state.runs).toBe(1)
})

test('an outcome that cannot be kept is told all the same', async () => {
  const { time, calls } = await start((name, nth) => (name === 'set' && nth >= 3 ? 'before' : undefined))
  expect(await time.until(calls.call())).toBe('run 1')
})
