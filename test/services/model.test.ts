import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { lmdb } from '../../src/engines/lmdb.js'
import { memory } from '../../src/engines/memory.js'
import { SocketStreamError } from '../../src/errors.js'
import { engineStorage, type ModelStorage, memoryStorage } from '../../src/services/model/index.js'
import { cleanups, start, type Todo, todo, until } from './model-support.js'

describe('a model', () => {
  test('stores records and shows them to who asks', async () => {
    const { connect, api } = await start()
    const { todos } = await connect()
    expect(await todos.create({ text: 'tea', done: false, id: '1' })).toEqual(todo('1', { text: 'tea' }))
    expect(await todos.get('1').ready()).toEqual(todo('1', { text: 'tea' }))
    expect(await todos.get('2').ready()).toBeNull()
    expect(await api.get('1')).toEqual({ record: todo('1', { text: 'tea' }), version: 1 })
    const made = await todos.create({ text: 'milk', done: false })
    expect(made?.id).toMatch(/^[\da-f-]{36}$/)
    await expect(todos.create(todo('1'))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' })
    await expect(todos.create({ ...todo('1'), id: 'a b' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENTS',
    })
  })

  test('keeps those who watch a query up to date', async () => {
    const { connect } = await start()
    const [ann, ben] = [await connect(), await connect()]
    const open = ben.todos.query('open')
    expect(ben.todos.query('open')).toBe(open)
    open.subscribe(() => {})
    expect(await open.ready()).toEqual({ records: [], total: 0 })
    await ann.todos.create(todo('b'))
    await ann.todos.create(todo('a'))
    await until(() => open.getSnapshot()?.total === 2)
    expect(open.getSnapshot()?.records).toEqual([todo('a'), todo('b')])
    await ann.todos.update('a', { done: true })
    await until(() => open.getSnapshot()?.total === 1)
    await ann.todos.update('b', { text: 'new' })
    await until(() => open.getSnapshot()?.records[0]?.text === 'new')
    await ann.todos.remove('b')
    await until(() => open.getSnapshot()?.total === 0)
    await expect(ann.todos.remove('b')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  test('shows windows of a query in its order, and more when asked', async () => {
    const { connect, api } = await start()
    const { todos } = await connect()
    for (const id of ['e', 'd', 'c', 'b', 'a']) await api.create(todo(id, { text: id }))
    const first = todos.query('byText', undefined, { limit: 2 })
    const second = todos.query('byText', undefined, { offset: 2, limit: 2 })
    first.subscribe(() => {})
    second.subscribe(() => {})
    const ids = () =>
      [first, second].map(query =>
        query
          .getSnapshot()
          ?.records.map(({ id }) => id)
          .join(''),
      )
    await Promise.all([first.ready(), second.ready()])
    expect(ids()).toEqual(['ab', 'cd'])
    await api.update('d', { text: '0' })
    await until(() => ids()[0] === 'da')
    expect(ids()).toEqual(['da', 'bc'])
    await api.remove('a')
    await until(() => ids()[0] === 'db')
    expect(ids()).toEqual(['db', 'ce'])
    first.more(2)
    await until(() => ids()[0] === 'dbce')
    expect(first.getSnapshot()?.total).toBe(4)
  })

  test('sends a client only what it may see, and a removal when a record changes hands', async () => {
    const asked: string[] = []
    const { connect, api } = await start({
      authorize: (ctx, action, record) => {
        asked.push(action)
        return record.owner === ctx.clientIp
      },
    })
    const [ann, ben] = [await connect('10.0.0.1'), await connect('10.0.0.2')]
    await api.create(todo('1', { owner: '10.0.0.1' }))
    const [hers, his] = [ann.todos.query('all'), ben.todos.query('all')]
    const [herRecord, hisRecord] = [ann.todos.get('1'), ben.todos.get('1')]
    for (const one of [hers, his, herRecord, hisRecord]) one.subscribe(() => {})
    expect((await hers.ready()).total).toBe(1)
    expect(await his.ready()).toEqual({ records: [], total: 0 })
    expect(await herRecord.ready()).toMatchObject({ id: '1' })
    expect(await hisRecord.ready()).toBeNull()
    await expect(ben.todos.update('1', { text: 'mine' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await expect(ben.todos.create(todo('2', { owner: '10.0.0.1' }))).rejects.toMatchObject({
      code: 'FORBIDDEN',
    })

    await api.update('1', { owner: '10.0.0.2', text: 'secret' })
    await until(() => his.getSnapshot()?.total === 1 && hers.getSnapshot()?.total === 0)
    expect(herRecord.getSnapshot()).toBeNull()
    expect(hers.getSnapshot()?.records).toEqual([])
    await until(() => hisRecord.getSnapshot() !== null)
    expect(hisRecord.getSnapshot()).toMatchObject({ text: 'secret' })
    expect(await ben.todos.update('1', { done: true })).toMatchObject({ done: true })
    expect(new Set(asked)).toEqual(new Set(['read', 'create', 'update']))
  })

  test('asks about reading once for those who see the same, and evaluates a change once for a query', async () => {
    let asked = 0
    let filtered = 0
    const { connect, api } = await start({
      viewer: () => 'everybody',
      authorize: () => {
        asked++
        return true
      },
      queries: {
        all: {},
        open: {
          filter: todo => {
            filtered++
            return !todo.done
          },
        },
        by: { filter: () => true },
        byText: {},
      },
    })
    const peers = await Promise.all([connect(), connect(), connect()])
    const pages = peers.map(({ todos }) => todos.query('open'))
    for (const page of pages) page.subscribe(() => {})
    await Promise.all(pages.map(page => page.ready()))
    asked = filtered = 0
    await api.create(todo('1'))
    await until(() => pages.every(page => page.getSnapshot()?.total === 1))
    expect([asked, filtered]).toEqual([1, 1])
  })

  test('counts a promise about reading, and what is thrown, as no', async () => {
    const { connect, api, log } = await start({
      authorize: (_ctx, _action, { id }) => {
        if (id === '1') throw new SocketStreamError('FORBIDDEN', 'no')
        return Promise.resolve(true)
      },
    })
    await api.create(todo('1'))
    await api.create(todo('2'))
    const { todos } = await connect()
    expect(await todos.query('all').ready()).toEqual({ records: [], total: 0 })
    expect(log.of('error')[0]).toContain('must answer at once')
  })

  test('checks records and parameters by their schemas', async () => {
    const { connect } = await start({
      schema: z.object({ id: z.string(), text: z.string().max(5), done: z.boolean().default(false) }),
      queries: {
        all: {},
        open: {},
        by: { params: z.string(), filter: ({ text }: Todo, start: string) => text.startsWith(start) },
        byText: {},
      },
    } as Parameters<typeof start>[0])
    const { todos } = await connect()
    expect(await todos.create({ id: '1', text: 'tea' } as Todo)).toEqual({
      id: '1',
      text: 'tea',
      done: false,
    })
    await expect(todos.create(todo('2', { text: 'too long' }))).rejects.toMatchObject({
      code: 'INVALID_ARGUMENTS',
      data: { issues: [{ path: ['text'] }] },
    })
    await expect(todos.update('1', { done: undefined, text: undefined })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENTS',
    })
    await expect(todos.update('1', { id: '2' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
    expect((await todos.query('by', 't').ready()).total).toBe(1)
    await expect(todos.query('by', 7 as never).ready()).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
    await expect(todos.query('none' as 'all').ready()).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
  })

  test('refuses records that are none', async () => {
    const { connect, api } = await start()
    const { todos } = await connect()
    const deep = JSON.parse(`${'{"a":'.repeat(65)}1${'}'.repeat(65)}`)
    const proto = JSON.parse('{"id":"1","a":{"__proto__":{"x":1}}}')
    for (const wrong of ['text', null, [], deep]) {
      await expect(todos.create(wrong as never)).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
    }
    // Clients cannot even send it.
    await expect(api.create(proto)).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
    expect(({} as { x?: number }).x).toBeUndefined()
  })

  test('refuses a stale version with what stands there, and changes nothing', async () => {
    const { connect, api } = await start()
    const [ann, ben] = [await connect(), await connect()]
    await api.create(todo('1'))
    const record = ann.todos.get('1')
    record.subscribe(() => {})
    await record.ready()
    const mine = record.update({ text: 'mine' }, { version: 7 })
    expect(record.getSnapshot()).toMatchObject({ text: 'mine' })
    await expect(mine).rejects.toMatchObject({
      code: 'STALE_VERSION',
      data: { version: 1, record: todo('1') },
    })
    expect(record.getSnapshot()).toEqual(todo('1'))
    await ben.todos.update('1', { text: 'his' })
    await expect(ben.todos.remove('1', { version: 1 })).rejects.toMatchObject({ code: 'STALE_VERSION' })
    await until(() => record.getSnapshot()?.text === 'his')
    await record.remove()
    await until(() => record.getSnapshot() === null)
  })

  test('has one of two updates of the same version win', async () => {
    const { connect, api } = await start()
    const peers = await Promise.all([connect(), connect()])
    await api.create(todo('1'))
    const records = peers.map(({ todos }) => todos.get('1'))
    for (const record of records) record.subscribe(() => {})
    await Promise.all(records.map(record => record.ready()))
    const outcomes = await Promise.allSettled(
      records.map((record, index) => record.update({ text: `${index}` })),
    )
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    await until(() => records.every(record => record.getSnapshot()?.text === '0'))
  })

  test('hears of changes made outside', async () => {
    const { connect, api, storage } = await start()
    const { todos } = await connect()
    await api.create(todo('1'))
    const record = todos.get('1')
    record.subscribe(() => {})
    await record.ready()
    await storage.update('1', todo('1', { text: 'from outside' }), 1)
    await api.changed('1')
    await until(() => record.getSnapshot()?.text === 'from outside')
    // The model does not know of it yet: the storage refuses, and what stands there is shown.
    await storage.update('1', todo('1', { text: 'again' }), 2)
    await expect(record.update({ done: true })).rejects.toMatchObject({ code: 'STALE_VERSION' })
    await until(() => record.getSnapshot()?.text === 'again')
    expect(await record.update({ done: true })).toEqual(todo('1', { text: 'again', done: true }))
  })

  test('goes on after a loss of the connection', async () => {
    const { connect, api } = await start()
    const { todos, drop } = await connect()
    await api.create(todo('1'))
    const [record, open] = [todos.get('1'), todos.query('open')]
    record.subscribe(() => {})
    open.subscribe(() => {})
    const before = (await open.ready()).records[0]
    await record.ready()
    drop()
    await api.create(todo('2'))
    await until(() => open.getSnapshot()?.total === 2)
    expect(open.getSnapshot()?.records[0]).toBe(before)
    await api.update('1', { done: true })
    await until(() => record.getSnapshot()?.done === true && open.getSnapshot()?.total === 1)
  })

  test('tells other servers with the same engine', async () => {
    const engine = memory()
    const storage = engineStorage<Todo>(engine, 'todos')
    const nodes = [await start({}, storage, engine), await start({}, storage, engine)] as const
    const { todos } = await nodes[1].connect()
    const [record, open] = [todos.get('1'), todos.query('open')]
    record.subscribe(() => {})
    open.subscribe(() => {})
    await Promise.all([record.ready(), open.ready()])
    await nodes[0].api.create(todo('1'))
    await until(() => record.getSnapshot()?.id === '1' && open.getSnapshot()?.total === 1)
    await nodes[0].api.remove('1')
    await until(() => record.getSnapshot() === null && open.getSnapshot()?.total === 0)
  })

  test('finds out what stands in a storage that has failed', async () => {
    const inner = memoryStorage<Todo>()
    let failing = false
    const fail = () => {
      if (failing) throw new Error('broken')
    }
    const storage: ModelStorage<Todo> = {
      ...inner,
      load: id => {
        fail()
        return inner.load(id)
      },
      update: (id, record, version) => {
        const made = inner.update(id, record, version)
        fail()
        return made
      },
    }
    const { connect, api, clock } = await start({}, storage)
    const { todos } = await connect()
    await api.create(todo('1'))
    const record = todos.get('1')
    record.subscribe(() => {})
    await record.ready()
    failing = true
    await expect(record.update({ text: 'in fact stored' })).rejects.toMatchObject({ code: 'INTERNAL' })
    expect(record.getSnapshot()).toEqual(todo('1'))
    clock.advance(1000)
    failing = false
    await until(() => {
      clock.advance(1000)
      return record.getSnapshot()?.text === 'in fact stored'
    })
  })

  test('sends a whole record when it changed under the same version, and drops one that is asked for no more', async () => {
    let text = 'one'
    const storage: ModelStorage<Todo> = {
      ...memoryStorage<Todo>(),
      load: id => ({ record: todo(id, { text }), version: 1 }),
    }
    const { connect, api } = await start({}, storage)
    const { todos } = await connect()
    const record = todos.get('1')
    const leave = record.subscribe(() => {})
    expect(await record.ready()).toMatchObject({ text: 'one' })
    text = 'two'
    await api.changed('1')
    await until(() => record.getSnapshot()?.text === 'two')
    leave()
    text = 'three'
    await api.changed('1')
    expect(await todos.get('2').ready()).toMatchObject({ text: 'three' })
    expect(record.getSnapshot()).toMatchObject({ text: 'two' })
  })

  test('holds its bounds', async () => {
    const { connect, api } = await start({ watches: 2, window: 10, results: 3, live: 2 })
    const { todos } = await connect()
    for (const id of ['1', '2', '3']) await api.create(todo(id))
    const all = todos.query('all', undefined, { limit: 10 })
    const leave = all.subscribe(() => {})
    expect((await all.ready()).total).toBe(3)
    await expect(todos.query('all').ready()).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
    const second = todos.get('1').subscribe(() => {})
    await todos.get('1').ready()
    await expect(todos.get('2').ready()).rejects.toMatchObject({ code: 'OVERLOADED' })
    second()
    const other = todos.query('by', 'nobody', { limit: 1 })
    other.subscribe(() => {})
    await other.ready()
    const { todos: others } = await connect()
    await expect(others.query('open', undefined, { limit: 1 }).ready()).rejects.toMatchObject({
      code: 'OVERLOADED',
    })

    // One record too many ends the query for all who watch it.
    await api.create(todo('4'))
    await until(() => all.error !== undefined)
    expect(all.error).toMatchObject({ code: 'OVERLOADED' })
    leave()
    await api.remove('4')
    expect((await all.ready()).total).toBe(3)
  })

  test('takes what changes while a query is read', async () => {
    const inner = memoryStorage<Todo>()
    let read = false
    let go = () => {}
    const gate = new Promise<void>(resolve => {
      go = resolve
    })
    const storage: ModelStorage<Todo> = {
      ...inner,
      list: async request => {
        const found = inner.list(request)
        read = true
        await gate
        return found
      },
    }
    const { connect, api } = await start({}, storage)
    for (const id of ['1', '2', '3']) await api.create(todo(id))
    const { todos } = await connect()
    const ready = todos.query('open').ready()
    await until(() => read)
    await api.update('1', { text: 'later' })
    await api.remove('2')
    await api.update('3', { done: true })
    await api.create(todo('4'))
    go()
    expect(await ready).toEqual({ records: [todo('1', { text: 'later' }), todo('4')], total: 2 })
  })

  test('lets go of everything when nobody watches', async () => {
    let lists = 0
    const inner = memoryStorage<Todo>()
    const storage: ModelStorage<Todo> = {
      ...inner,
      list: request => {
        lists++
        return inner.list(request)
      },
    }
    const { connect } = await start({}, storage)
    const { todos, client } = await connect()
    const leave = todos.query('all').subscribe(() => {})
    await todos.query('all').ready()
    await todos.query('all').ready()
    expect(lists).toBe(1)
    todos.query('all').more(1)
    await todos.create(todo('1'))
    expect(lists).toBe(1)
    leave()
    await todos.query('all').ready()
    expect(lists).toBe(2)
    client.close()
    const { todos: again } = await connect()
    await again.query('all').ready()
    expect(lists).toBe(3)
  })

  test('refuses calls that it does not know', async () => {
    const { connect } = await start()
    const { todos } = await connect()
    await expect(todos.get('no id').ready()).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
    await expect(todos.update('1', null as never)).rejects.toThrow()
    await expect(todos.update('1', record => record)).rejects.toMatchObject({ code: 'INVALID_STATE' })
  })
})

describe('the storage in an engine', () => {
  test.each(['memory', 'lmdb'] as const)('%s keeps records with compare-and-set', async kind => {
    let engine = memory()
    if (kind === 'lmdb') {
      const path = mkdtempSync(join(tmpdir(), 'models-'))
      cleanups.push(() => rmSync(path, { recursive: true }))
      engine = lmdb({ path }) as unknown as typeof engine
    }
    cleanups.push(() => engine.close())
    const { load, list, create, update, remove } = engineStorage<Todo>(engine, 'todos')
    const other = engineStorage<Todo>(engine, 'others')
    const version = (await create('1', todo('1')))!
    expect(await create('1', todo('1'))).toBeUndefined()
    expect(await load('1')).toEqual({ record: todo('1'), version })
    expect(await other.load('1')).toBeUndefined()
    expect(await update('1', todo('1', { done: true }), version + 1)).toBeUndefined()
    const next = (await update('1', todo('1', { done: true }), version))!
    expect(next).toBeGreaterThan(version)
    await create('2', todo('2'))
    await other.create('3', todo('3'))
    const request = { query: 'all', params: null, limit: 10, matches: () => true }
    expect([...(await list(request))].map(({ record }) => record.id)).toEqual(['1', '2'])
    expect([...(await list({ ...request, limit: 1 }))]).toHaveLength(1)
    expect(await remove('1', version)).toBe(false)
    expect(await remove('1', next)).toBe(true)
    expect(await load('1')).toBeUndefined()
  })

  test('needs an engine with key-value and a name', () => {
    expect(() => engineStorage({ name: 'bare' }, 'todos')).toThrow(/'bare' has no key-value/)
    expect(() => engineStorage(memory(), 'a b')).toThrow(/name must have/)
  })
})
