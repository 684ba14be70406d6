import { describe, expect, test, vi } from 'vitest'
import {
  type ActorLogic,
  createActor,
  fromCallback,
  raise,
  type Snapshot,
  setup,
  spawnChild,
  stopChild,
} from 'xstate'
import type { ActorRef, ActorSystem, Behaviour } from '../../src/actors/runtime/index.js'
import { manualClock } from '../../src/testing/index.js'
import { collectGarbage, createSystem, type Note, quietly, settled } from './support.js'

/** Logic that counts how many run it. */
function runners() {
  const count = { running: 0 }
  const child = fromCallback(() => {
    count.running++
    return () => void count.running--
  })
  return { count, child }
}

/** A machine that spawns a child with the id of the event. */
function nursery(child: ReturnType<typeof runners>['child']) {
  return setup({
    types: { events: {} as { type: 'spawn'; id: string } | { type: 'nameless' } | { type: 'fail' } },
    actors: { child },
  }).createMachine({
    on: {
      spawn: {
        actions: spawnChild('child', { id: ({ event }) => (event.type === 'spawn' ? event.id : '') }),
      },
      nameless: { actions: spawnChild('child') },
      fail: { actions: throws },
    },
  })
}

function throws(): never {
  throw new Error('no')
}

const idle: Behaviour<Note> = { receive() {} }
const brief = setup({}).createMachine({ initial: 'over', states: { over: { type: 'final' } } })

/** A parent that spawns below it what its messages name. */
function parentIn(system: ActorSystem): ActorRef<Note> {
  return system.spawn<Note, undefined>('parent', {
    receive(_state, { type }, self) {
      self.spawn(type, idle)
    },
  })
}

describe('spawning many children', () => {
  const names = Array.from({ length: 100 }, (_, i) => `${i}`)

  test('copies all children of a machine in XState, each time', () => {
    const parent = createActor(nursery(runners().child)).start()
    const copies = new Set<object>()
    let copied = 0
    for (const id of names) {
      parent.send({ type: 'spawn', id })
      const { children } = parent.getSnapshot()
      copies.add(children)
      copied += Object.keys(children).length
    }
    expect([copies.size, copied]).toEqual([100, 5050])
  })

  test('adds to one map in the kit', () => {
    const { system } = createSystem()
    const parent = parentIn(system)
    const copies = new Set<object>()
    for (const type of names) {
      parent.tell({ type })
      copies.add(parent.children)
    }
    expect([copies.size, parent.children.size]).toEqual([1, 100])
  })
})

describe('stopping an actor that has no timers, among a thousand timers', () => {
  test('looks at each of them in XState', () => {
    const ticking = setup({ actors: { child: runners().child } }).createMachine({
      entry: Array.from({ length: 1000 }, (_, i) => raise({ type: 'tick' }, { delay: 60_000, id: `${i}` })),
      on: { spawn: { actions: spawnChild('child', { id: 'quiet' }) }, stop: { actions: stopChild('quiet') } },
    })
    const actor = createActor(ticking, { clock: manualClock() }).start()
    actor.send({ type: 'spawn' })
    let reads = 0
    const { _snapshot: timers } = actor.system as unknown as { _snapshot: { _scheduledEvents: object } }
    timers._scheduledEvents = new Proxy(timers._scheduledEvents, {
      get(target, key) {
        reads++
        return Reflect.get(target, key)
      },
    })
    actor.send({ type: 'stop' })
    expect(reads).toBeGreaterThanOrEqual(1000)
  })

  test('looks at none in the kit', () => {
    const { system } = createSystem()
    const ticking = system.spawn('ticking', idle)
    for (let i = 0; i < 1000; i++) ticking.schedule(60_000, { type: 'tick' })
    const quiet = system.spawn('quiet', idle)
    const iterator: Iterator<unknown> = Object.getPrototypeOf(new Set().values())
    const step = vi.spyOn(iterator, 'next')
    quiet.stop()
    const steps = step.mock.calls.length
    step.mockRestore()
    expect(system.timers.size).toBe(1000)
    expect(steps).toBeLessThan(10)
  })
})

describe('children that are done', () => {
  test('stay with their parent in XState', () => {
    const parent = createActor(
      setup({ types: { events: {} as { type: string } }, actors: { brief } }).createMachine({
        on: { spawn: { actions: spawnChild('brief', { id: () => `${children++}` }) } },
      }),
    )
    let children = 0
    parent.start()
    for (let i = 0; i < 500; i++) parent.send({ type: 'spawn' })
    const kept = Object.values(parent.getSnapshot().children).map(child => child?.getSnapshot().status)
    expect(kept).toEqual(new Array(500).fill('done'))
  })

  test('are gone in the kit', () => {
    const { system } = createSystem()
    for (let i = 0; i < 500; i++) system.spawn(`${i}`, brief)
    expect([system.root.children.size, system.counters.actors]).toEqual([0, 1])
  })
})

describe('children without a name', () => {
  test('take the place of each other in XState, and outlive their parent', () => {
    const { count, child } = runners()
    const parent = createActor(nursery(child)).start()
    for (let i = 0; i < 5; i++) parent.send({ type: 'nameless' })
    expect(Object.keys(parent.getSnapshot().children)).toEqual(['undefined'])
    parent.stop()
    expect(count.running).toBe(4)
  })

  test('are refused by the kit, and those with one all stop', () => {
    const { system } = createSystem()
    const { count, child } = runners()
    const parent = system.spawn('parent', idle)
    expect(() => parent.spawn('', child)).toThrow('name must be a text')
    for (let i = 0; i < 5; i++) parent.spawn(`${i}`, child)
    expect(count.running).toBe(5)
    parent.stop()
    expect(count.running).toBe(0)
  })
})

