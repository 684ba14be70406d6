import { describe, expect, test } from 'vitest'
import { SocketStreamError } from '../../src/errors.js'
import { type ModelClient, modelClient } from '../../src/services/model/client.js'
import type { Call, ServiceClient } from '../../src/services/service.js'

interface Todo {
  readonly id: string
  readonly text: string
  readonly tags?: readonly string[]
}
type Client = ModelClient<Todo, Todo, { all: unknown; by: string }>

/** What a client half is given; answers when told to. */
class Service implements ServiceClient {
  readonly id = 1
  readonly name = 'todos'
  readonly use = {}
  onmessage: ((message: unknown) => void) | undefined
  readonly calls: { payload: unknown; resolve(value: unknown): void; reject(error: unknown): void }[] = []
  readonly api: Client = modelClient.client<Todo, Todo, { all: unknown; by: string }>(this)

  send(): boolean {
    return true
  }
  debug(): void {}
  unsubscribe(): void {}
  async subscribe(): Promise<void> {}

  call(payload: unknown): Call {
    return new Promise((resolve, reject) => this.calls.push({ payload, resolve, reject })) as Call
  }

  /** Payloads of calls of these methods. */
  asked(...methods: string[]): unknown[] {
    return this.calls
      .map(({ payload }) => payload as unknown[])
      .filter(([method]) => methods.includes(method as string))
  }

  push(...message: unknown[]): void {
    this.onmessage?.(message)
  }
}

const tea: Todo = { id: '1', text: 'tea', tags: ['a'] }
const set = (path: string, value: unknown) => [{ op: 'replace', path, value }]

function watching() {
  const service = new Service()
  const record = service.api.get('1')
  const seen: unknown[] = []
  const leave = record.subscribe(() => seen.push(record.getSnapshot()?.text ?? null))
  service.push(4, '1', 1, tea)
  return { service, record, seen, leave }
}

