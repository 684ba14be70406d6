import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { open } from 'lmdb'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import { lmdb } from '../../src/engines/lmdb.js'
import { hasCode } from '../../src/errors.js'
import { engineConformance, manualClock } from '../../src/testing/index.js'
import { followsMap } from './kv-model.js'
import { followsModel } from './log-model.js'

const folder = mkdtempSync(join(tmpdir(), 'lmdb-'))
const children = new Set<ChildProcess>()
const NOBODY = { entry: () => undefined, gap: () => undefined }
let folders = 0

afterEach(async () => {
  await Promise.all([...children].map(kill))
})
afterAll(() => rmSync(folder, { recursive: true }))

function setup() {
  const path = join(folder, 'made', `${folders++}`)
  const clock = manualClock()
  return {
    path,
    clock,
    engine: lmdb({ path, clock }),
    reopen: () => lmdb({ path, clock }),
    advance: clock.advance,
    dispose: () => rmSync(path, { recursive: true }),
    /** Leaves what a process leaves that ends without closing. */
    async crash() {
      const root = open({ path, noSubdir: false, overlappingSync: false })
      root
        .openDB('log.marks', { encoding: 'binary', keyEncoding: 'binary' })
        .putSync(Buffer.from('dead'), Buffer.from('1 none'))
      await root.close()
    },
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

async function rowsIn(path: string, table: string) {
  const root = open({ path, noSubdir: false, overlappingSync: false, maxDbs: 32 })
  const count = root.openDB(table, { encoding: 'binary', keyEncoding: 'binary' }).getCount()
  await root.close()
  return count
}

engineConformance('lmdb', setup, { describe, test, expect })

describe('the lmdb engine', () => {
  test('does what a map does, for random operations', async () => {
    await followsMap(setup, 30)
  })

  test('does what a log does, for random operations and ends', async () => {
    await followsModel(setup, 30, true)
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

  test('has every acknowledged publication after its process was killed, in a new epoch', async () => {
    const path = join(folder, 'killed log')
    const { child, lines } = start('publish-until-killed.mjs', path)
    const acknowledged: string[] = []
    for await (const line of lines) {
      acknowledged.push(line)
      if (acknowledged.length === 20) await kill(child)
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(20)
    const [offset = '', epoch = ''] = acknowledged.at(-1)!.split(' ')
    const { log, close } = lmdb({ path })
    const since = { epoch, offset: Number(offset) }
    const subscription = await log.subscribe('a', NOBODY, { since })
    expect([subscription.recovered, subscription.reason]).toEqual([false, 'epoch'])
    const { entries, position } = await log.history('a')
    expect(position.epoch).not.toBe(epoch)
    expect(entries.length).toBeGreaterThanOrEqual(acknowledged.length)
    for (const [at, entry] of entries.entries()) {
      expect(entry.offset).toBe(at + 1)
      expect(Buffer.from(entry.payload).toString()).toBe(`entry ${at + 1}`)
    }
    await close()
    const clean = lmdb({ path })
    expect((await clean.log.history('a')).position).toEqual(position)
    await clean.close()
  })

  test('hears what another process publishes', async () => {
    const path = join(folder, 'shared log')
    const clock = manualClock()
    // The other process goes by the time of the machine.
    const { log, close } = lmdb({ path, clock: { ...clock, now: Date.now } })
    const heard: number[] = []
    const gaps: string[] = []
    const { position } = await log.subscribe('a', {
      entry: ({ offset }) => heard.push(offset),
      gap: reason => gaps.push(reason),
    })
    const { child, lines } = start('publish-until-killed.mjs', path)
    let count = 0
    for await (const line of lines) {
      expect(line).toBe(`${++count} ${position.epoch}`)
      clock.advance(1000)
      expect(heard.length).toBeGreaterThanOrEqual(count)
      // Its own, among those of the other.
      if (count === 5) {
        await log.publish('b', Uint8Array.of(1))
        await kill(child)
        break
      }
    }
    // Kept as those of the other one: what is not heard yet must not be dropped for it.
    const own = await log.publish('a', Uint8Array.of(1), { size: 1_000_000 })
    // The other one may have got far ahead before its end: each look brings a part of it.
    while (!heard.includes(own.offset)) {
      clock.advance(1000)
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(heard).toEqual(Array.from({ length: own.offset }, (_, i) => i + 1))
    expect(gaps).toEqual([])
    await close()
  })

  test('reads no more than 64 MiB of payloads at once', async () => {
    const { engine, dispose } = setup()
    const { log } = engine
    const { position } = await log.subscribe('a', NOBODY)
    const big = new Uint8Array(2 ** 24)
    for (let i = 0; i < 5; i++) await log.publish('a', big, { size: 10 })
    const first = await log.history('a')
    expect([first.entries.length, first.complete]).toEqual([3, false])
    const rest = await log.history('a', { since: { ...position, offset: 3 } })
    expect([rest.entries.length, rest.complete]).toEqual([2, true])
    const { recovered, reason, entries } = await log.subscribe('a', NOBODY, { since: position })
    expect([recovered, reason, entries]).toEqual([false, 'limit', []])
    await engine.close()
    dispose()
  })

  test('tells when it is down, and when it is up again', async () => {
    const path = join(folder, 'down')
    // A write that works may take longer than the deadline of the other one, where the disk is slow.
    const patient = lmdb({ path })
    await patient.kv.set('a', Uint8Array.of(1))
    await patient.close()
    const engine = lmdb({ path, deadline: 50 })
    const events: string[] = []
    engine.on('down', cause => events.push(`down ${hasCode(cause) && cause.code}`))
    const off = engine.on('up', () => events.push('up'))
    const { child, lines } = start('hold-write-lock.mjs', path)
    await once(lines, 'line')
    for (const call of [engine.kv.set('a', Uint8Array.of(1)), engine.log.publish('a', Uint8Array.of(1))]) {
      await expect(call).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' })
    }
    expect(events).toEqual(['down ENGINE_UNAVAILABLE'])
    await kill(child)
    while (events.length < 2) await engine.kv.set('a', Uint8Array.of(1)).catch(() => undefined)
    expect(events).toEqual(['down ENGINE_UNAVAILABLE', 'up'])
    off()
    await engine.close()
  })

  test('removes what the log keeps no longer along with later writes', async () => {
    const { engine, reopen, advance, path, dispose } = setup()
    const { log, kv } = engine
    const one = Uint8Array.of(1)
    const fill = (channel: string, ttl: number) =>
      Promise.all(Array.from({ length: 150 }, () => log.publish(channel, one, { size: 100, ttl })))
    await fill('removed', 1_000_000)
    await fill('over', 10)
    const { epoch } = await log.publish('once', one, { key: 'once' })
    await log.remove('removed')
    advance(400_000)
    for (let i = 0; i < 8; i++) await kv.set('stays', one)
    await engine.close()
    expect(await rowsIn(path, 'log.entries')).toBe(0)
    expect(await rowsIn(path, 'log.keys')).toBe(0)
    expect(await rowsIn(path, 'log.channels')).toBe(3)
    const again = reopen()
    advance(30 * 24 * 3_600_000)
    for (let i = 0; i < 8; i++) await again.kv.set('stays', one)
    expect((await again.log.publish('once', one)).epoch).not.toBe(epoch)
    await again.close()
    expect(await rowsIn(path, 'log.channels')).toBe(1)
    dispose()
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