describe('two children with one name', () => {
  test('are taken in silence by XState, and one outlives the parent', () => {
    const { count, child } = runners()
    const parent = createActor(nursery(child)).start()
    for (let i = 0; i < 2; i++) parent.send({ type: 'spawn', id: 'same' })
    expect(parent.getSnapshot().status).toBe('active')
    parent.stop()
    expect(count.running).toBe(1)
  })

  test('are refused by the kit', () => {
    const { system } = createSystem()
    const { count, child } = runners()
    const parent = system.spawn('parent', idle)
    parent.spawn('same', child)
    expect(() => parent.spawn('same', child)).toThrow('/parent/same exists')
    parent.stop()
    expect(count.running).toBe(0)
  })
})

describe('a parent whose action throws', () => {
  test('leaves its children running in XState', () => {
    const { count, child } = runners()
    const parent = createActor(nursery(child))
    parent.subscribe({ error() {} })
    parent.start()
    parent.send({ type: 'spawn', id: 'a' })
    parent.send({ type: 'fail' })
    expect(parent.getSnapshot().status).toBe('error')
    expect(count.running).toBe(1)
  })

  test('takes its children with it in the kit, whether it restarts or stops', () => {
    const { system, clock } = createSystem()
    const { count, child } = runners()
    for (const onCrash of ['restart', 'stop'] as const) {
      const parent = system.spawn(onCrash, nursery(child), { onCrash })
      parent.tell({ type: 'spawn', id: 'a' })
      expect(count.running).toBe(1)
      parent.tell({ type: 'fail' })
      expect(count.running).toBe(0)
    }
    clock.advance(1000)
    expect(count.running).toBe(0)
  })
})

describe('a parent with logic of its own that stops', () => {
  const own: ActorLogic<Snapshot<undefined>, Note> = {
    getInitialSnapshot: () => ({ status: 'active', output: undefined, error: undefined }),
    transition: (snapshot, { type }) =>
      type === 'xstate.stop' ? { ...snapshot, status: 'stopped' } : snapshot,
    getPersistedSnapshot: snapshot => snapshot,
  } as ActorLogic<Snapshot<undefined>, Note>

  test('leaves its children running in XState', () => {
    const { count, child } = runners()
    const parent = createActor(own).start()
    createActor(child, { parent, id: 'a' }).start()
    parent.stop()
    expect(parent.getSnapshot().status).toBe('stopped')
    expect(count.running).toBe(1)
  })

  test('takes its children with it in the kit', () => {
    const { system } = createSystem()
    const { count, child } = runners()
    const parent = system.spawn('parent', own)
    parent.spawn('a', child)
    expect(count.running).toBe(1)
    parent.stop()
    expect(count.running).toBe(0)
  })
})

describe('what an actor was given at its start', () => {
  const taker = setup({ types: { input: {} as { readonly big: string } } }).createMachine({
    initial: 'on',
    states: { on: { on: { end: 'over' } }, over: { type: 'final' } },
  })
  const input = () => ({ big: 'x' })

  test('is kept by XState after the end, as long as the actor is', async () => {
    const start = () => {
      const given = input()
      const actor = createActor(taker, { input: given }).start()
      actor.send({ type: 'end' })
      return { actor, given: new WeakRef(given) }
    }
    const { actor, given } = start()
    // A WeakRef keeps its target until the turn of the event loop has ended.
    await settled()
    collectGarbage()
    expect(actor.getSnapshot().status).toBe('done')
    expect(given.deref()).toBeDefined()
  })

  test('is let go by the kit, though its ref is kept', async () => {
    const start = () => {
      const given = input()
      const ref = createSystem().system.spawn('taker', taker, { input: given })
      ref.tell({ type: 'end' })
      return { ref, given: new WeakRef(given) }
    }
    const { ref, given } = start()
    await settled()
    collectGarbage()
    expect(ref.getSnapshot().status).toBe('done')
    expect(given.deref()).toBeUndefined()
  })
})

describe('an actor that has failed', () => {
  const fragile = setup({ types: { events: {} as Note } }).createMachine({
    on: { fail: { actions: throws } },
  })

  test('is dead for good in XState', () => {
    const actor = createActor(fragile)
    actor.subscribe({ error() {} })
    actor.start()
    actor.send({ type: 'fail' })
    quietly(() => actor.send({ type: 'hello' }))
    expect(actor.getSnapshot().status).toBe('error')
  })

  test('begins anew in the kit', () => {
    const { system, clock } = createSystem()
    const ref = system.spawn('fragile', fragile)
    ref.tell({ type: 'fail' })
    clock.advance(1000)
    expect([ref.live, ref.getSnapshot().status]).toEqual([true, 'active'])
  })
})

describe('who asks after an actor that has stopped', () => {
  test('hears nothing from XState', () => {
    const actor = createActor(nursery(runners().child)).start()
    actor.stop()
    const heard: string[] = []
    actor.subscribe({ error: () => heard.push('error'), complete: () => heard.push('complete') })
    expect(heard).toEqual([])
  })

  test('hears of it at once in the kit', () => {
    const { system, events } = createSystem()
    const ref = system.spawn('child', idle)
    ref.stop()
    system.watch(ref, event => events.push(event))
    expect(events).toEqual([{ type: 'stopped', path: '/child' }])
  })
})