describe('a record in a client', () => {
  test('is watched from the first listener to the last', () => {
    const { service, record, leave } = watching()
    expect(service.api.get('1')).toBe(record)
    record.subscribe(() => {})()
    leave()
    leave()
    expect(service.asked('get', 'leave')).toEqual([
      ['get', '1'],
      ['leave', '1'],
    ])
    service.push(3, '1', 1, 2, set('/text', 'late'))
    expect(record.getSnapshot()).toEqual(tea)
  })

  test('keeps to the contract of useSyncExternalStore', () => {
    const { service, record, seen } = watching()
    const { getSnapshot } = record
    const first = getSnapshot()
    service.push(4, '1', 1, structuredClone(tea))
    expect(getSnapshot()).toBe(first)
    service.push(3, '1', 1, 2, set('/text', 'milk'))
    expect(getSnapshot()).toEqual({ ...tea, text: 'milk' })
    expect(getSnapshot()?.tags).toBe(first?.tags)
    expect(first).toEqual(tea)
    service.push(4, '1', 0)
    expect(getSnapshot()).toBeNull()
    expect(seen).toEqual(['tea', 'milk', null])
  })

  test('fetches itself alone when a patch is missing or does not fit', () => {
    const { service, record } = watching()
    service.push(3, '1', 2, 3, set('/text', 'milk'))
    service.push(3, '1', 3, 4, set('/text', 'beer'))
    expect(service.asked('fetch')).toEqual([['fetch', '1']])
    expect(record.getSnapshot()).toEqual(tea)
    service.push(4, '1', 4, { ...tea, text: 'beer' })
    service.push(3, '1', 4, 5, set('/text', 'wine'))
    expect(record.getSnapshot()?.text).toBe('wine')
    service.push(3, '1', 5, 6, [{ op: 'nonsense', path: '/text' }])
    expect(service.asked('fetch')).toHaveLength(2)
    service.push(3, '1', 4, 5, set('/text', 'old'))
    expect(record.getSnapshot()?.text).toBe('wine')
  })

  test('shows updates at once and takes back the one that is refused, with what was made on top of it', async () => {
    const { service, record, seen } = watching()
    const before = record.getSnapshot()
    const first = record.update({ text: 'one' })
    const second = record.update(todo => ({ ...todo, text: `${todo.text} two` }))
    const outcomes = Promise.allSettled([first, second])
    expect(record.getSnapshot()?.text).toBe('one two')
    expect(service.asked('update')).toEqual([['update', '1', 1, { text: 'one' }, []]])
    const refusal = new SocketStreamError('FORBIDDEN', 'no')
    service.calls.at(-1)!.reject(refusal)
    expect(await outcomes).toMatchObject([
      { status: 'rejected', reason: refusal },
      { status: 'rejected', reason: { code: 'STALE_VERSION', cause: refusal } },
    ])
    expect(service.asked('update')).toHaveLength(1)
    expect(record.getSnapshot()).toBe(before)
    expect(seen).toEqual(['tea', 'one', 'one two', 'tea'])
  })

  test('sends an update on top of another with the version that one has made', async () => {
    const { service, record } = watching()
    const first = record.update({ text: 'one' })
    const second = record.update({ tags: undefined })
    const third = record.update({ text: 'three' })
    service.push(3, '1', 1, 2, set('/text', 'one'))
    service.calls.at(-1)!.resolve([2, { ...tea, text: 'one' }])
    expect(await first).toMatchObject({ text: 'one' })
    await Promise.resolve()
    expect(service.asked('update')[1]).toEqual(['update', '1', 2, {}, ['tags']])
    expect(record.getSnapshot()).toEqual({ id: '1', text: 'three' })
    service.push(3, '1', 2, 3, [{ op: 'remove', path: '/tags' }])
    service.calls.at(-1)!.resolve([3, null])
    expect(await second).toBeUndefined()
    await Promise.resolve()
    expect(service.asked('update')[2]).toEqual(['update', '1', 3, { text: 'three' }, []])
    service.push(3, '1', 3, 4, set('/text', 'three'))
    service.calls.at(-1)!.resolve([4, null])
    await third
    expect(record.getSnapshot()).toEqual({ id: '1', text: 'three' })
  })

  test('keeps what others change below what is under way', async () => {
    const { service, record } = watching()
    const update = record.update({ text: 'mine' })
    service.push(3, '1', 1, 2, [...set('/text', 'theirs'), ...set('/tags/0', 'b')])
    expect(record.getSnapshot()).toEqual({ id: '1', text: 'mine', tags: ['b'] })
    service.calls.at(-1)!.reject(new SocketStreamError('STALE_VERSION', 'stale'))
    await expect(update).rejects.toMatchObject({ code: 'STALE_VERSION' })
    expect(record.getSnapshot()).toEqual({ id: '1', text: 'theirs', tags: ['b'] })
  })

  test('says why it is refused, and asks again with the next listener', async () => {
    const service = new Service()
    const record = service.api.get('1')
    const ready = record.ready()
    service.calls[0]!.reject(new SocketStreamError('FORBIDDEN', 'no'))
    await expect(ready).rejects.toMatchObject({ code: 'FORBIDDEN' })
    expect(record.error).toBeUndefined()
    record.subscribe(() => {})
    service.calls.at(-1)!.reject(new SocketStreamError('FORBIDDEN', 'no'))
    await new Promise(setImmediate)
    expect(record.error).toMatchObject({ code: 'FORBIDDEN' })
    record.subscribe(() => {})
    service.push(4, '1', 1, tea)
    expect(record.error).toBeUndefined()
    expect(service.asked('get')).toHaveLength(3)
  })

  test('is asked for again on a new connection', async () => {
    const { service, record } = watching()
    service.push(3, '1', 8, 9, [])
    service.push(0)
    expect(service.asked('get', 'fetch')).toEqual([
      ['get', '1'],
      ['fetch', '1'],
      ['get', '1'],
    ])
    service.push(4, '1', 9, { ...tea, text: 'new' })
    expect(record.getSnapshot()?.text).toBe('new')
  })
})

