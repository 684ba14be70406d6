import { afterEach, describe, expect, test } from 'vitest'
import { createSite, type Site, type SiteOptions, settle } from './cache-support.js'

const sites: Site[] = []

afterEach(() => {
  for (const site of sites.splice(0)) site.close()
})

async function start(options?: SiteOptions) {
  const site = createSite(options)
  sites.push(site)
  site.store.put('abc', { user: 'ann' })
  const tab = site.join('abc')
  await settle()
  return { site, store: site.store, tab }
}

describe('app.sessions', () => {
  test('lists the sessions in use, of a user or all, and none that has ended', async () => {
    const { site, tab } = await start()
    const other = site.join()
    await settle()
    expect(site.control.list().length).toBe(2)
    expect(site.control.list('ann')).toMatchObject([{ id: 'abc', user: 'ann' }])
    await site.call(tab, async session => {
      await session.destroy()
      expect(site.control.list().map(({ id }) => id)).toEqual([other.liveSession.id])
    })
  })

  test('destroys a session that is not in use, and the next tab with its cookie gets another', async () => {
    const { site, store } = await start()
    store.put('idle', {})
    await site.control.destroy('idle')
    expect(store.stored.has('idle')).toBe(false)
    store.put('idle', { resurrected: 'by another process' })
    const tab = site.join('idle')
    await settle()
    expect(tab.liveSession.id).not.toBe('idle')
  })

  test('merges what requests save, of sessions in use or not', async () => {
    const { site, store, tab } = await start()
    for (const id of ['abc', 'idle']) {
      store.put(id, { n: 0 })
      const [first, second] = [await site.request(id), await site.request(id)]
      first!.a = 1
      second!.b = 2
      await first!.save()
      await second!.save()
      delete second!.n
      await second!.save()
      expect(store.data(id)).toEqual({ a: 1, b: 2 })
    }
    expect(tab.liveSession.data).toMatchObject({ a: 1, b: 2 })
    await settle()
    expect(site.control.statistics.live).toBe(1)
  })

  test('merges with a tab that comes while a request saves', async () => {
    const { site, store } = await start()
    store.put('idle', {})
    const request = await site.request('idle')
    request!.a = 1
    store.hold()
    const saved = request!.save()
    const tab = site.join('idle')
    store.release()
    await saved
    await settle()
    await site.call(tab, session => {
      session.b = 2
    })
    expect(store.data('idle')).toEqual({ a: 1, b: 2 })
  })
})

describe('regenerate()', () => {
  test('needs somewhere to redeem its code', async () => {
    const { site, tab } = await start()
    await expect(site.call(tab, session => session.regenerate())).rejects.toMatchObject({
      code: 'SESSION_NEEDS_HTTP',
    })
    await expect(tab.liveSession.session.regenerate()).rejects.toMatchObject({ code: 'SESSION_NEEDS_HTTP' })
  })

  test('moves its tab to an empty session of another id, and leaves the others', async () => {
    const { site, store, tab } = await start()
    site.control.handler()
    const other = site.join('abc')
    await settle()
    await site.call(tab, async session => {
      await session.regenerate()
      expect(session.user).toBeUndefined()
      session.user = 'bob'
    })
    const { id } = tab.liveSession
    expect(id).not.toBe('abc')
    expect(store.data(id)).toEqual({ user: 'bob' })
    expect(store.data('abc')).toEqual({ user: 'ann' })
    expect([...other.liveSession.connections]).toEqual([other])
    tab.leave()
    await settle()
    expect(site.control.list().map(({ id }) => id)).toEqual(['abc'])
  })

  test('of two handlers at once goes on with one session', async () => {
    const { site, store, tab } = await start()
    site.control.handler()
    const codes = await Promise.all(
      ['a', 'b'].map(key =>
        site.call(tab, async session => {
          expect(session.user).toBe('ann')
          await settle()
          const code = await session.regenerate()
          session[key] = 1
          return code
        }),
      ),
    )
    expect(store.data(tab.liveSession.id)).toEqual({ a: 1, b: 1 })
    const redeemed = codes.map(code => site.control.codes?.redeem(code as string))
    expect(redeemed).toEqual([0, 1].map(() => ({ from: ['abc'], to: tab.liveSession.id })))
  })

  test('twice gives a code that replaces both sessions before', async () => {
    const { site, tab } = await start()
    site.control.handler()
    await site.call(tab, session => session.regenerate())
    const { id } = tab.liveSession
    const code = await site.call(tab, session => session.regenerate())
    expect(site.control.codes?.redeem(code as string)).toEqual({
      from: ['abc', id],
      to: tab.liveSession.id,
    })
  })

  test('by a handler that has outlived its tab leaves nothing in use', async () => {
    const { site, tab } = await start()
    site.control.handler()
    let resume!: () => void
    const call = site.call(tab, async session => {
      expect(session.user).toBe('ann')
      await new Promise<void>(resolve => {
        resume = resolve
      })
      await session.regenerate()
    })
    tab.leave()
    await settle()
    resume()
    await call
    await settle()
    expect(site.control.statistics.live).toBe(0)
  })
})
