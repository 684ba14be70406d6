import { afterEach, describe, expect, test } from 'vitest'
import { SessionMemory } from '../../src/actors/session-memory.js'
import { createSite as create, type Site, type SiteOptions, settle } from './cache-support.js'

const sites: Site[] = []

function createSite(options?: SiteOptions): Site {
  const site = create(options)
  sites.push(site)
  return site
}

afterEach(() => {
  for (const site of sites.splice(0)) site.close()
})

describe('a session in use', () => {
  test('has one actor and is read once, however many tabs join at once', async () => {
    const site = createSite()
    site.store.put('abc', { user: 'ann' })
    const tabs = Array.from({ length: 50 }, () => site.join('abc'))
    await settle()
    expect(new Set(tabs.map(tab => tab.liveSession)).size).toBe(1)
    expect(site.store.log).toEqual(['get abc'])
    expect(site.system.find('/sessions/abc')).toBeDefined()
  })

  test('is kept when its last tab goes, and then has no actor', async () => {
    const site = createSite()
    site.store.put('abc', { user: 'ann' })
    const tab = site.join('abc')
    await settle()
    tab.leave()
    await settle()
    expect(site.system.find('/sessions/abc')).toBeUndefined()
    expect(site.control.statistics).toMatchObject({ live: 0, cached: 1, misses: 1 })
    site.join('abc')
    await settle()
    expect(site.store.log).toEqual(['get abc'])
    expect(site.control.statistics).toMatchObject({ live: 1, cached: 0, hits: 1 })
  })

  test('is read again when what is kept was checked longer ago than `recheck`', async () => {
    const site = createSite({ recheck: 1 })
    site.store.put('abc', { user: 'ann' })
    const tab = site.join('abc')
    await settle()
    // As if a while had passed.
    tab.liveSession.checkedAt = 0
    tab.leave()
    await settle()
    site.store.stored.delete('abc')
    const next = site.join('abc')
    await settle()
    expect(next.liveSession.id).not.toBe('abc')
  })

  test('is let in with what is kept when the store fails then', async () => {
    const site = createSite({ recheck: 1 })
    site.store.put('abc', { user: 'ann' })
    const tab = site.join('abc')
    await settle()
    tab.liveSession.checkedAt = 0
    tab.leave()
    await settle()
    site.store.hold()
    const next = site.join('abc')
    site.store.step(0, new Error('down'))
    await settle()
    expect(next.liveSession.data).toMatchObject({ user: 'ann' })
  })

  test('that cannot be read refuses its tabs, and the next one asks again', async () => {
    const site = createSite()
    site.store.put('abc', {})
    site.store.hold()
    const refused = [site.join('abc'), site.join('abc')]
    site.store.step(0, new Error('down'))
    await settle()
    for (const tab of refused) expect(tab.answer).toMatchObject({ code: 'SESSION_UNAVAILABLE' })
    expect(site.control.statistics.live).toBe(0)
    const tab = site.join('abc')
    site.store.release()
    await settle()
    expect(tab.liveSession.id).toBe('abc')
  })

  test('is left by a tab that went without a word, also one that never heard of it', async () => {
    const site = createSite()
    site.store.put('abc', {})
    const tab = site.join('abc')
    await settle()
    tab.vanish()
    site.sweep(Date.now())
    await settle()
    expect(site.control.statistics.live).toBe(0)
    site.store.put('xyz', {})
    site.store.hold()
    const late = site.join('xyz')
    late.vanish()
    site.store.release()
    await settle()
    expect(site.control.statistics.live).toBe(0)
  })
})

describe('a new id that two tabs were given', () => {
  test('is one session for both, and neither loses a key', async () => {
    const site = createSite()
    const tabs = [site.join('new', true), site.join('new', true)]
    await settle()
    await Promise.all(
      tabs.map((tab, at) =>
        site.call(tab, session => {
          session[`key${at}`] = at
        }),
      ),
    )
    expect(site.store.data('new')).toEqual({ key0: 0, key1: 1 })
  })

  test('keeps what the first has stored when that has gone before the second comes', async () => {
    const site = createSite({ cacheSessions: false })
    const first = site.join('new', true)
    await settle()
    await site.call(first, session => {
      session.a = 1
    })
    first.leave()
    await settle()
    const second = site.join('new', true)
    await settle()
    await site.call(second, session => {
      session.b = 2
    })
    expect(site.store.data('new')).toEqual({ a: 1, b: 2 })
  })

  test('keeps both keys when a handler of the first ends after the second has come and gone', async () => {
    const site = createSite()
    const first = site.join('new', true)
    await settle()
    let resume!: () => void
    const late = site.call(first, async session => {
      session.a = 1
      await new Promise<void>(resolve => {
        resume = resolve
      })
    })
    first.leave()
    await settle()
    const second = site.join('new', true)
    await settle()
    await site.call(second, session => {
      session.b = 2
    })
    second.leave()
    await settle()
    resume()
    await late
    expect(site.store.data('new')).toEqual({ a: 1, b: 2 })
  })
})

