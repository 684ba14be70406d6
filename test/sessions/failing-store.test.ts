import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { ServerOptions } from '../../src/options.js'
import type { SessionOptions } from '../../src/sessions/options.js'
import { SessionRepository } from '../../src/sessions/repository.js'
import { expiryOf, type StoredSession } from '../../src/sessions/session.js'
import { settled } from '../actors/support.js'
import { FAULTS, type Fault, FaultyStore } from '../support/faulty-store.js'
import { SessionProcess } from '../support/session-process.js'

const UNAVAILABLE = { code: 'SESSION_UNAVAILABLE', retryAfter: 1000 }

/** A site whose store is well as yet, with a browser that has logged in. */
async function start(settings: SessionOptions = {}, options: Partial<ServerOptions> = {}) {
  const store = new FaultyStore()
  const site = await SessionProcess.start(store as never, { timeout: 50, ...settings }, options)
  const browser = site.browser()
  await browser.get('/set?user=ann')
  return { store, site, browser, id: browser.sessionId }
}

describe.each(Object.entries(FAULTS) as [string, Fault][])('a store that %s', (_what, fault) => {
  test('closes a new connection with a code to come back on; then it comes in', async () => {
    const { store, site, browser, id } = await start()
    store.fail(fault)
    const end = await site.refused(browser.cookie ?? '')
    expect(end).toMatchObject({ code: 4500, reason: expect.stringMatching(/^SESSION_UNAVAILABLE: /) })
    store.mend()
    const tab = await browser.tab()
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
  })

  test('leaves a cached session readable, fails the call that changes it, and works again', async () => {
    const { store, browser, id } = await start()
    const [tab, other] = [await browser.tab(), await browser.tab()]
    store.fail(fault)
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
    expect(await tab.failure('set', { user: 'bob' })).toMatchObject(UNAVAILABLE)
    expect(await (await browser.tab()).call('get')).toEqual({ id, user: 'ann' })
    store.mend()
    await tab.call('set', { theme: 'dark' })
    expect(await store.stored(id)).toMatchObject({ user: 'ann', theme: 'dark' })
    expect(await other.call('get')).toEqual({ id, user: 'ann', theme: 'dark' })
  })

  test('fails a call whose write goes wrong after its read went well', async () => {
    const { store, browser, id } = await start()
    const tab = await browser.tab()
    store.fail(fault, 'set')
    expect(await tab.failure('set', { theme: 'dark' })).toMatchObject(UNAVAILABLE)
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
    store.mend()
    await tab.call('set', { theme: 'dark' })
    expect(await store.stored(id)).toMatchObject({ theme: 'dark' })
  })

  test('without a cache fails each call, and the next one after it is well goes on', async () => {
    const { store, browser, id } = await start({}, { cacheSessions: false })
    const tab = await browser.tab()
    store.fail(fault)
    expect(await tab.failure('get')).toMatchObject(UNAVAILABLE)
    expect(await tab.failure('set', { user: 'bob' })).toMatchObject(UNAVAILABLE)
    store.mend()
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
  })

  test('fails a log-out by a call, which leaves the session and its tabs as they are', async () => {
    const { store, browser, id } = await start()
    const [tab, other] = [await browser.tab(), await browser.tab()]
    store.fail(fault)
    expect(await tab.failure('destroy')).toMatchObject(UNAVAILABLE)
    store.mend()
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
    expect(await other.call('get')).toEqual({ id, user: 'ann' })
    expect(await tab.call('destroy')).toBe('destroyed')
    expect([await tab.closed(), await other.closed()]).toEqual([4405, 4405])
  })

  test('fails a log-out over HTTP, which leaves the tabs as they are', async () => {
    const { store, site, browser, id } = await start()
    const tab = await browser.tab()
    store.fail(fault, 'destroy')
    expect(await browser.get('/logout')).toMatchObject({ status: 503 })
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
    store.mend()
    await site.app.sessions.destroy(id)
    expect(await tab.closed()).toBe(4405)
  })

  test('does not end a session that is looked for meanwhile', async () => {
    const { store, site, browser, id } = await start({ recheck: 1, cookie: { maxAge: 60_000 } })
    const tab = await browser.tab()
    await tab.call('get')
    store.fail(fault)
    const { get } = store.counts
    site.sweep(Date.now() + 61_000)
    await store.asked('get', get + 1)
    // Behind what the sweep has asked.
    expect(await tab.failure('reload')).toMatchObject(UNAVAILABLE)
    site.sweep(Date.now() + 61_000)
    await store.asked('get', get + 2)
    store.mend()
    await tab.call('reload')
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
  })

  test('lets the server stop, and says so when a new session could not be stored', async () => {
    const { store, site } = await start({ saveUninitialized: true })
    const { set } = store.counts
    store.fail(fault)
    const tab = await site.tab(undefined)
    await store.asked('set', set + 1)
    expect(await tab.failure('set', { cart: 1 })).toMatchObject(UNAVAILABLE)
    expect(site.log.of('warn')).toContain('a new session could not be stored')
    store.mend()
    await tab.call('set', { cart: 1 })
    expect(await tab.call('get')).toMatchObject({ cart: 1 })
  })
})

