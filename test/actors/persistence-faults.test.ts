import { describe, expect, test, vi } from 'vitest'
import { createMachine } from 'xstate'
import { type ActorRef, ActorSystem, type Behaviour } from '../../src/actors/runtime/index.js'
import { memory } from '../../src/engines/memory.js'
import { manualClock } from '../../src/testing/index.js'
import { gatedStore } from './gated-store.js'
import { gate as promiseGate, settled } from './support.js'

type Note = { type: string; reply?: (value: number) => void }

const TIME = { timeout: 100_000 }

/** Adds 1 for every message; what it fails at leaves -999 behind. */
const counter: Behaviour<Note, { count: number }> = {
  initial: () => ({ count: 0 }),
  receive(state, { type, reply }, self) {
    state.count = type === 'fail' || type === 'end and fail' ? -999 : state.count + 1
    if (type.startsWith('end')) self.stop()
    if (type.endsWith('fail')) throw new Error('broken')
    reply?.(state.count)
  },
  snapshot: ({ count }) => count,
  save: ({ count }) => count,
  restore: saved => ({ count: saved as number }),
}

function fixture(kv = memory().kv!) {
  const gate = gatedStore(kv)
  const clock = manualClock()
  const crashes: unknown[] = []
  const system = new ActorSystem({
    clock,
    store: gate.store,
    random: () => 0,
    crashed: ({ error }) => crashes.push(error),
  })
  return { gate, clock, system, crashes, kv }
}

/** What an actor would begin with now. */
async function restored<M extends object, S>(
  behaviour: Behaviour<M, S>,
  kv = memory().kv!,
): Promise<unknown> {
  const ref = new ActorSystem({ store: kv, clock: manualClock() }).spawn('a', behaviour, { persist: {} })
  return await new Promise(resolve => ref.subscribe(resolve))
}

const add = (ref: ActorRef<Note, unknown>): Promise<void> => ref.perform({ type: 'add' }, TIME)

describe('what a crash has left half done is not saved', () => {
  test('with changes before it that no save was due for', async () => {
    const { system, kv } = fixture()
    const ref = system.spawn('a', counter, { persist: { every: 10 }, onCrash: 'stop' })
    await add(ref)
    ref.tell({ type: 'fail' })
    await system.saved()
    expect(await restored(counter, kv)).toBe(0)
  })

  test('of a machine, whose failed snapshot nobody could begin with', async () => {
    const machine = createMachine({
      on: {
        fail: {
          actions: () => {
            throw new Error('broken')
          },
        },
      },
    })
    const { system, kv } = fixture()
    const ref = system.spawn('a', machine, { persist: { every: 10 }, onCrash: 'stop' })
    await ref.perform({ type: 'none' }, TIME)
    ref.tell({ type: 'fail' })
    await system.saved()
    const later = fixture(kv)
    const again = later.system.spawn('a', machine, { persist: {} })
    await again.perform({ type: 'none' }, TIME)
    expect(later.crashes).toEqual([])
  })

  test('when the handler had stopped its actor before', async () => {
    const { system, kv } = fixture()
    const ref = system.spawn('a', counter, { persist: {} })
    await add(ref)
    ref.tell({ type: 'end and fail' })
    await system.saved()
    expect(await restored(counter, kv)).toBe(1)
  })

  test('when the save itself has failed, and was reported so', async () => {
    const { system, kv, gate } = fixture()
    const ref = system.spawn('a', counter, { persist: {}, onCrash: 'stop' })
    await add(ref)
    gate.fail('before')
    await expect(add(ref)).rejects.toMatchObject({ code: 'PERSIST_FAILED' })
    await system.saved()
    expect(await restored(counter, kv)).toBe(1)
  })

  test('when it stops while an asynchronous handler is at work', async () => {
    const door = promiseGate()
    const transfer: Behaviour<Note, { from: number; to: number }> = {
      initial: () => ({ from: 10, to: 0 }),
      async receive(state) {
        state.from -= 5
        await door.promise
        state.to += 5
      },
      snapshot: state => ({ ...state }),
      save: state => state,
      restore: saved => saved as { from: number; to: number },
    }
    const { system, kv } = fixture()
    const ref = system.spawn('a', transfer, { persist: {} })
    const outcome = ref.perform({ type: 'go' }, TIME)
    await vi.waitUntil(() => ref.handled === 1)
    system.stop()
    door.open()
    await expect(outcome).rejects.toMatchObject({ code: 'ACTOR_STOPPED' })
    await system.saved()
    expect(await restored(transfer, kv)).toEqual({ from: 10, to: 0 })
  })
})

