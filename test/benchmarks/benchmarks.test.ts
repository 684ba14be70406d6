import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

const script = join(import.meta.dirname, '../../benchmarks/run.js')
let folder: string

interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

function benchmarks(...args: string[]): Promise<Outcome> {
  return new Promise(resolve => {
    execFile(process.execPath, [script, ...args], { timeout: 120_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ code, stdout, stderr })
    })
  })
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'benchmarks-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe('benchmarks', () => {
  test('a quick run reports progress, prints tables and leaves charts and figures', async () => {
    const out = join(folder, 'out')
    const json = join(folder, 'json/run.json')
    const { code, stdout, stderr } = await benchmarks(
      ...['--quick', '--only', 'codecs,seed', '--out', out, '--json', json],
    )
    expect(stderr).toContain('seed: round 1 of')
    expect(code).toBe(0)
    expect(stderr).toContain('codecs: small RPC, msgpack: encode')
    expect(stdout).toMatch(/^\| echo, callbacks +\| +[\d,]+ \|/m)
    expect(stdout).toMatch(/^\| binary 4 kB +\| msgpack, browser +\| +4,102 \|/m)
    expect(readdirSync(out).sort()).toEqual([
      'codecs.md',
      'codecs.svg',
      'results.json',
      'seed.md',
      'seed.svg',
    ])
    expect(readFileSync(join(out, 'seed.svg'), 'utf8')).toMatch(/^<svg [\s\S]+<\/svg>\n$/)
    const results = JSON.parse(readFileSync(json, 'utf8'))
    expect(results).toEqual(JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')))
    expect(results.seed.runs).toHaveLength(4)
    const shares = results.seed.steps.map(([, share]: [step: string, share: number]) => share)
    expect(shares.reduce((sum: number, share: number) => sum + share, 0)).toBeCloseTo(1)
    expect(stdout).toMatch(/^\| codec: headers and payloads +\| +[\d.]+ % \|$/m)
    expect(results.seed.runs[0].messagesPerSecond.median).toBeGreaterThan(0)
    expect(results.codecs).toMatchObject({ quick: true, node: process.version })
  }, 120_000)

  test('a run of one section keeps what the others had', async () => {
    const out = join(folder, 'kept')
    mkdirSync(out)
    writeFileSync(join(out, 'results.json'), '{ "seed": { "quick": false } }')
    const { code, stdout, stderr } = await benchmarks(
      ...[
        '--quick',
        '--only',
        'network',
        '--workloads',
        'in-flight,latency',
        '--rows',
        'socketstream,socket.io',
      ],
      ...['--rounds', '1', '--seconds', '0.3', '--out', out],
    )
    expect(stderr).toContain('network: in-flight, round 1 of 1, 16 in flight: ours, msgpack: ')
    expect(code).toBe(0)
    const results = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'))
    expect(Object.keys(results)).toEqual(['seed', 'network'])
    expect(results.seed).toEqual({ quick: false })
    const { lines, targets } = results.network
    expect(lines.map(({ point, row }: { point: string; row: string }) => `${point}, ${row}`)).toEqual([
      ...['1 in flight, socketstream', '1 in flight, socket.io'],
      ...['16 in flight, socketstream', '16 in flight, socket.io'],
      ...["half of socket.io's rate, socketstream", "half of socket.io's rate, socket.io"],
      ...['half of its own, socketstream', 'half of its own, socket.io'],
    ])
    for (const { figures } of lines) {
      const { cpu, rate, p50, p99 } = figures
      expect(Math.min(...cpu, ...rate, ...p50)).toBeGreaterThan(0)
      expect(p99[0]).toBeGreaterThanOrEqual(p50[0])
    }
    expect(targets).toHaveLength(6)
    expect(stdout).toMatch(
      /^\| RPC, 1 in flight, CPU per call +\| at most 0.5 of socket.io +\| +[\d.]+ \| (pass|MISS) +\|$/m,
    )
    expect(stdout).toMatch(
      /^\| RPC, 1 in flight, CPU per call +\| at most 1.25 of ws +\| +\| not measured \|$/m,
    )
    expect(readdirSync(out).sort()).toEqual([
      ...['network-in-flight.svg', 'network-latency.svg', 'network.md', 'results.json'],
    ])
    expect(readFileSync(join(out, 'network-latency.svg'), 'utf8')).toMatch(/^<svg [\s\S]+<\/svg>\n$/)
  }, 120_000)

  test('what is on is measured beside the same without', async () => {
    const { code, stdout, stderr } = await benchmarks(
      ...['--quick', '--only', 'network', '--workloads', 'features', '--rounds', '1', '--seconds', '0.05'],
    )
    expect(stderr).toContain('Nothing was written: say where with --out')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^\| a session that is read +\| +[\d.]+ \(/m)
    expect(stdout).toMatch(/^\| 5 middlewares +\| +[\d.]+ \(/m)
  }, 120_000)

  test('the actor kit is measured beside bare XState, with targets', async () => {
    const out = join(folder, 'actors')
    const { code, stdout, stderr } = await benchmarks('--quick', '--only', 'actors', '--out', out)
    expect(stderr).toContain('actors: round 1 of 1: tell from outside: ')
    expect(code).toBe(0)
    expect(stdout.match(/: (pass|MISS) +\|$/gm)).toHaveLength(3)
    expect(readdirSync(out).sort()).toEqual(['actors.md', 'actors.svg', 'results.json'])
    const { actors } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'))
    expect(new Set(actors.lines.map(({ name }: { name: string }) => name))).toEqual(
      new Set([
        ...['tell', 'ping-pong', 'ring', 'fork-join', 'fork-join-inside', 'skynet', 'spawn', 'spawn-many'],
        ...['stop', 'memory', 'machine-service'],
      ]),
    )
    for (const { ours, bare, ratio } of actors.lines) {
      expect(Math.min(ours.min, bare.min, ratio.min)).toBeGreaterThan(0)
    }
  }, 120_000)

  test('sessions are measured beside the same without them, with targets', async () => {
    const out = join(folder, 'sessions')
    const { code, stdout, stderr } = await benchmarks('--quick', '--only', 'sessions', '--out', out)
    expect(stderr).toContain('sessions: round 1 of 1: text, 16 in flight: ')
    expect(code).toBe(0)
    expect(stdout.match(/: (pass|MISS) +\|$/gm)).toHaveLength(9)
    expect(stdout).toMatch(/store reads +\| cookie, browser +\| +100 \| .* value at most 100: pass +\|$/m)
    expect(readdirSync(out).sort()).toEqual(['results.json', 'sessions.md', 'sessions.svg'])
    const { sessions } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'))
    const groups = sessions.lines.filter(({ skipped }: { skipped?: string }) => skipped === undefined)
    expect(groups.length).toBeGreaterThan(10)
    for (const { label, sides } of groups) {
      // A difference of two heaps, which is small in a quick run.
      if (label === 'heap per session') continue
      for (const { value } of sides) expect(value.median, label).toBeGreaterThan(0)
    }
  }, 120_000)

  test('without a Redis server its part is skipped, with the reason', async () => {
    const script = join(import.meta.dirname, '../../benchmarks/sessions/uncached.js')
    vi.stubEnv('REDIS_SERVER_PATH', join(folder, 'nowhere'))
    const { uncached } = await import(script)
    vi.unstubAllEnvs()
    const progress = vi.fn()
    const [line] = await uncached({ quick: true, progress })
    expect(line.sides).toEqual([])
    expect(line.skipped).toContain('no redis-server at ')
    expect(progress).toHaveBeenCalledExactlyOnceWith(`uncached: skipped, ${line.skipped}`)
  })

  test('middleware is measured beside a chain without any', async () => {
    const out = join(folder, 'middleware')
    const { code, stdout, stderr } = await benchmarks('--quick', '--only', 'middleware', '--out', out)
    expect(stderr).toContain('middleware: round 1 of 3: 5 asynchronous: ')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^\| 5 synchronous +\| +[\d,]+ \|/m)
    const { middleware } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'))
    expect(middleware.chains.map(({ count }: { count: number }) => count)).toEqual([0, 1, 5, 1, 5])
    expect(middleware.chains[0].ratio).toEqual({ median: 1, min: 1, max: 1 })
    for (const { ratio } of middleware.chains) expect(ratio.min).toBeGreaterThan(0)
  }, 120_000)

  test('models are measured beside plain messages', async () => {
    const out = join(folder, 'models')
    const { code, stdout, stderr } = await benchmarks('--quick', '--only', 'models', '--out', out)
    expect(stderr).toContain('models: round 1 of 2: one record: ')
    expect(code).toBe(0)
    expect(stdout).toMatch(/^\| 100 queries +\| +[\d.]+ \|/m)
    const { models } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'))
    expect(models.sides).toHaveLength(7)
    for (const { microseconds, bytes } of models.sides) {
      expect(microseconds.min).toBeGreaterThan(0)
      expect(bytes).toBeGreaterThan(30)
    }
  }, 120_000)

  test('channels are measured beside bare ws and socket.io, with targets', async () => {
    const out = join(folder, 'channels')
    const { code, stdout } = await benchmarks('--quick', '--only', 'channels', '--out', out)
    expect(code).toBe(0)
    expect(stdout.match(/: (pass|MISS) +\|$/gm)).toHaveLength(2)
    const { channels } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'))
    expect(channels.lines).toHaveLength(8)
    for (const { microseconds } of channels.lines) expect(microseconds.min).toBeGreaterThan(0)
    const { acknowledged, recovery, heap } = channels
    const engines = acknowledged.lines.map(({ name }: { name: string }) => name)
    expect(engines.slice(0, 3)).toEqual(['memory', 'lmdb', 'bare LMDB'])
    expect(engines.length + acknowledged.skipped.length).toBe(4)
    for (const { rate } of acknowledged.lines) expect(rate.min).toBeGreaterThan(0)
    // However many clients come back, their histories are read together.
    expect(recovery.lines[0].reads.max).toBeLessThanOrEqual(2)
    expect(recovery.lines[1].reads.max).toBe(0)
    for (const { subscription } of heap.lines) expect(subscription.min).toBeGreaterThan(0)
  }, 120_000)

  test.each([
    [['--fast'], /Unknown option '--fast'/],
    [['--only', 'sead'], /--only takes seed, codecs, .*sessions, .*leaks.*, not "sead"/],
    [['--rows', 'ws,uws'], /--rows takes socketstream, .*, not "uws"/],
    [['--workloads', 'size,weight'], /--workloads takes in-flight, size, .*, not "weight"/],
    [['--rounds', '1.5'], /--rounds takes a number from 1 on, not "1.5"/],
    [['--seconds', 'long'], /--seconds takes a number from 0.05 on, not "long"/],
    [['--check', '--only', 'seed'], /--check knows what it measures/],
    [['--json'], /--json/],
    [['seed'], /Unexpected argument 'seed'/],
  ])('%j is refused with the usage', async (args, message) => {
    const { code, stdout, stderr } = await benchmarks(...args)
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(message)
    expect(stderr).toContain('Usage: npm run benchmarks')
  })

  test('--help prints the usage', async () => {
    const { code, stdout } = await benchmarks('--help')
    expect(code).toBe(0)
    expect(stdout).toContain('--only NAMES')
  })
})
