import { once } from 'node:events'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import type { Connection, ServiceDefinition, ServiceServer } from '../../src/services/service.js'
import { testServer, WireClient } from '../support/wire.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(options: Parameters<typeof testServer>[0] = {}) {
  const made = testServer(options)
  let service!: ServiceServer
  const closed: string[][] = []
  made.app.service('news', {
    server(server) {
      service = server
      server.onclose = connection => void closed.push([...connection.rooms])
    },
  } satisfies ServiceDefinition)
  await made.app.start()
  cleanups.push(() => made.app.stop())
  const connect = async () => {
    const opened = once(made.app.events, 'client:connect') as Promise<[string, Connection]>
    const client = await WireClient.open(made.transport)
    const [id, connection] = await opened
    return { client, id, connection }
  }
  return { ...made, service, connect, closed }
}

/** What a client was sent by the service, when all sent before has arrived. */
async function heard(client: WireClient): Promise<unknown[]> {
  client.send([19, 0])
  while (client.frames.at(-1)?.[0] !== 20) await client.next()
  return client.frames.filter(([kind]) => kind === 0).map(frame => frame.at(-1))
}

describe('a room', () => {
  test('has whoever has joined it, and is told what is sent to it', async () => {
    const { app, service, connect } = await start()
    const [a, b, c] = [await connect(), await connect(), await connect()]
    expect(a.connection.join(['red', 'blue'])).toBe(true)
    b.connection.join('red')
    b.connection.join('red')
    expect([...a.connection.rooms]).toEqual(['red', 'blue'])
    expect(app.to('red').size).toBe(2)
    expect(service.to('red').send('hello')).toBe(2)
    a.connection.leave(['red', 'never'])
    expect(service.to('red').send('again')).toBe(1)
    expect(service.to('nobody').send('lost')).toBe(0)
    expect(await heard(a.client)).toEqual(['hello'])
    expect(await heard(b.client)).toEqual(['hello', 'again'])
    expect(await heard(c.client)).toEqual([])
  })

  test('is left at the end of a connection, whose listeners still see where it was', async () => {
    const { app, connect, closed } = await start()
    const a = await connect()
    a.connection.join(['red', 'blue'])
    const gone = once(app.events, 'client:disconnect') as Promise<[string, Connection]>
    a.client.link.close()
    const [id, connection] = await gone
    expect([id, connection]).toEqual([a.id, a.connection])
    expect([...connection.rooms]).toEqual(['red', 'blue'])
    expect(app.to('red').size).toBe(0)
    expect(closed).toEqual([['red', 'blue']])
    connection.leave('red')
    expect(connection.join('green')).toBe(false)
    expect([...connection.rooms]).toEqual(['red', 'blue'])
    expect(app.to('green').size).toBe(0)
  })

  test('is told of when it gets its first member, and loses its last', async () => {
    const { app, connect, log } = await start()
    const [a, b] = [await connect(), await connect()]
    const events: string[] = []
    app.events.on('room:created', room => events.push(`+${room}`))
    app.events.on('room:emptied', room => events.push(`-${room}`))
    a.connection.join(['red', 'blue'])
    b.connection.join('red')
    a.connection.leave('red')
    app.events.once('room:emptied', () => {
      throw new Error('mine')
    })
    app.to(['red', 'blue']).leave(['red', 'blue'])
    expect(events).toEqual(['+red', '+blue', '-red', '-blue'])
    expect(log.of('error')).toEqual(['a listener for room:emptied failed'])
    expect(app.connections().map(({ rooms }) => rooms.size)).toEqual([0, 0])
  })

  test('of a name that is none is refused, as is one room too many; nothing is joined then', async () => {
    const { app, connect } = await start({ limits: { topics: 3 } })
    const [a, b] = [await connect(), await connect()]
    for (const name of ['', 'x'.repeat(257), 'a\nb', 7, null, undefined, {}]) {
      for (const call of [
        () => a.connection.join(['ok', name as string]),
        () => a.connection.leave(name as string),
        () => app.to(name as string),
        () => app.except([name as string]),
        () => app.to('x').join(name as string),
      ]) {
        expect(call).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENTS' }))
      }
    }
    a.connection.join(['1', '2'])
    b.connection.join('1')
    a.connection.join(['2', '3', '3', '1'])
    expect(() => a.connection.join(['3', '4'])).toThrow(expect.objectContaining({ code: 'OVERLOADED' }))
    expect(() => app.to('1').join(['5', '6'])).toThrow(expect.objectContaining({ code: 'OVERLOADED' }))
    expect([...a.connection.rooms].sort()).toEqual(['1', '2', '3'])
    expect([...b.connection.rooms]).toEqual(['1'])
  })
})

