import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, expectTypeOf, test, vi } from 'vitest'
import {
  type ActorLogic,
  assign,
  fromCallback,
  fromPromise,
  fromTransition,
  type Snapshot,
  setup,
} from 'xstate'
import type { ActorSystem, Behaviour } from '../../src/actors/runtime/index.js'
import { Server } from '../../src/server.js'
import { memory } from '../../src/transports/memory.js'
import { createSystem, type Note, settled } from './support.js'

const counter = setup({
  types: {
    context: {} as { readonly count: number },
    events: {} as { type: 'add'; by: number } | { type: 'fail' } | { type: 'end' },
    input: {} as { readonly from: number },
  },
}).createMachine({
  context: ({ input }) => ({ count: input.from }),
  initial: 'counting',
  states: {
    counting: {
      on: {
        add: { actions: assign({ count: ({ context, event }) => context.count + event.by }) },
        fail: {
          actions: () => {
            throw new Error('no')
          },
        },
        end: 'done',
      },
    },
    done: { type: 'final' },
  },
})

const fragile: Behaviour<Note> = {
  receive(_state, { type }) {
    if (type === 'fail') throw new Error('no')
  },
}

describe('a machine', () => {
  test('is spawned as a behaviour is, and its snapshot can be read', () => {
    const { system } = createSystem()
    const ref = system.spawn('counter', counter, { input: { from: 1 } })
    ref.tell({ type: 'add', by: 2 })
    expect(ref.getSnapshot().context.count).toBe(3)
    expectTypeOf(ref.getSnapshot().context.count).toEqualTypeOf<number>()
    expect(ref.path).toBe('/counter')
    // @ts-expect-error an event that there is not
    ref.tell({ type: 'subtract' })
  })

  test('begins anew at the same address after a crash, which is reported once with its message', () => {
    const { system, crashes, clock } = createSystem()
    const ref = system.spawn('counter', counter, { input: { from: 1 } })
    ref.tell({ type: 'add', by: 2 })
    ref.tell({ type: 'fail' })
    expect(crashes).toEqual([{ path: '/counter', error: new Error('no'), messageType: 'fail' }])
    ref.tell({ type: 'add', by: 5 })
    clock.advance(200)
    expect(system.find('/counter')).toBe(ref)
    expect(ref.getSnapshot().context.count).toBe(6)
  })

  test('has stopped when it is done, and keeps its last snapshot', () => {
    const { system } = createSystem()
    const ref = system.spawn('counter', counter, { input: { from: 1 } })
    ref.tell({ type: 'end' })
    expect(ref.live).toBe(false)
    expect(ref.getSnapshot().status).toBe('done')
    expect(system.root.children.size).toBe(0)
  })

  test('that is done from the beginning has stopped', () => {
    const { system } = createSystem()
    const brief = setup({}).createMachine({ initial: 'over', states: { over: { type: 'final' } } })
    expect(system.spawn('brief', brief).live).toBe(false)
    expect(system.root.children.size).toBe(0)
  })

  test('that cannot begin throws at who spawns it, and leaves nothing', () => {
    const { system } = createSystem()
    const broken = setup({}).createMachine({
      entry: () => {
        throw new Error('not today')
      },
    })
    expect(() => system.spawn('broken', broken)).toThrow('not today')
    expect(system.find('/broken')).toBeUndefined()
    expect(system.counters.actors).toBe(1)
  })

  test('has its delays on the wheel of the system', () => {
    const { system, clock } = createSystem()
    const light = setup({}).createMachine({
      initial: 'red',
      states: { red: { after: { 1000: 'green' } }, green: {} },
    })
    const ref = system.spawn('light', light)
    expect(system.timers.size).toBe(1)
    clock.advance(1010)
    expect(ref.getSnapshot().value).toBe('green')
    const other = system.spawn('other', light)
    other.stop()
    expect(system.timers.size).toBe(0)
    expect(clock.timers).toBe(0)
  })
})

describe('any other logic', () => {
  test('is spawned by the same call: a reducer, a promise, a callback, one of your own', async () => {
    const { system } = createSystem()
    const sum = system.spawn(
      'sum',
      fromTransition((n: number, event: { type: 'add'; by: number }) => n + event.by, 0),
    )
    sum.tell({ type: 'add', by: 4 })
    expect(sum.getSnapshot().context).toBe(4)
    const promised = system.spawn(
      'promised',
      fromPromise(async () => 7),
    )
    const heard: string[] = []
    const callback = system.spawn(
      'callback',
      fromCallback<Note>(({ receive }) => receive(({ type }) => heard.push(type))),
    )
    callback.tell({ type: 'hello' })
    expect(heard).toEqual(['hello'])
    await settled()
    expect(promised.getSnapshot().output).toBe(7)
    expect(promised.live).toBe(false)
  })

  test('what is neither behaviour nor logic is refused', () => {
    const { system } = createSystem()
    expect(() => system.spawn('thing', {} as Behaviour<Note>)).toThrow('"thing" must be a behaviour')
  })
})

