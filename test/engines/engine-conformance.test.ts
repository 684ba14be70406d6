import { expect, test } from 'vitest'
import { memory } from '../../src/engines/memory.js'
import { type EngineSubject, engineConformance } from '../../src/testing/index.js'

/** The names of the tests that the suite would run and skip. */
function namesOf(setup: () => EngineSubject) {
  const run: string[] = []
  const skipped: string[] = []
  const record = Object.assign((name: string) => void run.push(name), {
    skip: (name: string) => void skipped.push(name),
  })
  engineConformance('mine', setup, { describe: (_name, body) => body(), test: record, expect })
  return { run, skipped }
}

test('the suite skips what an engine lacks, and says why', () => {
  const bare = namesOf(() => ({
    engine: { name: 'bare', on: () => () => undefined, close: async () => undefined },
  }))
  expect(bare.run).toEqual([])
  const reasons = new Map<string, number>()
  for (const name of bare.skipped) {
    const reason = /\(skipped: (it has .*)\)$/.exec(name)?.[1] ?? name
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  }
  expect([...reasons.keys()].sort()).toEqual([
    'it has no bus',
    'it has no key-value store',
    'it has no leases',
    'it has no limiter',
    'it has no log',
    'it has no occupancy',
    'it has no presence',
  ])
  for (const count of reasons.values()) expect(count).toBeGreaterThan(4)
})

test('the suite skips nothing else', () => {
  const whole = namesOf(() => ({ engine: memory(), reopen: memory }))
  expect(whole.skipped).toEqual([])
  expect(namesOf(() => ({ engine: memory() })).skipped).toEqual([
    'keeps entries and versions over a restart (skipped: it keeps nothing past its end)',
    'keeps positions and histories over a restart, or begins a new epoch (skipped: it keeps nothing past its end)',
    'keeps leases and their tokens growing over a restart (skipped: it keeps nothing past its end)',
  ])
})
