import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import {
  type ActorRef,
  ActorSystem,
  type Behaviour,
  type Crash,
  type DeadLetter,
} from '../../src/actors/runtime/index.js'
import { Ring } from '../../src/actors/runtime/ring.js'

interface Note {
  readonly text: string
}

function recorder(): Behaviour<Note, string[]> & { readonly notes: string[] } {
  const notes: string[] = []
  return { notes, initial: () => notes, receive: (state, { text }) => void state.push(text) }
}

function createSystem() {
  const crashes: Crash[] = []
  const letters: (DeadLetter & { readonly message: object })[] = []
  const system = new ActorSystem({
    crashed: crash => void crashes.push(crash),
  })
  system.deadLetters.subscribe((letter, message) => void letters.push({ ...letter, message }))
  return { system, crashes, letters }
}

describe('a ring', () => {
  test('gives items back in order, whatever the mix of pushes and shifts', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { maxLength: 500 }), pushes => {
        const ring = new Ring<number>()
        const model: number[] = []
        let n = 0
        for (const push of pushes) {
          if (push) {
            ring.push(n)
            model.push(n++)
          } else expect(ring.shift()).toBe(model.shift())
          expect(ring.length).toBe(model.length)
        }
      }),
    )
  })
})

describe('an actor', () => {
  test('handles a message told from outside at once', () => {
    const { system } = createSystem()
    const behaviour = recorder()
    const actor = system.root.spawn('notes', behaviour)
    expect(actor.tell({ text: 'one' })).toBe(true)
    expect(behaviour.notes).toEqual(['one'])
    expect(actor.path).toBe('/notes')
    expect(actor.handled).toBe(1)
  })

  test('handles messages told from handlers in the order told, after the handler', () => {
    const { system } = createSystem()
    const seen: string[] = []
    const target = system.root.spawn<Note, undefined>('target', {
      receive: (_s, m) => void seen.push(m.text),
    })
    const source = system.root.spawn<Note, undefined>('source', {
      receive() {
        target.tell({ text: 'a' })
        target.tell({ text: 'b' })
        seen.push('source done')
      },
    })
    source.tell({ text: 'go' })
    expect(seen).toEqual(['source done', 'a', 'b'])
  })

  test('goes on after a behaviour throws, and the crash is counted and reported', () => {
    const { system, crashes } = createSystem()
    const seen: string[] = []
    const actor = system.root.spawn<Note, undefined>('fragile', {
      receive(_state, { text }) {
        if (text === 'bad') throw new Error('no')
        seen.push(text)
      },
    })
    for (const text of ['a', 'bad', 'b']) actor.tell({ text })
    expect(seen).toEqual(['a', 'b'])
    expect(crashes).toEqual([{ path: '/fragile', error: new Error('no'), messageType: 'Object' }])
    expect(system.counters.crashes).toBe(1)
  })

  test('passes a million hops without growing the stack or starving timers', async () => {
    const { system } = createSystem()
    let hops = 0
    const refs: ActorRef<Note>[] = []
    const done = new Promise<void>(resolve => {
      for (const [name, other] of [
        ['ping', 1],
        ['pong', 0],
      ] as const) {
        refs.push(
          system.root.spawn<Note, undefined>(name, {
            receive(_state, message) {
              if (++hops === 1_000_000) resolve()
              else refs[other]!.tell(message)
            },
          }),
        )
      }
    })
    let hopsAtTimer = 0
    setImmediate(() => {
      hopsAtTimer = hops
    })
    refs[0]!.tell({ text: 'ball' })
    await done
    expect(hops).toBe(1_000_000)
    expect(hopsAtTimer).toBeGreaterThan(0)
    expect(hopsAtTimer).toBeLessThan(1_000_000)
  })

  test('lets other actors have their turn while one is flooded', () => {
    const { system } = createSystem()
    const order: string[] = []
    const busy = system.root.spawn<Note, undefined>('busy', { receive: () => void order.push('busy') })
    const quiet = system.root.spawn<Note, undefined>('quiet', { receive: () => void order.push('quiet') })
    system.root
      .spawn<Note, undefined>('source', {
        receive() {
          for (let i = 0; i < 1000; i++) busy.tell({ text: '' })
          quiet.tell({ text: '' })
        },
      })
      .tell({ text: 'go' })
    expect(order.indexOf('quiet')).toBeLessThan(100)
    expect(order).toHaveLength(1001)
  })
})

describe('a mailbox', () => {
  test('takes as many messages as its capacity, the one in hand not counted', () => {
    const { system, letters } = createSystem()
    const overflowed: string[] = []
    const seen: string[] = []
    const small = system.root.spawn<Note, undefined>(
      'small',
      {
        receive: (_s, { text }) => void seen.push(text),
        overflowed: (_s, { text }) => void overflowed.push(text),
      },
      { capacity: 2 },
    )
    const results: boolean[] = []
    system.root
      .spawn<Note, undefined>('source', {
        receive() {
          for (const text of ['1', '2', '3']) results.push(small.tell({ text }))
          expect(small.depth).toBe(2)
        },
      })
      .tell({ text: 'go' })
    expect(results).toEqual([true, true, false])
    expect(seen).toEqual(['1', '2'])
    expect(overflowed).toEqual(['3'])
    expect(letters).toEqual([
      { to: '/small', from: '/source', type: 'Object', message: { text: '3' }, reason: 'full' },
    ])
  })
})

