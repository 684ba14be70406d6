import { expect, onTestFinished, test } from 'vitest'
import { describeRedis } from '../support/redis.js'
import { redisPlace } from '../support/redis-place.js'
import { SessionProcess } from '../support/session-process.js'
import { describeStore } from './store-suite.js'

const HOUR = 3_600_000

describeRedis('with a Redis server', redis => {
  describeStore('connect-redis', () => redisPlace(redis().port))

  test('a session lives as long as Redis has it, though its data have an expiry that is past', async () => {
    const place = await redisPlace(redis().port)
    onTestFinished(() => place.close())
    const site = await SessionProcess.start(await place.open(), { cookie: { maxAge: HOUR } })
    const browser = site.browser()
    await browser.get('/set?user=ann')
    const id = browser.sessionId
    // Touched for more than an hour: connect-redis prolongs the key and leaves its value as it was.
    const value = JSON.parse((await place.own.get(place.prefix + id)) ?? '')
    const cookie = { ...value.cookie, expires: new Date(Date.now() - HOUR).toISOString() }
    await place.own.set(place.prefix + id, JSON.stringify({ ...value, cookie }), { KEEPTTL: true })
    const tab = await browser.tab()
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
    site.sweep()
    await tab.call('reload')
    expect(await tab.call('get')).toEqual({ id, user: 'ann' })
  })
})
