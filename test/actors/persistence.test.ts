import { describe, expect, test, vi } from 'vitest'
import { assign, createMachine, sendTo, setup } from 'xstate'
import { type ActorRef, ActorSystem, type Behaviour } from '../../src/actors/runtime/index.js'
import { memory } from '../../src/engines/memory.js'
import { manualClock } from '../../src/testing/index.js'
import { gatedStore } from './gated-store.js'

type Count = { type: 'add'; by: number; reply?: (count: number) => void } | { type: 'fail' } | { type: 'end' }

/** A counter that saves itself. */
const counter: Behaviour<Count, { count: number }> = {
  initial: () => ({ count: 0 }),
  receive(state, message, self) {
    if (message.type === 'fail') {
      state.count = -1
      throw new Error('broken')
    }
    if (message.type === 'end') {
      state.count++
      return self.stop()
    }
    state.count += message.by
    message.reply?.(state.count)
  },
  snapshot: ({ count }) => count,
  save: ({ count }) => count,
  restore: saved => ({ count: saved as number }),
}

function fixture(store = memory().kv!) {
  const clock = manualClock()
  const crashes: unknown[] = []
  const system = new ActorSystem({
    clock,
    store,
    random: () => 0,
    crashed: ({ error }) => crashes.push(error),
  })
  return { clock, system, crashes, store }
}

const TIME = { timeout: 1000 }
const add = (ref: ActorRef<Count, unknown>, by: number): Promise<number> =>
  ref.ask<number>(reply => ({ type: 'add', by, reply }), TIME)

