import { sign } from 'cookie-signature'
import session, { type SessionData } from 'express-session'
import { describe, expect, test, vi } from 'vitest'
import type { ServiceDefinition } from '../../src/services/service.js'
import { SessionIdentity } from '../../src/sessions/identity.js'
import type { SessionStore } from '../../src/sessions/repository.js'
import { testServer, WireClient } from '../support/wire.js'

/** `get` and `set` on the session; counts what it is asked. */
class CountingStore implements SessionStore {
  readonly inner = new session.MemoryStore()
  reads = 0
  failing = false

  get(id: string, callback: (error: unknown, data?: SessionData | null) => void): void {
    this.reads++
    if (this.failing) return callback(new Error('store down'))
    this.inner.get(id, callback as never)
  }

  set(id: string, data: SessionData, callback?: (error?: unknown) => void): void {
    this.inner.set(id, data, callback as never)
  }

  destroy(id: string, callback?: (error?: unknown) => void): void {
    this.inner.destroy(id, callback as never)
  }

  put(id: string, data: object): void {
    this.inner.set(id, { cookie: { originalMaxAge: null }, ...data } as SessionData)
  }
}

const notes = {
  use: { json: true, callbacks: true, sessions: true },
  server(server) {
    server.onmessage = (message, request, reply) => {
      const { session } = request
      const { set, save, destroy, tell } = message as {
        set?: object
        save?: boolean
        destroy?: boolean
        tell?: string
      }
      Object.assign(session, set)
      if (tell !== undefined) return reply(server.sendToSession(session.id, tell))
      if (save) return session.save(() => reply('saved'))
      if (destroy)
        return (session as unknown as { destroy(done: () => void): void }).destroy(() => reply('destroyed'))
      const { cookie: _cookie, ...own } = session as Record<string, unknown>
      return reply({ ...own, id: session.id })
    }
  },
} satisfies ServiceDefinition

async function start(options: Parameters<typeof testServer>[0] = {}) {
  const store = new CountingStore()
  const made = testServer({ sessionStore: store, sessions: { secret: ['new', 'old'] }, ...options })
  made.app.service('notes', notes)
  await made.app.start()
  return { ...made, store }
}

const cookie = (id: string, secret = 'new') => ({
  headers: { cookie: `other=1; connect.sid=${encodeURIComponent(`s:${sign(id, secret)}`)}` },
})

/** One call and its answer. */
async function ask(client: WireClient, message: object): Promise<Record<string, unknown>> {
  client.send([1, 1, client.frames.length * 2 + 1, message])
  return (await client.next())[2] as Record<string, unknown>
}

describe('a session', () => {
  test('is the one of the cookie that Express signed, by any of the secrets', async () => {
    const { app, transport, store } = await start()
    store.put('abc', { user: 'ann' })
    for (const secret of ['new', 'old']) {
      const client = await WireClient.open(transport, {}, cookie('abc', secret))
      expect(await ask(client, {})).toEqual({ id: 'abc', user: 'ann' })
    }
    await app.stop()
  })

  test.each([
    ['no cookie', {}],
    ['a bare id', { headers: { cookie: 'connect.sid=abc' } }],
    ['an id signed with another secret', cookie('abc', 'foreign')],
    ['an id that the store does not know', cookie('unknown')],
  ])('is a new one with %s', async (_what, options) => {
    const { app, transport, store } = await start()
    store.put('abc', { user: 'ann' })
    const client = await WireClient.open(transport, {}, options)
    const { id, ...rest } = await ask(client, {})
    expect(id).toMatch(/^[\w-]{32}$/)
    expect(rest).toEqual({})
    await app.stop()
  })

  test('is stored only when a handler saves it, and found again by the token of the welcome', async () => {
    const { app, transport, store } = await start()
    const first = await WireClient.open(transport)
    const { id } = await ask(first, { set: { user: 'bob' } })
    expect(
      await new Promise(resolve => store.inner.get(id as string, (_e, data) => resolve(data))),
    ).toBeUndefined()
    expect(await ask(first, { save: true })).toBe('saved')
    const gone = new Promise(resolve => app.events.once('client:disconnect', resolve))
    first.link.close()
    await gone
    const second = await WireClient.open(transport, { session: first.welcome.session as string })
    expect(await ask(second, {})).toEqual({ id, user: 'bob' })
    expect(store.reads).toBe(0)
    await app.stop()
  })

  test('is not named by its cookie value in a hello, nor by its token in a cookie', async () => {
    const identity = new SessionIdentity({ secrets: ['s'], name: 'connect.sid' })
    const token = identity.token('abc')
    expect(identity.fromToken(token)).toBe('abc')
    expect(identity.fromToken(`s:${sign('abc', 's')}`)).toBeUndefined()
    expect(identity.fromToken(`t:${sign('abc', 's')}`)).toBeUndefined()
    expect(identity.fromCookie(`connect.sid=${token}`)).toBeUndefined()
    expect(identity.fromCookie(`connect.sid=s:${token.slice(2)}`)).toBeUndefined()
    expect(identity.fromToken(undefined)).toBeUndefined()
  })

  test('is one object for all its connections, and reaches all of them', async () => {
    const { app, transport, store } = await start()
    store.put('abc', {})
    const tabs = await Promise.all([1, 2, 3].map(() => WireClient.open(transport, {}, cookie('abc'))))
    await ask(tabs[0]!, { set: { seen: 1 } })
    expect(await ask(tabs[1]!, {})).toEqual({ id: 'abc', seen: 1 })
    tabs[0]!.send([1, 1, 99, { tell: 'all tabs' }])
    for (const tab of tabs) {
      while (!tab.frames.some(frame => frame[0] === 0)) await tab.next()
      expect(tab.frames.find(frame => frame[0] === 0)).toEqual([0, 1, 'all tabs'])
    }
    expect(tabs[0]!.frames.at(-1)).toEqual([2, 99, 3])
    await app.stop()
  })

  test('is read once, however many connections ask for it at once', async () => {
    const { app, transport, store } = await start()
    store.put('abc', {})
    await Promise.all(Array.from({ length: 100 }, () => WireClient.open(transport, {}, cookie('abc'))))
    expect(store.reads).toBe(1)
    await app.stop()
  })

  test('stays in RAM after its last connection, and is gone from there when destroyed', async () => {
    const { app, transport, store } = await start()
    store.put('abc', { user: 'ann' })
    const visit = async (message: object) => {
      const client = await WireClient.open(transport, {}, cookie('abc'))
      const answer = await ask(client, message)
      const gone = new Promise(resolve => app.events.once('client:disconnect', resolve))
      client.link.close()
      await gone
      return answer
    }
    await visit({})
    expect(await visit({})).toEqual({ id: 'abc', user: 'ann' })
    expect(store.reads).toBe(1)
    expect(await visit({ destroy: true })).toBe('destroyed')
    expect(await visit({})).not.toMatchObject({ id: 'abc' })
    expect(store.reads).toBe(1)
    await app.stop()
  })

  test('that cannot be read closes the connection with a code to come back on', async () => {
    const { app, transport, store } = await start()
    store.failing = true
    const client = await WireClient.silent(transport, cookie('abc'))
    client.send([16, { v: 1 }])
    expect(await client.ended()).toEqual({
      code: 4500,
      reason: 'SESSION_UNAVAILABLE: the session store failed to read a session',
    })
    store.failing = false
    store.put('abc', { user: 'ann' })
    const again = await WireClient.open(transport, {}, cookie('abc'))
    expect(await ask(again, {})).toEqual({ id: 'abc', user: 'ann' })
    await app.stop()
  })

  test('whose store never answers closes the connection after the deadline', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    try {
      const { app, transport, store } = await start()
      store.get = () => {}
      const client = await WireClient.silent(transport, cookie('abc'))
      client.send([16, { v: 1 }])
      await new Promise(resolve => setImmediate(resolve))
      vi.advanceTimersByTime(10_000)
      expect(await client.ended()).toMatchObject({ code: 4500 })
      vi.useRealTimers()
      await app.stop()
    } finally {
      vi.useRealTimers()
    }
  })
})

