import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { benchmark } from './load-module.js'

interface Line {
  readonly workload: string
  readonly point: string
  readonly tag?: string
  readonly row: string
  readonly figures: Record<string, number[]>
}
interface Judged {
  readonly what: string
  readonly target: string
  readonly value: string
  readonly verdict: string
}

const { ratio, slope, spread } = await benchmark<{
  ratio(own: number[], others: number[]): { median: number; min: number; max: number; noisy: boolean }
  slope(values: number[]): number
  spread(values: number[]): { median: number; min: number; max: number }
}>('report/statistics.js')
const { judge } = await benchmark<{ judge(lines: Line[]): Judged[] }>('network/targets.js')
const { FrameReader, maskedFrame } = await benchmark<{
  FrameReader: new () => { read(chunk: Buffer, body: (body: Buffer) => void): Buffer | undefined }
  maskedFrame(opcode: number, body: Buffer): Buffer
}>('network/frames.js')
const { Latencies } = await benchmark<{
  Latencies: new () => {
    record(milliseconds: number, count?: number): void
    summary(): Record<string, number>
  }
}>('network/latency.js')
const { shares } = await benchmark<{
  shares(profiles: object[]): Record<'parts' | 'functions', [name: string, share: number][]>
}>('profile.js')
const { updatePage } = await benchmark<{
  updatePage(file: string, name: string, report: string, machine: object, charts?: string[]): void
}>('report/page.js')

describe('statistics', () => {
  test('a ratio is taken round by round, and is noisy when its middle half is wide', () => {
    expect(ratio([1, 20, 3], [2, 40, 6])).toEqual({ median: 0.5, min: 0.5, max: 0.5, noisy: false })
    expect(ratio([1, 2, 3], [1, 1, 1])).toEqual({ median: 2, min: 1, max: 3, noisy: true })
    // One round that was disturbed says nothing of the others.
    expect(ratio([1, 1, 1, 1, 9], [1, 1, 1, 1, 1])).toEqual({ median: 1, min: 1, max: 9, noisy: false })
    expect(ratio([1], [0]).noisy).toBe(true)
  })

  test('a slope is that of the line, whatever single values do', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -50, max: 50 }),
        fc.nat(1000),
        fc.nat(19),
        fc.integer(),
        (by, from, at, wrong) => {
          const values = Array.from({ length: 20 }, (_, i) => from + by * i)
          expect(slope(values)).toBe(by)
          expect(slope(values.with(at, wrong))).toBe(by)
        },
      ),
    )
  })

  test('the median is in the middle', () => {
    expect(spread([3, 1, 2])).toEqual({ median: 2, min: 1, max: 3 })
    expect(spread([4, 1])).toEqual({ median: 2.5, min: 1, max: 4 })
  })

  test('latencies keep three digits of what was recorded', () => {
    const latencies = new Latencies()
    latencies.record(0.1, 98)
    latencies.record(5)
    latencies.record(70)
    const { count, p50, p90, p99, max } = latencies.summary()
    expect(count).toBe(100)
    expect(p50! / 100).toBeCloseTo(1, 2)
    expect(p90).toBe(p50)
    expect(p99! / 5000).toBeCloseTo(1, 2)
    expect(max! / 70_000).toBeCloseTo(1, 2)
  })
})

describe('targets', () => {
  const line = (row: string, ...cpu: number[]): Line => ({
    ...{ workload: 'in-flight', point: '16 in flight', tag: '16', row },
    figures: { cpu },
  })
  const verdicts = (...lines: Line[]) =>
    judge(lines)
      .filter(({ what }) => what === 'RPC, 16 in flight, CPU per call')
      .map(({ value, verdict }) => [value, verdict])

  test('pass, are missed, or are left open where it was too noisy', () => {
    const ours = line('socketstream', 2, 2, 2)
    expect(verdicts(ours, line('socket.io', 10, 10, 10), line('ws', 4, 4, 4))).toEqual([
      ['0.20', 'pass'],
      ['0.50', 'MISS'],
    ])
    expect(verdicts(ours, line('socket.io', 10, 20, 40))).toEqual([
      ['', 'too noisy'],
      ['', 'not measured'],
    ])
  })

  test('hold the last size against the first', () => {
    const size = (label: string, cpu: number): Line => ({
      ...{ workload: 'growth-services', point: 'ours', row: label },
      figures: { cpu: [cpu, cpu] },
    })
    const [flat] = judge([size('1', 10), size('10', 30), size('50', 11)])
    expect(flat).toEqual({
      ...{ what: 'CPU per call, 50 services and 1', target: '1 ± 0.15', value: '1.10', verdict: 'pass' },
    })
    expect(judge([size('1', 10), size('50', 8)])[0]).toMatchObject({ value: '0.80', verdict: 'MISS' })
  })

  test('of what was not measured say nothing', () => {
    expect(judge([])).toEqual([])
  })
})