test('a new session is stored when something is in it, with saveUninitialized at once', async () => {
  const lazy = createSite()
  const tab = lazy.join()
  await settle()
  expect(await lazy.call(tab, session => session.id)).toMatch(/^[\w-]{32}$/)
  expect(lazy.store.log).toEqual([])
  const eager = createSite({ saveUninitialized: true })
  const other = eager.join()
  await settle()
  expect(eager.store.log).toEqual([`set ${other.liveSession.id}`])
})

test('a handler that outlives its tab sees what it has saved, though another tab has the session now', async () => {
  const site = createSite()
  site.store.put('abc', {})
  const tab = site.join('abc')
  await settle()
  let resume!: () => void
  const late = site.call(tab, async session => {
    expect(session.n).toBeUndefined()
    await new Promise<void>(resolve => {
      resume = resolve
    })
    session.n = 1
    await session.save()
    return session.n
  })
  tab.leave()
  await settle()
  const other = site.join('abc')
  await settle()
  resume()
  expect(await late).toBe(1)
  expect(other.liveSession.data).toMatchObject({ n: 1 })
})

describe('ids that Express may make', () => {
  test.each(['a/b', '..', 'ü', '\ud800', '%', ''])('such as %j have an actor', async id => {
    const site = createSite()
    site.store.put(id, { user: 'ann' })
    const tab = site.join(id)
    await settle()
    expect(tab.liveSession.data).toMatchObject({ user: 'ann' })
  })
})

describe('what is kept of sessions', () => {
  const cookie = { originalMaxAge: null }

  test('is bounded by count and by bytes, of hostile sizes too', () => {
    const memory = new SessionMemory({ max: 10, maxBytes: 20_000 })
    const checkedAt = 0
    for (let at = 0; at < 100; at++) memory.keep(`id${at}`, { data: { cookie, at }, checkedAt })
    expect(memory.size).toBe(10)
    expect(memory.evictions).toBe(90)
    memory.keep('id99', { data: { cookie, text: 'x'.repeat(100_000) }, checkedAt })
    expect(memory.has('id99')).toBe(false)
    for (let at = 0; at < 100; at++) {
      memory.keep(`big${at}`, { data: { cookie, lists: Array.from({ length: 1000 }, () => []) }, checkedAt })
      expect(memory.bytes).toBeLessThanOrEqual(20_000)
    }
    memory.keep('i'.repeat(50_000), { data: { cookie }, checkedAt })
    expect(memory.bytes).toBeLessThanOrEqual(20_000)
  })

  test('is nothing of an expired or destroyed one, and destroyed ones are remembered within bounds', () => {
    const memory = new SessionMemory({ max: 10, maxBytes: 20_000 })
    const past = { ...cookie, expires: new Date(Date.now() - 1).toISOString() }
    memory.keep('past', { data: { cookie: past }, checkedAt: 0 })
    memory.keep('abc', { data: { cookie }, checkedAt: 0 })
    memory.bury('abc')
    memory.keep('abc', { data: { cookie }, checkedAt: 0 })
    expect(memory.size).toBe(0)
    for (let at = 0; at < 20_000; at++) memory.bury(`id${at}`)
    expect(memory.isBuried('id19999')).toBe(true)
    expect(memory.isBuried('abc')).toBe(false)
  })

  test('is nothing with cacheSessions false', () => {
    const memory = new SessionMemory(false)
    memory.keep('abc', { data: { cookie }, checkedAt: 0 })
    expect([memory.size, memory.bytes, memory.peek('abc'), memory.take('abc')]).toEqual([
      0,
      0,
      undefined,
      undefined,
    ])
  })
})

describe('the look at sessions in use', () => {
  test('ends a new one that has expired, and reads again a stored one, which may be prolonged', async () => {
    const site = createSite({ cookie: { maxAge: 10_000 } })
    const fresh = site.join()
    await settle()
    await site.call(fresh, () => undefined)
    const expires = new Date(Date.now() + 1000).toISOString()
    site.store.put('abc', { cookie: { originalMaxAge: 10_000, expires } })
    const stored = site.join('abc')
    await settle()
    site.store.put('abc', {
      cookie: { originalMaxAge: 10_000, expires: new Date(Date.now() + 60_000).toISOString() },
    })
    site.sweep(Date.now() + 20_000)
    await settle()
    expect([fresh.closed, stored.closed]).toEqual([4405, undefined])
    site.store.stored.delete('abc')
    site.sweep(Date.now() + 70_000)
    await settle()
    expect(stored.closed).toBe(4405)
  })

  test('keeps alive in the store what is used, and rechecks it all the same', async () => {
    const site = createSite()
    site.store.put('abc', {})
    const tab = site.join('abc')
    await settle()
    tab.received++
    site.sweep(Date.now() + 61_000)
    site.sweep(Date.now() + 62_000)
    await settle()
    site.sweep(Date.now() + 63_000)
    await settle()
    expect(site.store.log).toEqual(['get abc', 'touch abc', 'get abc'])
  })

  test('costs no message to those that need nothing', async () => {
    const site = createSite()
    const tabs = Array.from({ length: 1000 }, () => site.join())
    await settle()
    const before = tabs.map(tab => tab.liveSession.ref.handled)
    for (let second = 1; second < 10; second++) site.sweep(Date.now() + second)
    expect(tabs.map(tab => tab.liveSession.ref.handled)).toEqual(before)
  })
})