describe('an actor that saves', () => {
  test('goes on when a write took effect whose failure was reported', async () => {
    const { system, gate, clock } = fixture()
    const ref = system.spawn('a', counter, { persist: {}, onCrash: 'restart' })
    await add(ref)
    gate.fail('after')
    await expect(add(ref)).rejects.toMatchObject({ code: 'PERSIST_FAILED' })
    const next = add(ref)
    clock.advance(200)
    await next
    expect(ref.getSnapshot()).toBe(1)
  })

  test('may not resume', () => {
    const { system } = fixture()
    expect(() => system.spawn('a', counter, { persist: {}, onCrash: 'resume' })).toThrow(
      /restart-from-snapshot/,
    )
  })

  test('refuses a key that is too long for engines', () => {
    const { system } = fixture()
    expect(() => system.spawn('a', counter, { persist: { key: 'ü'.repeat(300) } })).toThrow(/512 bytes/)
  })

  test('answers, also when its handler then stops it', async () => {
    const { system } = fixture()
    const ref = system.spawn('a', counter, { persist: {} })
    const farewell: Behaviour<Note, { count: number }> = {
      ...counter,
      receive(state, { reply }, self) {
        reply?.(++state.count)
        self.stop()
      },
    }
    const other = system.spawn('b', farewell, { persist: {} })
    await add(ref)
    expect(await other.ask<number>(reply => ({ type: 'end', reply }), TIME)).toBe(1)
  })

  test('waits for its saves when it drains, and answers all', async () => {
    const { system, gate } = fixture()
    const ref = system.spawn('a', counter, { persist: {} })
    gate.shut()
    const all = [add(ref), add(ref), add(ref)]
    ref.stop({ drain: true })
    await vi.waitUntil(() => gate.waiting === 1)
    gate.open()
    await Promise.all(all)
    expect(ref.live).toBe(false)
  })

  test('is saved when it is done from the beginning', async () => {
    const { system, kv } = fixture()
    const set = vi.spyOn(kv, 'set')
    const over = createMachine({ initial: 'a', states: { a: { type: 'final' } } })
    const ref = system.spawn('a', over, { persist: {} })
    await new Promise<void>(resolve => system.watch(ref, ({ type }) => type === 'stopped' && resolve()))
    expect(set).toHaveBeenCalledOnce()
  })

  test('calls `overflowed` with a state only', async () => {
    const { system, crashes } = fixture()
    const overflowed = vi.fn()
    const ref = system.spawn('a', { ...counter, overflowed }, { persist: {}, capacity: 1 })
    ref.tell({ type: 'add' })
    expect(ref.tell({ type: 'add' })).toBe(false)
    expect(overflowed).not.toHaveBeenCalled()
    expect(crashes).toEqual([])
  })
})

describe('a transition that no message has caused', () => {
  const delayed = (action: () => void) =>
    createMachine({
      initial: 'a',
      states: {
        a: { after: { 100: { target: 'b', actions: action } } },
        b: { on: { go: 'c', fail: { actions: fail } } },
        c: {},
      },
    })
  function fail(): never {
    throw new Error('broken')
  }

  test('is acknowledged, with what it told its own actor, after the save', async () => {
    const { system, clock, gate } = fixture()
    let performed = false
    let ref: ActorRef<Note, unknown> | undefined
    const machine = delayed(() => void ref?.perform({ type: 'go' }, TIME).then(() => (performed = true)))
    ref = system.spawn('a', machine, { persist: {} }) as unknown as ActorRef<Note, unknown>
    await ref.perform({ type: 'none' }, TIME)
    gate.shut()
    clock.advance(200)
    await settled()
    expect(performed).toBe(false)
    gate.open()
    await vi.waitUntil(() => performed)
  })

  test('passes a failure on to who told the message', async () => {
    const { system, clock } = fixture()
    let outcome: Promise<unknown> | undefined
    let ref: ActorRef<Note, unknown> | undefined
    const machine = delayed(() => {
      outcome = ref?.perform({ type: 'fail' }, TIME).catch((error: { code: string }) => error.code)
    })
    ref = system.spawn('a', machine) as unknown as ActorRef<Note, unknown>
    clock.advance(200)
    expect(await outcome).toBe('ACTOR_CRASHED')
  })

  test('has its time saved as it was set, however late the save', async () => {
    const { system, clock, kv } = fixture()
    const machine = createMachine({
      initial: 'a',
      states: { a: { on: { go: 'b' } }, b: { after: { 10000: 'c' } }, c: {} },
    })
    await system.spawn('a', machine, { persist: { every: 10 } }).perform({ type: 'go' }, TIME)
    clock.advance(9000)
    system.stop()
    await system.saved()
    const later = fixture(kv)
    later.clock.advance(9000)
    const ref = later.system.spawn('a', machine, { persist: {} })
    await new Promise(resolve => ref.subscribe(resolve))
    later.clock.advance(1100)
    expect(ref.getSnapshot().value).toBe('c')
  })
})

