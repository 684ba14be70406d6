import { describe, expect, test } from 'vitest'
import { memory } from '../../src/engines/memory.js'
import { engineConformance, manualClock } from '../../src/testing/index.js'
import { followsMap } from './kv-model.js'
import { followsModel } from './log-model.js'

function setup() {
  const clock = manualClock()
  return { clock, engine: memory({ clock }), advance: clock.advance }
}

engineConformance('memory', setup, { describe, test, expect })

describe('the memory engine', () => {
  test('does what a map does, for random operations', async () => {
    await followsMap(setup, 300)
  })

  test('looks at the clock of the system unless it is given one', async () => {
    const { kv } = memory()
    await kv.set('a', Uint8Array.of(1), { ttl: 3_600_000 })
    expect(await kv.keys()).toEqual(['a'])
  })

  test('does what a log does, for random operations', async () => {
    await followsModel(setup, 300, true)
  })

  test('says what it has forgotten, for random operations with little room', async () => {
    const little = () => {
      const clock = manualClock()
      return { engine: memory({ clock, logBytes: 3000 }), advance: clock.advance }
    }
    await followsModel(little, 200, false)
  })

  test('refuses wrong options, and says which', () => {
    const wrong = (options: object) => () => memory(options)
    expect(wrong({ clock: 5 })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    for (const option of ['clock', 'kvBytes', 'channels', 'logBytes', 'items']) {
      expect(wrong({ [option]: 0 })).toThrow(`\`${option}\``)
    }
    const options = 'clock, kvBytes, channels, logBytes, items'
    expect(wrong({ now: Date.now })).toThrow(`there is no option \`now\`; the options are ${options}`)
  })

  test('refuses conditions that mean nothing', async () => {
    const { kv } = memory()
    const refused = { code: 'INVALID_ARGUMENTS', data: { issues: [expect.anything()] } }
    for (const options of [{ ifVersion: -1 }, { ifVersion: 1.5 }, { ttl: 0 }, { ttl: Infinity }]) {
      await expect(kv.set('a', Uint8Array.of(1), options)).rejects.toMatchObject(refused)
    }
    await expect(kv.delete('a', { ifVersion: Number.NaN })).rejects.toMatchObject(refused)
    for (const options of [{ limit: 0 }, { limit: 1.5 }, { prefix: '\ud800' }, { after: '\ud800' }]) {
      await expect(kv.keys(options)).rejects.toMatchObject(refused)
    }
  })

  test('does not pile up entries whose time is over', async () => {
    const { engine, advance } = setup()
    for (let i = 0; i < 1000; i++) await engine.kv.set(`short ${i}`, Uint8Array.of(1), { ttl: 10 })
    advance(10)
    // The listing would not show them; what the sweep has left is seen by going back in time.
    for (let i = 0; i < 300; i++) await engine.kv.set('stays', Uint8Array.of(1))
    advance(-10)
    expect(await engine.kv.keys()).toEqual(['stays'])
  })

  test('refuses to write past its room for keys and values, and drops none', async () => {
    const clock = manualClock()
    const { kv } = memory({ clock, kvBytes: 1000 })
    await kv.set('mortal', new Uint8Array(300), { ttl: 10 })
    const version = await kv.set('a', new Uint8Array(200))
    const big = kv.set('b', new Uint8Array(200))
    await expect(big).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE', message: /raise `kvBytes`/ })
    expect(await kv.keys()).toEqual(['a', 'mortal'])
    await expect(kv.set('a', new Uint8Array(700))).rejects.toMatchObject({ code: 'ENGINE_UNAVAILABLE' })
    expect((await kv.get('a'))?.version).toBe(version)
    await kv.set('a', new Uint8Array(100))
    clock.advance(10)
    await kv.set('b', new Uint8Array(200))
    await kv.delete('a')
    await kv.set('c', new Uint8Array(300))
    expect(await kv.keys()).toEqual(['b', 'c'])
  })

  test('forgets the channel published to least recently, and none with subscribers', async () => {
    const { log } = memory({ channels: 3 })
    const nothing = { entry: () => undefined, gap: () => undefined }
    const one = Uint8Array.of(1)
    const held = await log.subscribe('held', nothing)
    const old = await log.publish('old', one, { size: 1 })
    const recent = await log.publish('recent', one, { size: 1 })
    await log.publish('old', one, { size: 1 })
    await log.publish('new', one)
    expect((await log.subscribe('old', nothing, { since: old })).recovered).toBe(true)
    const renewed = await log.subscribe('recent', nothing, { since: recent })
    expect([renewed.recovered, renewed.reason]).toEqual([false, 'epoch'])
    await expect(log.publish('more', one)).rejects.toMatchObject({
      code: 'ENGINE_UNAVAILABLE',
      message: /raise `channels`/,
    })
    held.close()
    expect((await log.publish('more', one)).offset).toBe(1)
  })

  test('drops old entries of channels with subscribers when there is no other room', async () => {
    const { log } = memory({ logBytes: 2000 })
    const heard: number[] = []
    await log.subscribe('a', { entry: ({ offset }) => heard.push(offset), gap: () => heard.push(-1) })
    for (let i = 0; i < 10; i++) await log.publish('a', new Uint8Array(300), { size: 10 })
    const { entries } = await log.history('a')
    expect(entries.map(({ offset }) => offset)).toEqual([8, 9, 10])
    await log.publish('a', new Uint8Array(5000), { size: 10 })
    expect((await log.history('a')).entries).toEqual([])
    await new Promise(setImmediate)
    expect(heard).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
  })

  test('frees what is over by itself, and has no timer when there is nothing', async () => {
    const clock = manualClock()
    const { log, presence } = memory({ clock, logBytes: 1000 })
    await log.publish('a', new Uint8Array(500), { size: 1, ttl: 1500, key: 'once' })
    await presence.join('a', 'ann', Uint8Array.of(1), 1500)
    expect(clock.timers).toBe(1)
    clock.advance(301_000)
    expect(clock.timers).toBe(0)
    expect(await presence.count('a')).toBe(0)
  })

  test('has room for so many members, leases and limited keys', async () => {
    const clock = manualClock()
    const { presence, lease, limiter } = memory({ clock, items: 2 })
    const full = { code: 'ENGINE_UNAVAILABLE', message: /`items`/ }
    const allowance = { rate: 1, burst: 2 }
    for (const name of ['a', 'b']) {
      await presence.join(name, 'ann', Uint8Array.of(1), 1000)
      await lease.acquire(name, 1000)
      await limiter.take(name, allowance)
    }
    await expect(presence.join('c', 'ann', Uint8Array.of(1), 1000)).rejects.toMatchObject(full)
    await expect(lease.acquire('c', 1000)).rejects.toMatchObject(full)
    await expect(limiter.take('c', allowance)).rejects.toMatchObject(full)
    expect((await limiter.take('a', allowance)).allowed).toBe(true)
    clock.advance(2000)
    expect(await presence.join('c', 'ann', Uint8Array.of(1), 1000)).toBe(true)
    expect(await lease.acquire('c', 1000)).toBeDefined()
    expect((await limiter.take('c', allowance)).allowed).toBe(true)
  })
})
