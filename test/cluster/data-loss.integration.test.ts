import session from 'express-session'
import { expect, onTestFinished, test } from 'vitest'
import { redis as redisEngine } from '../../src/engines/redis.js'
import { describeRedis, redisClient } from '../support/redis.js'
import { knows, put, startNode, until } from './support.js'

describeRedis('servers on a Redis that loses its data', redis => {
  /** Two servers that know each other, and a client of each. */
  async function two(prefix: string) {
    const sessionStore = new session.MemoryStore()
    const start = async (name: string) => {
      const engine = redisEngine({ url: `redis://127.0.0.1:${redis().port}`, prefix })
      onTestFinished(() => engine.close())
      return { ...(await startNode(engine, { sessionStore, cluster: { name } })), engine }
    }
    const [one, other] = [await start('one'), await start('other')]
    await Promise.all([knows(one.app, 1), knows(other.app, 1)])
    const gone: string[] = []
    for (const { app } of [one, other]) app.cluster.on('left', id => gone.push(id))
    await put(sessionStore, 'abc', { user: 'ann' })
    return { one, other, gone, far: await other.client('ann', 'abc') }
  }

  test('know each other all the same, and hear each other, when it is emptied', async () => {
    const { one, other, gone, far } = await two('emptied')
    const asker = await redisClient(redis().port)
    onTestFinished(() => void asker.destroy())
    await asker.sendCommand(['FLUSHALL'])
    expect(await one.app.cluster.nodes()).toHaveLength(2)
    one.app.api.chat.publish.user('ann', 'said', 'still here')
    expect(await far.atLeast(1)).toEqual(['still here'])
    await one.app.sessions.destroy('abc')
    expect(await far.closed).toBe(4405)
    expect((await one.app.cluster.stats()).nodes.get(one.app.cluster.id)?.dropped).toBe(0)
    expect(await other.app.cluster.nodes()).toHaveLength(2)
    expect(gone).toEqual([])
  })

  test('know each other as soon as it is back, when it is restarted', async () => {
    const { one, other, gone } = await two('restarted')
    const up = [one, other].map(({ engine }) => new Promise<void>(resolve => void engine.on('up', resolve)))
    await redis().kill()
    await redis().start()
    await Promise.all(up)
    await until(async () => (await one.engine.presence.count('$cluster')) === 2)
    expect([(await one.app.cluster.nodes()).length, gone]).toEqual([2, []])
  })
})
