import { afterEach, describe, expect, test } from 'vitest'
import { CLOSE_CODES } from '../../src/errors.js'
import { startServer } from './wire-support.js'

let made: Awaited<ReturnType<typeof startServer>>

afterEach(() => made.kit.stop())

/** What the web side does with the store that it was given, and the session of the connection opened last. */
function web() {
  const { kit, connection } = made
  const { store } = kit.app.sessions
  const id = connection.session.id
  const done = async (work: (done: (error?: unknown) => void) => void): Promise<void> => {
    await kit.until(new Promise<void>((resolve, reject) => work(e => (e ? reject(e) : resolve()))))
    await kit.settle()
  }
  return {
    /** Logs somebody in, or out. */
    async user(userId?: string) {
      // Until something is in it, it is in no store.
      connection.session.seen = true
      await kit.until(connection.session.save() as Promise<void>)
      await done(done => store.set(id, { cookie: {}, ...(userId && { userId }) } as never, done))
    },
    destroy: () => done(done => store.destroy(id, done)),
    regenerate: () => {
      // As express-session does.
      Object.assign(store, { generate: () => undefined })
      return done(done => store.regenerate({ sessionID: id } as never, done))
    },
  }
}

describe('a session that ends', () => {
  test.each([
    ['destroy', CLOSE_CODES.SESSION_ENDED],
    ['regenerate', CLOSE_CODES.SESSION_CHANGED],
  ] as const)('by %s closes who is there and refuses who is away', async (way, code) => {
    made = await startServer()
    const away = await made.open()
    await web().user('ann')
    const here = await made.open()
    // Both have one session, as two pages of a browser.
    expect(await here.resume({ session: away.session, resume: { token: 'none.x' } })).toMatchObject({
      session: away.session,
    })
    await away.send([1, 1, 1, ['wait', 'a']])
    await away.lose()
    await web()[way]()
    expect(here.client.closed?.code).toBe(code)
    expect(made.aborted).toEqual(['a'])
    // With the session of before, with that of now, and with the same again.
    for (const session of [away.session, undefined, away.session]) {
      expect(await away.resume({ session })).toMatchObject({ resumed: false, reason: 'session' })
    }
    expect(made.kit.app.statistics().connections).toMatchObject({ detached: 0, resumed: 0 })
  })

  test('by its own call does so too, though that is still answered', async () => {
    made = await startServer()
    const one = await made.open()
    await web().user('ann')
    await one.send([1, 1, 1, ['wait', 'a']])
    await one.lose()
    const ended = made.kit.until(made.connection.session.destroy() as Promise<void>)
    made.release('late')
    await ended
    expect(await one.resume()).toMatchObject({ resumed: false, reason: 'session' })
  })
})

describe('a session that goes on', () => {
  test.each([
    ['nobody', undefined],
    ['somebody else', 'bob'],
  ])('as %s is not given what was kept for its user', async (_, userId) => {
    made = await startServer()
    const one = await made.open()
    await web().user('ann')
    expect(made.connection.userId).toBe('ann')
    await one.lose()
    made.own.send(one.cid, 'for ann only')
    await web().user(userId)
    const welcome = await one.resume()
    expect(welcome).toMatchObject({ resumed: false, reason: 'session', session: one.session })
    expect(one.got).toEqual([])
  })

  test('resumes as who it was when the link was lost, whenever that user has come', async () => {
    made = await startServer()
    const one = await made.open()
    const { user } = web()
    for (const name of ['ann', undefined, 'bob']) {
      await user(name)
      await one.lose()
      made.own.send(one.cid, `for ${name}`)
      // Gone and back in the meantime is the same user.
      await user('cid')
      await user(name)
      expect(await one.resume()).toMatchObject({ resumed: true })
    }
    expect(one.got.map(([, , text]) => text)).toEqual(['for ann', 'for undefined', 'for bob'])
  })

  test('as another user goes on where the link was there all the time', async () => {
    made = await startServer()
    const one = await made.open()
    await web().user('ann')
    await web().user('bob')
    // A newer link of the same page, while the server believes in the older one.
    expect(await one.resume()).toMatchObject({ resumed: true })
    expect(made.connection.userId).toBe('bob')
  })
})