describe('subscribers of an actor that saves', () => {
  const machine = createMachine({
    initial: 'a',
    states: { a: { on: { go: 'b' } }, b: { after: { 100: 'c' } }, c: {} },
  })

  test('all hear of a change, also those who came while it was saved', async () => {
    const { system, gate } = fixture()
    const ref = system.spawn('a', machine, { persist: {} })
    await ref.perform({ type: 'none' }, TIME)
    const [one, two]: [unknown[], unknown[]] = [[], []]
    ref.subscribe(({ value }) => one.push(value))
    gate.shut()
    const done = ref.perform({ type: 'go' }, TIME)
    await vi.waitUntil(() => gate.waiting === 1)
    ref.subscribe(({ value }) => two.push(value))
    gate.open()
    await done
    expect([one, two]).toEqual([
      ['a', 'b'],
      ['a', 'b'],
    ])
  })

  test('see what is saved, not what has come after it', async () => {
    const { system, gate, clock } = fixture()
    const ref = system.spawn('a', machine, { persist: {} })
    await ref.perform({ type: 'none' }, TIME)
    const seen: unknown[] = []
    ref.subscribe(({ value }) => seen.push(value))
    gate.shut()
    const done = ref.perform({ type: 'go' }, TIME)
    await vi.waitUntil(() => gate.waiting === 1)
    clock.advance(200)
    gate.open(true)
    await done
    await vi.waitUntil(() => gate.waiting === 1)
    expect(seen).toEqual(['a', 'b'])
    gate.open()
    await vi.waitUntil(() => seen.length === 3)
    expect(seen).toEqual(['a', 'b', 'c'])
  })
})

test('a handler that outlives a restart is answered for', async () => {
  const { system, clock } = fixture()
  const door = promiseGate()
  const behaviour: Behaviour<Note> = {
    receive: (_state, { type }) => {
      if (type === 'slow') return door.promise
      throw new Error('broken')
    },
  }
  const ref = system.spawn('a', behaviour, { concurrency: 2, onCrash: 'restart' })
  const slow = ref.perform({ type: 'slow' }, TIME)
  ref.tell({ type: 'fail' })
  clock.advance(500)
  door.open()
  await expect(slow).rejects.toMatchObject({ code: 'ACTOR_CRASHED' })
})

describe('a fence', () => {
  const start = (kv: NonNullable<ReturnType<typeof memory>['kv']>, fence?: number) => {
    const crashes: unknown[] = []
    const system = new ActorSystem({
      store: kv,
      clock: manualClock(),
      random: () => 0,
      crashed: ({ error }) => crashes.push(error),
    })
    const persist = fence === undefined ? {} : { fence }
    return { ref: system.spawn('a', counter, { persist, onCrash: 'stop' }), crashes }
  }

  test('refuses every save of an older one from when a newer one has begun, before that has changed anything', async () => {
    const kv = memory().kv!
    for (const isNew of [true, false]) {
      const old = start(kv, isNew ? 1 : 3)
      if (!isNew) await add(old.ref)
      await settled()
      const young = start(kv, isNew ? 2 : 4)
      await settled()
      await expect(add(old.ref)).rejects.toMatchObject({ code: 'PERSIST_FAILED' })
      await add(young.ref)
      expect([old.crashes.length, young.crashes]).toEqual([1, []])
      young.ref.stop()
    }
    expect(await restored(counter, kv)).toBe(3)
  })

  test('keeps an older one from beginning at all, and from taking the state away', async () => {
    const kv = memory().kv!
    const young = start(kv, 5)
    await add(young.ref)
    const old = start(kv, 4)
    await expect(add(old.ref)).rejects.toMatchObject({ code: 'ACTOR_STOPPED' })
    expect(String(old.crashes[0])).toContain('the fence 4 is stale, 5 has been here')
    await add(young.ref)
    expect(await restored(counter, kv)).toBe(2)
  })

  test('that is no token of a lease is refused', () => {
    for (const fence of [-1, 1.5, '1' as never]) {
      expect(() => start(memory().kv!, fence)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    }
  })
})
