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
    expect(readdirSync(out).sort()).toEqual(['codecs.svg', 'results.json', 'seed.svg'])
    expect(readFileSync(join(out, 'seed.svg'), 'utf8')).toMatch(/^<svg [\s\S]+<\/svg>\n$/)
    const results = JSON.parse(readFileSync(json, 'utf8'))
    expect(results).toEqual(JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')))
    expect(results.seed.runs).toHaveLength(4)
    expect(results.seed.runs[0].messagesPerSecond.median).toBeGreaterThan(0)
    expect(results.codecs).toMatchObject({ quick: true, node: process.version })
  }, 60_000)

  test('a run of one section keeps what the others had', async () => {
    const out = join(folder, 'kept')
    mkdirSync(out)
    writeFileSync(join(out, 'results.json'), '{ "seed": { "quick": false } }')
    const { code } = await benchmarks('--quick', '--only', 'network', '--out', out)
    expect(code).toBe(0)
    const results = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'))
    expect(Object.keys(results)).toEqual(['seed', 'network'])
    expect(results.seed).toEqual({ quick: false })
    expect(results.network.loads[1].servers[0].cpu.median).toBeGreaterThan(0)
  }, 60_000)

  test('the actor kit is measured beside bare XState, with targets', async () => {
    const out = join(folder, 'actors')
    const { code, stdout, stderr } = await benchmarks('--quick', '--only', 'actors', '--out', out)
    expect(stderr).toContain('actors: round 1 of 1: tell from outside: ')
    expect(code).toBe(0)
    expect(stdout.match(/: (pass|MISS) +\|$/gm)).toHaveLength(3)
    expect(readdirSync(out).sort()).toEqual(['actors.svg', 'results.json'])
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
  }, 60_000)

  test('sessions are measured beside the same without them, with targets', async () => {
    const out = join(folder, 'sessions')
    const { code, stdout, stderr } = await benchmarks('--quick', '--only', 'sessions', '--out', out)
    expect(stderr).toContain('sessions: round 1 of 2: text, 16 in flight: ')
    expect(code).toBe(0)
    expect(stdout.match(/: (pass|MISS) +\|$/gm)).toHaveLength(9)
    expect(stdout).toMatch(/store reads +\| cookie, browser +\| +100 \| .* value at most 100: pass +\|$/m)
    expect(readdirSync(out).sort()).toEqual(['results.json', 'sessions.svg'])
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
  }, 60_000)

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
  }, 60_000)

  test('channels are measured beside bare ws and socket.io, with targets', async () => {
    const out = join(folder, 'channels')
    const { code, stdout } = await benchmarks('--quick', '--only', 'channels', '--out', out)
    expect(code).toBe(0)
    expect(stdout.match(/: (pass|MISS) +\|$/gm)).toHaveLength(2)
    const { channels } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8'))
    expect(channels.lines).toHaveLength(8)
    for (const { microseconds } of channels.lines) expect(microseconds.min).toBeGreaterThan(0)
  }, 60_000)

  test.each([
    [['--fast'], /Unknown option '--fast'/],
    [
      ['--only', 'sead'],
      /--only takes seed, codecs, actors, network, middleware, models, channels, sessions, not "sead"/,
    ],
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