describe('where XState lets one down', () => {
  test('an observer that throws wedges no mailbox', () => {
    const { system, crashes } = createSystem()
    const throws = (): never => {
      throw new Error('observer')
    }
    system.subscribe('/', throws)
    system.deadLetters.subscribe(throws)
    const ref = system.spawn('counter', counter, { input: { from: 0 } })
    system.watch(ref, throws)
    for (let i = 0; i < 3; i++) ref.tell({ type: 'add', by: 1 })
    expect(ref.getSnapshot().context.count).toBe(3)
    ref.stop()
    ref.tell({ type: 'end' })
    expect(crashes.map(({ error }) => error)).toContainEqual(new Error('observer'))
  })

  test('children are spawned in constant time, and stop so while timers are set', () => {
    const { system } = createSystem()
    const parent = system.spawn<Note, undefined>('parent', { receive() {} })
    const clock = system.spawn<Note, undefined>('clock', { receive() {} })
    for (let i = 0; i < 10_000; i++) clock.schedule(1_000_000 + i, { type: 'tick' })
    // Below a machine, or beside these timers in XState, this takes minutes.
    for (let i = 0; i < 50_000; i++) parent.spawn(`${i}`, fragile)
    parent.stop()
    expect(system.counters.actors).toBe(2)
  })

  test('who has ended is no longer a child', () => {
    const { system } = createSystem()
    for (let i = 0; i < 500; i++) system.spawn(`${i}`, counter, { input: { from: 0 } }).tell({ type: 'end' })
    expect(system.root.children.size).toBe(0)
  })

  test('a name is required, and cannot be taken twice', () => {
    const { system } = createSystem()
    expect(() => system.spawn('', fragile)).toThrow('name must be a text')
    expect(() => system.spawn('a/b', fragile)).toThrow('name must be a text')
    system.spawn('a', fragile)
    expect(() => system.spawn('a', fragile)).toThrow('/a exists')
  })

  test('the children of a machine that failed stop', () => {
    const { system } = createSystem()
    let running = 0
    const child = fromCallback(() => {
      running++
      return () => running--
    })
    const parent = setup({ actors: { child } }).createMachine({
      invoke: { src: 'child' },
      on: {
        fail: {
          actions: () => {
            throw new Error('no')
          },
        },
      },
    })
    const ref = system.spawn('parent', parent, { onCrash: 'stop' })
    expect(running).toBe(1)
    ref.tell({ type: 'fail' })
    expect(ref.live).toBe(false)
    expect(running).toBe(0)
  })

  test('a reducer is not handed a stop, and has stopped', () => {
    const { system } = createSystem()
    const seen: string[] = []
    const reducer = fromTransition((n: number, event: Note) => {
      seen.push(event.type)
      return n
    }, 0)
    const ref = system.spawn('reducer', reducer)
    ref.tell({ type: 'one' })
    ref.stop()
    expect(seen).toEqual(['one'])
    expect(ref.getSnapshot().status).toBe('stopped')
  })

  test('an error that nobody observes ends nothing', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    try {
      const { system, crashes } = createSystem()
      system.spawn('machine', counter, { input: { from: 0 }, onCrash: 'stop' }).tell({ type: 'fail' })
      const failing = fromPromise(() => Promise.reject(new Error('later')))
      system.spawn('promise', failing, { onCrash: 'stop' })
      await settled()
      // XState rethrows in a timeout.
      expect(() => vi.runAllTimers()).not.toThrow()
      expect(crashes.map(({ path, error }) => [path, error])).toEqual([
        ['/machine', new Error('no')],
        ['/promise', new Error('later')],
      ])
      expect(system.counters.actors).toBe(1)
    } finally {
      vi.useRealTimers()
    }
  })

  test('a crash is seen by whoever watches', () => {
    const { system, events, clock } = createSystem()
    const ref = system.spawn('counter', counter, { input: { from: 0 } })
    system.watch(ref, event => events.push(event))
    ref.tell({ type: 'fail' })
    clock.advance(110)
    ref.tell({ type: 'end' })
    expect(events).toEqual([
      { type: 'crashed', path: '/counter', error: new Error('no'), messageType: 'fail', action: 'restart' },
      { type: 'restarted', path: '/counter' },
      { type: 'stopped', path: '/counter' },
    ])
  })

  test('who tells itself without end lets others have their turn', async () => {
    const { system } = createSystem()
    let turns = 0
    const ref = system.spawn<Note, undefined>('self', {
      receive(_state, message, self) {
        turns++
        self.tell(message)
      },
    })
    ref.tell({ type: 'go' })
    await settled()
    ref.stop()
    expect(turns).toBeGreaterThan(1000)
  })

  test('what an actor was given goes with it, though its ref is kept', async () => {
    const { system } = createSystem()
    const { ref, input } = spawnAndStop(system)
    // A WeakRef keeps its target until the turn of the event loop has ended.
    await settled()
    collectGarbage()
    expect(ref.live).toBe(false)
    expect(input.deref()).toBeUndefined()
  })
})

function spawnAndStop({ spawn }: ActorSystem) {
  const logic: ActorLogic<Snapshot<undefined>, Note, { big: string }> = {
    getInitialSnapshot: () => ({ status: 'active', output: undefined, error: undefined }),
    transition: snapshot => snapshot,
    getPersistedSnapshot: snapshot => snapshot,
  }
  const input = { big: 'x' }
  const ref = spawn('own', logic, { input })
  ref.stop()
  return { ref, input: new WeakRef(input) }
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  ;(runInNewContext('gc') as () => void)()
}

describe('a server', () => {
  test('spawns below /app, and a service below its own actor', async () => {
    let spawned: string | undefined
    const app = new Server({ transport: memory() }).service('chat', {
      server({ spawn }) {
        spawned = spawn('room-1', counter, { input: { from: 0 } }).path
      },
    })
    expect(() => app.spawn('early', fragile)).toThrow('start()')
    await app.start()
    expect(spawned).toBe('/services/chat/room-1')
    const ref = app.spawn('counter', counter, { input: { from: 0 } })
    expect(ref.path).toBe('/app/counter')
    expect(app.actors.find('/app/counter')).toBe(ref)
    await app.stop()
    expect(ref.live).toBe(false)
    expect(() => app.spawn('late', fragile)).toThrow('before stop()')
  })
})