describe('frames of the load', () => {
  /** The same frame as a server sends it: unmasked. */
  function unmasked(frame: Buffer, size: number): Buffer {
    const header = frame.subarray(0, frame.length - size - 4)
    const key = frame.subarray(header.length, header.length + 4)
    const body = frame.subarray(header.length + 4).map((byte, i) => byte ^ key[i & 3]!)
    const plain = Buffer.concat([header, body])
    plain[1]! &= 0x7f
    return plain
  }

  test('are read as they were written, in whatever chunks they come', () => {
    const sizes = fc.array(fc.constantFrom(0, 1, 125, 126, 65_535, 65_536, 70_000), {
      minLength: 1,
      maxLength: 4,
    })
    fc.assert(
      fc.property(sizes, fc.array(fc.integer({ min: 1, max: 70_000 }), { maxLength: 6 }), (lengths, cuts) => {
        const bodies = lengths.map((length, i) => Buffer.alloc(length, i + 1))
        const bytes = Buffer.concat(bodies.map(body => unmasked(maskedFrame(0x82, body), body.length)))
        const reader = new FrameReader()
        const read: Buffer[] = []
        let at = 0
        for (const cut of [...cuts, bytes.length]) {
          reader.read(bytes.subarray(at, at + cut), body => read.push(Buffer.from(body)))
          at += cut
        }
        expect(read.map(body => body.length)).toEqual(lengths)
        expect(read.every((body, i) => body.equals(bodies[i]!))).toBe(true)
      }),
      { numRuns: 30 },
    )
  })
})

describe('a CPU profile', () => {
  test('is summed up by part and by function, without what was idle', () => {
    const frame = (functionName: string, url: string) => ({ functionName, url, lineNumber: 1 })
    const nodes = [
      frame('(idle)', ''),
      frame('read', 'file:///home/me/app/dist/codec/msgpack.js'),
      frame('unpack', 'file:///home/me/app/node_modules/msgpackr/unpack.js'),
      frame('writev', ''),
      frame('', 'node:net'),
    ].map((callFrame, index) => ({ id: index + 1, callFrame }))
    const profile = { nodes, samples: [1, 2, 3, 4, 5, 2], timeDeltas: [900, 20, 10, 30, 10, 30] }
    const { parts, functions } = shares([profile, profile])
    expect(parts).toEqual([
      ...[
        ['dist/codec/msgpack.js', 0.5],
        ['native', 0.3],
        ['msgpackr', 0.1],
        ['node:net', 0.1],
      ],
    ])
    expect(functions[0]).toEqual(['read, dist/codec/msgpack.js', 0.5])
    expect(functions.at(-1)).toEqual(['(anonymous), node:net', 0.1])
  })
})

describe('the page', () => {
  test('has what was measured between its markers, and the rest as it was', () => {
    const folder = mkdtempSync(join(tmpdir(), 'page-'))
    const file = join(folder, 'page.md')
    writeFileSync(file, '# A\n\n<!-- begin network -->\nold\n<!-- end network -->\n\n## B\n')
    const machine = { date: '2026-01-02T03:04:05Z', node: 'v20', cpu: '2 x Some' }
    updatePage(file, 'network', '## network: a\n\nA table', machine, ['../results/a.svg'])
    const page = readFileSync(file, 'utf8')
    expect(page).toBe(
      '# A\n\n<!-- begin network -->\n_2026-01-02, Node v20, 2 x Some._\n\nA table\n\nCharts: [a.svg](../results/a.svg)\n<!-- end network -->\n\n## B\n',
    )
    updatePage(file, 'seed', '## seed: b', machine)
    updatePage(join(folder, 'nowhere.md'), 'seed', '## seed: b', machine)
    expect(readFileSync(file, 'utf8')).toBe(page)
    rmSync(folder, { recursive: true })
  })
})
