import { createServer, type IncomingMessage } from 'node:http'
import { sign } from 'cookie-signature'
import session from 'express-session'
import { describe, expect, test } from 'vitest'
import { Server } from '../../src/server.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { SessionOptions } from '../../src/sessions/options.js'
import { ws } from '../../src/transports/ws.js'
import { testServer } from '../support/wire.js'
import { listeningServer } from '../transports/ws-client.js'
import { cookie, enter, ownOrigin, put, secret, shake, signed, startServer, stored } from './socket-server.js'

/** The session id in a `Set-Cookie` header that our secret signed. */
function idIn(setCookie: string | undefined): string {
  const value = decodeURIComponent(/^connect\.sid=([^;]+)/.exec(setCookie ?? '')?.[1] ?? '')
  const [, id = ''] = /^s:([^.]+)\./.exec(value) ?? []
  expect(value).toBe(signed(id))
  return id
}

/** The attributes of a `Set-Cookie` header. */
const attributes = (setCookie: string | undefined) => setCookie?.split('; ').slice(1).sort()

/** The header that sends back what was set. */
const back = (setCookie: string | undefined) => setCookie?.split(';')[0] ?? ''

describe('the cookie of a handshake', () => {
  test('names the new session of a client that had none, signed and HttpOnly', async () => {
    const { url } = await startServer()
    const { setCookie, client } = await shake(url)
    expect(await client?.call('who')).toMatchObject({ id: idIn(setCookie) })
    expect(attributes(setCookie)).toEqual(['HttpOnly', 'Path=/'])
  })

  test('has the name and the attributes of the options', async () => {
    const settings = { path: '/app', domain: 'example.com', sameSite: 'strict', maxAge: 60_000 } as const
    const { url } = await startServer({ sessions: { secret, name: 'sid', cookie: settings } })
    const before = Math.floor(Date.now() / 1000) * 1000
    const { setCookie = '' } = await shake(url)
    expect(setCookie).toMatch(/^sid=s%3A/)
    const [domain, expires = '', ...rest] = attributes(setCookie) ?? []
    expect([domain, ...rest]).toEqual(['Domain=example.com', 'HttpOnly', 'Path=/app', 'SameSite=Strict'])
    const left = Date.parse(expires.replace('Expires=', '')) - before
    expect(left).toBeGreaterThanOrEqual(60_000)
    expect(left).toBeLessThan(120_000)
  })

  test.each<[string, SessionOptions['cookie'], boolean, string | undefined]>([
    ['secure: true over a plain connection is not sent', { secure: true }, false, undefined],
    ['secure: true behind TLS is sent', { secure: true }, true, 'HttpOnly,Path=/,Secure'],
    ["secure: 'auto' over a plain connection is not Secure", { secure: 'auto' }, false, 'HttpOnly,Path=/'],
    ["secure: 'auto' behind TLS is Secure", { secure: 'auto' }, true, 'HttpOnly,Path=/,Secure'],
  ])('with %s', async (_what, settings = {}, behindTls, expected) => {
    const sessions = { secret, cookie: settings }
    const { url } = await startServer({ sessions }, { trustProxy: 'loopback' })
    const headers: Record<string, string> = behindTls ? { 'X-Forwarded-Proto': 'https' } : {}
    const { setCookie, client } = await shake(url, { headers })
    expect(attributes(setCookie)?.join()).toBe(expected)
    // There is a session either way, by its token.
    expect(await client?.call('who')).toMatchObject({ name: null })
    expect(client?.welcome.session).toMatch(/^t:/)
  })

  test('is not sent by a server whose services use no sessions', async () => {
    const app = new Server({ transport: ws({ port: 0, host: '127.0.0.1' }), sessions: { secret } })
    app.service('plain', {})
    await app.start()
    expect(await shake(app.address()?.url ?? '')).toMatchObject({ status: 101, setCookie: undefined })
    await app.stop()
  })

  test('is not sent to a page that has no right to it', async () => {
    const { url } = await startServer({}, { origins: '*' })
    expect((await shake(url, { origin: 'https://evil.example' })).setCookie).toBeUndefined()
    expect((await shake(url, { origin: 'null' })).setCookie).toBeUndefined()
    expect((await shake(url, { origin: ownOrigin(url) })).setCookie).toBeDefined()
  })

  test('does not take the place of one that somebody else has signed, which the operator is told', async () => {
    const { url, log } = await startServer()
    for (let visit = 0; visit < 2; visit++) {
      const headers = { cookie: cookie('abc', 'another secret') }
      const { setCookie, client } = await shake(url, { headers, origin: ownOrigin(url) })
      expect(setCookie).toBeUndefined()
      expect(await client?.call('who')).not.toMatchObject({ id: 'abc' })
    }
    expect(log.of('warn')).toEqual(['The signature of a session cookie is wrong'])
  })

  test('is not sent again for a session that is known', async () => {
    const { url, store } = await startServer()
    await put(store, 'abc', { name: 'Ann' })
    const headers = { cookie: cookie('abc') }
    // In the store, then in use, then in the cache.
    for (let visit = 0; visit < 2; visit++) {
      const { setCookie, client } = await shake(url, { headers, origin: ownOrigin(url) })
      expect(setCookie).toBeUndefined()
      expect(await client?.call('who')).toMatchObject({ id: 'abc', name: 'Ann' })
    }
  })

  test('is sent again when rolling, with the time of that session', async () => {
    const { url, store } = await startServer({ sessions: { secret, rolling: true } })
    const long = {
      originalMaxAge: 3_600_000,
      expires: new Date(Date.now() + 1000),
      httpOnly: true,
      path: '/',
    }
    await put(store, 'abc', { cookie: long })
    const began = Date.now()
    const clients = []
    for (let visit = 0; visit < 2; visit++) {
      const options = { headers: { cookie: cookie('abc') }, origin: ownOrigin(url) }
      const { setCookie = '', client } = await shake(url, options)
      clients.push(await client?.call('who'))
      expect(idIn(setCookie)).toBe('abc')
      const [, expires = ''] = /Expires=([^;]+)/.exec(setCookie) ?? []
      expect(Date.parse(expires)).toBeGreaterThan(began + 3_500_000)
    }
    expect(clients).toMatchObject([{ id: 'abc' }, { id: 'abc' }])
  })

  test('takes the place of one whose session is gone', async () => {
    const { url } = await startServer()
    const options = { headers: { cookie: cookie('gone') }, origin: ownOrigin(url) }
    const { setCookie, client } = await shake(url, options)
    expect(idIn(setCookie)).not.toBe('gone')
    expect(await client?.call('who')).toMatchObject({ id: idIn(setCookie) })
  })

  test('that was just given to one tab is the session of the next, before anything is stored', async () => {
    const { url, store } = await startServer()
    const first = await shake(url, { origin: ownOrigin(url) })
    await first.client?.close()
    const again = await shake(url, { headers: { cookie: back(first.setCookie) }, origin: ownOrigin(url) })
    expect(again.setCookie).toBeUndefined()
    expect(await again.client?.call('who')).toMatchObject({ id: idIn(first.setCookie) })
    expect(await stored(store, idIn(first.setCookie))).toBeUndefined()
  })

  test('does not keep a client from the session that its token names, which was stored', async () => {
    const { url } = await startServer()
    const client = await enter(url)
    await client.call('name', 'Ann')
    const { session: token } = client.welcome
    await client.close()
    // The cookie of a session in which nothing was ever stored.
    const options = { headers: { cookie: cookie('never-stored') }, origin: ownOrigin(url) }
    const again = await enter(url, options, { session: token })
    expect(await again.call('who')).toMatchObject({ name: 'Ann' })
  })

  test('is known to express-session once something is stored by the socket', async () => {
    const web = createServer()
    const { port } = await listeningServer(web)
    const store = new session.MemoryStore()
    const options = { secret, resave: false, saveUninitialized: false }
    const { app } = await startServer(
      { sessionStore: store, sessions: options, transport: ws({ server: web }) },
      {},
    )
    const withSession = session({ ...options, store: app.sessions.store })
    web.on('request', (request: IncomingMessage, response) =>
      withSession(request as never, response as never, () => {
        const { session } = request as never as { session: { id: string; name?: string } }
        response.end(JSON.stringify({ id: session.id, name: session.name ?? null }))
      }),
    )
    const { setCookie, client } = await shake(`ws://127.0.0.1:${port}/`)
    const visit = async () =>
      (await fetch(`http://127.0.0.1:${port}/`, { headers: { cookie: back(setCookie) } })).json()
    expect(await visit()).not.toMatchObject({ id: idIn(setCookie) })
    await client?.call('name', 'Ann')
    expect(await visit()).toEqual({ id: idIn(setCookie), name: 'Ann' })
    await client?.close()
  })

  test('asks the store once for any number of browsers that come at once', async () => {
    const { url, store } = await startServer()
    await put(store, 'abc', { name: 'Ann' })
    let reads = 0
    const get = store.get.bind(store)
    store.get = (...args) => {
      reads++
      get(...args)
    }
    const options = { headers: { cookie: cookie('abc') }, origin: ownOrigin(url) }
    const clients = await Promise.all(Array.from({ length: 20 }, () => enter(url, options)))
    for (const client of clients) expect(await client.call('who')).toMatchObject({ id: 'abc', name: 'Ann' })
    expect(reads).toBe(1)
  })

  test('whose session cannot be read lets the connection say so', async () => {
    const { url, store } = await startServer()
    store.get = (_id, done) => done(new Error('store down'))
    const options = { headers: { cookie: cookie('abc') }, origin: ownOrigin(url) }
    await expect(enter(url, options)).rejects.toThrow('closed 4500')
  })
})

