import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { revive } from './corpus.js'
import { allTargets, type Target } from './targets.js'

/** Fixed, so that what fails here fails again; `npm run fuzz` takes another each time. */
const SEED = 20_260_101
/** Inputs in short, by target: what its pace allows. */
const RUNS: Record<string, number> = { codecs: 4000, names: 500, frames: 300, http: 300 }

const corpus = join(import.meta.dirname, 'corpus')
const unhandled: unknown[] = []
const note = (reason: unknown): void => void unhandled.push(reason)
let targets: ReadonlyMap<string, Target>
beforeAll(async () => {
  process.on('unhandledRejection', note)
  targets = new Map((await allTargets()).map(target => [target.name, target]))
})
afterAll(async () => {
  await Promise.all([...targets.values()].map(target => target.close()))
  process.off('unhandledRejection', note)
})

describe('whatever a hostile client sends', () => {
  test.each(Object.keys(RUNS))(
    'to %s is refused with a code or served, and everybody else is',
    async name => {
      const target = targets.get(name)!
      await fc.assert(
        fc.asyncProperty(target.inputs, async input => target.run(input)),
        { seed: SEED, numRuns: RUNS[name]!, endOnFailure: true },
      )
      target.reached()
      expect(unhandled).toEqual([])
    },
  )

  test.each(readdirSync(corpus))('that was kept in %s does no harm any more', async file => {
    const kept = JSON.parse(readFileSync(join(corpus, file), 'utf8')) as { target: string; inputs: unknown[] }
    const target = targets.get(kept.target)
    expect(target, `a target ${kept.target}`).toBeDefined()
    expect(kept.inputs.length).toBeGreaterThan(0)
    for (const input of kept.inputs) await target!.run(revive(input))
    expect(unhandled).toEqual([])
  })
})
