import { expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { sse as sseClient } from '../../src/client/sse.js'
import { redis } from '../../src/engines/redis.js'
import { Server } from '../../src/server.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { sse } from '../../src/transports/sse.js'
import { describeRedis } from '../support/redis.js'
import { balancer } from './forward-support.js'
import { knows } from './support.js'

/** A server with SSE on a Redis, and the calls that have come to it. */
async function startNode(port: number, calls: number[]) {
  const engine = redis({ url: `redis://127.0.0.1:${port}`, prefix: 'handover' })
  onTestFinished(() => engine.close())
  const app = new Server({
    transport: sse({ port: 0, host: '127.0.0.1' }),
    engine,
    env: 'test',
    sessions: { secret: 'a secret of these tests' },
    resume: { handover: true },
    log: { debug() {}, info() {}, warn() {}, error() {} },
  })
    .service('rpc', rpc({ count: (_ctx, number: number) => calls.push(number) && number }))
    .service(
      'feed',
      pubsub<{ said: [number] }>({ channels: { '*': { history: { size: 100, ttl: 60_000 } } } }),
    )
  await app.start()
  onTestFinished(() => app.stop({ drain: 0 }))
  return app
}

describeRedis('two servers on one Redis behind a balancer without sticky sessions', redisOf => {
  test('carry a client over SSE from one to the other when the first stops, and lose nothing', async () => {
    const calls: number[] = []
    const [one, other] = [await startNode(redisOf().port, calls), await startNode(redisOf().port, calls)]
    await Promise.all([knows(one, 1), knows(other, 1)])
    const { url } = await balancer([one, other].map(app => app.address()!.port!))
    const client = createClient<typeof one>({
      url,
      transport: sseClient(),
      services: { feed: channelsClient },
      reconnect: { minDelay: 10, maxDelay: 50 },
    })
    onTestFinished(() => client.close())
    await client.connect()
    const heard: number[] = []
    let all: () => void = () => undefined
    client.api.feed.on('said', number => heard.push(number) === 40 && all())
    await client.api.feed.subscribe('news')
    const id = client.connectionId
    const owner = one.connections().length > 0 ? one : other
    const survivor = owner === one ? other : one
    const publish = async (from: number) => {
      for (let number = from; number < from + 20; number++) {
        await survivor.api.feed.publish.acknowledged('news', 'said', number)
      }
    }
    const count = (from: number) =>
      Promise.all(Array.from({ length: 20 }, (_, index) => client.api.rpc.count(from + index)))
    await Promise.all([publish(0), count(0)])
    await owner.stop({ drain: 2000 })
    const heardAll = new Promise<void>(resolve => {
      all = resolve
      if (heard.length >= 40) resolve()
    })
    await Promise.all([publish(20), count(20), heardAll])
    const numbers = Array.from({ length: 40 }, (_, index) => index)
    expect(heard).toEqual(numbers)
    expect(calls).toEqual(numbers)
    expect(client.connectionId).toBe(id)
    expect(survivor.connections().map(connection => connection.id)).toEqual([id])
  })
})
