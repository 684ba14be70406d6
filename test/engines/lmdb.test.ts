import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { lmdb } from '../../src/engines/lmdb.js'
import { engineConformance } from '../../src/testing/index.js'
import { followsMap } from './kv-model.js'

const folder = mkdtempSync(join(tmpdir(), 'lmdb-'))
const children = new Set<ChildProcess>()
let folders = 0

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
afterEach(async () => {
  vi.useRealTimers()
  await Promise.all([...children].map(kill))
})
afterAll(() => rmSync(folder, { recursive: true }))

function setup() {
  const path = join(folder, 'made', `${folders++}`)
  return {
    path,
    engine: lmdb({ path }),
    reopen: () => lmdb({ path }),
    advance: (ms: number) => void vi.setSystemTime(Date.now() + ms),
    dispose: () => rmSync(path, { recursive: true }),
  }
}

/** Starts a script of this folder; gives its lines. */
function start(script: string, path: string) {
  const file = fileURLToPath(new URL(script, import.meta.url))
  const child = spawn(process.execPath, [file, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.add(child)
  return { child, lines: createInterface({ input: child.stdout }) }
}

async function kill(child: ChildProcess) {
  children.delete(child)
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

engineConformance('lmdb', setup, { describe, test, expect })

describe('the lmdb engine', () => {
  test('does what a map does, for random operations', async () => {
    await followsMap(setup, 30)
  })

  test('has every acknowledged write after its process was killed', async () => {
    const path = join(folder, 'killed')
    const { child, lines } = start('write-until-killed.mjs', path)
    const acknowledged: string[] = []
    for await (const line of lines) {
      acknowledged.push(line)
      if (acknowledged.length === 20) await kill(child)
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(20)
    const engine = lmdb({ path })
    for (const line of acknowledged) {
      const [count, version] = line.split(' ').map(Number)
      const entry = await engine.kv!.get(`key ${count}`)
      expect(entry?.version).toBe(version)
      expect(Buffer.from(entry!.value).toString()).toBe(`value ${count}`)
    }
    await engine.close()
  })

  test('fails by its deadline while another process holds the lock, and goes on afterwards', async () => {
    const path = join(folder, 'held')
    const hasty = lmdb({ path, deadline: 50 })
    const { child, lines } = start('hold-write-lock.mjs', path)
    await once(lines, 'line')
    await expect(hasty.kv!.set('a', Uint8Array.of(1))).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' })
    await expect(hasty.close()).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' })
    await kill(child)
    const patient = lmdb({ path })
    await patient.kv!.set('b', Uint8Array.of(1))
    expect(await patient.kv!.keys()).toEqual(['b'])
    await patient.close()
  })

  test('removes entries whose time is over along with later writes', async () => {
    const { engine, advance, dispose } = setup()
    const kv = engine.kv!
    await Promise.all(
      Array.from({ length: 35 }, (_, i) => kv.set(`short ${i}`, Uint8Array.of(1), { ttl: 10 })),
    )
    advance(10)
    for (let i = 0; i < 4; i++) await kv.set('stays', Uint8Array.of(1))
    // What is left would be seen by going back in time.
    advance(-10)
    expect(await kv.keys()).toEqual(['stays'])
    await engine.close()
    dispose()
  })

  test('grows past the map it began with', async () => {
    const path = join(folder, 'small')
    const engine = lmdb({ path, mapSize: 2 ** 20 })
    const big = new Uint8Array(2 ** 20).fill(7)
    for (const key of ['a', 'b', 'c', 'd']) await engine.kv!.set(key, big)
    expect(await engine.kv!.keys()).toEqual(['a', 'b', 'c', 'd'])
    await engine.close()
  })

  test('refuses wrong options, and says which', () => {
    const wrong = (options: object) => () => lmdb(options as { path: string })
    expect(wrong({})).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(wrong({})).toThrow("`path` must be the path of a folder, as in lmdb({ path: './data' })")
    expect(wrong({ path: 'x', mapSize: 1000 })).toThrow('`mapSize`')
    expect(wrong({ path: 'x', deadline: 0 })).toThrow('`deadline`')
    expect(wrong({ path: 'x', maxSize: 1 })).toThrow('there is no option `maxSize`')
  })

  test('says that it cannot open a folder, and why', () => {
    const path = join(folder, 'file')
    writeFileSync(path, 'no folder')
    const cause = expect.objectContaining({ code: 'EEXIST' })
    expect(() => lmdb({ path })).toThrow(expect.objectContaining({ code: 'ENGINE_UNAVAILABLE', cause }))
  })
})