describe('stopping', () => {
  test('ends children before their parent and leaves no orphan', () => {
    const { system } = createSystem()
    const order: string[] = []
    const named = (name: string): Behaviour<Note> => ({ receive() {}, stopped: () => void order.push(name) })
    const parent = system.root.spawn('parent', named('parent'))
    const child = parent.spawn('child', named('child'))
    child.spawn('grandchild', named('grandchild'))
    expect(system.counters.actors).toBe(4)
    parent.stop()
    expect(order).toEqual(['grandchild', 'child', 'parent'])
    expect(system.counters.actors).toBe(1)
    expect(system.root.children.size).toBe(0)
    expect(child.live).toBe(false)
  })

  test('turns later and waiting messages into dead letters', () => {
    const { system, letters } = createSystem()
    const behaviour = recorder()
    const actor = system.root.spawn('notes', behaviour)
    system.root
      .spawn<Note, undefined>('source', {
        receive() {
          actor.tell({ text: 'waiting' })
          actor.stop()
        },
      })
      .tell({ text: 'go' })
    expect(actor.tell({ text: 'late' })).toBe(false)
    expect(behaviour.notes).toEqual([])
    expect(letters.map(letter => [letter.message, letter.reason])).toEqual([
      [{ text: 'waiting' }, 'stopped'],
      [{ text: 'late' }, 'stopped'],
    ])
  })

  test('lets an actor stop itself while it handles a message', () => {
    const { system } = createSystem()
    const seen: string[] = []
    const actor = system.root.spawn<Note, undefined>('mortal', {
      receive(_state, { text }, self) {
        seen.push(text)
        self.stop()
      },
      stopped: () => void seen.push('stopped'),
    })
    actor.tell({ text: 'last' })
    expect(seen).toEqual(['last', 'stopped'])
    expect(system.counters.actors).toBe(1)
  })

  test('frees the name for another actor', () => {
    const { system } = createSystem()
    system.root.spawn('name', recorder()).stop()
    expect(system.root.spawn('name', recorder()).live).toBe(true)
    expect(() => system.root.spawn('name', recorder())).toThrow('/name exists: choose another name')
  })

  test('keeps an actor that has stopped from spawning', () => {
    const { system } = createSystem()
    const actor = system.root.spawn('name', recorder())
    actor.stop()
    expect(() => actor.spawn('child', recorder())).toThrow('/name has stopped')
  })

  test('of random trees leaves nothing alive, and no message is lost without a dead letter', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(9), fc.constantFrom('spawn', 'stop', 'tell')), { maxLength: 120 }),
        steps => {
          const { system } = createSystem()
          const refs: ActorRef<Note>[] = []
          let handled = 0
          let told = 0
          const behaviour: Behaviour<Note> = { receive: () => void handled++ }
          steps.forEach(([at, step], index) => {
            const target = refs[at % Math.max(refs.length, 1)]
            if (step === 'spawn') {
              const parent = target?.live ? target : system.root
              refs.push(parent.spawn(`a${index}`, behaviour))
            } else if (step === 'stop') target?.stop()
            else if (target !== undefined) {
              told++
              target.tell({ text: '' })
            }
          })
          expect(handled + system.counters.deadLetters).toBe(told)
          expect(system.counters.actors).toBe(1 + refs.filter(ref => ref.live).length)
          system.stop()
          expect(system.counters.actors).toBe(0)
        },
      ),
    )
  })
})

describe('ask', () => {
  interface Question {
    readonly reply?: (value: string) => void
  }

  test('resolves to the reply', async () => {
    const { system } = createSystem()
    const actor = system.root.spawn<Question, undefined>('oracle', {
      receive: (_s, { reply }) => reply?.('yes'),
    })
    await expect(actor.ask<string>(reply => ({ reply }), { timeout: 1000 })).resolves.toBe('yes')
  })

  test('fails when nothing comes in time', async () => {
    vi.useFakeTimers()
    try {
      const { system } = createSystem()
      const actor = system.root.spawn<Question, undefined>('mute', { receive() {} })
      const answer = actor.ask<string>(reply => ({ reply }), { timeout: 1000 })
      const failed = expect(answer).rejects.toMatchObject({ code: 'ASK_TIMEOUT' })
      vi.advanceTimersByTime(1000)
      await failed
    } finally {
      vi.useRealTimers()
    }
  })

  test('fails when the actor stops, had stopped, or is full', async () => {
    const { system } = createSystem()
    const actor = system.root.spawn<Question, undefined>('mute', { receive() {} }, { capacity: 0 })
    const answer = actor.ask<string>(reply => ({ reply }), { timeout: 1000 })
    let full: Promise<string> | undefined
    system.root
      .spawn<Question, undefined>('source', {
        receive() {
          full = actor.ask<string>(reply => ({ reply }), { timeout: 1000 })
        },
      })
      .tell({})
    await expect(full).rejects.toMatchObject({ code: 'MAILBOX_FULL' })
    actor.stop()
    await expect(answer).rejects.toMatchObject({ code: 'ACTOR_STOPPED' })
    await expect(actor.ask<string>(reply => ({ reply }), { timeout: 1000 })).rejects.toMatchObject({
      code: 'ACTOR_STOPPED',
    })
  })
})
