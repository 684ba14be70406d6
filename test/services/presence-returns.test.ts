import { afterEach, describe, expect, test } from 'vitest'
import { memory } from '../../src/engines/memory.js'
import { presence } from '../../src/services/presence/index.js'
import { manualClock } from '../../src/testing/manual-clock.js'
import { testServer, WireClient } from '../support/wire.js'
import { cleanups, startPresence } from './presence-support.js'

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

type Client = Awaited<ReturnType<Awaited<ReturnType<typeof startPresence>>['client']>>

const turn = () => new Promise(resolve => setImmediate(resolve))
const settled = async () => {
  for (let i = 0; i < 20; i++) await turn()
}

/** Loses the connection of a client; resolves when it has another one and has said everything again. */
async function comeBack({ client, lose }: Client): Promise<void> {
  const back = new Promise<void>(resolve => {
    client.on('status', status => status === 'connected' && resolve())
  })
  lose()
  await back
  await settled()
}

describe('who comes back', () => {
  test('is the same device, and has left when it says so, however long the grace', async () => {
    const { api, client, heard } = await startPresence({ grace: '60s' })
    const ann = await client('ann')
    await ann.presence.join('room', 'a')
    const [before] = (await api.list('room')).members
    await comeBack(ann)
    expect((await api.list('room')).members).toEqual([before])
    await ann.presence.leave('room')
    await settled()
    expect(await api.count('room')).toBe(0)
    expect(heard).toEqual(['ann joined room', 'ann left room'])
  })

  test('on another server takes the place of the connection that is dead and not known to be', async () => {
    const clock = manualClock()
    const engine = memory({ clock })
    cleanups.push(() => engine.close())
    const one = testServer({ engine })
    const two = testServer({ engine })
    const options = { clock, user: () => 'ann', grace: 1000, ttl: 3000 }
    for (const { app } of [one, two]) app.service('presence', presence(options))
    const api = (await one.app.start()) as { presence: { list(channel: string): Promise<unknown> } }
    await two.app.start()
    const [dead, alive] = [await WireClient.open(one.transport), await WireClient.open(two.transport)]
    const join = async (client: WireClient, id: number, meta: string) => {
      client.send([1, 1, id, ['join', 'room', meta, 'the-phone']])
      while (!client.frames.some(([kind, of]) => kind === 2 && of === id)) await client.next()
    }
    const shown = (meta: string) => ({
      members: [{ user: 'ann', devices: [{ id: 'the-phone', meta }] }],
      next: undefined,
    })
    await join(dead, 1, 'old')
    expect(await api.presence.list('room')).toEqual(shown('old'))
    await join(alive, 1, 'new')
    expect(await api.presence.list('room')).toEqual(shown('new'))
    for (let i = 0; i < 6; i++) {
      clock.advance(1000)
      await settled()
    }
    dead.link.close(4500, 'lost')
    await settled()
    expect(await api.presence.list('room')).toEqual(shown('new'))
    expect(await engine.presence.count('presence:room')).toBe(1)
    await Promise.all([one.app.stop(), two.app.stop()])
  })

  test('does not when it was removed: neither with the next connection nor from its grace', async () => {
    const { api, client, heard } = await startPresence({ grace: '60s' })
    const [ann, bob] = [await client('ann'), await client('bob')]
    await ann.presence.join('room', 'a')
    await bob.presence.join('room', 'b')
    bob.client.close()
    await settled()
    await api.remove('room', 'ann')
    await api.remove('room', 'bob')
    await settled()
    await comeBack(ann)
    expect(await api.count('room')).toBe(0)
    expect(heard).toEqual(['ann joined room', 'bob joined room', 'ann left room', 'bob left room'])
    await ann.presence.join('room', 'again')
    expect(await api.count('room')).toBe(1)
  })

  test('and is lost after the engine has lost it, neither comes nor goes', async () => {
    const engine = memory()
    cleanups.push(() => engine.close())
    const { client, heard } = await startPresence({ grace: '60s' }, engine)
    const ann = await client('ann')
    await ann.presence.join('room', 'a')
    const [member] = await engine.presence.members('presence:room')
    await engine.presence.leave('presence:room', member!.member)
    await settled()
    ann.client.close()
    await settled()
    expect(heard).toEqual(['ann joined room', 'ann left room'])
    expect(await engine.presence.count('presence:room')).toBe(0)
  })
})

describe('what is refused, given up or over', () => {
  test('keeps no channel in view', async () => {
    const clock = manualClock()
    const engine = memory({ clock })
    cleanups.push(() => engine.close())
    let viewed = 0
    const watch = engine.presence.watch.bind(engine.presence)
    engine.presence.watch = async (...args) => {
      viewed++
      const { close } = await watch(...args)
      return {
        close() {
          viewed--
          close()
        },
      }
    }
    const { app, transport } = testServer({ limits: { topics: 2 }, engine, cluster: false })
    app.service('presence', presence({ grace: 0, clock }))
    const api = (await app.start()) as { presence: { on(event: 'left', listener: () => void): void } }
    api.presence.on('left', () => {})
    const client = await WireClient.open(transport)
    for (let id = 1; id < 40; id += 2) {
      client.send([1, 1, id, ['join', `room${id}`, null]])
      while (!client.frames.some(([kind, of]) => (kind === 2 || kind === 3) && of === id)) await client.next()
    }
    expect(viewed).toBe(20)
    clock.advance(2000)
    clock.advance(5000)
    expect(viewed).toBe(2)
    await app.stop()
  })

  test('is told no changes: a watch that is closed before it has its answer', async () => {
    let allow = (_: boolean): void => {}
    const { app, transport } = testServer()
    const canList = () =>
      new Promise<boolean>(resolve => {
        allow = resolve
      })
    app.service('presence', presence({ canList, interval: 0 }))
    await app.start()
    const [ann, bob] = [await WireClient.open(transport), await WireClient.open(transport)]
    ann.send([1, 1, 1, ['watch', 'room']])
    ann.send([1, 1, 3, ['unwatch', 'room']])
    await settled()
    allow(true)
    while (!ann.frames.some(([kind, of]) => kind === 2 && of === 3)) await ann.next()
    const before = ann.frames.length
    bob.send([1, 1, 1, ['join', 'room', 'b']])
    while (!bob.frames.some(([kind, of]) => kind === 2 && of === 1)) await bob.next()
    await settled()
    expect(ann.frames.length).toBe(before)
    await app.stop()
  })
})

test('counts and pages of an unwatched channel read the engine once, not each time', async () => {
  const clock = manualClock()
  const engine = memory({ clock })
  cleanups.push(() => engine.close())
  let reads = 0
  const members = engine.presence.members.bind(engine.presence)
  engine.presence.members = (...args) => {
    reads++
    return members(...args)
  }
  const { api } = await startPresence({ clock }, engine)
  await engine.presence.join('presence:room', 'ann\nd\n1\nn', Uint8Array.of(0x92, 0xc2, 0xc0), 60_000)
  for (let i = 0; i < 5; i++) expect(await api.count('room')).toBe(1)
  expect((await api.list('room')).members).toHaveLength(1)
  expect(reads).toBe(1)
  clock.advance(5000)
  expect(await api.count('room')).toBe(1)
  expect(reads).toBe(2)
})
