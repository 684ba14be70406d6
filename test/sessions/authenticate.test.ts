import { jwtVerify, SignJWT } from 'jose'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Authenticate, AuthenticateRequest } from '../../src/actors/authenticate.js'
import { SocketStreamError } from '../../src/errors.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { testServer, WireClient } from '../support/wire.js'
import { RawClient } from '../transports/ws-client.js'
import { cookie, enter, ownOrigin, put, shake, startServer } from './socket-server.js'

const key = new TextEncoder().encode('a key of thirty-two bytes at least')

/** As docs/sessions.md has it: a JWT in the header, or in the query for browsers. */
const byToken: Authenticate = async ({ headers, url }) => {
  const bearer = /^Bearer (.+)$/i.exec(headers.authorization ?? '')?.[1]
  const token = bearer ?? new URL(url, 'http://localhost').searchParams.get('token') ?? ''
  const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'], audience: 'chat' })
  return { id: payload.sub }
}

const sign = (sub: string, by = key) =>
  new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject(sub).setAudience('chat').sign(by)

describe('authenticate', () => {
  test('makes the user of what a JWT says, in the header or in the query', async () => {
    const { url } = await startServer({ authenticate: byToken })
    const headers = { Authorization: `Bearer ${await sign('ann')}` }
    expect(await (await enter(url, { headers })).call('who')).toMatchObject({ user: { id: 'ann' } })
    const inQuery = await enter(`${url}?token=${await sign('ben')}`)
    expect(await inQuery.call('who')).toMatchObject({ user: { id: 'ben' } })
  })

  test('refuses with 401 before the upgrade, without saying why to a stranger', async () => {
    const { url, log } = await startServer({ authenticate: byToken })
    const foreign = await sign('ann', new TextEncoder().encode('another key of thirty-two bytes or so'))
    for (const headers of [{}, { Authorization: 'Bearer x' }, { Authorization: `Bearer ${foreign}` }]) {
      const { status, body } = await shake(url, { headers })
      expect({ status, body }).toEqual({ status: 401, body: 'Not authenticated.\n' })
    }
    expect(log.lines.filter(({ level }) => level === 'info')).toHaveLength(1)
    expect(log.lines[0]).toMatchObject({
      message: 'a client was not authenticated',
      details: { times: 1, clientIp: '127.0.0.1', status: 401, error: expect.any(Error) },
    })
  })

  const coded = (code: string, details = {}) =>
    Object.assign(new SocketStreamError<string>(code, `because of ${code}`), details)

  test.each<[string, unknown, number, string]>([
    ['an error', new Error('secret'), 401, 'Not authenticated.\n'],
    [
      'an error with a status',
      Object.assign(new Error('secret'), { status: 429 }),
      429,
      'Not authenticated.\n',
    ],
    [
      'one with a status of success',
      Object.assign(new Error(), { status: 200 }),
      401,
      'Not authenticated.\n',
    ],
    [
      'one with a status that is none',
      Object.assign(new Error(), { status: 600 }),
      401,
      'Not authenticated.\n',
    ],
    ['one with a status as text', Object.assign(new Error(), { status: '500' }), 401, 'Not authenticated.\n'],
    ['FORBIDDEN', coded('FORBIDDEN'), 403, 'because of FORBIDDEN\n'],
    [
      'FORBIDDEN of another class',
      Object.assign(new Error('x'), { code: 'FORBIDDEN' }),
      401,
      'Not authenticated.\n',
    ],
    ['SESSION_UNAVAILABLE', coded('SESSION_UNAVAILABLE'), 503, 'because of SESSION_UNAVAILABLE\n'],
    ['OVERLOADED', coded('OVERLOADED'), 503, 'because of OVERLOADED\n'],
    ['a code of the application', coded('LOG_IN_FIRST'), 401, 'because of LOG_IN_FIRST\n'],
    ['a code and a status', coded('GONE', { status: 410 }), 410, 'because of GONE\n'],
    ['nothing', undefined, 401, 'Not authenticated.\n'],
    ['null', null, 401, 'Not authenticated.\n'],
    ['a text', 'no', 401, 'Not authenticated.\n'],
    ['a number', 500, 401, 'Not authenticated.\n'],
    ['an object without a prototype', Object.create(null), 401, 'Not authenticated.\n'],
    [
      'an object whose getters throw',
      {
        get status() {
          throw new Error('twice')
        },
      },
      401,
      'Not authenticated.\n',
    ],
    [
      'lines of HTTP',
      coded('A\r\nSet-Cookie: x=1\r\n\r\n'),
      401,
      'because of A\r\nSet-Cookie: x=1\r\n\r\n\n',
    ],
  ])('refuses when it throws %s, at once or later', async (_what, thrown, status, body) => {
    let attempt = 0
    const { url } = await startServer({
      authenticate: () => {
        if (attempt++ > 0) return Promise.reject(thrown)
        throw thrown
      },
    })
    expect(await shake(url)).toEqual({ status, body, setCookie: undefined })
    expect(await shake(url)).toEqual({ status, body, setCookie: undefined })
  })

  test('refuses by false, and lets in without a user by nothing', async () => {
    const answers: unknown[] = [false, Promise.resolve(false), undefined, null, 0, '']
    const { url } = await startServer({ authenticate: () => answers.shift() })
    const users = []
    for (let visit = 0; visit < 6; visit++) {
      const { status, client } = await shake(url)
      users.push(client === undefined ? status : await client.call('who'))
    }
    expect(users).toEqual([401, 401, ...[null, null, 0, ''].map(user => expect.objectContaining({ user }))])
  })

  test('that never answers is ended by the handshake timeout of the transport', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    let hang: () => unknown = () => undefined
    let late: (error: Error) => void = () => undefined
    const asked = new Promise<void>(resolve => {
      hang = () => {
        resolve()
        return new Promise((_resolve, reject) => (late = reject))
      }
    })
    const { app } = await startServer({ authenticate: () => hang() }, { handshakeTimeout: 5000 })
    const client = new RawClient(app.address()?.port ?? 0).upgrade()
    await asked
    vi.advanceTimersByTime(5000)
    await client.closed
    expect(client.received.toString()).toMatch(/^HTTP\/1\.1 408 /)
    late(new Error('too late'))
    vi.useRealTimers()
    await app.stop()
  })

  test('is told what the transport knows, and reads the session of the cookie', async () => {
    const seen: (AuthenticateRequest & { data: unknown })[] = []
    const { url, store } = await startServer({
      authenticate: async request => {
        seen.push({ ...request, data: await request.session() })
      },
    })
    await put(store, 'abc', { name: 'Ann' })
    await enter(`${url}?a=b`, { headers: { cookie: cookie('abc') }, origin: ownOrigin(url) })
    await enter(url, { headers: { cookie: cookie('abc', 'another secret') } })
    await enter(url, { headers: { cookie: cookie('gone') } })
    await enter(url)
    expect(seen.map(({ data }) => data)).toEqual([expect.objectContaining({ name: 'Ann' }), null, null, null])
    expect(seen[0]).toMatchObject({ transport: 'ws', url: '/?a=b', clientIp: '127.0.0.1', secure: false })
  })

  test('does not see the cookies of a page that has no right to them', async () => {
    const seen: unknown[] = []
    const { url, store } = await startServer(
      {
        authenticate: async request => {
          seen.push(request.headers.cookie, await request.session())
        },
      },
      { origins: '*' },
    )
    await put(store, 'abc', { name: 'Ann' })
    await enter(url, { headers: { cookie: cookie('abc') }, origin: 'https://evil.example' })
    expect(seen).toEqual([undefined, null])
  })

  test('that asks for the session of a store that fails refuses with 503, unless it does without', async () => {
    let waits = true
    const { url, store } = await startServer({
      authenticate: async request => {
        const read = request.session()
        if (waits) await read
        return 'somebody'
      },
    })
    store.get = (_id, done) => done(new Error('store down'))
    const options = { headers: { cookie: cookie('abc') } }
    expect(await shake(url, options)).toMatchObject({ status: 503 })
    waits = false
    await expect(enter(url, options)).rejects.toThrow('closed 4500')
  })

  test('is asked about every client, by any transport', async () => {
    const { app, transport } = testServer({ authenticate: ({ transport }) => transport !== 'memory' })
    await app.start()
    const refused = transport.connect()
    await expect(refused).rejects.toMatchObject({ code: 'REFUSED', data: { status: 401 } })
    await app.stop()
  })

  test('must be a function', () => {
    const wrong = () => testServer({ authenticate: 'yes' as unknown as Authenticate })
    expect(wrong).toThrow('`authenticate` must be a function')
  })
})

