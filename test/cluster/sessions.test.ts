import { expect, onTestFinished, test } from 'vitest'
import { redis as redisEngine } from '../../src/engines/redis.js'
import { describeRedis } from '../support/redis.js'
import { redisPlace } from '../support/redis-place.js'
import { SessionProcess } from '../support/session-process.js'
import { knows } from './support.js'

describeRedis('a session of two servers on one Redis, with express-session and connect-redis', redis => {
  test('ends on both, however and wherever it is ended, and nobody comes back with its cookie', async () => {
    const { port } = redis()
    const place = await redisPlace(port)
    onTestFinished(() => place.close())
    const start = async () => {
      const engine = redisEngine({ url: `redis://127.0.0.1:${port}`, prefix: place.prefix })
      onTestFinished(() => engine.close())
      return SessionProcess.start(await place.open(), {}, { engine })
    }
    const [one, other] = [await start(), await start()]
    await Promise.all([knows(one.app, 1), knows(other.app, 1)])
    const login = async (user: string) => {
      const browser = one.browser()
      await browser.get(`/set?user=${user}`)
      return browser
    }
    const bob = await login('bob')
    const strangers = [await bob.tab(one), await bob.tab(other)]

    for (const [path, code] of [
      ['logout', 4405],
      ['regenerate', 4506],
    ] as const) {
      const ann = await login('ann')
      const tabs = [await ann.tab(one), await ann.tab(other)]
      const { cookie } = ann
      await ann.get(`/${path}`, one)
      expect(await Promise.all(tabs.map(tab => tab.closed()))).toEqual([code, code])
      expect(await (await other.tab(cookie)).call('get')).not.toMatchObject({ user: 'ann' })
      // Also by a server that has no connection of it.
      const eve = await login('eve')
      const far = await eve.tab(other)
      await eve.get(`/${path}`, one)
      expect(await far.closed()).toBe(code)
    }
    const ann = await login('ann')
    const [near, far] = [await ann.tab(one), await ann.tab(other)]
    expect(await far.call('destroy')).toBe('destroyed')
    expect(await Promise.all([near.closed(), far.closed()])).toEqual([4405, 4405])
    expect(await Promise.all(strangers.map(tab => tab.call('get')))).toMatchObject([
      { user: 'bob' },
      { user: 'bob' },
    ])
  })
})