describe('an actor that saves its state', () => {
  test('begins with what was saved', async () => {
    const first = fixture()
    const before = first.system.spawn('counter', counter, { persist: {} })
    expect(await add(before, 2)).toBe(2)
    expect(await add(before, 3)).toBe(5)
    first.system.stop()
    const { system } = fixture(first.store)
    expect(await add(system.spawn('counter', counter, { persist: {} }), 1)).toBe(6)
  })

  test('keeps messages until its state is loaded', async () => {
    const { system } = fixture()
    const ref = system.spawn('counter', counter, { persist: {} })
    const answers = [add(ref, 1), add(ref, 1)]
    expect(ref.handled).toBe(0)
    expect(await Promise.all(answers)).toEqual([1, 2])
  })

  test('answers only once the change is saved', async () => {
    const gate = gatedStore(memory().kv!)
    const { system } = fixture(gate.store)
    const ref = system.spawn('counter', counter, { persist: {} })
    await add(ref, 1)
    gate.shut()
    let answered = false
    const answer = add(ref, 1).then(count => {
      answered = true
      return count
    })
    await vi.waitUntil(() => gate.waiting === 1)
    expect(answered).toBe(false)
    gate.open()
    expect(await answer).toBe(2)
  })

  test('handles no message while a change is being saved', async () => {
    const gate = gatedStore(memory().kv!)
    const { system } = fixture(gate.store)
    const ref = system.spawn('counter', counter, { persist: {} })
    await add(ref, 1)
    gate.shut()
    const answers = [add(ref, 1), add(ref, 1)]
    await vi.waitUntil(() => gate.waiting === 1)
    expect(ref.handled).toBe(2)
    gate.open()
    expect(await Promise.all(answers)).toEqual([2, 3])
  })

  test('goes back to what was saved after a crash', async () => {
    const { system, clock } = fixture()
    const ref = system.spawn('counter', counter, { persist: {} })
    await add(ref, 4)
    await expect(ref.perform({ type: 'fail' }, TIME)).rejects.toMatchObject({ code: 'ACTOR_CRASHED' })
    const answer = add(ref, 1)
    clock.advance(200)
    expect(await answer).toBe(5)
  })

  test('begins anew after a crash where it is told to', async () => {
    const { system, clock } = fixture()
    const ref = system.spawn('counter', counter, { persist: {}, onCrash: 'restart' })
    await add(ref, 4)
    ref.tell({ type: 'fail' })
    const answer = add(ref, 1)
    clock.advance(200)
    expect(await answer).toBe(1)
  })

  test('fails what it could not save, and goes back to what was saved', async () => {
    const gate = gatedStore(memory().kv!)
    const { system, clock, crashes } = fixture(gate.store)
    const ref = system.spawn('counter', counter, { persist: {} })
    await add(ref, 1)
    gate.fail('before')
    await expect(add(ref, 1)).rejects.toMatchObject({ code: 'PERSIST_FAILED' })
    expect(crashes).toMatchObject([{ code: 'PERSIST_FAILED', cause: { message: 'the disk is full' } }])
    const answer = add(ref, 10)
    clock.advance(200)
    expect(await answer).toBe(11)
  })

  test('lets only one of two actors with the same key go on', async () => {
    const { system, clock } = fixture()
    const one = system.spawn('one', counter, { persist: { key: 'shared' } })
    expect(await add(one, 1)).toBe(1)
    const two = system.spawn('two', counter, { persist: { key: 'shared' } })
    expect(await add(two, 1)).toBe(2)
    await expect(add(one, 1)).rejects.toMatchObject({ code: 'PERSIST_FAILED' })
    clock.advance(200)
    expect(await add(one, 1)).toBe(3)
  })

  test('saves every so many changes, and what is left when it stops', async () => {
    const { system, store } = fixture()
    const set = vi.spyOn(store, 'set')
    const ref = system.spawn('counter', counter, { persist: { every: 3 } })
    for (let i = 0; i < 4; i++) await add(ref, 1)
    const saves = set.mock.calls.length
    expect(saves).toBeLessThanOrEqual(2)
    system.stop()
    await system.saved()
    expect(set.mock.calls.length).toBeGreaterThan(saves)
    expect(await add(fixture(store).system.spawn('counter', counter, { persist: {} }), 0)).toBe(4)
  })

  test('saves after messages of the types named', async () => {
    const { system, store } = fixture()
    const set = vi.spyOn(store, 'set')
    const quiet = {
      ...counter,
      receive: (s: { count: number }, m: Count) => void (m.type === 'add' && s.count++),
    }
    const ref = system.spawn('counter', quiet, { persist: { on: ['end'] } })
    await ref.perform({ type: 'add', by: 1 }, TIME)
    expect(set).not.toHaveBeenCalled()
    await ref.perform({ type: 'end' }, TIME)
    expect(set).toHaveBeenCalledOnce()
  })

  test('saves the last change of an actor that stops itself', async () => {
    const { system, store } = fixture()
    const ref = system.spawn('counter', counter, { persist: {} })
    await add(ref, 1)
    ref.tell({ type: 'end' })
    await system.saved()
    expect(await add(fixture(store).system.spawn('counter', counter, { persist: {} }), 0)).toBe(2)
  })

  test('waits for the last save of its predecessor', async () => {
    const gate = gatedStore(memory().kv!)
    const { system } = fixture(gate.store)
    const ref = system.spawn('counter', counter, { persist: {} })
    await add(ref, 1)
    gate.shut()
    ref.tell({ type: 'end' })
    const next = system.spawn('counter', counter, { persist: {} })
    const answer = add(next, 1)
    await vi.waitUntil(() => gate.waiting === 1)
    gate.open()
    expect(await answer).toBe(3)
  })

  test('turns what an older version saved into its own', async () => {
    const { system, store } = fixture()
    await add(system.spawn('counter', counter, { persist: {} }), 2)
    const migrate = (saved: unknown, version: number) => [saved, version]
    const newer: Behaviour<Count, unknown> = {
      ...counter,
      receive() {},
      snapshot: state => state,
      restore: saved => saved,
    }
    const ref = fixture(store).system.spawn('counter', newer, { persist: { version: 2, migrate } })
    await ref.perform({ type: 'end' }, TIME)
    expect(ref.getSnapshot()).toEqual([2, 1])
  })

  test('says what to do about another version', async () => {
    const { system, store } = fixture()
    await add(system.spawn('counter', counter, { persist: {} }), 2)
    const later = fixture(store)
    later.system.spawn('counter', counter, { persist: { version: 2 }, onCrash: 'stop' })
    await vi.waitUntil(() => later.crashes.length > 0)
    expect(String(later.crashes[0])).toMatch(/persist\.migrate/)
  })

  test('needs a store, and a behaviour that can be saved', () => {
    expect(() => new ActorSystem().spawn('a', counter, { persist: {} })).toThrow(/store/)
    const { system } = fixture()
    expect(() => system.spawn('a', { receive() {} }, { persist: {} })).toThrow(/save\(state\)/)
    expect(() => system.spawn('a', counter, { onCrash: 'restart-from-snapshot' })).toThrow(/persist/)
    expect(() => system.spawn('a', counter, { persist: {}, concurrency: 2 })).toThrow(/one message at a time/)
  })
})

