import { expect, test } from 'vitest'
import { faultLink, testServer } from '../../src/testing/index.js'
import { type CourseServer, courseServer, random, runCourse } from './course.js'

/** Courses of events, each by its seed: replay one with `SEED=n`. */
const SEEDS = Number(process.env.SEEDS ?? 1000)
const FIRST = Number(process.env.SEED ?? 1)
/** Courses of one test, so that a failure names few. */
const BATCH = 100

/** A course in memory and virtual time; how often one was resumed. */
async function course(seed: number): Promise<number> {
  const next = random(seed)
  const pick = (below: number) => Math.floor(next() * below)
  const faults = faultLink({
    seed,
    delay: [0, 5 + pick(40)],
    cut: next() * 0.06,
    halfClose: next() * 0.02,
    blackHole: next() * 0.01,
  })
  // Some windows are so short that clients come back too late.
  const window = [500, 3000, 120_000][pick(3)]!
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
        client: () => kit.client({ faults, timeout: 20_000 }),
        calm() {
          faults.chances()
          faults.delay(0)
        },
        settle: () => advance(180_000),
      },
      String(seed),
      next,
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
      try {
        resumed += await course(seed)
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
    }
    // As often as not, or it would be the other way that is tested.
    expect(resumed).toBeGreaterThan((to - from) / 2)
  }, 60_000)
}
