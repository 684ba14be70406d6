import { afterEach, describe, expect, test } from 'vitest'
import { createSite, type Site, type SiteOptions, settle, type Tab } from './cache-support.js'

const sites: Site[] = []

afterEach(() => {
  for (const site of sites.splice(0)) site.close()
})

/** A site with tabs of the session `abc`. */
async function start(tabs = 1, options: SiteOptions = {}) {
  const site = createSite(options)
  sites.push(site)
  site.store.put('abc', { user: 'ann' })
  const joined = Array.from({ length: tabs }, () => site.join('abc'))
  await settle()
  site.store.hold()
  site.store.log.length = 0
  return { site, store: site.store, tabs: joined, tab: joined[0]! }
}

const set = (site: Site, tab: Tab, changes: object) =>
  site.call(tab, session => void Object.assign(session, changes))

describe('commits', () => {
  test('that gather while the store is asked are written at once, after what it has then', async () => {
    const { site, store, tabs } = await start(3)
    const calls = tabs.map((tab, at) => set(site, tab, { [`key${at}`]: at }))
    await settle()
    expect(store.waiting).toEqual(['get abc'])
    store.release()
    await Promise.all(calls)
    expect(store.log).toEqual(['get abc', 'set abc', 'get abc', 'set abc'])
    expect(store.data('abc')).toEqual({ user: 'ann', key0: 0, key1: 1, key2: 2 })
  })

  test('are answered when they are stored, not before', async () => {
    const { site, store, tab } = await start()
    let answered = false
    const call = set(site, tab, { a: 1 }).then(() => {
      answered = true
    })
    await settle()
    store.step()
    await settle()
    expect([answered, store.waiting]).toEqual([false, ['set abc']])
    store.step()
    await call
  })

  test('keep the keys that another process has written before them', async () => {
    const { site, store, tab } = await start()
    store.put('abc', { user: 'ann', elsewhere: 1 })
    const call = set(site, tab, { a: 1 })
    store.release()
    await call
    expect(store.data('abc')).toEqual({ user: 'ann', elsewhere: 1, a: 1 })
  })

  test.each([0, 1])(
    'fail with SESSION_UNAVAILABLE when call %i of the store fails; the next does not',
    async at => {
      const { site, store, tab } = await start()
      const call = set(site, tab, { a: 1 })
      await settle()
      for (let step = 0; step < at; step++) {
        store.step()
        await settle()
      }
      store.step(0, new Error('down'))
      await expect(call).rejects.toMatchObject({ code: 'SESSION_UNAVAILABLE', retryAfter: 1000 })
      store.release()
      await set(site, tab, { b: 1 })
      expect(store.data('abc')).toEqual({ user: 'ann', b: 1 })
    },
  )

  test('of a session that another process has destroyed fail with SESSION_ENDED, and its tabs close', async () => {
    const { site, store, tab } = await start()
    store.stored.delete('abc')
    const call = set(site, tab, { a: 1 })
    store.release()
    await expect(call).rejects.toMatchObject({ code: 'SESSION_ENDED' })
    await settle()
    expect(tab.closed).toBe(4405)
    expect(store.stored.has('abc')).toBe(false)
  })

  test('are not held up by what the shared object has that cannot be stored', async () => {
    const { site, store, tab } = await start()
    tab.liveSession.session.big = 1n
    const call = set(site, tab, { a: 1 })
    store.release()
    await call
    expect(tab.liveSession.session).toMatchObject({ big: 1n, a: 1 })
  })
})

