import { describe, expect, test, vi } from 'vitest'
import { benchmark } from './load-module.js'

interface Bound {
  readonly name: string
  readonly measure: string
  readonly of: string
  readonly typical: number
  readonly most: number
}
type Measured = (measure: string, rows: ReadonlySet<string>) => Promise<Record<string, number[]>>
interface Verdict {
  readonly passed: boolean
  readonly report: string
  readonly results: readonly {
    readonly ratios: readonly number[]
    readonly ratio: number
    readonly passed: boolean
  }[]
}

const { judged } = await benchmark<{
  judged(bounds: readonly Bound[], measured: Measured): Promise<Verdict>
}>('check.js')

const calls = { name: 'calls', measure: 'rpc', of: 'ws', typical: 0.5, most: 0.8 }
const slow = { name: 'calls', measure: 'rpc', of: 'socket.io', typical: 0.2, most: 0.4 }

describe('the guard', () => {
  test('passes what is within its bound, measured once', async () => {
    const measured = vi.fn<Measured>(async () => ({ ws: [0.5, 0.6, 3], 'socket.io': [0.2, 0.4, 0.4] }))
    const { passed, report } = await judged([calls, slow], measured)
    expect(passed).toBe(true)
    expect(measured).toHaveBeenCalledExactlyOnceWith('rpc', new Set(['socketstream', 'ws', 'socket.io']))
    expect(report).toMatch(/^\| calls \| ws +\| +0.60 \| +0.8 \| +0.5 \| +3 \| pass \|$/m)
    expect(report).not.toContain('WORSE')
  })

  test('fails on a ratio that stays over its bound, with the ratio and the bound', async () => {
    const measured = vi.fn<Measured>(async () => ({ ws: [0.5], 'socket.io': [0.5] }))
    const { passed, report, results } = await judged([calls, slow], measured)
    expect(passed).toBe(false)
    expect(results.map(result => result.passed)).toEqual([true, false])
    expect(measured.mock.calls.map(([, rows]) => [...rows])).toEqual([
      ['socketstream', 'ws', 'socket.io'],
      ['socketstream', 'socket.io'],
      ['socketstream', 'socket.io'],
    ])
    expect(report).toContain('calls costs 0.50 of socket.io, at most 0.4 allowed, 0.2 when the bound was set')
  })

  test('lets noise pass: what is over its bound is measured again, and all rounds count', async () => {
    const rounds = [[0.9, 0.9], [0.5, 0.6, 0.7], []]
    const { passed, results } = await judged([calls], async () => ({ ws: rounds.shift() ?? [] }))
    expect(passed).toBe(true)
    expect(results[0]).toMatchObject({ ratios: [0.9, 0.9, 0.5, 0.6, 0.7], ratio: 0.7 })
    expect(rounds).toEqual([[]])
  })

  test('fails when there is nothing to judge by', async () => {
    const { passed } = await judged([calls], async () => ({}))
    expect(passed).toBe(false)
  })

  test('has bounds for ratios that are wider than what is typical', async () => {
    const { default: bounds } = await import('../../benchmarks/bounds.json', { with: { type: 'json' } })
    expect(bounds.length).toBeGreaterThan(4)
    for (const { typical, most, of } of bounds as Bound[]) {
      expect(['ws', 'socket.io']).toContain(of)
      expect(most / typical).toBeGreaterThanOrEqual(1.25)
      expect(most / typical).toBeLessThanOrEqual(2)
    }
  })
})