describe('a machine that saves its state', () => {
  const light = setup({ types: { context: {} as { tags: Map<string, Date> } } }).createMachine({
    context: { tags: new Map() },
    initial: 'red',
    states: {
      red: {
        on: {
          go: { target: 'green', actions: assign({ tags: () => new Map([['since', new Date(5)]]) }) },
        },
      },
      green: { after: { 10000: 'red' }, on: { end: 'off' } },
      off: { type: 'final' },
    },
  })

  test('comes back in its state, with all that its context holds', async () => {
    const { system, store } = fixture()
    await system.spawn('light', light, { persist: {} }).perform({ type: 'go' }, TIME)
    system.stop()
    const ref = fixture(store).system.spawn('light', light, { persist: {} })
    const seen = await new Promise<ReturnType<typeof ref.getSnapshot>>(resolve => ref.subscribe(resolve))
    expect(seen.value).toBe('green')
    expect(seen.context.tags).toEqual(new Map([['since', new Date(5)]]))
  })

  test('has its delayed transitions again, with the time that was left', async () => {
    const first = fixture()
    await first.system.spawn('light', light, { persist: {} }).perform({ type: 'go' }, TIME)
    first.clock.advance(4000)
    first.system.stop()
    const { system, clock } = fixture(first.store)
    clock.advance(4000)
    const ref = system.spawn('light', light, { persist: {} })
    const values: unknown[] = []
    await new Promise<void>(resolve =>
      ref.subscribe(({ value }) => {
        values.push(value)
        resolve()
      }),
    )
    clock.advance(5900)
    expect(ref.getSnapshot().value).toBe('green')
    clock.advance(200)
    expect(ref.getSnapshot().value).toBe('red')
    await vi.waitUntil(() => values.length > 1)
    expect(values).toEqual(['green', 'red'])
  })

  test('has what fell due meanwhile at once', async () => {
    const first = fixture()
    await first.system.spawn('light', light, { persist: {} }).perform({ type: 'go' }, TIME)
    first.system.stop()
    const { system, clock } = fixture(first.store)
    clock.advance(60_000)
    const ref = system.spawn('light', light, { persist: {} })
    await new Promise(resolve => ref.subscribe(resolve))
    clock.advance(20)
    expect(ref.getSnapshot().value).toBe('red')
  })

  test('saves a delayed transition when it has been taken', async () => {
    const { system, store, clock } = fixture()
    const ref = system.spawn('light', light, { persist: {} })
    await ref.perform({ type: 'go' }, TIME)
    clock.advance(10_100)
    await system.saved()
    const next = fixture(store).system.spawn('light', light, { persist: {} })
    const { value } = await new Promise<{ value: unknown }>(resolve => next.subscribe(resolve))
    expect(value).toBe('red')
  })

  test('keeps the delayed messages of its children', async () => {
    const child = createMachine({
      initial: 'waits',
      states: { waits: { after: { 5000: 'over' } }, over: {} },
    })
    const parent = setup({ actors: { child } }).createMachine({
      invoke: { src: 'child', id: 'kid' },
      on: { poke: { actions: sendTo('kid', { type: 'none' }, { delay: 9000, id: 'later' }) } },
    })
    const first = fixture()
    await first.system.spawn('p', parent, { persist: {} }).perform({ type: 'poke' }, TIME)
    first.system.stop()
    const { system, clock } = fixture(first.store)
    const ref = system.spawn('p', parent, { persist: {} })
    await new Promise(resolve => ref.subscribe(resolve))
    clock.advance(5100)
    expect(ref.getSnapshot().children.kid?.getSnapshot()).toMatchObject({ value: 'over' })
  })

  test('stays done when it was', async () => {
    const { system, store } = fixture()
    const ref = system.spawn('light', light, { persist: {} })
    await ref.perform({ type: 'go' }, TIME)
    await ref.perform({ type: 'end' }, TIME)
    await system.saved()
    const next = fixture(store).system
    const again = next.spawn('light', light, { persist: {} })
    await new Promise<void>(resolve => next.watch(again, ({ type }) => type === 'stopped' && resolve()))
    expect(again.getSnapshot().status).toBe('done')
  })

  test('is not saved again for an event that changes nothing', async () => {
    const { system, store } = fixture()
    const set = vi.spyOn(store, 'set')
    const ref = system.spawn('light', light, { persist: {} })
    await ref.perform({ type: 'go' }, TIME)
    const saves = set.mock.calls.length
    await ref.perform({ type: 'nothing' } as never, TIME)
    expect(set.mock.calls.length).toBe(saves)
  })
})