test('a connection that goes while its session is read leaves nothing behind', async () => {
  const { app, transport, store } = await start()
  let answer!: () => void
  store.get = (_id, callback) => {
    answer = () => callback(null, { cookie: { originalMaxAge: null } } as SessionData)
  }
  const client = await WireClient.silent(transport, cookie('abc'))
  client.send([16, { v: 1 }])
  await new Promise(resolve => setImmediate(resolve))
  client.link.close()
  await client.ended()
  answer()
  await new Promise(resolve => setImmediate(resolve))
  const other = await WireClient.open(transport, {}, cookie('abc'))
  other.send([1, 1, 1, { tell: 'who is there' }])
  await other.received(3)
  expect(other.frames.at(-1)).toEqual([2, 1, 1])
  await app.stop()
})

describe('with cacheSessions: false', () => {
  test('a change by another process is seen on the next message', async () => {
    const { app, transport, store } = await start({ cacheSessions: false })
    store.put('abc', { visits: 1 })
    const client = await WireClient.open(transport, {}, cookie('abc'))
    expect(await ask(client, {})).toEqual({ id: 'abc', visits: 1 })
    store.put('abc', { visits: 2 })
    expect(await ask(client, {})).toEqual({ id: 'abc', visits: 2 })
    await app.stop()
  })

  test('a session destroyed by another process refuses the next message, and closes', async () => {
    const { app, transport, store } = await start({ cacheSessions: false })
    store.put('abc', { user: 'ann' })
    const client = await WireClient.open(transport, {}, cookie('abc'))
    store.inner.destroy('abc')
    expect(await ask(client, {})).toMatchObject({ code: 'SESSION_ENDED' })
    expect(await client.ended()).toMatchObject({ code: 4405 })
    await app.stop()
  })

  test('a session that was never stored keeps what handlers put into it', async () => {
    const { app, transport } = await start({ cacheSessions: false })
    const client = await WireClient.open(transport)
    await ask(client, { set: { step: 1 } })
    expect(await ask(client, {})).toMatchObject({ step: 1 })
    await app.stop()
  })

  test('a store that fails answers the message with SESSION_UNAVAILABLE, and later ones go on', async () => {
    const { app, transport, store } = await start({ cacheSessions: false })
    store.put('abc', {})
    const client = await WireClient.open(transport, {}, cookie('abc'))
    store.failing = true
    expect(await ask(client, {})).toMatchObject({ code: 'SESSION_UNAVAILABLE', retryAfter: 1000 })
    store.failing = false
    expect(await ask(client, {})).toEqual({ id: 'abc' })
    await app.stop()
  })
})
