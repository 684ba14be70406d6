import { describe, expect, test } from 'vitest'
import { benchmark } from './load-module.js'

interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}
interface Line {
  readonly name: string
  readonly of: 'cpu' | 'memory'
  readonly each: Spread
  readonly control?: string
  readonly ofControl?: Spread & { readonly noisy: boolean }
}
interface Measured {
  readonly units: { readonly rounds: number; readonly lines: readonly Line[] } & Record<string, unknown>
}

const { measureUnits, unitsReport } = await benchmark<{
  measureUnits(quick: boolean, progress: (line: string) => void): Promise<Measured>
  unitsReport(measured: Measured): string
}>('cluster/units.js')
const { times } = await benchmark<{
  times(count: number, together: number, one: (at: number) => Promise<unknown>): Promise<void>
}>('cluster/unit-bench.js')
const { noRedis } = await benchmark<{ noRedis(): string | undefined }>('sessions/redis.js')

/** In CI it is there, or this fails. */
const missing = process.env.CI ? undefined : noRedis()

describe('what single things take of Redis', () => {
  test.skipIf(missing !== undefined)(
    'is measured beside bare commands',
    async () => {
      const told: string[] = []
      const measured = await measureUnits(true, line => told.push(line))
      const { lines } = measured.units
      expect(told[0]).toMatch(/^round 1 of 1: units, PUBLISH, one at a time: [\d.]+ µs$/)
      expect(told.at(-1)).toMatch(/^round 1 of 1: units, member of presence: [\d.]+ bytes$/)
      const named = new Map(lines.map(line => [line.name, line]))
      for (const { name, each, control } of lines) {
        // A difference of two figures, which is small in a quick run.
        if (!name.startsWith('each ')) expect(each.min, name).toBeGreaterThan(0)
        if (control !== undefined) expect(named.get(control)?.of, name).toBe(named.get(name)?.of)
      }
      // What Redis allocates depends little on what else the machine does.
      const bytes = (name: string) => named.get(name)?.each.median
      expect(bytes('channel with its first entry')).toBeGreaterThan(4000)
      expect(bytes('channel with its first entry')).toBeLessThan(6000)
      expect(named.get('member of presence')?.ofControl?.median).toBeGreaterThan(1)

      const report = unitsReport(measured)
      expect(report).toMatch(/^\| publication, one at a time +\| +[\d.]+ \|/m)
      expect(report).toMatch(/^\| each server that hears, of 20 +\| +-?[\d.]+ \|/m)
      expect(report).toMatch(/^\| each entry more, up to 100 +\| +\d+ \|/m)
    },
    60_000,
  )

  test('many are done so many at once, each once and in order', async () => {
    const done: number[] = []
    let under = 0
    let most = 0
    await times(7, 3, async at => {
      done.push(at)
      most = Math.max(most, ++under)
      await Promise.resolve()
      under--
    })
    expect(done).toEqual([0, 1, 2, 3, 4, 5, 6])
    expect(most).toBe(3)
  })
})
