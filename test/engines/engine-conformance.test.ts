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
  const bare = namesOf(() => ({ engine: { name: 'bare', close: async () => undefined } }))
  expect(bare.run).toEqual([])
  expect(bare.skipped.length).toBeGreaterThan(10)
  for (const name of bare.skipped) expect(name).toContain('(skipped: it has no key-value store)')
})

test('the suite skips nothing else', () => {
  const whole = namesOf(() => ({ engine: memory(), reopen: memory }))
  expect(whole.skipped).toEqual([])
  expect(namesOf(() => ({ engine: memory() })).skipped).toEqual([
    'keeps entries and versions over a restart (skipped: it keeps nothing past its end)',
  ])
})