const circular: Record<string, unknown> = { cookie: { originalMaxAge: null } }
circular.self = circular

describe.each([
  ['a text', 'session'],
  ['a number', 1],
  ['true', true],
  ['a list', []],
  ['a function', () => {}],
  ['no cookie', { user: 'eve' }],
  ['a cookie that is null', { user: 'eve', cookie: null }],
  ['a cookie that is a text', { user: 'eve', cookie: 'connect.sid' }],
  ['an expiry that is no date', { user: 'eve', cookie: { expires: 'tomorrow' } }],
  ['an expiry that is an invalid date', { user: 'eve', cookie: { expires: 'Invalid Date' } }],
  ['a circle', circular],
  ['what JSON cannot express', { user: 1n, cookie: {} }],
  [
    'what throws when it is read',
    {
      get cookie() {
        throw new Error('no')
      },
    },
  ],
])('a store that gives %s', (_what, garbage) => {
  const fault: Fault = (_go, answer) => setImmediate(answer, null, garbage as never)

  test('is one that fails: to those who come, and to those who are there', async () => {
    const { store, site, browser, id } = await start()
    store.fail(fault, 'get')
    const end = await site.refused(browser.cookie ?? '')
    expect(end).toEqual({
      code: 4500,
      reason: 'SESSION_UNAVAILABLE: the session store gave what is no session',
    })
    store.mend()
    const tab = await browser.tab()
    store.fail(fault, 'get')
    expect(await tab.failure('reload')).toMatchObject(UNAVAILABLE)
    expect(await tab.failure('set', { theme: 'dark' })).toMatchObject(UNAVAILABLE)
    store.mend()
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
    expect(await store.stored(id)).not.toHaveProperty('theme')
  })
})

describe('a store', () => {
  test('that calls back at once is as good as another', async () => {
    const { store, browser, id } = await start()
    const data = (await store.stored(id)) as { cookie: object }
    const written: object[] = []
    store.fail((_go, answer) => answer(null, data), 'get')
    const sets = (_go: unknown, answer: (error?: unknown) => void) => {
      written.push({})
      answer()
    }
    store.fail(sets, 'set', 'destroy')
    const tab = await browser.tab()
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
    await tab.call('set', { theme: 'dark' })
    expect(written).toHaveLength(1)
    expect(await tab.call('destroy')).toBe('destroyed')
    expect(await tab.closed()).toBe(4405)
  })

  test('that calls back twice counts once', async () => {
    const { store, browser, id } = await start()
    store.fail((go, answer) => {
      go(answer)
      go(answer)
    })
    const tab = await browser.tab()
    await tab.call('set', { theme: 'dark' })
    await tab.call('set', { theme: 'light' })
    expect(await tab.call('get')).toEqual({ id, user: 'ann', theme: 'light' })
    expect(await tab.call('destroy')).toBe('destroyed')
    expect(await tab.closed()).toBe(4405)
  })

  test('whose error is ENOENT has no such session', async () => {
    const { store, browser, id } = await start()
    store.fail((_go, answer) => answer(Object.assign(new Error('no file'), { code: 'ENOENT' })), 'get')
    const tab = await browser.tab()
    expect(((await tab.call('get')) as { id: string }).id).not.toBe(id)
  })

  test('that is slow is written to once for all calls that wait', async () => {
    const { store, browser, id } = await start({ timeout: 10_000 })
    const tabs = await Promise.all([1, 2, 3].map(() => browser.tab()))
    const held = store.hold('set')
    const { set } = store.counts
    const first = tabs[0]!.call('set', { first: 1 })
    await store.asked('set', set + 1)
    const others = tabs.slice(1).map((tab, index) => tab.call('set', { [`tab${index}`]: index }))
    // One more that comes behind them, so that they are there for certain.
    const last = tabs[2]!.call('set', { last: 1 })
    await tabs[1]!.call('get')
    await tabs[2]!.call('get')
    held[0]!.go()
    await first
    await store.asked('set', set + 2)
    expect(await store.stored(id)).not.toHaveProperty('last')
    held[1]!.go()
    await Promise.all([...others, last])
    expect(store.counts.set).toBe(set + 2)
    expect(await store.stored(id)).toMatchObject({ user: 'ann', first: 1, tab0: 0, tab1: 1, last: 1 })
  })

  test('that writes after its deadline does not bring back what was destroyed meanwhile', async () => {
    const { store, browser, id } = await start()
    const tab = await browser.tab()
    const held = store.hold('set')
    expect(await tab.failure('set', { late: 1 })).toMatchObject(UNAVAILABLE)
    expect(await tab.call('destroy')).toBe('destroyed')
    expect(await tab.closed()).toBe(4405)
    const { destroy } = store.counts
    held[0]!.go()
    await store.asked('destroy', destroy + 1)
    await settled()
    expect(await store.stored(id)).toBeUndefined()
  })

  test('that writes after its deadline keeps what it has written of a session that is there', async () => {
    const { store, browser, id } = await start()
    const tab = await browser.tab()
    const held = store.hold('set')
    expect(await tab.failure('set', { late: 1 })).toMatchObject(UNAVAILABLE)
    held[0]!.go()
    await settled()
    store.mend()
    await tab.call('reload')
    expect(await tab.call('get')).toEqual({ id, user: 'ann', late: 1 })
  })

  test('that hangs does not keep a server from stopping, and the call is answered', async () => {
    const { store, site, browser } = await start({ timeout: 600_000 })
    const tab = await browser.tab()
    const { set } = store.counts
    store.hold('set')
    const failure = tab.failure('set', { late: 1 })
    await store.asked('set', set + 1)
    await site.stop()
    expect(['SESSION_UNAVAILABLE', 'DRAIN_TIMEOUT']).toContain((await failure).code)
  })
})