describe('a destroyed session', () => {
  test('is not brought back by a commit that waits, and that fails', async () => {
    const { site, store, tabs } = await start(2)
    const first = set(site, tabs[0]!, { a: 1 })
    await settle()
    const destroyed = site.call(tabs[0]!, session => session.destroy())
    const second = set(site, tabs[1]!, { b: 1 })
    second.catch(() => undefined)
    store.release()
    await Promise.all([first, destroyed])
    await expect(second).rejects.toMatchObject({ code: 'SESSION_ENDED' })
    await settle()
    expect(store.stored.has('abc')).toBe(false)
    expect(tabs.map(tab => tab.closed)).toEqual([4405, 4405])
  })

  test('is not brought back by a write under way when another process says that it is no more', async () => {
    const { site, store, tab } = await start()
    const call = set(site, tab, { a: 1 })
    await settle()
    store.step()
    await settle()
    expect(store.waiting).toEqual(['set abc'])
    store.stored.delete('abc')
    site.control.destroyed('abc')
    store.release()
    await expect(call).rejects.toMatchObject({ code: 'SESSION_ENDED' })
    expect(store.stored.has('abc')).toBe(false)
  })

  test('is not brought back by such a write that fails after it has taken effect', async () => {
    const { site, store, tab } = await start()
    const call = set(site, tab, { a: 1 })
    await settle()
    store.step()
    await settle()
    store.stored.delete('abc')
    site.control.destroyed('abc')
    store.step(0, new Error('the answer was lost'), true)
    expect(store.stored.has('abc')).toBe(true)
    store.release()
    await expect(call).rejects.toMatchObject({ code: 'SESSION_UNAVAILABLE' })
    expect(store.stored.has('abc')).toBe(false)
  })

  test('is not brought back by a read under way then', async () => {
    const { site, store, tab } = await start()
    const call = set(site, tab, { a: 1 })
    await settle()
    site.control.destroyed('abc')
    store.release()
    await expect(call).rejects.toMatchObject({ code: 'SESSION_ENDED' })
    expect(store.log).toEqual(['get abc'])
  })

  test('is not brought back by a handler that ends long after', async () => {
    const { site, store } = await start()
    store.release()
    const tab = site.join('new', true)
    let resume!: () => void
    const call = site.call(tab, async session => {
      session.a = 1
      await new Promise<void>(resolve => {
        resume = resolve
      })
    })
    tab.leave()
    await settle()
    await site.control.destroy('new')
    resume()
    await expect(call).rejects.toMatchObject({ code: 'SESSION_ENDED' })
    expect(store.stored.has('new')).toBe(false)
  })

  test('is not brought back by requests that had read it', async () => {
    const { site, store, tab } = await start()
    store.release()
    const [saving, touching] = [await site.request('abc'), await site.request('abc')]
    await site.control.destroy('abc')
    saving!.a = 1
    await saving!.save()
    await new Promise<void>(resolve => site.control.store.touch?.('abc', touching as never, () => resolve()))
    site.sweep(Date.now() + 120_000)
    await settle()
    expect(store.stored.has('abc')).toBe(false)
    expect(tab.closed).toBe(4405)
  })

  test('has nothing in it for its own tab, which is answered before it closes', async () => {
    const { site, store, tab } = await start()
    store.release()
    await site.call(tab, async session => {
      await session.destroy()
      expect(tab.closed).toBeUndefined()
      expect(tab.liveSession.session.user).toBeUndefined()
    })
    expect(tab.closed).toBe(4405)
  })

  test('stays as it was when the store fails to destroy it', async () => {
    const { site, store, tab } = await start()
    const call = site.call(tab, session => session.destroy())
    const other = set(site, tab, { a: 1 })
    await settle()
    store.step(0, new Error('down'))
    await expect(call).rejects.toMatchObject({ code: 'SESSION_UNAVAILABLE' })
    store.release()
    await other
    expect(store.data('abc')).toEqual({ user: 'ann', a: 1 })
    expect(tab.closed).toBeUndefined()
  })

  test('can be destroyed twice at once, by two sides', async () => {
    const { site, store, tab } = await start()
    const both = [site.control.destroy('abc'), site.call(tab, session => session.destroy())]
    store.release()
    await Promise.all(both)
    await site.control.destroy('abc')
    await settle()
    expect(site.control.statistics.live).toBe(0)
  })
})

describe('the end of the server', () => {
  test('leaves no promise hanging, and tells the truth of what was under way', async () => {
    const { site, store, tabs } = await start(2)
    const under = set(site, tabs[0]!, { a: 1 })
    await settle()
    const waiting = set(site, tabs[1]!, { b: 1 })
    waiting.catch(() => undefined)
    const request = site.control.destroy('abc')
    request.catch(() => undefined)
    await settle()
    site.system.stop()
    await expect(waiting).rejects.toMatchObject({ code: 'SESSION_UNAVAILABLE' })
    await expect(request).rejects.toMatchObject({ code: 'SESSION_UNAVAILABLE' })
    store.release()
    await under
    expect(store.data('abc')).toEqual({ user: 'ann', a: 1 })
    await expect(set(site, tabs[0]!, { c: 1 })).rejects.toMatchObject({ code: 'SESSION_UNAVAILABLE' })
  })
})