describe('a session is named', () => {
  test("by a cookie's value in the hello of a client that is no browser", async () => {
    const { url, store } = await startServer()
    await put(store, 'abc', { name: 'Ann' })
    const client = await enter(url, {}, { auth: { session: signed('abc') } })
    expect(await client.call('who')).toMatchObject({ id: 'abc', name: 'Ann' })
  })

  test('by the cookie rather than by the hello, when both name one', async () => {
    const { url, store } = await startServer()
    await put(store, 'abc', { name: 'Ann' })
    await put(store, 'def', { name: 'Ben' })
    const hello = { auth: { session: signed('def') } }
    const client = await enter(url, { headers: { cookie: cookie('abc') } }, hello)
    expect(await client.call('who')).toMatchObject({ id: 'abc' })
  })

  const token = (id: string, by = secret) => `t:${sign(id, `socketstream.token:${by}`)}`
  const bad = ['abc', 's:abc', 's:abc.', `s:abc.${'A'.repeat(43)}`, signed('abc', 'another secret')]

  const cookies = [...bad, sign('abc', secret), token('abc')]
  const auths = [...bad, sign('abc', secret), token('abc'), { id: 'abc' }, ['abc'], null, 1]
  const tokens = ['abc', 't:abc', 't:abc.', signed('abc'), token('abc', 'other'), `t:${sign('abc', secret)}`]
  const attempts: { what: string; headers?: Record<string, string>; hello?: object }[] = [
    ...cookies.map(value => ({
      what: `the cookie ${value}`,
      headers: { cookie: `connect.sid=${encodeURIComponent(value)}` },
    })),
    ...auths.map(session => ({
      what: `auth.session ${JSON.stringify(session)}`,
      hello: { auth: { session } },
    })),
    ...tokens.map(session => ({ what: `the token ${session}`, hello: { session } })),
    { what: 'auth that is the value itself', hello: { auth: signed('abc') } },
    { what: 'auth that is null', hello: { auth: null } },
  ]

  test.each(attempts)('by nothing bare or badly signed: not by $what', async ({ headers = {}, hello }) => {
    const { url, store } = await startServer()
    await put(store, 'abc', { name: 'Ann' })
    const client = await enter(url, { headers }, hello)
    expect(await client.call('who')).toMatchObject({ id: expect.stringMatching(/^[\w-]{32}$/), name: null })
  })

  test.each(['abc', 's:abc', 's:abc.', signed('abc', 'another secret'), token('abc', 'another secret')])(
    'by nothing bare or badly signed on the text wire: not by %s',
    async sessionId => {
      const answer = await connectText(sessionId)
      expect(answer.id).toMatch(/^[\w-]{32}$/)
    },
  )

  test("by the cookie's value that the text wire exchanges, or a token", async () => {
    for (const given of [signed('abc'), token('abc')]) {
      const { id, sessionId } = await connectText(given)
      expect({ id, sessionId }).toEqual({ id: 'abc', sessionId: signed('abc') })
    }
  })

  test('and the text wire tells no script the value of a cookie that is kept from scripts', async () => {
    const headers = { cookie: cookie('abc') }
    expect(await connectText(false, { headers })).toEqual({ id: 'abc', sessionId: token('abc') })
    const open = { headers, cookie: { httpOnly: false } }
    expect(await connectText(false, open)).toEqual({ id: 'abc', sessionId: signed('abc') })
    // A client that names another session keeps that of its cookie.
    expect(await connectText(signed('def'), { headers })).toEqual({ id: 'abc', sessionId: token('abc') })
  })

  /** What a client of 0.4 is told on its `sessionId`, and the id of the session it has then. */
  async function connectText(
    sessionId: string | false,
    at: { headers?: Record<string, string>; cookie?: object } = {},
  ) {
    const store = new session.MemoryStore()
    await put(store, 'abc', { name: 'Ann', ...(at.cookie && { cookie: at.cookie }) })
    const { app, transport } = testServer({ textWire: true, sessionStore: store, sessions: { secret } })
    app.service('rpc', rpc({ who: ctx => ctx.session.id }))
    await app.start()
    const link = await transport.connect({ headers: at.headers ?? {} })
    const frames: string[] = []
    const heard = (count: number) =>
      new Promise<string>(resolve =>
        link.listen({ frame: frame => frames.push(frame as string) === count && resolve(frames.at(-1)!) }),
      )
    const welcomed = heard(1)
    link.send(`0|1|${JSON.stringify({ c: 'connect', sessionId })}`)
    const welcome = JSON.parse((await welcomed).slice('0|1|'.length)) as { sessionId: string }
    const answered = heard(2)
    link.send('1|1|["who"]')
    const id = JSON.parse((await answered).slice('1|1|'.length)) as string
    await app.stop()
    return { id, sessionId: welcome.sessionId }
  }
})
