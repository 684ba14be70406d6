import { afterEach, expect, test } from 'vitest'
import type { Engine } from '../../src/engines/engine.js'
import { redis } from '../../src/engines/redis.js'
import { describeRedis, redisClient } from '../support/redis.js'
import { cleanups, startPresence, until } from './presence-support.js'

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

describeRedis('presence on a Redis that loses its data', server => {
  test('shows nobody for ever whose server dies after that', async () => {
    const asker = await redisClient(server().port)
    cleanups.push(() => asker.destroy())
    const start = async () => {
      const engine: Engine = redis({ url: `redis://127.0.0.1:${server().port}` })
      cleanups.push(() => engine.close())
      return { ...(await startPresence({ ttl: '3s', grace: '1s' }, engine)), engine }
    }
    const one = await start()
    const dead = await start()
    const [ann, bob, eve] = [await one.client('ann'), await dead.client('bob'), await one.client('eve')]
    await ann.presence.join('a', 'here')
    await bob.presence.join('a', 'there')
    const rooms = [ann, eve].map(({ presence }) => presence.watch('a'))
    const users = () =>
      rooms.map(room =>
        room
          .getSnapshot()
          .members.map(({ user }) => user)
          .join(),
      )
    for (const room of rooms) await until(room, () => room.getSnapshot().count === 2)
    expect(users()).toEqual(['ann,bob', 'ann,bob'])
    // Nothing disconnects, and bob's server says nothing more.
    await dead.engine.close()
    await asker.sendCommand(['FLUSHALL'])
    for (const room of rooms) {
      await until(
        room,
        () =>
          room
            .getSnapshot()
            .members.map(({ user }) => user)
            .join() === 'ann',
      )
    }
  }, 30_000)
})
