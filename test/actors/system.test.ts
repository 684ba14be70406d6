import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TimerWheel } from '../../src/actors/runtime/timer-wheel.js'
import { manualClock } from '../../src/testing/manual-clock.js'
import { createSystem, type Note } from './support.js'

describe('an ask', () => {
  const mute = { receive() {} }

  test('ends when its signal says so, before or after it was sent', async () => {
    const { system, clock } = createSystem()
    const ref = system.spawn<Note, undefined>('mute', mute)
    const controller = new AbortController()
    const ask = () => ref.ask(() => ({ type: 'q' }), { timeout: 1000, signal: controller.signal })
    const before = ask()
    controller.abort(new Error('enough'))
    await expect(before).rejects.toMatchObject({ code: 'CANCELLED', cause: new Error('enough') })
    await expect(ask()).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(ref.handled).toBe(1)
    expect(clock.timers).toBe(0)
  })

  test('fails in time, by the clock of the system, and needs a time', async () => {
    const { system, clock } = createSystem()
    const ref = system.spawn<Note, undefined>('mute', mute)
    const answer = ref.ask(() => ({ type: 'q' }), { timeout: 1000 })
    clock.advance(1010)
    await expect(answer).rejects.toMatchObject({ code: 'ASK_TIMEOUT' })
    const wrong = ref.ask(() => ({ type: 'q' }), { timeout: Number.NaN })
    await expect(wrong).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })
})

describe('watching', () => {
  test('one that has stopped is told so at once; what ends it, ends it', () => {
    const { system, events } = createSystem()
    const ref = system.spawn<Note, undefined>('short', { receive() {} })
    const unwatch = system.watch(ref, event => events.push(event))
    unwatch()
    ref.stop()
    expect(events).toEqual([])
    system.watch(ref, event => events.push(event))
    expect(events).toEqual([{ type: 'stopped', path: '/short' }])
  })
})

describe('a scheduled message', () => {
  test('comes in its time, unless cancelled or its actor stops', () => {
    const { system, clock } = createSystem()
    const seen: string[] = []
    const ref = system.spawn<Note, undefined>('late', { receive: (_s, { type }) => void seen.push(type) })
    ref.schedule(50, { type: 'b' })
    ref.schedule(20, { type: 'a' })
    const cancel = ref.schedule(30, { type: 'never' })
    cancel()
    ref.schedule(60_000, { type: 'too late' })
    clock.advance(100)
    expect(seen).toEqual(['a', 'b'])
    ref.stop()
    expect([system.timers.size, clock.timers]).toEqual([0, 0])
  })

  test('is never early and at most a tick late, in order, on one timer of the process', () => {
    const times = fc.array(fc.tuple(fc.nat(40_000), fc.boolean()), { maxLength: 60 })
    fc.assert(
      fc.property(times, fc.array(fc.integer({ min: 1, max: 15_000 }), { maxLength: 8 }), (timers, steps) => {
        const clock = manualClock()
        const wheel = new TimerWheel(clock)
        const ran: number[] = []
        for (const [ms, cancelled] of timers) {
          const cancel = wheel.set(ms, () => {
            ran.push(ms)
            expect(clock.now()).toBeGreaterThanOrEqual(ms)
            expect(clock.now()).toBeLessThanOrEqual(ms + 10)
          })
          if (cancelled) cancel()
        }
        expect(clock.timers).toBeLessThanOrEqual(1)
        for (const step of [...steps, 41_000]) clock.advance(step)
        const expected = timers.filter(([, cancelled]) => !cancelled).map(([ms]) => ms)
        expect(ran.toSorted((a, b) => a - b)).toEqual(expected.toSorted((a, b) => a - b))
        const ticks = ran.map(ms => Math.max(1, Math.ceil(ms / 10)))
        expect(ticks).toEqual(ticks.toSorted((a, b) => a - b))
        expect([wheel.size, clock.timers]).toEqual([0, 0])
      }),
    )
  })
})

describe('dead letters', () => {
  test('are counted by reason, and the last thousand remembered without their contents', () => {
    const { system } = createSystem()
    const ref = system.spawn<Note & { readonly n: number }, undefined>('gone', { receive() {} })
    ref.stop()
    for (let n = 0; n < 1200; n++) ref.tell({ type: `m${n}`, n })
    expect(system.deadLetters.counts).toMatchObject({ stopped: 1200, full: 0 })
    expect(system.deadLetters.recent).toHaveLength(1000)
    expect(system.deadLetters.recent.at(-1)).toEqual({
      to: '/gone',
      from: undefined,
      type: 'm1199',
      reason: 'stopped',
    })
  })

  test('are told to who subscribes, with the message', () => {
    const { system } = createSystem()
    const seen: object[] = []
    const unsubscribe = system.deadLetters.subscribe((_letter, message) => void seen.push(message))
    const ref = system.spawn<Note, undefined>('gone', { receive() {} })
    ref.stop()
    ref.tell({ type: 'a' })
    unsubscribe()
    ref.tell({ type: 'b' })
    expect(seen).toEqual([{ type: 'a' }])
  })
})

describe('the registry', () => {
  test('finds actors by address, while they live', () => {
    const { system } = createSystem()
    const parent = system.spawn<Note, undefined>('a', { receive() {} })
    const child = parent.spawn<Note, undefined>('b', { receive() {} })
    expect(system.find('/a/b')).toBe(child)
    expect(system.find('/')).toBe(system.root)
    parent.stop()
    expect([system.find('/a'), system.find('/a/b'), system.find('a')]).toEqual([
      undefined,
      undefined,
      undefined,
    ])
  })

  test('tells who is there, appears and disappears below an address', () => {
    const { system } = createSystem()
    const noop = { receive() {} }
    const seen: string[] = []
    const a = system.spawn<Note, undefined>('a', noop)
    a.spawn<Note, undefined>('one', noop)
    const end = system.subscribe('/a', ({ type, path }) => void seen.push(`${type} ${path}`))
    a.spawn<Note, undefined>('two', noop)
    system.spawn<Note, undefined>('ab', noop).stop()
    a.stop()
    end()
    system.spawn<Note, undefined>('a', noop)
    expect(seen).toEqual([
      ...['appeared /a', 'appeared /a/one', 'appeared /a/two'],
      ...['disappeared /a/one', 'disappeared /a/two', 'disappeared /a'],
    ])
  })
})