describe('what becomes of a message', () => {
  test('is told once it has been handled', async () => {
    const { system } = fixture()
    const ref = system.spawn('counter', counter)
    await ref.perform({ type: 'add', by: 1 }, TIME)
    expect(ref.getSnapshot()).toBe(1)
  })

  test('is told of each, also when one object is on its way twice', async () => {
    const { system } = fixture()
    const ref = system.spawn('counter', counter)
    const message: Count = { type: 'add', by: 1 }
    await Promise.all([ref.perform(message, TIME), ref.perform(message, TIME)])
    expect(ref.getSnapshot()).toBe(2)
  })

  test('is told at once when the handler fails, to an ask too', async () => {
    const { system } = fixture()
    const ref = system.spawn('counter', counter)
    await expect(ref.ask(() => ({ type: 'fail' }), TIME)).rejects.toMatchObject({
      code: 'ACTOR_CRASHED',
      cause: { message: 'broken' },
    })
  })

  test('is told when it is dropped', async () => {
    const { system } = fixture()
    let go = (): void => {}
    const slow: Behaviour<{ n: number }> = { receive: () => new Promise<void>(resolve => (go = resolve)) }
    const ref = system.spawn('slow', slow, { capacity: 1, overflow: 'drop-oldest' })
    const first = ref.perform({ n: 1 }, TIME)
    const second = ref.perform({ n: 2 }, TIME)
    const third = ref.perform({ n: 3 }, TIME)
    await expect(second).rejects.toMatchObject({ code: 'MAILBOX_FULL', retryAfter: 100 })
    go()
    await first
    go()
    await third
  })
})

describe('a subscription', () => {
  test('gives the state at once, then after every change', () => {
    const { system } = fixture()
    const ref = system.spawn(
      'light',
      createMachine({ initial: 'a', states: { a: { on: { go: 'b' } }, b: {} } }),
    )
    const seen: unknown[] = []
    const end = ref.subscribe(({ value }) => seen.push(value))
    ref.tell({ type: 'none' })
    ref.tell({ type: 'go' })
    expect(seen).toEqual(['a', 'b'])
    end()
  })

  test('waits for the save where the actor saves', async () => {
    const gate = gatedStore(memory().kv!)
    const { system } = fixture(gate.store)
    const ref = system.spawn('counter', counter, { persist: {} })
    const seen: unknown[] = []
    ref.subscribe(count => seen.push(count))
    await add(ref, 1)
    gate.shut()
    const answer = add(ref, 1)
    await vi.waitUntil(() => gate.waiting === 1)
    expect(seen).toEqual([0, 1])
    gate.open()
    await answer
    expect(seen).toEqual([0, 1, 2])
  })

  test('goes on after a restart, and survives a listener that throws', async () => {
    const { system, clock, crashes } = fixture()
    const ref = system.spawn('counter', counter, { onCrash: 'restart' })
    const seen: unknown[] = []
    ref.subscribe(() => {
      throw new Error('listener')
    })
    ref.subscribe(count => seen.push(count))
    ref.tell({ type: 'add', by: 2 })
    ref.tell({ type: 'fail' })
    clock.advance(200)
    ref.tell({ type: 'add', by: 1 })
    expect(seen).toEqual([0, 2, 0, 1])
    expect(crashes.length).toBeGreaterThan(1)
  })
})
