import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Engine } from '../../src/engines/engine.js'
import { memory } from '../../src/engines/memory.js'
import { presenceClient } from '../../src/services/presence/client.js'
import { presence } from '../../src/services/presence/index.js'
import type { ServiceClient } from '../../src/services/service.js'
import { manualClock } from '../../src/testing/manual-clock.js'
import { testServer, WireClient } from '../support/wire.js'
import { cleanups, seen, startPresence, until } from './presence-support.js'

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

describe('presence', () => {
  test('shows who is in a channel, each user once, with what its devices say', async () => {
    const { api, client, heard } = await startPresence()
    const [ann, again, bob] = [await client('ann'), await client('ann'), await client('bob')]
    const room = bob.presence.watch('room')
    await room.ready
    expect(room.getSnapshot()).toEqual({ ready: true, listed: true, count: 0, members: [] })
    expect(room.getSnapshot()).toBe(room.getSnapshot())
    await ann.presence.join('room', 'phone')
    await again.presence.join('room', 'desk')
    await bob.presence.join('room', 'tablet')
    await until(room, () => seen(room).split(' ').length === 2 && seen(room).includes(','))
    expect(['ann(phone,desk) bob(tablet)', 'ann(desk,phone) bob(tablet)']).toContain(seen(room))
    expect(room.getSnapshot().count).toBe(2)
    await ann.presence.join('room', 'phone, away')
    await until(room, () => seen(room).includes('away'))
    await ann.presence.leave('room')
    await until(room, () => seen(room) === 'ann(desk) bob(tablet)')
    expect(heard).toEqual(['ann joined room', 'bob joined room'])
    await again.presence.leave('room')
    await until(room, () => seen(room) === 'bob(tablet)')
    expect(heard).toEqual(['ann joined room', 'bob joined room', 'ann left room'])
    expect(await api.count('room')).toBe(1)
    expect(await bob.presence.count('room')).toBe(1)
    expect((await api.list('room')).members).toEqual([
      { user: 'bob', devices: [{ id: expect.any(String), meta: 'tablet' }] },
    ])
  })

  test('gives who is lost the time of grace to come back, which is no leaving and no joining', async () => {
    const clock = manualClock()
    const engine = memory({ clock })
    const { client, heard } = await startPresence({ grace: '10s', ttl: '60s', clock }, engine)
    const [ann, bob] = [await client('ann'), await client('bob')]
    const room = bob.presence.watch('room')
    await ann.presence.join('room', 'a')
    const turn = () => new Promise(resolve => setImmediate(resolve))
    const advance = async (ms: number) => {
      await turn()
      clock.advance(ms)
      await turn()
    }
    const settle = async (looks: string) => {
      for (let i = 0; i < 50 && seen(room) !== looks; i++) await advance(1)
      expect(seen(room)).toBe(looks)
    }
    await settle('ann(a)')
    ann.client.on('status', status => status === 'connected' && heard.push('back'))
    ann.lose()
    await settle('ann()')
    while (!heard.includes('back')) await turn()
    await settle('ann(a)')
    await advance(11_000)
    expect(seen(room)).toBe('ann(a)')
    expect(heard).toEqual(['ann joined room', 'back'])
    ann.client.close()
    await settle('ann()')
    await advance(9000)
    expect(seen(room)).toBe('ann()')
    await advance(2000)
    await settle('')
    expect(heard).toEqual(['ann joined room', 'back', 'ann left room'])
  })

  test('without grace who is lost has left', async () => {
    const { client, heard } = await startPresence({ grace: 0 })
    const [ann, bob] = [await client('ann'), await client('bob')]
    const room = bob.presence.watch('room')
    await ann.presence.join('room', 'a')
    await until(room, () => seen(room) === 'ann(a)')
    ann.client.close()
    await until(room, () => seen(room) === '')
    expect(heard).toEqual(['ann joined room', 'ann left room'])
  })

  test('is the same on all servers of an engine, and is told by one of them', async () => {
    const engine = memory()
    cleanups.push(() => engine.close())
    const one = await startPresence({ grace: 0 }, engine)
    const two = await startPresence({ grace: 0 }, engine)
    const [ann, again, bob] = [await one.client('ann'), await two.client('ann'), await two.client('bob')]
    const room = bob.presence.watch('room')
    await ann.presence.join('room', '1')
    await again.presence.join('room', '2')
    await until(room, () => /^ann\(\d,\d\)$/.test(seen(room)))
    expect([...one.heard, ...two.heard]).toEqual(['ann joined room'])
    await one.app.stop({ drain: 0 })
    await until(room, () => seen(room) === 'ann(2)')
    await two.api.remove('room', 'ann')
    await until(room, () => seen(room) === '')
    expect([...one.heard, ...two.heard]).toEqual(['ann joined room', 'ann left room'])
  })

  test('removes a user from a channel, on whichever server', async () => {
    const engine = memory()
    cleanups.push(() => engine.close())
    const one = await startPresence({}, engine)
    const two = await startPresence({}, engine)
    const [ann, again] = [await one.client('ann'), await two.client('ann')]
    const room = ann.presence.watch('room')
    await ann.presence.join('room', '1')
    await again.presence.join('room', '2')
    await until(room, () => seen(room).includes(','))
    await one.api.remove('room', 'ann')
    await until(room, () => seen(room) === '')
    await again.presence.join('room', '3')
    await until(room, () => seen(room) === 'ann(3)')
  })

  test('leaves by itself when its server dies: what it said holds for a time', async () => {
    const clock = manualClock()
    const engine = memory({ clock })
    cleanups.push(() => engine.close())
    const silent = {
      ...engine,
      presence: { ...bound(engine.presence), refresh: () => Promise.reject(new Error('paused')) },
    }
    const dead = await startPresence({ ttl: '3s', clock: manualClock() }, silent as Engine)
    const alive = await startPresence({ ttl: '3s', clock }, engine)
    const [ann, bob] = [await dead.client('ann'), await alive.client('bob')]
    await ann.presence.join('room', '1')
    await bob.presence.join('room', '2')
    expect(await alive.api.count('room')).toBe(2)
    for (let second = 0; second < 6; second++) {
      clock.advance(1000)
      await new Promise(resolve => setImmediate(resolve))
    }
    expect((await alive.api.list('room')).members.map(({ user }) => user)).toEqual(['bob'])
    const told = [...dead.heard, ...alive.heard].filter(line => line.startsWith('ann left'))
    expect(told).toEqual(['ann left room'])
  })

  test('enters again what the engine has lost', async () => {
    const clock = manualClock()
    const engine = memory()
    cleanups.push(() => engine.close())
    const { api, client } = await startPresence({ ttl: '30s', clock }, engine)
    const ann = await client('ann')
    await ann.presence.join('room', 'a')
    const [member] = await engine.presence.members('presence:room')
    await engine.presence.leave('presence:room', member!.member)
    expect(await api.count('room')).toBe(0)
    clock.advance(10_000)
    await vi.waitUntil(async () => (await api.count('room')) === 1)
  })

  test('follows the count only where there are too many, and lists them again when there are fewer', async () => {
    const { client, api } = await startPresence({ maxListed: 10, grace: 0 })
    const bob = await client('bob')
    const room = bob.presence.watch('room')
    const others = await Promise.all(Array.from({ length: 12 }, (_, index) => client(`user${index}`)))
    for (const other of others.slice(0, 10)) await other.presence.join('room', 'x')
    await until(room, () => room.getSnapshot().members.length === 10)
    for (const other of others.slice(10)) await other.presence.join('room', 'x')
    await until(room, () => room.getSnapshot().count === 12)
    expect(room.getSnapshot()).toEqual({ ready: true, listed: false, count: 12, members: [] })
    const late = others[0]!.presence.watch('room')
    await late.ready
    expect(late.getSnapshot()).toEqual({ ready: true, listed: false, count: 12, members: [] })
    const first = await bob.presence.list('room', { limit: 7 })
    const second = await bob.presence.list('room', { limit: 7, after: first.next })
    expect([first.members.length, second.members.length, second.next]).toEqual([7, 5, undefined])
    for (const other of others.slice(0, 4)) await other.presence.leave('room')
    await until(room, () => room.getSnapshot().listed && room.getSnapshot().ready)
    await until(room, () => room.getSnapshot().members.length === 8)
    expect(await api.count('room')).toBe(8)
  })

  test('sends large channels in pages', async () => {
    const engine = memory()
    cleanups.push(() => engine.close())
    const { client, api } = await startPresence({ maxListed: 2000 }, engine)
    const info = Uint8Array.of(0x92, 0xc2, 0xa1, 0x78)
    for (let index = 0; index < 1203; index++) {
      await engine.presence.join('presence:room', `user${index}\nd\n1\nn`, info, 60_000)
    }
    const ann = await client('ann')
    const room = ann.presence.watch('room')
    await room.ready
    expect(room.getSnapshot().members).toHaveLength(1203)
    expect(room.getSnapshot().members[0]).toEqual({ user: 'user0', devices: [{ id: 'd', meta: 'x' }] })
    expect(await api.count('room')).toBe(1203)
  })

  test('mends a gap, and takes what comes before an answer is handled', async () => {
    const calls: unknown[][] = []
    const answers: ((answer: unknown) => void)[] = []
    const service = {
      call(payload: unknown[]) {
        calls.push(payload)
        return new Promise(resolve => answers.push(resolve))
      },
    } as unknown as ServiceClient
    const tell = (...message: unknown[]) => service.onmessage!(message)
    const api = presenceClient.client<string>(service)
    const room = api.watch('room')
    const row = (user: string, meta: string) => [user, [['d', meta]]]
    // In one chunk: the answer, and what has happened since.
    answers[0]!([7, 3, 2, true, [row('ann', '1')], 'ann'])
    tell(7, 3, 1, [row('old', 'x')])
    tell(7, 4, 2, [row('ann', '2'), row('bob', '2')])
    await vi.waitUntil(() => calls.length === 2)
    expect(calls).toEqual([
      ['watch', 'room'],
      ['page', 'room', 'ann', null],
    ])
    // The page is as it was before: what has changed since stays.
    tell(7, 5, 2, [row('bob', '3')])
    answers[1]!([[row('bob', '1'), row('cid', '1')], null, 3])
    await room.ready
    expect(seen(room)).toBe('ann(2) bob(3) cid(1)')
    tell(7, 7, 2, [['ann'], row('bob', '4')])
    expect(room.getSnapshot().ready).toBe(false)
    expect(calls.at(-1)).toEqual(['watch', 'room'])
    answers[2]!([7, 7, 2, true, [row('bob', '4'), row('cid', '1')], null])
    await room.ready
    expect(seen(room)).toBe('bob(4) cid(1)')
    expect(calls).toHaveLength(3)
    tell(7)
    expect(calls).toHaveLength(4)
    tell(0)
    expect(calls).toHaveLength(5)
    room.close()
    room.close()
    expect(calls.at(-1)).toEqual(['unwatch', 'room'])
  })

  test('asks its hooks, and refuses what is no channel, no page or too large', async () => {
    const { client } = await startPresence({
      canJoin: (ctx, channel, meta) => channel === 'open' && meta !== 'rude' && ctx.user !== undefined,
      canList: async (_ctx, channel) => channel === 'open',
      maxMeta: 16,
    })
    const { presence } = await client('ann')
    const code = (code: string) => expect.objectContaining({ code })
    await expect(presence.join('closed', 'x')).rejects.toEqual(code('FORBIDDEN'))
    await expect(presence.join('open', 'rude')).rejects.toEqual(code('FORBIDDEN'))
    await expect(presence.join('open', 'x'.repeat(17))).rejects.toEqual(code('INVALID_ARGUMENTS'))
    await expect(presence.join('a\nb', 'x')).rejects.toEqual(code('INVALID_ARGUMENTS'))
    await expect(presence.count('closed')).rejects.toEqual(code('FORBIDDEN'))
    await expect(presence.list('closed')).rejects.toEqual(code('FORBIDDEN'))
    await expect(presence.list('open', { limit: 0 })).rejects.toEqual(code('INVALID_ARGUMENTS'))
    const room = presence.watch('closed')
    await expect(room.ready).rejects.toEqual(code('FORBIDDEN'))
    await presence.join('open', 'fine')
    expect(await presence.count('open')).toBe(1)
  })

  test('bounds the channels of a connection', async () => {
    const { app, transport } = testServer({ limits: { topics: 2 } })
    app.service('presence', presence())
    await app.start()
    const client = await WireClient.open(transport)
    const call = async (id: number, ...payload: unknown[]) => {
      client.send([1, 1, id, payload])
      for (;;) {
        const found = client.frames.find(([kind, of]) => (kind === 2 || kind === 3) && of === id)
        if (found !== undefined) return found[0] === 2 ? 'ok' : (found[2] as { code: string }).code
        await client.next()
      }
    }
    expect(await call(1, 'join', 'a', null)).toBe('ok')
    expect(await call(3, 'join', 'b', null)).toBe('ok')
    expect(await call(5, 'join', 'c', null)).toBe('OVERLOADED')
    expect(await call(7, 'leave', 'a')).toBe('ok')
    expect(await call(9, 'join', 'c', null)).toBe('ok')
    expect(await call(11, 'watch', 'a')).toBe('ok')
    expect(await call(13, 'watch', 'b')).toBe('ok')
    expect(await call(15, 'watch', 'c')).toBe('OVERLOADED')
    expect(await call(17, 'unwatch', 'a')).toBe('ok')
    expect(await call(19, 'watch', 'c')).toBe('ok')
    expect(await call(21, 'dance', 'c')).toBe('UNKNOWN_METHOD')
    expect(await call(23)).toBe('INVALID_ARGUMENTS')
    await app.stop()
  })

  test('names who has no user by its session, which the name does not tell', async () => {
    const { app, transport } = testServer()
    app.service('presence', presence())
    const api = (await app.start()) as {
      presence: { list(channel: string): Promise<{ members: { user: string }[] }> }
    }
    const one = await WireClient.open(transport)
    const two = await WireClient.open(transport, { session: one.welcome.session })
    for (const client of [one, two]) {
      client.send([1, 1, 1, ['join', 'room', 'x']])
      while (!client.frames.some(([kind]) => kind === 2)) await client.next()
    }
    const { members } = await api.presence.list('room')
    expect(members).toEqual([
      { user: expect.stringMatching(/^~[\w-]{22}$/), devices: [expect.anything(), expect.anything()] },
    ])
    await app.stop()
  })

  test.each([
    [{ grace: 'long' }, '`presence.grace` must be milliseconds'],
    [{ ttl: 100 }, 'ttl must be at least'],
    [{ maxListed: -1 }, 'maxListed must be a whole number'],
    [{ canJoin: true }, 'canJoin must be a function'],
    [{ rooms: 1 }, "there is no option 'rooms'"],
  ])('%j is refused', (options, message) => {
    expect(() => presence(options as never)).toThrow(message)
  })

  test('needs an engine that has presence', async () => {
    const { app } = testServer({ engine: { name: 'bare', on: () => () => {}, close: async () => {} } })
    app.service('presence', presence())
    await expect(app.start()).rejects.toThrow("The engine 'bare' has no presence")
  })
})

/** The methods of an object, bound to it. */
function bound<T extends object>(object: T): T {
  const methods = ['join', 'refresh', 'leave', 'members', 'count', 'watch'] as const
  return Object.fromEntries(
    methods.map(name => [name, (object as never as Record<string, () => unknown>)[name]!.bind(object)]),
  ) as T
}
