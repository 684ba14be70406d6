import { describe, expect, onTestFinished, test } from 'vitest'
import type { CacheBounds, SessionOptions } from '../../src/sessions/options.js'
import type { SessionStore } from '../../src/sessions/repository.js'
import type { StoreData } from '../../src/sessions/session.js'
import { SessionProcess, type Tab } from '../support/session-process.js'

/** A place for sessions, for one test. */
export interface StorePlace {
  /** The store of one more process. */
  open(): SessionStore | Promise<SessionStore>
  /** Has a session expire, as this store does it. */
  expire(id: string): Promise<void>
  /** When it would expire, as far as the store is concerned. */
  expiry(id: string): Promise<number>
  close(): Promise<void>
}

const HOUR = 3_600_000

/** What a store has of a session. */
export function read(store: SessionStore, id: string): Promise<StoreData | null | undefined> {
  return new Promise((resolve, reject) =>
    store.get(id, (error, data) =>
      error && (error as { code?: unknown }).code !== 'ENOENT' ? reject(error) : resolve(data),
    ),
  )
}

/** Puts a session into a store. */
export function write(store: SessionStore, id: string, data: object): Promise<void> {
  return new Promise((resolve, reject) =>
    store.set(id, data as StoreData, error => (error ? reject(error) : resolve())),
  )
}

/** When a session expires by its cookie. */
export async function expiryIn(store: SessionStore, id: string): Promise<number> {
  const { cookie } = (await read(store, id)) as { cookie: { expires?: string | Date } }
  return new Date(cookie.expires ?? Number.NaN).getTime()
}

