import { expect, test } from 'vitest'
import { benchmark } from './load-module.js'

interface Plan {
  readonly kind: string
  readonly what: string
  readonly warm: number
  readonly batch: number
  readonly batches: number
  readonly limit: number
}
interface Outcome extends Plan {
  readonly heaps: readonly number[]
  readonly bytesEach: number
  readonly flat: boolean
}
const { measureLeak } = await benchmark<{
  measureLeak(plan: Plan, progress: (line: string) => void): Promise<Outcome>
}>('leaks/measure.js')

/** Bytes for each unit: the heap's own unrest is less, what a connection leaves behind by mistake is more. */
const CONNECTION = 2000
const MESSAGE = 20
/** Milliseconds, for machines that have other work. */
const PATIENCE = 60_000

test.concurrent.each([
  ['returns', 200, 200, CONNECTION],
  ['messages', 5000, 5000, MESSAGE],
])(
  '%s leave the heap flat',
  async (kind, warm, batch, limit) => {
    const { bytesEach, heaps, flat } = await measureLeak(
      { kind, what: kind, warm, batch, batches: 6, limit },
      () => {},
    )
    expect(heaps).toHaveLength(6)
    expect(bytesEach).toBeLessThan(limit)
    expect(flat).toBe(true)
  },
  PATIENCE,
)

test.concurrent(
  'a leak is seen',
  async () => {
    const { bytesEach, flat } = await measureLeak(
      {
        kind: 'leaking',
        what: 'clients that are kept',
        warm: 200,
        batch: 200,
        batches: 6,
        limit: CONNECTION,
      },
      () => {},
    )
    expect(bytesEach).toBeGreaterThan(CONNECTION)
    expect(flat).toBe(false)
  },
  PATIENCE,
)
