import { expect, onTestFinished, test } from 'vitest'
import type { ServerOptions } from '../../src/options.js'
import { describeRedis, type RedisServer } from '../support/redis.js'
import { redisPlace } from '../support/redis-place.js'
import { SessionProcess } from '../support/session-process.js'

/** The next time that a client is connected; errors are on the way there. */
const ready = (client: { once(event: 'ready', listener: () => void): unknown }) =>
  new Promise<void>(resolve => client.once('ready', resolve))

const UNAVAILABLE = { code: 'SESSION_UNAVAILABLE', retryAfter: 1000 }

describeRedis('with a Redis server that fails', redis => {
  /** A browser that has logged in, and a tab of it. */
  async function loggedIn(server: RedisServer, options: Partial<ServerOptions> = {}) {
    const place = await redisPlace(server.port)
    onTestFinished(() => place.close())
    const site = await SessionProcess.start(await place.open(), { timeout: 300 }, options)
    const browser = site.browser()
    await browser.get('/set?user=ann')
    return { place, site, browser, tab: await browser.tab(), id: browser.sessionId }
  }

  /** Resolves when all clients are connected again. */
  const back = ({ clients }: Awaited<ReturnType<typeof redisPlace>>) =>
    Promise.all(clients.map(client => client.isReady || ready(client)))

  test('calls fail within the deadline while it is frozen, and go on when it does', async () => {
    const { place, site, browser, tab, id } = await loggedIn(redis())
    redis().freeze()
    onTestFinished(() => redis().thaw())
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
    expect(await tab.failure('set', { user: 'bob' })).toMatchObject(UNAVAILABLE)
    expect(await tab.failure('destroy')).toMatchObject(UNAVAILABLE)
    expect(await (await browser.tab()).call('get')).toEqual({ id, user: 'ann' })
    redis().thaw()
    await back(place)
    // What it was sent has been done by now, in order: the session is destroyed.
    await site.app.sessions.destroy(id)
    expect(await tab.closed()).toBe(4405)
    const again = await site.tab(undefined)
    await again.call('set', { cart: 1 })
    expect(await again.call('get')).toMatchObject({ cart: 1 })
  })

  test('those who come while it is frozen are told to come back, and then come in', async () => {
    const { place, site, browser, tab, id } = await loggedIn(redis(), { cacheSessions: false })
    tab.client.link.close()
    await tab.closed()
    redis().freeze()
    onTestFinished(() => redis().thaw())
    expect(await site.refused(browser.cookie ?? '')).toMatchObject({
      code: 4500,
      reason: 'SESSION_UNAVAILABLE: the session store did not answer within 300 ms, asked to read a session',
    })
    redis().thaw()
    await back(place)
    expect(await (await browser.tab()).call('get')).toEqual({ id, user: 'ann' })
  })

  test('calls fail while it is down; when it is back with its data, they go on', async () => {
    const { place, browser, tab, id } = await loggedIn(redis())
    await place.own.sendCommand(['SAVE'])
    await redis().kill()
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
    expect(await tab.failure('set', { theme: 'dark' })).toMatchObject(UNAVAILABLE)
    expect(tab.open).toBe(true)
    await redis().start()
    await back(place)
    await tab.call('set', { theme: 'dark' })
    expect((await browser.get('/session')).body).toEqual({ id, user: 'ann', theme: 'dark' })
    expect(await tab.call('get')).toEqual({ id, user: 'ann', theme: 'dark' })
  })

  test('without a cache every call fails while it is down, and goes on when it is back', async () => {
    const { place, tab, id } = await loggedIn(redis(), { cacheSessions: false })
    await place.own.sendCommand(['SAVE'])
    await redis().kill()
    expect(await tab.failure('get')).toMatchObject(UNAVAILABLE)
    await redis().start()
    await back(place)
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
  })

  test('a session that it has lost is over at the next change', async () => {
    const { place, tab, id } = await loggedIn(redis())
    await place.own.flushAll()
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
    expect(await tab.failure('set', { theme: 'dark' })).toMatchObject({ code: 'SESSION_ENDED' })
    expect(await tab.closed()).toBe(4405)
  })

  test('a connection to it that is cut is made again', async () => {
    const { place, tab, id } = await loggedIn(redis())
    const others = place.clients.filter(client => client !== place.own)
    const again = Promise.all(others.map(ready))
    await place.own.sendCommand(['CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'])
    await again
    await tab.call('set', { theme: 'dark' })
    expect(await tab.call('get')).toEqual({ id, user: 'ann', theme: 'dark' })
  })
})
