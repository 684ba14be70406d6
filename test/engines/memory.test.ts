import { describe, expect, test } from 'vitest'
import { memory } from '../../src/engines/memory.js'
import { engineConformance } from '../../src/testing/index.js'
import { followsMap } from './kv-model.js'

function setup() {
  let now = 0
  const advance = (ms: number) => {
    now += ms
  }
  return { engine: memory({ now: () => now }), advance }
}

engineConformance('memory', setup, { describe, test, expect })

describe('the memory engine', () => {
  test('does what a map does, for random operations', async () => {
    await followsMap(setup, 300)
  })

  test('looks at the clock of the system unless it is given one', async () => {
    const { kv } = memory()
    await kv!.set('a', Uint8Array.of(1), { ttl: 3_600_000 })
    expect(await kv!.keys()).toEqual(['a'])
  })

  test('refuses wrong options, and says which', () => {
    const wrong = (options: object) => () => memory(options)
    expect(wrong({ now: 5 })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(wrong({ now: 5 })).toThrow('`now`')
    expect(wrong({ clock: 5 })).toThrow('there is no option `clock`; the options are now')
  })

  test('refuses conditions that mean nothing', async () => {
    const kv = memory().kv!
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
    for (let i = 0; i < 1000; i++) await engine.kv!.set(`short ${i}`, Uint8Array.of(1), { ttl: 10 })
    advance(10)
    // The listing would not show them; what the sweep has left is seen by going back in time.
    for (let i = 0; i < 300; i++) await engine.kv!.set('stays', Uint8Array.of(1))
    advance(-10)
    expect(await engine.kv!.keys()).toEqual(['stays'])
  })
})
