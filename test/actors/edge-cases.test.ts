import { expect, test } from 'vitest'
import { setup } from 'xstate'
import type { ActorRef } from '../../src/actors/runtime/index.js'
import { collectGarbage, createSystem, type Note, settled } from './support.js'

function throws(): never {
  throw new Error('no')
}

test('a beginning that spawned before it failed leaves nothing to the next one', () => {
  const { system, clock } = createSystem()
  let begins = 0
  const ref = system.spawn<Note, undefined>(
    'a',
    {
      initial(self) {
        self.spawn<Note, undefined>('child', { receive() {} })
        if (++begins === 2) throws()
      },
      receive: throws,
    },
    { onCrash: 'restart' },
  )
  ref.tell({ type: 'fail' })
  clock.advance(10_000)
  expect([ref.live, begins]).toEqual([true, 3])
})

test('a restart stops what `stopped` has spawned', () => {
  const { system, clock } = createSystem()
  const child = { receive() {} }
  const ref = system.spawn<Note, undefined>(
    'a',
    {
      initial: self => void self.spawn<Note, undefined>('child', child),
      receive: throws,
      stopped: (_state, self) => void self.spawn<Note, undefined>('child', child),
    },
    { onCrash: 'restart' },
  )
  ref.tell({ type: 'fail' })
  clock.advance(60_000)
  expect(ref.live).toBe(true)
})

test('`ready` resolves when the message that made it full was kept by the run queue', async () => {
  const { system, inOneTurn } = createSystem()
  const ref = system.spawn<Note, undefined>('a', { receive() {} }, { overflow: 'backpressure', capacity: 1 })
  let ready = false
  inOneTurn(() => {
    expect([ref.tell({ type: 'a' }), ref.tell({ type: 'b' })]).toEqual([true, false])
    void ref.ready().then(() => {
      ready = true
    })
  })
  await settled()
  expect([ref.depth, ready]).toEqual([0, true])
})

test('`ready` resolves when a restart has dropped the mailbox', async () => {
  const { system, clock, inOneTurn } = createSystem()
  const ref = system.spawn<Note, undefined>(
    'a',
    { receive: throws },
    { overflow: 'backpressure', capacity: 1, onCrash: 'restart', restart: { mailbox: 'drop', delay: 50 } },
  )
  let ready = false
  inOneTurn(() => {
    for (const type of ['a', 'b']) ref.tell({ type })
    void ref.ready().then(() => {
      ready = true
    })
  })
  clock.advance(1000)
  await settled()
  expect([ref.depth, ready]).toEqual([0, true])
})

test('`ready` waits when a message was refused for its bytes', async () => {
  const { system } = createSystem()
  const ref = system.spawn<Note, undefined>(
    'a',
    { receive: () => new Promise(() => {}) },
    { overflow: 'backpressure', bytes: 10, size: () => 6 },
  )
  for (const type of ['in hand', 'waits']) ref.tell({ type })
  expect(ref.tell({ type: 'refused' })).toBe(false)
  let ready = false
  void ref.ready().then(() => {
    ready = true
  })
  await settled()
  expect(ready).toBe(false)
})

test('a restart that drops the mailbox drops also what the run queue keeps', () => {
  const { system, clock } = createSystem()
  const seen: string[] = []
  const ref = system.spawn<Note, undefined>(
    'a',
    {
      receive(_state, { type }, self) {
        seen.push(type)
        if (type !== 'fail') return
        self.tell({ type: 'kept' })
        throws()
      },
    },
    { onCrash: 'restart', restart: { mailbox: 'drop' } },
  )
  ref.tell({ type: 'fail' })
  clock.advance(1000)
  expect(seen).toEqual(['fail'])
})

test('a parent is not told, as a message, that a child could not end', () => {
  const { system } = createSystem()
  const seen: string[] = []
  const broken = setup({}).createMachine({ entry: throws })
  const parent = system.spawn<Note, undefined>('parent', { receive: (_state, { type }) => seen.push(type) })
  expect(() => parent.spawn('broken', broken)).toThrow('no')
  parent.spawn<Note, undefined>('child', { receive() {}, snapshot: throws }).stop()
  expect(seen).toEqual([])
})

test('the snapshot of an actor that has just appeared can be read', () => {
  const { system, crashes } = createSystem()
  system.subscribe('/', ({ ref }) => void ref.getSnapshot())
  system.spawn('machine', setup({}).createMachine({}))
  expect(crashes).toEqual([])
})

test('who has stopped schedules nothing', () => {
  const { system } = createSystem()
  const ref = system.spawn<Note, undefined>('a', { receive() {} })
  system.stop()
  ref.schedule(60_000, { type: 'tick' })
  expect(system.timers.size).toBe(0)
})

test('a dead letter names who told it, not who stopped the actor', () => {
  const { system, letters, inOneTurn } = createSystem()
  const target = system.spawn<Note, undefined>('target', { receive() {} })
  const stopper = system.spawn<Note, undefined>('stopper', { receive: () => target.stop() })
  const sender = system.spawn<Note, undefined>('sender', {
    receive: message => void target.tell(message ?? { type: 'x' }),
  })
  inOneTurn(() => {
    for (const ref of [stopper, sender]) ref.tell({ type: 'go' })
    target.tell({ type: 'a' })
  })
  expect(letters.map(({ from }) => from)).not.toContain('/stopper')
})

test('a parent ends after a child whose handler runs', () => {
  const { system } = createSystem()
  const log: string[] = []
  const parent = system.spawn<Note, undefined>('parent', {
    receive() {},
    stopped: () => void log.push('parent'),
  })
  const child: ActorRef<Note> = parent.spawn<Note, undefined>('child', {
    receive: () => parent.stop(),
    stopped: () => void log.push('child'),
  })
  child.tell({ type: 'go' })
  expect(log).toEqual(['child', 'parent'])
})

test('a machine that is done from the beginning lets go of its input', async () => {
  const brief = setup({}).createMachine({ initial: 'over', states: { over: { type: 'final' } } })
  const start = () => {
    const input = { big: 'x' }
    return { ref: createSystem().system.spawn('brief', brief, { input }), input: new WeakRef(input) }
  }
  const { ref, input } = start()
  await settled()
  collectGarbage()
  expect([ref.live, input.deref()]).toEqual([false, undefined])
})

test("`overflowed` that throws in the actor's own handler does not restart it within that handler", () => {
  const { system } = createSystem()
  const log: string[] = []
  const ref = system.spawn<Note, undefined>(
    'a',
    {
      receive(_state, { type }, self) {
        if (type !== 'flood') return
        for (let i = 0; i < 3; i++) self.tell({ type: 'x' })
        log.push('handled')
      },
      overflowed: throws,
      stopped: () => void log.push('stopped'),
    },
    { capacity: 1, onCrash: 'restart' },
  )
  ref.tell({ type: 'flood' })
  expect(log[0]).toBe('handled')
})

test('a deep tree stops', () => {
  const { system } = createSystem()
  let ref: ActorRef<never> = system.root
  for (let i = 0; i < 5000; i++) ref = ref.spawn<Note, undefined>('a', { receive() {} }) as ActorRef<never>
  system.stop()
  expect(system.counters.actors).toBe(0)
})
