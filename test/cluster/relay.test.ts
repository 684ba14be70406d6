import session from 'express-session'
import { describe, expect, onTestFinished, test } from 'vitest'
import { memory } from '../../src/engines/memory.js'
import { knows, put, startNode } from './support.js'

/** Two servers that share an engine and a store of sessions, in one process. */
async function two() {
  const engine = memory()
  onTestFinished(() => engine.close())
  const sessionStore = new session.MemoryStore()
  const one = await startNode(engine, { sessionStore, cluster: { name: 'one' } })
  const other = await startNode(engine, { sessionStore, cluster: { name: 'other' } })
  await Promise.all([knows(one.app, 1), knows(other.app, 1)])
  return { engine, one, other, sessionStore }
}

describe('what one server of a cluster publishes', () => {
  test('reaches a user, everybody and a connection wherever they are, once', async () => {
    const { one, other } = await two()
    const [near, far, stranger] = [
      await one.client('ann'),
      await other.client('ann'),
      await other.client('bob'),
    ]
    const { publish } = one.app.api.chat
    expect(publish.user('ann', 'said', 'user')).toBe(1)
    publish.all('said', 'all')
    expect(publish.connection(far.id, 'said', 'connection')).toBe(true)
    expect(publish.with({ except: far.id }).connection(far.id, 'said', 'nothing')).toBe(false)
    publish.with({ except: far.id }).user('ann', 'said', 'spared')
    publish.with({ except: far.id }).all('said', 'spared all')
    publish.all('said', 'last')
    expect(await near.atLeast(5)).toEqual(['user', 'all', 'spared', 'spared all', 'last'])
    expect(await far.atLeast(4)).toEqual(['user', 'all', 'connection', 'last'])
    expect(await stranger.atLeast(3)).toEqual(['all', 'spared all', 'last'])
  })

  test('reaches rooms, and those in two of them once', async () => {
    const { one, other } = await two()
    const [near, far, spared] = [
      await one.client('ann'),
      await other.client('bob'),
      await other.client('eve'),
    ]
    for (const client of [near, far, spared]) await client.api.rpc.join('red')
    for (const client of [far, spared]) await client.api.rpc.join('blue')
    const { api } = one.app
    expect(api.chat.to('red').to('blue').emit('said', 'both')).toBe(1)
    api.chat.to('red').except(spared.id).emit('said', 'some')
    api.chat.except('blue').emit('said', 'not blue')
    api.chat.publish.all('said', 'last')
    expect(await near.atLeast(4)).toEqual(['both', 'some', 'not blue', 'last'])
    expect(await far.atLeast(3)).toEqual(['both', 'some', 'last'])
    expect(await spared.atLeast(2)).toEqual(['both', 'last'])
  })

  test('reaches the subscribers of channels, with a history and without, in the order of each', async () => {
    const { one, other } = await two()
    const [near, far] = [await one.client('ann'), await other.client('bob')]
    for (const { api } of [near, far]) {
      await api.chat.subscribe('plain')
      await api.feed.subscribe('free')
      await api.feed.subscribe('kept:a')
    }
    const { chat, feed } = one.app.api
    for (const text of ['1', '2']) chat.publish.channel('plain', 'said', text)
    expect(await far.atLeast(2)).toEqual(['1', '2'])
    for (const text of ['3', '4']) feed.publish.channel('free', 'said', text)
    expect(await far.atLeast(4)).toEqual(['1', '2', '3', '4'])
    await feed.publish.acknowledged('kept:a', 'said', '5')
    expect(await far.atLeast(5)).toEqual(['1', '2', '3', '4', '5'])
    // What a client publishes goes as far.
    await far.api.chat.publish('plain', 'said', '6')
    expect(await near.atLeast(6)).toEqual(['1', '2', '3', '4', '5', '6'])
    expect(await far.atLeast(6)).toEqual(['1', '2', '3', '4', '5', '6'])
  })

  test('carries bytes, and throws at the sender what cannot be sent', async () => {
    const { one, other } = await two()
    const far = await other.client('ann')
    one.app.api.chat.publish.user('ann', 'more', Uint8Array.of(1, 2, 255))
    const [bytes] = await far.atLeast(1)
    expect(new Uint8Array(bytes as Uint8Array)).toEqual(Uint8Array.of(1, 2, 255))
    const { publish } = one.app.api.chat
    expect(() => publish.user('ann', 'said', (() => 1) as never)).toThrow(
      expect.objectContaining({ code: 'UNENCODABLE' }),
    )
  })

  test('stays on a server that says it is none of the cluster', async () => {
    const engine = memory()
    onTestFinished(() => engine.close())
    const one = await startNode(engine)
    const loner = await startNode(engine, { cluster: false })
    const third = await startNode(engine)
    await knows(one.app, 1)
    const [far, near] = [await loner.client('ann'), await third.client('ann')]
    one.app.api.chat.publish.all('said', 'hello')
    loner.app.api.chat.publish.all('said', 'own')
    expect([await near.atLeast(1), await far.atLeast(1)]).toEqual([['hello'], ['own']])
    expect((await loner.app.cluster.nodes()).map(({ id }) => id)).toEqual([loner.app.cluster.id])
  })
})

describe('a session that several servers of a cluster have in use', () => {
  test.each(['destroy', 'destroyed', 'handler', 'store'] as const)('ends on all of them by %s', async how => {
    const { one, other, sessionStore } = await two()
    await put(sessionStore, 'abc', { user: 'ann' })
    await put(sessionStore, 'xyz', { user: 'bob' })
    const near = await one.client('ann', 'abc')
    const far = await other.client('ann', 'abc')
    const stranger = await other.client('bob', 'xyz')
    expect(one.app.sessions.list().map(({ id }) => id)).toEqual(['abc'])
    if (how === 'destroy') await one.app.sessions.destroy('abc')
    else if (how === 'destroyed') one.app.sessions.destroyed('abc')
    else if (how === 'handler') await near.api.rpc.logout()
    else await new Promise(resolve => one.app.sessions.store.destroy('abc', resolve))
    expect(await far.closed).toBe(4405)
    expect(await near.closed).toBe(4405)
    other.app.api.chat.publish.all('said', 'still here')
    expect(await stranger.atLeast(1)).toEqual(['still here'])
  })

  test('is sent to on all of them', async () => {
    const { one, other, sessionStore } = await two()
    await put(sessionStore, 'abc', { user: 'ann' })
    const [near, far] = [await one.client('ann', 'abc'), await other.client('ann', 'abc')]
    expect(one.app.sessions.send('abc', 'chat', ['said', 'control'])).toBe(1)
    expect(one.app.api.chat.publish.session('abc', 'said', 'publish')).toBe(1)
    expect(await far.atLeast(2)).toEqual(['control', 'publish'])
    expect(await near.atLeast(2)).toEqual(['control', 'publish'])
  })
})
