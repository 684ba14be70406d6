import { onTestFinished, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { redis } from '../../src/engines/redis.js'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { memory } from '../../src/transports/memory.js'
import { describeRedis, redisClient } from '../support/redis.js'
import { knows, until } from './support.js'

/** A server with an engine of its own, and the channels that it is told of. */
async function startNode(port: number, name: string) {
  const engine = redis({ url: `redis://127.0.0.1:${port}`, prefix: 'occupancy', deadline: 1000 })
  const transport = memory()
  const app = new Server({
    transport,
    engine,
    env: 'test',
    cluster: { name, lease: 1000 },
    limits: { topics: 5000 },
    log: { debug() {}, info() {}, warn() {}, error() {} },
  }).service('chat', pubsub<{ said: [string] }>({ channels: { '*': {} } }))
  await app.start()
  const owned = new Set<string>()
  app.api.chat.on('occupied', channel => owned.add(channel))
  app.api.chat.on('vacated', channel => owned.delete(channel))
  const connect = async () => {
    const client = createClient<typeof app>({
      url: 'memory:',
      transport: memoryClient(transport),
      reconnect: false,
    })
    await client.connect()
    onTestFinished(() => client.close())
    return client
  }
  onTestFinished(async () => {
    await app.stop({ drain: 0 })
    await engine.close()
  })
  return { app, engine, owned, connect }
}

describeRedis('channels of servers with one Redis', server => {
  test('are told of on one of them each, also when Redis has lost all, and when a server dies', async () => {
    const { port } = server()
    const direct = await redisClient(port)
    onTestFinished(() => direct.destroy())
    const [a, b] = [await startNode(port, 'a'), await startNode(port, 'b')]
    await Promise.all([knows(a.app, 1), knows(b.app, 1)])
    const channels = Array.from({ length: 1500 }, (_, at) => `room ${at}`)
    const [ofA, ofB] = [await a.connect(), await b.connect()]
    await Promise.all(
      channels.flatMap(channel => [ofA.api.chat.subscribe(channel), ofB.api.chat.subscribe(channel)]),
    )
    const isEachOwnedOnce = () =>
      a.owned.size + b.owned.size === channels.length &&
      channels.every(channel => a.owned.has(channel) !== b.owned.has(channel))
    await until(isEachOwnedOnce)
    await direct.flushAll()
    await until(async () => (await a.engine.occupancy.occupants('$channels/chat')).length === 2)
    await until(isEachOwnedOnce)
    // Its client has gone: what it owned passes on.
    ofA.close()
    await until(() => a.owned.size === 0 && b.owned.size === channels.length)
    const again = await a.connect()
    await again.api.chat.subscribe('room 1')
    // Nothing is heard of it any more, as of a process that was killed.
    await b.engine.close()
    await until(() => a.owned.has('room 1'))
  })
})
