import { describe, expect, test } from 'vitest'
import { ActorSystem } from '../../src/actors/runtime/index.js'
import type { Turn } from '../../src/actors/runtime/tap.js'
import { manualClock } from '../../src/testing/index.js'

interface Message {
  readonly type: string
  readonly to?: string
}

/** An actor that notes what it handles. */
function noting(system: ActorSystem, name: string, handled: string[], options = {}) {
  return system.spawn(
    name,
    {
      receive(_state: unknown, { type, to }: Message) {
        if (type === 'BREAK') throw new Error('broken')
        handled.push(`${name} ${type}`)
        if (to !== undefined) system.find<Message>(to)?.tell({ type: 'PASSED' })
      },
    },
    options,
  )
}

describe('a tap', () => {
  test('sees messages in their order, with who told them and whether they failed', () => {
    const system = new ActorSystem()
    const handled: string[] = []
    const [first, second] = [noting(system, 'first', handled), noting(system, 'second', handled)]
    const seen: Turn[] = []
    second.tap(turn => seen.push(turn))
    first.tell({ type: 'PASS', to: '/second' })
    second.tell({ type: 'DIRECT' })
    second.tell({ type: 'BREAK' })
    expect(seen.map(({ message, from, failed }) => [(message as Message).type, from, failed])).toEqual([
      ['PASSED', '/first', false],
      ['DIRECT', undefined, false],
      ['BREAK', undefined, true],
    ])
    expect(handled).toEqual(['first PASS', 'second PASSED', 'second DIRECT'])
    expect(second.handled).toBe(3)
  })

  test('with a filter measures nothing of other messages', () => {
    const system = new ActorSystem()
    const handled: string[] = []
    const [first, second] = [noting(system, 'first', handled), noting(system, 'second', handled)]
    const [some, all]: [Turn[], string[]] = [[], []]
    const end = second.tap(
      turn => some.push(turn),
      message => (message as Message).type === 'PASSED',
    )
    second.tell({ type: 'OTHER' })
    second.tell({ type: 'BREAK' })
    first.tell({ type: 'PASS', to: '/second' })
    second.tap(({ message }) => all.push((message as Message).type))
    second.tell({ type: 'OTHER' })
    first.tell({ type: 'PASS', to: '/second' })
    end()
    first.tell({ type: 'PASS', to: '/second' })
    expect(some.map(({ message, from }) => [(message as Message).type, from])).toEqual([
      ['PASSED', '/first'],
      ['PASSED', '/first'],
    ])
    expect(all).toEqual(['OTHER', 'PASSED', 'PASSED'])
  })

  test('that throws keeps nobody from the next message', () => {
    const system = new ActorSystem()
    const handled: string[] = []
    const ref = noting(system, 'one', handled)
    ref.tap(() => {
      throw new Error('a broken viewer')
    })
    for (let i = 0; i < 3; i++) ref.tell({ type: 'WORK' })
    expect(handled).toEqual(['one WORK', 'one WORK', 'one WORK'])
    expect(system.counters.crashes).toBe(0)
    expect(ref.depth).toBe(0)
  })

  test('ends where it is told to, also from within itself, and leaves the actor as it was', () => {
    const system = new ActorSystem()
    const ref = noting(system, 'one', [])
    let seen = 0
    const end = ref.tap(() => {
      seen++
      end()
    })
    let others = 0
    const endOther = ref.tap(() => others++)
    ref.tell({ type: 'WORK' })
    ref.tell({ type: 'WORK' })
    endOther()
    endOther()
    ref.tell({ type: 'WORK' })
    expect([seen, others]).toEqual([1, 2])
    expect((ref as unknown as { flags: number }).flags).toBe(0)
  })

  test('goes on through a restart, and ends with the actor', () => {
    const clock = manualClock()
    const system = new ActorSystem({ clock })
    const ref = noting(system, 'one', [], { onCrash: 'restart', restart: { delay: 0 } })
    const seen: string[] = []
    ref.tap(({ message }) => seen.push((message as Message).type))
    ref.tell({ type: 'BREAK' })
    ref.tell({ type: 'WORK' })
    ref.stop()
    ref.tell({ type: 'LATE' })
    expect(seen).toEqual(['BREAK', 'WORK'])
    expect(ref.facts().restarts).toBe(1)
    expect(ref.tap(() => {})).toBeTypeOf('function')
  })
})

describe('an observer of a system', () => {
  test('hears of crashes and restarts; what it throws changes nothing', () => {
    const system = new ActorSystem()
    const handled: string[] = []
    const ref = noting(system, 'one', handled, { onCrash: 'restart', restart: { delay: 0 } })
    const heard: string[] = []
    system.observer = ({ type, path }) => {
      heard.push(`${type} ${path}`)
      throw new Error('a broken viewer')
    }
    ref.tell({ type: 'BREAK' })
    ref.tell({ type: 'WORK' })
    expect(heard).toEqual(['crashed /one', 'restarted /one'])
    expect(handled).toEqual(['one WORK'])
    expect(system.counters.crashes).toBe(1)
  })

  test('hears of a restart by hand, which stops children and begins anew', () => {
    const system = new ActorSystem()
    let begun = 0
    const ref = system.spawn('one', { initial: () => ++begun, receive() {} }, { restart: { delay: 0 } })
    const child = ref.spawn('child', { receive() {} })
    const heard: string[] = []
    system.observer = ({ type }) => heard.push(type)
    ref.restartNow()
    expect([begun, child.live, ref.live, ref.facts().restarts]).toEqual([2, false, true, 1])
    expect(heard).toEqual(['restarted'])
    expect(system.counters.crashes).toBe(0)
  })
})