describe('an audience', () => {
  test('has each connection once, however many names fit', async () => {
    const { service, connect } = await start()
    const [a, b, c] = [await connect(), await connect(), await connect()]
    a.connection.join(['red', 'blue'])
    b.connection.join('blue')
    const both = service.to('red').to(['blue', a.id])
    expect(both.size).toBe(2)
    expect(both.except('red').connections()).toEqual([b.connection])
    expect(both.send('one')).toBe(2)
    expect(service.to(c.id).send('two')).toBe(1)
    expect(service.except([a.id, 'blue']).send('three')).toBe(1)
    expect(service.to([]).send('nobody')).toBe(0)
    expect(service.except([]).send('all')).toBe(3)
    expect(await heard(a.client)).toEqual(['one', 'all'])
    expect(await heard(b.client)).toEqual(['one', 'all'])
    expect(await heard(c.client)).toEqual(['two', 'three', 'all'])
  })

  test('is not changed by what is made of it, and looks anew each time', async () => {
    const { app, connect } = await start()
    const [a, b] = [await connect(), await connect()]
    const red = app.to('red')
    red.to('blue')
    red.except(a.id)
    expect(red.size).toBe(0)
    a.connection.join('red')
    b.connection.join('blue')
    expect(red.connections()).toEqual([a.connection])
  })

  test('means one connection by its id, even if somebody has a room of that name', async () => {
    const { app, connect } = await start()
    const [a, b] = [await connect(), await connect()]
    b.connection.join(a.id)
    expect(app.to(a.id).connections()).toEqual([a.connection])
    expect(app.to([]).except(a.id).size).toBe(0)
    expect(app.except(a.id).connections()).toEqual([b.connection])
  })

  test('joins, leaves and is disconnected together', async () => {
    const { app, connect } = await start()
    const [a, b, c] = [await connect(), await connect(), await connect()]
    app.to([a.id, b.id]).join('red')
    expect(app.to('red').join(['blue', 'green'])).toBe(2)
    app.to('red').except(a.id).leave('blue')
    expect([...a.connection.rooms]).toEqual(['red', 'blue', 'green'])
    expect([...b.connection.rooms]).toEqual(['red', 'green'])
    expect(app.to('green').disconnect('enough')).toBe(2)
    expect(app.connections()).toEqual([c.connection])
    await a.client.ended()
    expect(a.client.closed).toMatchObject({ reason: 'enough' })
  })

  test('sends nothing that cannot be encoded, to nobody either', async () => {
    const { service } = await start()
    expect(() => service.to('red').send(() => 1)).toThrow(expect.objectContaining({ code: 'UNENCODABLE' }))
  })

  test('is there once the server has started', () => {
    const { app } = testServer()
    for (const call of [() => app.to('red'), () => app.except('red'), () => app.connections()]) {
      expect(call).toThrow(expect.objectContaining({ code: 'INVALID_STATE' }))
    }
  })
})

// ---- a model of it --------------------------------------------------------------------------------

const CLIENTS = 4
const room = fc.constantFrom('r0', 'r1', 'r2', 'r3')
const rooms = fc.uniqueArray(room, { maxLength: 3 })
const client = fc.nat(CLIENTS - 1)
const names = fc.array(fc.oneof(room, client), { maxLength: 3 })
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('join' as const), client, rooms }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), client, rooms }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('emit' as const), to: names, except: names }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('move' as const), to: names, rooms }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('close' as const), client }) },
)

test('whatever is joined, left and closed, each is sent what is for its rooms, once', async () => {
  const { app, service, connect, log } = await start({ limits: { topics: 3 } })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
      const clients: Awaited<ReturnType<typeof connect>>[] = []
      for (let i = 0; i < CLIENTS; i++) clients.push(await connect())
      const model = clients.map(() => ({ open: true, rooms: new Set<string>(), heard: [] as number[] }))
      const chosen = (picked: readonly (string | number)[]) =>
        model.filter((one, index) =>
          picked.some(name => one.open && (typeof name === 'number' ? name === index : one.rooms.has(name))),
        )
      const named = (picked: readonly (string | number)[]) =>
        picked.map(name => (typeof name === 'number' ? clients[name]!.id : name))
      const join = (which: typeof model, joined: readonly string[]) => {
        const fits = which.every(one => new Set([...one.rooms, ...joined]).size <= 3)
        if (fits) for (const one of which) for (const name of joined) one.rooms.add(name)
        return fits
      }
      let count = 0
      for (const it of steps) {
        if (it.do === 'join') {
          const [one, { connection }] = [model[it.client]!, clients[it.client]!]
          const fits = join(one.open ? [one] : [], it.rooms)
          if (fits) expect(connection.join(it.rooms)).toBe(one.open)
          else expect(() => connection.join(it.rooms)).toThrow('3 rooms')
        } else if (it.do === 'leave') {
          const one = model[it.client]!
          if (one.open) for (const name of it.rooms) one.rooms.delete(name)
          clients[it.client]!.connection.leave(it.rooms)
        } else if (it.do === 'move') {
          const audience = app.to(named(it.to))
          if (join(chosen(it.to), it.rooms)) audience.join(it.rooms)
          else expect(() => audience.join(it.rooms)).toThrow('3 rooms')
        } else if (it.do === 'close') {
          model[it.client]!.open = false
          clients[it.client]!.connection.close()
        } else {
          const spared = chosen(it.except)
          const reached = chosen(it.to).filter(one => !spared.includes(one))
          for (const one of reached) one.heard.push(count)
          const audience = service.to(named(it.to)).except(named(it.except))
          expect(audience.size).toBe(reached.length)
          expect(audience.send(count++)).toBe(reached.length)
        }
        expect(clients.map(({ connection }) => [...connection.rooms].sort())).toEqual(
          model.map(one => [...one.rooms].sort()),
        )
      }
      for (const [index, { client, connection }] of clients.entries()) {
        const messages = connection.open
          ? await heard(client)
          : await client.ended().then(() => ended(client))
        expect(messages).toEqual(model[index]!.heard)
        connection.close()
      }
      expect(['r0', 'r1', 'r2', 'r3'].map(name => app.to(name).size)).toEqual([0, 0, 0, 0])
    }),
    { numRuns: 60 },
  )
  expect(log.of('error')).toEqual([])
})

function ended(client: WireClient): unknown[] {
  return client.frames.filter(([kind]) => kind === 0).map(frame => frame.at(-1))
}