/** What sessions promise, with a real store of Connect's kind between Express and connections. */
export function describeStore(name: string, makePlace: () => Promise<StorePlace>): void {
  /** Processes over one place, closed when the test is over. */
  async function start(settings: SessionOptions = {}, cacheSessions: boolean | CacheBounds = true) {
    const place = await makePlace()
    onTestFinished(() => place.close())
    const launch = async (other: SessionOptions = {}) =>
      SessionProcess.start(await place.open(), { ...settings, ...other }, { cacheSessions })
    const store = await place.open()
    const stored = (id: string) => read(store, id)
    const put = (id: string, data: object) => write(store, id, data)
    return { place, launch, stored, put, site: await launch() }
  }

  /** A browser that has logged in, and a tab of it. */
  async function loggedIn(site: SessionProcess, tabs = 1) {
    const browser = site.browser()
    await browser.get('/set?user=ann')
    const opened = await Promise.all(Array.from({ length: tabs }, () => browser.tab()))
    return { browser, tabs: opened, tab: opened[0] as Tab, id: browser.sessionId }
  }

  describe(`sessions in ${name}`, () => {
    test('a login over HTTP is seen by the connection', async () => {
      const { site } = await start()
      const { tab, id } = await loggedIn(site)
      expect(await tab.call('get')).toEqual({ id, user: 'ann' })
    })

    test('a change by a call is stored before its answer, and seen over HTTP', async () => {
      const { site, stored } = await start()
      const { browser, tab, id } = await loggedIn(site)
      await tab.call('set', { theme: 'dark', list: [1, { two: 2 }] })
      expect(await stored(id)).toMatchObject({ user: 'ann', theme: 'dark', list: [1, { two: 2 }] })
      expect((await browser.get('/session')).body).toEqual({
        id,
        user: 'ann',
        theme: 'dark',
        list: [1, { two: 2 }],
      })
    })

    test('a login while connected is seen by the next call', async () => {
      const { site } = await start()
      const { browser, tab, id } = await loggedIn(site)
      await browser.get('/set?user=bob')
      expect(await tab.call('get')).toEqual({ id, user: 'bob' })
    })

    test('a new session of a connection is that of the site, once something is in it', async () => {
      const { site, stored } = await start()
      const tab = await site.tab(undefined)
      const { id } = (await tab.call('get')) as { id: string }
      expect((await stored(id)) ?? null).toBeNull()
      await tab.call('set', { cart: 1 })
      expect(await stored(id)).toMatchObject({ cart: 1 })
    })

    test('two tabs and a request that change different keys at once lose nothing', async () => {
      const { site } = await start()
      const { browser, tabs, id } = await loggedIn(site, 2)
      const request = browser.get('/held?http=1')
      const call = tabs[0]!.call('held', { first: 1 })
      await Promise.all([site.held.arrived.promise, site.heldCall.arrived.promise])
      await tabs[1]!.call('set', { second: 2 })
      site.held.go.open()
      site.heldCall.go.open()
      await Promise.all([request, call])
      const all = { id, user: 'ann', first: 1, second: 2, http: '1' }
      expect(await tabs[1]!.call('get')).toEqual(all)
      expect((await browser.get('/session')).body).toEqual(all)
    })

    test('a log-out over HTTP closes every tab with 4405', async () => {
      const { site, stored } = await start()
      const { browser, tabs, id } = await loggedIn(site, 3)
      await browser.get('/logout')
      expect(await Promise.all(tabs.map(tab => tab.closed()))).toEqual([4405, 4405, 4405])
      expect((await stored(id)) ?? null).toBeNull()
    })

    test('a request that was under way does not bring back what another has destroyed', async () => {
      const { site, stored } = await start()
      const { browser, tab, id } = await loggedIn(site)
      const request = browser.get('/held?late=1')
      await site.held.arrived.promise
      await browser.get('/logout')
      expect(await tab.closed()).toBe(4405)
      site.held.go.open()
      await request
      expect((await stored(id)) ?? null).toBeNull()
    })

    test('a log-out by a call is answered, then every tab closes with 4405', async () => {
      const { site, stored } = await start()
      const { tabs, id } = await loggedIn(site, 3)
      expect(await tabs[0]!.call('destroy')).toBe('destroyed')
      expect(await Promise.all(tabs.map(tab => tab.closed()))).toEqual([4405, 4405, 4405])
      expect((await stored(id)) ?? null).toBeNull()
    })

    test('a call that was under way when its session was destroyed changes nothing', async () => {
      const { site, stored } = await start()
      const { browser, tabs, id } = await loggedIn(site, 2)
      const call = tabs[0]!.failure('held', { late: 1 }).catch(() => undefined)
      await site.heldCall.arrived.promise
      await browser.get('/logout')
      site.heldCall.go.open()
      await call
      expect(await tabs[0]!.closed()).toBe(4405)
      expect((await stored(id)) ?? null).toBeNull()
    })

    test('regenerating over HTTP closes every tab with 4506; it comes back to the new session', async () => {
      const { site } = await start()
      const { browser, tabs, id } = await loggedIn(site, 2)
      await browser.get('/regenerate')
      expect(await Promise.all(tabs.map(tab => tab.closed()))).toEqual([4506, 4506])
      await browser.get('/set?user=eve')
      expect(browser.sessionId).not.toBe(id)
      const tab = await browser.tab()
      expect(await tab.call('get')).toEqual({ id: browser.sessionId, user: 'eve' })
    })

    test('a session that has expired closes its idle tabs with 4405', async () => {
      const { site, place } = await start({ cookie: { maxAge: HOUR } })
      const { tabs, id } = await loggedIn(site, 2)
      await place.expire(id)
      site.sweep(Date.now() + HOUR + 1)
      expect(await Promise.all(tabs.map(tab => tab.closed()))).toEqual([4405, 4405])
    })

    test('a session that the site has prolonged does not expire for its tabs', async () => {
      const { site } = await start({ cookie: { maxAge: HOUR } })
      const { tab, id } = await loggedIn(site)
      // By the clock of the cache it is over; the store says otherwise.
      site.sweep(Date.now() + HOUR + 1)
      expect(await tab.call('get')).toEqual({ id, user: 'ann' })
      expect(tab.open).toBe(true)
    })

    test('messages of a tab prolong its session in the store', async () => {
      const { site, place, put, stored } = await start({ cookie: { maxAge: HOUR } })
      const { browser, id } = await loggedIn(site, 0)
      const soon = new Date(Date.now() + 60_000).toISOString()
      await put(id, { ...(await stored(id)), cookie: { originalMaxAge: HOUR, expires: soon, path: '/' } })
      const tab = await browser.tab()
      await tab.call('get')
      site.sweep(Date.now() + HOUR / 2)
      // Asks the store, after what the sweep has asked.
      await tab.call('reload')
      expect((await place.expiry(id)) - Date.now()).toBeGreaterThan(HOUR / 2)
    })

    test('without a cache a change by another process is seen by the next call', async () => {
      const { site, launch } = await start({}, false)
      const { browser, tab, id } = await loggedIn(site)
      const other = await launch()
      await browser.get('/set?user=bob', other)
      expect(await tab.call('get')).toEqual({ id, user: 'bob' })
      const elsewhere = await browser.tab(other)
      await elsewhere.call('set', { user: 'eve' })
      expect(await tab.call('get')).toEqual({ id, user: 'eve' })
    })

    test('without a cache a log-out in another process refuses the next call, and closes', async () => {
      const { site, launch } = await start({}, false)
      const { browser, tab } = await loggedIn(site)
      await browser.get('/logout', await launch())
      expect(await tab.failure('get')).toMatchObject({ code: 'SESSION_ENDED' })
      expect(await tab.closed()).toBe(4405)
    })

    test('tabs of two processes that change different keys one after another lose nothing', async () => {
      const { site, launch } = await start()
      const { browser, tab, id } = await loggedIn(site)
      const elsewhere = await browser.tab(await launch())
      await elsewhere.call('set', { there: 1 })
      await tab.call('set', { here: 1 })
      await elsewhere.call('set', { again: 1 })
      expect(await elsewhere.call('get')).toEqual({ id, user: 'ann', there: 1, here: 1, again: 1 })
    })

    test('a change by another process is seen within `recheck`', async () => {
      const { site, launch } = await start({ recheck: 30_000 })
      const { browser, tab, id } = await loggedIn(site)
      await browser.get('/set?user=bob', await launch())
      expect(await tab.call('get')).toEqual({ id, user: 'ann' })
      site.sweep(Date.now() + 30_001)
      let seen = await tab.call('get')
      while ((seen as { user: string }).user === 'ann') seen = await tab.call('get')
      expect(seen).toEqual({ id, user: 'bob' })
    })

    test('a log-out in another process closes idle tabs within `recheck`', async () => {
      const { site, launch } = await start({ recheck: 30_000 })
      const { browser, tabs } = await loggedIn(site, 2)
      await browser.get('/logout', await launch())
      site.sweep(Date.now() + 30_001)
      expect(await Promise.all(tabs.map(tab => tab.closed()))).toEqual([4405, 4405])
    })

    test('the token of a welcome finds the session again after a restart', async () => {
      const { site, launch } = await start()
      const tab = await site.tab(undefined)
      await tab.call('set', { cart: 1 })
      const { id } = (await tab.call('get')) as { id: string }
      await site.stop()
      const restarted = await launch()
      const again = await restarted.tab(undefined, { session: tab.client.welcome.session })
      expect(await again.call('get')).toEqual({ id, cart: 1 })
    })

    test('cookies and tokens outlive a change of the secret while the old one is listed', async () => {
      const { site, launch } = await start()
      const { browser, tab, id } = await loggedIn(site)
      const token = tab.client.welcome.session
      const rotated = await launch({ secret: ['another', 'a secret'] })
      expect(await (await browser.tab(rotated)).call('get')).toEqual({ id, user: 'ann' })
      const byToken = await rotated.tab(undefined, { session: token })
      expect(await byToken.call('get')).toEqual({ id, user: 'ann' })
      expect(byToken.client.welcome.session).not.toBe(token)
      const replaced = await launch({ secret: ['another'] })
      const unknown = (await (await browser.tab(replaced)).call('get')) as { id: string }
      expect(unknown.id).not.toBe(id)
    })
  })
}
