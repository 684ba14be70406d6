import { describe, expect, test } from 'vitest'
import type { ActorRef, Behaviour, SpawnOptions } from '../../src/actors/runtime/index.js'
import { Restarts } from '../../src/actors/runtime/supervision.js'
import { createSystem, gate, type Note, settled } from './support.js'

/** An actor that fails when told to, with a child, on a tree that records what happens. */
function fragile(options: SpawnOptions<Note> = {}) {
  const kit = createSystem()
  const log: string[] = []
  let incarnations = 0
  const behaviour: Behaviour<Note, number> = {
    initial(self) {
      self.spawn<Note, undefined>('child', { receive() {}, stopped: () => void log.push('child stopped') })
      log.push(`begins ${++incarnations}`)
      return incarnations
    },
    receive(incarnation, { type }) {
      if (type === 'fail') throw new Error('no')
      log.push(`${type} ${incarnation}`)
    },
    stopped: incarnation => void log.push(`ends ${incarnation}`),
  }
  const parent = kit.system.spawn<Note, undefined>('parent', { receive() {} }, { onCrash: 'stop' })
  const ref = parent.spawn('fragile', behaviour, options)
  for (const watched of [parent, ref]) kit.system.watch(watched, event => kit.events.push(event))
  const tellAll = (...names: string[]): void =>
    kit.inOneTurn(() => {
      for (const type of names) ref.tell({ type })
    })
  return { ...kit, log, parent, ref, tellAll }
}

describe('an actor that crashed', () => {
  test('goes on with its state, by default', () => {
    const { tellAll, log, ref, events } = fragile()
    tellAll('fail', 'a')
    expect(log).toEqual(['begins 1', 'a 1'])
    expect(ref.live).toBe(true)
    expect(events).toMatchObject([{ type: 'crashed', messageType: 'fail', action: 'resume' }])
  })

  test('restarts after a delay: same ref, same address, new state and children, waiting messages kept', () => {
    const { tellAll, log, ref, clock, system, events } = fragile({ onCrash: 'restart' })
    tellAll('a', 'fail', 'b')
    expect(log).toEqual(['begins 1', 'a 1', 'child stopped', 'ends 1'])
    ref.tell({ type: 'c' })
    clock.advance(90)
    expect(log).toHaveLength(4)
    clock.advance(20)
    expect(log.slice(4)).toEqual(['begins 2', 'b 2', 'c 2'])
    expect(system.find('/parent/fragile')).toBe(ref)
    expect([...ref.children.keys()]).toEqual(['child'])
    expect(events.map(({ type }) => type)).toEqual(['crashed', 'restarted'])
  })

  test('restarts without its mailbox if told so', () => {
    const { tellAll, log, letters, clock } = fragile({ onCrash: 'restart', restart: { mailbox: 'drop' } })
    tellAll('fail', 'b')
    clock.advance(200)
    expect(log.at(-1)).toBe('begins 2')
    expect(letters.map(({ type, reason }) => [type, reason])).toEqual([['b', 'restarted']])
  })

  test('stops after too many restarts in the period', () => {
    const { tellAll, ref, events } = fragile({ onCrash: 'restart', restart: { max: 2, delay: 0 } })
    tellAll('fail', 'fail')
    expect(ref.live).toBe(true)
    tellAll('fail')
    expect(ref.live).toBe(false)
    expect(events.map(({ type }) => type)).toEqual([
      ...['crashed', 'restarted', 'crashed', 'restarted', 'crashed', 'stopped'],
    ])
  })

  test('stops, with all below it', () => {
    const { tellAll, log, ref, system, letters } = fragile({ onCrash: 'stop' })
    tellAll('fail', 'b')
    expect(ref.live).toBe(false)
    expect(log).toEqual(['begins 1', 'child stopped', 'ends 1'])
    expect(letters).toMatchObject([{ to: '/parent/fragile', type: 'b', reason: 'stopped' }])
    expect(system.counters.actors).toBe(2)
  })

  test('escalates: its parent has crashed, and is dealt with by its own options', () => {
    const { tellAll, parent, system, crashes, events } = fragile({ onCrash: 'escalate' })
    tellAll('fail')
    expect(parent.live).toBe(false)
    expect(system.counters.actors).toBe(1)
    expect(crashes).toHaveLength(1)
    expect(events.map(({ path, type }) => [path, type])).toEqual([
      ['/parent/fragile', 'crashed'],
      ['/parent/fragile', 'stopped'],
      ['/parent', 'crashed'],
      ['/parent', 'stopped'],
    ])
  })

  test('loses what it scheduled and watched, which belonged to its state', () => {
    const { system, clock, inOneTurn } = createSystem()
    const other = system.spawn<Note, undefined>('other', { receive() {} })
    const seen: string[] = []
    const ref = system.spawn<Note, undefined>(
      'ticker',
      {
        initial(self) {
          self.schedule(1000, { type: 'tick' })
          self.watch(other, ({ type }) => seen.push(type))
        },
        receive(_state, { type }) {
          if (type === 'fail') throw new Error('no')
          seen.push(type)
        },
      },
      { onCrash: 'restart', restart: { delay: 500 } },
    )
    inOneTurn(() => void ref.tell({ type: 'fail' }))
    clock.advance(2000)
    expect(seen).toEqual(['tick'])
    other.stop()
    expect(seen).toEqual(['tick', 'stopped'])
  })

  test('does not hear of the promises of the state before', async () => {
    const { system, crashes } = createSystem()
    const late = gate()
    const ref = system.spawn<Note, undefined>(
      'waits',
      {
        receive(_state, { type }) {
          if (type === 'fail') throw new Error('no')
          return type === 'wait' ? late.promise : undefined
        },
      },
      { onCrash: 'restart', concurrency: 2, restart: { delay: 0 } },
    )
    for (const type of ['wait', 'fail']) ref.tell({ type })
    late.fail(new Error('late'))
    await settled()
    expect(crashes.map(({ error }) => error)).toEqual([new Error('no'), new Error('late')])
    expect(ref.tell({ type: 'a' })).toBe(true)
    expect(ref.handled).toBe(3)
  })

  test('tries again when it cannot begin, and then stops', () => {
    const { system, clock } = createSystem()
    let begins = 0
    const ref = system.spawn<Note, undefined>(
      'unlucky',
      {
        initial() {
          if (begins++ > 0) throw new Error('not again')
        },
        receive() {
          throw new Error('no')
        },
      },
      { onCrash: 'restart', restart: { max: 3 } },
    )
    ref.tell({ type: 'go' })
    clock.advance(10_000)
    expect(begins).toBe(4)
    expect(ref.live).toBe(false)
    expect(system.counters).toEqual({ actors: 1, crashes: 4, deadLetters: 0 })
    expect(clock.timers).toBe(0)
  })
})

