import { describe, expect, test } from 'vitest'
import { createSystem, gate, type Note, settled } from './support.js'

interface Item extends Note {
  readonly about?: string
  readonly bytes?: number
}

function recorder(options: Parameters<ReturnType<typeof createSystem>['system']['spawn']>[2] = {}) {
  const kit = createSystem()
  const seen: string[] = []
  const ref = kit.system.spawn<Item, undefined>(
    'target',
    { receive: (_state, { type }) => void seen.push(type) },
    options,
  )
  const tellAll = (...items: Item[]): boolean[] => {
    const taken: boolean[] = []
    kit.inOneTurn(() => void taken.push(...items.map(item => ref.tell(item))))
    return taken
  }
  return { ...kit, ref, seen, tellAll }
}

const types = (...names: string[]): Item[] => names.map(type => ({ type }))

describe('a full mailbox', () => {
  test('refuses by default: a dead letter with sender, type and reason', () => {
    const { tellAll, seen, letters } = recorder({ capacity: 2 })
    expect(tellAll(...types('a', 'b', 'c'))).toEqual([true, true, false])
    expect(seen).toEqual(['a', 'b'])
    expect(letters).toEqual([{ to: '/target', from: '/turn', type: 'c', reason: 'full' }])
  })

  test('drops the oldest with `drop-oldest`', () => {
    const { tellAll, seen, letters } = recorder({ capacity: 2, overflow: 'drop-oldest' })
    expect(tellAll(...types('a', 'b', 'c', 'd'))).toEqual([true, true, true, true])
    expect(seen).toEqual(['c', 'd'])
    expect(letters.map(({ type, reason }) => [type, reason])).toEqual([
      ['a', 'dropped'],
      ['b', 'dropped'],
    ])
  })

  test('keeps the latest of each key with `latest-by-key`, in the place of the first', () => {
    const { tellAll, seen, letters } = recorder({
      capacity: 2,
      overflow: 'latest-by-key',
      key: (item: Item) => item.about,
    })
    const told = tellAll(
      { type: 'x1', about: 'x' },
      { type: 'y1', about: 'y' },
      { type: 'x2', about: 'x' },
      { type: 'z1', about: 'z' },
    )
    expect(told).toEqual([true, true, true, false])
    expect(seen).toEqual(['x2', 'y1'])
    expect(letters.map(({ type, reason }) => [type, reason])).toEqual([
      ['x1', 'replaced'],
      ['z1', 'full'],
    ])
  })

  test('leaves the message with its sender with `backpressure`, and says when there is room', async () => {
    const { system, clock } = createSystem()
    const gates = [gate(), gate(), gate()]
    const seen: string[] = []
    const ref = system.spawn<Note, undefined>(
      'slow',
      {
        receive(_state, { type }) {
          seen.push(type)
          return gates[seen.length - 1]?.promise
        },
      },
      { capacity: 1, overflow: 'backpressure' },
    )
    expect(types('a', 'b', 'c').map(item => ref.tell(item))).toEqual([true, true, false])
    expect(system.counters.deadLetters).toBe(0)
    const room = ref.ready()
    gates[0]?.open()
    await room
    expect(ref.tell({ type: 'c' })).toBe(true)
    gates[1]?.open()
    gates[2]?.open()
    await settled()
    expect(seen).toEqual(['a', 'b', 'c'])
    await ref.ready()
    ref.stop()
    await expect(ref.ready()).rejects.toMatchObject({ code: 'ACTOR_STOPPED' })
    expect(clock.timers).toBe(0)
  })

  test('fails an ask with a hint when to try again', async () => {
    const { ref, inOneTurn } = recorder({ capacity: 0 })
    let answer: Promise<void> | undefined
    inOneTurn(() => {
      answer = ref.ask(() => ({ type: 'q' }), { timeout: 100 })
    })
    await expect(answer).rejects.toMatchObject({ code: 'MAILBOX_FULL', retryAfter: 100 })
  })

  test('counts bytes; an empty one takes a message of any size', () => {
    const { tellAll, seen } = recorder({ bytes: 10, size: (item: Item) => item.bytes ?? 0 })
    const sized = (type: string, bytes: number): Item => ({ type, bytes })
    expect(tellAll(sized('a', 50), sized('b', 1))).toEqual([true, false])
    expect(tellAll(sized('c', 6), sized('d', 4), sized('e', 1))).toEqual([true, true, false])
    expect(seen).toEqual(['a', 'c', 'd'])
  })
})

describe('a handler that returns a promise', () => {
  test.each([1, 2])('holds its actor: %i at once', async concurrency => {
    const { system } = createSystem()
    const gates = new Map(['a', 'b', 'c'].map(name => [name, gate()]))
    const begun: string[] = []
    const ref = system.spawn<Note, undefined>(
      'waits',
      {
        receive(_state, { type }) {
          begun.push(type)
          return gates.get(type)?.promise
        },
      },
      { concurrency },
    )
    for (const item of types('a', 'b', 'c')) ref.tell(item)
    expect(begun).toEqual(['a', 'b', 'c'].slice(0, concurrency))
    expect(ref.depth).toBe(3 - concurrency)
    gates.get('a')?.open()
    await settled()
    expect(begun).toEqual(['a', 'b', 'c'].slice(0, concurrency + 1))
  })

  test('crashes when it rejects', async () => {
    const { system, crashes } = createSystem()
    const ref = system.spawn<Note, undefined>('waits', {
      async receive(_state, { type }) {
        if (type === 'bad') throw new Error('no')
      },
    })
    for (const item of types('bad', 'good')) ref.tell(item)
    await settled()
    expect(crashes).toEqual([{ path: '/waits', error: new Error('no'), messageType: 'bad' }])
    expect(ref.handled).toBe(2)
  })
})

test('what the system has to say comes before messages that wait', () => {
  const { system, inOneTurn } = createSystem()
  const seen: string[] = []
  const other = system.spawn<Note, undefined>('other', { receive() {} })
  const ref = system.spawn<Note, undefined>('watcher', {
    initial: self => void self.watch(other, ({ type }) => seen.push(type)),
    receive: (_state, { type }) => void seen.push(type),
  })
  inOneTurn(() => {
    ref.tell({ type: 'one' })
    ref.tell({ type: 'two' })
    other.stop()
  })
  expect(seen).toEqual(['stopped', 'one', 'two'])
})

test.each([
  [{ capacity: -1 }, '`capacity` must be'],
  [{ bytes: Number.NaN, size: () => 1 }, '`bytes` must be'],
  [{ bytes: 10 }, '`bytes` needs `size`'],
  [{ concurrency: 0 }, '`concurrency` must be'],
  [{ overflow: 'latest-by-key' as const }, '`latest-by-key` needs `key`'],
])('options that make no sense are refused: %o', (options, message) => {
  const { system } = createSystem()
  expect(() => system.spawn<Note, undefined>('a', { receive() {} }, options)).toThrow(message)
  expect(system.counters.actors).toBe(1)
})