test('the user is known to handlers, hooks, middleware and services', async () => {
  const seen: Record<string, unknown> = {}
  const { app, transport } = testServer({ authenticate: ({ url }) => url.slice(1) })
  app
    .use((req, _res, next) => {
      seen.middleware = req.user
      next()
    })
    .service('rpc', rpc({ who: ctx => ctx.user }))
    .service(
      'chat',
      pubsub({
        canSubscribe: ctx => {
          seen.canSubscribe = ctx.user
          return true
        },
        canPublish: ctx => {
          seen.canPublish = ctx.user
          return true
        },
      }),
    )
    .service('own', {
      use: { json: true, callbacks: true },
      server(server) {
        server.onmessage = (_message, req, reply) => reply([req.user, req.connection.user])
      },
    })
  await app.start()
  const client = await WireClient.open(transport, {}, { url: '/ann' })
  client.send([1, 1, 1, ['who']])
  expect(await client.next()).toEqual([2, 1, 'ann'])
  client.send([9, 2, 3, { ch: 'room' }])
  await client.next()
  client.send([1, 2, 5, ['publish', 'room', 'said', 'hello']])
  await client.next()
  client.send([1, 3, 7, null])
  await vi.waitUntil(() => client.frames.some(frame => frame[1] === 7))
  expect(client.frames.find(frame => frame[1] === 7)).toEqual([2, 7, ['ann', 'ann']])
  expect(seen).toEqual({ middleware: 'ann', canSubscribe: 'ann', canPublish: 'ann' })
  await app.stop()
})
