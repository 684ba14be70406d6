import fc from 'fast-check'
import { expect, test } from 'vitest'
import { faultLink, testServer } from '../../src/testing/index.js'
import { type CourseServer, courseServer, runCourse, steps, talk } from './course.js'

/** Courses of events, each by its seed: replay one with `SEED=n`. */
const SEEDS = Number(process.env.SEEDS ?? 1000)
const FIRST = Number(process.env.SEED ?? 1)
/** Courses of one test, so that a failure names few. */
const BATCH = 100
/** Milliseconds after which a course that fails is not made smaller any more. */
const SHRINKING = 30_000

/** A course, and what its links do, in thousandths. */
const courses = fc.record({
  steps,
  delay: fc.integer({ min: 5, max: 44 }),
  cut: fc.nat(60),
  halfClose: fc.nat(20),
  blackHole: fc.nat(10),
  // Some are so short that clients come back too late.
  window: fc.constantFrom(120_000, 3000, 500),
})
type Course = typeof courses extends fc.Arbitrary<infer Value> ? Value : never

/** A course in memory and virtual time; how often one was resumed. */
async function run(seed: number, { steps, window, delay, ...chances }: Course): Promise<number> {
  const faults = faultLink({
    seed,
    delay: [0, delay],
    cut: chances.cut / 1000,
    halfClose: chances.halfClose / 1000,
    blackHole: chances.blackHole / 1000,
  })
  let server!: CourseServer
  const kit = await testServer(
    transport => {
      server = courseServer(
        { transport, resume: { window } },
        ms => new Promise(done => setTimeout(done, ms)),
      )
      return server.app
    },
    { seed },
  )
  const { advance, until } = kit
  try {
    return await runCourse(
      {
        ...server,
        advance,
        until,
        client: () => kit.client({ faults, timeout: 20_000, services: { talk } }),
        calm() {
          faults.chances()
          faults.delay(0)
        },
        settle: () => advance(180_000),
      },
      String(seed),
      steps,
    )
  } finally {
    await kit.stop()
  }
}

for (let from = FIRST; from < FIRST + SEEDS; from += BATCH) {
  const to = Math.min(from + BATCH, FIRST + SEEDS)
  test(`everything arrives once and in order, or is told to have failed: seeds ${from} to ${to - 1}`, async () => {
    let resumed = 0
    for (let seed = from; seed < to; seed++) {
      const holds = fc.asyncProperty(courses, async course => {
        resumed += await run(seed, course)
      })
      await fc.assert(holds, { seed, numRuns: 1, unbiased: true, skipAllAfterTimeLimit: SHRINKING })
    }
    // As often as not, or it would be the other way that is tested.
    expect(resumed).toBeGreaterThan((to - from) / 2)
  }, 60_000)
}