describe('restarts', () => {
  test('wait twice as long each time, up to a bound, with jitter', () => {
    const restarts = new Restarts({ max: 10, delay: 100, maxDelay: 500, jitter: 0.5 })
    const delays = Array.from({ length: 5 }, (_, i) => restarts.next(i, () => (i % 2 === 0 ? 0 : 1)))
    expect(delays).toEqual([100, 300, 400, 750, 500])
  })

  test('are counted within a period, and quick again after a good one', () => {
    const restarts = new Restarts({ max: 2, within: 1000, delay: 100, jitter: 0 })
    const none = (): number => 0
    expect([restarts.next(0, none), restarts.next(200, none), restarts.next(500, none)]).toEqual([
      100,
      200,
      undefined,
    ])
    expect(restarts.next(1500, none)).toBe(100)
  })
})

describe('stopping with `drain`', () => {
  test('handles what waits, takes nothing new, then ends the children the same way', async () => {
    const { system, letters } = createSystem()
    const log: string[] = []
    const first = gate()
    const slow = (name: string): Behaviour<Note> => ({
      receive(_state, { type }) {
        log.push(`${name} ${type}`)
        return type === 'a' ? first.promise : undefined
      },
      stopped: () => void log.push(`${name} stopped`),
    })
    const ref: ActorRef<Note> = system.spawn('parent', slow('parent'))
    const child = ref.spawn('child', slow('child'))
    for (const type of ['a', 'b']) {
      ref.tell({ type })
      child.tell({ type })
    }
    ref.stop({ drain: true })
    expect(ref.tell({ type: 'late' })).toBe(false)
    expect(ref.live).toBe(false)
    first.open()
    await settled()
    expect(log).toEqual([
      ...['parent a', 'child a', 'parent b', 'child b'],
      ...['child stopped', 'parent stopped'],
    ])
    expect(letters.map(({ type }) => type)).toEqual(['late'])
    expect(system.counters.actors).toBe(1)
  })

  test('in a handler lets the handler end', async () => {
    const { system } = createSystem()
    const log: string[] = []
    const ref = system.spawn<Note, undefined>('one', {
      async receive(_state, _message, self) {
        self.stop({ drain: true })
        await settled()
        log.push('handled')
      },
      stopped: () => void log.push('stopped'),
    })
    ref.tell({ type: 'go' })
    await settled()
    await settled()
    expect(log).toEqual(['handled', 'stopped'])
  })
})