describe('a query in a client', () => {
  function asking() {
    const service = new Service()
    const query = service.api.query('all')
    const leave = query.subscribe(() => {})
    service.push(1, 1, 7, 2, [
      ['1', 1, tea],
      ['2', 2, { id: '2', text: 'milk' }],
    ])
    const ids = () => query.getSnapshot()?.records.map(({ id }) => id)
    return { service, query, leave, ids }
  }

  test('follows what moves', () => {
    const { service, query, ids } = asking()
    const first = query.getSnapshot()
    service.push(2, 7, 3, [[1], [0, '2'], [2, '3', 1, { id: '3', text: 'beer' }]])
    expect(ids()).toEqual(['2', '1', '3'])
    expect(query.getSnapshot()).toMatchObject({ total: 3 })
    service.push(3, '2', 2, 3, set('/text', 'cream'))
    expect(query.getSnapshot()?.records[0]?.text).toBe('cream')
    expect(query.getSnapshot()?.records[1]).toBe(first?.records[0])
    const now = query.getSnapshot()
    service.push(2, 99, 3, [[0]])
    expect(query.getSnapshot()).toBe(now)
  })

  test('forgets a record that it has lost, so that nothing of it stays', () => {
    const { service, ids } = asking()
    service.push(2, 7, 1, [[0]])
    expect(ids()).toEqual(['2'])
    expect(service.api.get('1').getSnapshot()).toBeUndefined()
    expect(service.api.get('2').getSnapshot()).toMatchObject({ text: 'milk' })
  })

  test('asks anew when the server has ended it, when steps do not fit, and on a new connection', () => {
    const { service, query } = asking()
    const before = query.getSnapshot()
    service.push(5, 7)
    service.push(2, 7, 1, [[9]])
    service.push(0)
    expect(service.asked('watch')).toEqual(Array(4).fill(['watch', 1, 'all', null, 0, 100]))
    expect(query.getSnapshot()).toBe(before)
    service.push(1, 1, 8, 1, [['1', 1, structuredClone(tea)]])
    expect(query.getSnapshot()?.records[0]).toBe(before?.records[0])
  })

  test('keeps what was shown last when nobody listens', () => {
    const { service, query, leave } = asking()
    const before = query.getSnapshot()
    leave()
    expect(service.asked('unwatch')).toEqual([['unwatch', 1]])
    service.push(2, 7, 1, [[0]])
    expect(query.getSnapshot()).toBe(before)
  })

  test('has updates of its records shown in it', async () => {
    const { service, query } = asking()
    const update = service.api.update('1', { text: 'mine' })
    expect(query.getSnapshot()?.records[0]?.text).toBe('mine')
    service.calls.at(-1)!.reject(new SocketStreamError('FORBIDDEN', 'no'))
    await expect(update).rejects.toThrow()
    expect(query.getSnapshot()?.records[0]).toEqual(tea)
  })

  test('forgets handles that nobody uses, but not those that are', () => {
    const { service, query } = asking()
    const idle = service.api.get('idle')
    for (let index = 0; index < 1100; index++) service.api.get(`r${index}`)
    expect(service.api.get('idle')).not.toBe(idle)
    expect(service.api.query('all')).toBe(query)
    // One that was forgotten still works.
    idle.subscribe(() => {})
    service.push(4, 'idle', 1, { id: 'idle', text: 'there' })
    expect(idle.getSnapshot()).toMatchObject({ text: 'there' })
  })

  test('takes no notice of messages that are none of its own', () => {
    const { service, ids } = asking()
    for (const message of ['text', null, {}, [], [99], [3, 'unknown', 1, 2, []], [1, 55, 1, 0, []]]) {
      service.onmessage?.(message)
    }
    expect(ids()).toEqual(['1', '2'])
  })
})
