import { describe, expect, test } from 'vitest'
import { benchmark } from './load-module.js'

interface Point {
  readonly label: string
}
interface Workload {
  readonly turns?: number
  [name: string]: unknown
}

const { compare, medians } = await benchmark<{
  medians(turns: readonly Record<string, number>[]): Record<string, number>
  compare(
    bench: object,
    workload: Workload,
    options: object,
  ): Promise<{ figures: Record<string, number[]> }[]>
}>('network/compare.js')

/** A bench whose servers are there without being started. */
const bench = { startWarm: () => Promise.resolve(undefined) }

describe('rounds of the comparison', () => {
  test('a figure of several turns is their median, each by itself', () => {
    const turns = [
      { p50: 1, p99: 90 },
      { p50: 3, p99: 10 },
      { p50: 2, p99: 20 },
    ]
    expect(medians(turns)).toEqual({ p50: 2, p99: 20 })
  })

  test('rows are measured in turns within a round, after one to warm up', async () => {
    const order: string[] = []
    const workload: Workload = {
      name: 'latency',
      metric: 'p99',
      bare: true,
      turns: 3,
      rows: [
        { name: 'a', label: 'a' },
        { name: 'b', label: 'b' },
      ],
      points: [{ label: 'point' }],
      warm: (_bench: object, { name }: { name: string }) => Promise.resolve(order.push(`warm ${name}`)),
      measure(_bench: object, { name }: { name: string }, _point: Point) {
        order.push(name)
        return Promise.resolve({ p99: order.length })
      },
    }
    const lines = await compare(bench, workload, { rounds: 2, warm: 0, progress() {} })
    expect(order.join(' ')).toBe('warm a warm b a b a b a b a b a b a b a b')
    expect(lines.map(({ figures }) => figures.p99)).toEqual([
      [7, 13],
      [8, 14],
    ])
  })
})