describe('the clock', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }))
  afterEach(() => void vi.useRealTimers())

  /** Lets minutes of use go by, until `over`. */
  async function use(site: SessionProcess, call: () => Promise<unknown>, over: () => boolean) {
    for (let seconds = 0; seconds < 600 && !over(); seconds++) {
      vi.setSystemTime(Date.now() + 1000)
      if (seconds % 20 === 0) await call()
      site.sweep()
      await settled()
      await settled()
    }
  }

  test('of `recheck` ends a session destroyed by another process also while it is used', async () => {
    const { store, site, browser, id } = await start({ recheck: 60_000 })
    const tab = await browser.tab()
    await new Promise<void>(resolve => store.inner.destroy(id, () => resolve()))
    await use(
      site,
      () => tab.call('get').catch(() => undefined),
      () => !tab.open,
    )
    expect(tab.open).toBe(false)
    expect(await tab.closed()).toBe(4405)
  })

  test('of `touch` keeps a session that is used, though the store was down for one of them', async () => {
    const { store, site, browser, id } = await start({ recheck: 0, cookie: { maxAge: 120_000 } })
    const tab = await browser.tab()
    await tab.call('get')
    store.fail(FAULTS['answers with an error'], 'touch')
    vi.setSystemTime(Date.now() + 31_000)
    site.sweep()
    await store.asked('touch', 1)
    await settled()
    store.mend()
    vi.setSystemTime(Date.now() + 31_000)
    site.sweep()
    await store.asked('touch', 2)
    await settled()
    const { cookie } = (await store.stored(id)) as { cookie: { expires: string } }
    expect(new Date(cookie.expires).getTime() - Date.now()).toBeGreaterThan(110_000)
  })
})

describe('a repository', () => {
  test('gives a session whose expiry is past if its store touches, and none if it does not', async () => {
    const store = new FaultyStore()
    const expires = new Date(Date.now() - 1000).toISOString()
    const past = { cookie: { originalMaxAge: 60_000, expires }, user: 'ann' }
    store.fail((_go, answer) => answer(null, past), 'get')
    const touching = await new SessionRepository(store as never).load('abc')
    expect(touching).toMatchObject({ user: 'ann' })
    expect(expiryOf(touching as StoredSession)).toBeGreaterThan(Date.now())
    const { get, set, destroy } = store
    const plain = { get: get.bind(store), set: set.bind(store), destroy: destroy.bind(store) }
    expect(await new SessionRepository(plain as never).load('abc')).toBeNull()
  })
})
