import { createClient as createRedis } from 'redis'
import { expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import { describeRedis } from '../support/redis.js'
import { connectLoad, isOneSequence } from './load.js'
import { balancer, Node } from './processes.js'
import { until } from './support.js'

/** Servers in processes of their own that know each other. */
async function startNodes(port: number, prefix: string): Promise<[Node, Node, Node]> {
  const names = ['one', 'other', 'third']
  const nodes = await Promise.all(names.map(name => Node.start(port, prefix, name)))
  onTestFinished(() => Promise.all(nodes.map(node => node.kill())).then(() => undefined))
  for (const node of nodes) {
    await until(async () => (await node.do<string[]>('nodes')).length === names.length)
  }
  return nodes as [Node, Node, Node]
}

/** Clients, each subscribed to all channels, and what they hear of each. */
async function connectListeners(url: string, count: number, channels: readonly string[]) {
  const heard: Map<string, number[]>[] = []
  await Promise.all(
    Array.from({ length: count }, async () => {
      const client = createClient({
        url: `${url}?user=listener`,
        services: { feed: channelsClient },
        reconnect: { minDelay: 10, maxDelay: 200 },
      })
      onTestFinished(() => client.close())
      await client.connect()
      const { feed } = client.api as unknown as {
        feed: {
          on(event: 'said', listener: (what: number, channel: string) => void): void
          subscribe(channel: string): Promise<unknown>
        }
      }
      const own = new Map<string, number[]>()
      heard.push(own)
      feed.on('said', what => {
        const channel = channels[Math.floor(what / SPACE)]!
        own.set(channel, [...(own.get(channel) ?? []), what % SPACE])
      })
      for (const channel of channels) await feed.subscribe(channel)
    }),
  )
  return heard
}

/** Numbers of a channel: which one it is, times this. */
const SPACE = 1000
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

describeRedis('clients of servers that are lost', redisOf => {
  test('do not know whether a call without a key was done whose server is killed while it runs', async () => {
    const [one, , third] = await startNodes(redisOf().port, 'running')
    const outcome = one.do('outcome', ['endless third', { deadline: 60_000 }])
    await until(async () => (await third.do('endless')) === 1)
    await third.kill()
    expect(await outcome).toEqual({ code: 'CONNECTION_LOST', data: { accepted: 'unknown' } })
    // It is not repeated, and who comes later finds nobody.
    expect(await one.do('outcome', ['endless third'])).toEqual({
      code: 'NO_RESPONDER',
      data: { accepted: false },
    })
  }, 60_000)

  test('make calls with idempotency keys again elsewhere when theirs is killed: none is lost, and only what ran then runs again', async () => {
    const clients = 6
    const nodes = await startNodes(redisOf().port, 'keyed')
    const serving: Node[] = [...nodes]
    const load = await connectLoad(await balancer(serving), clients)
    await load.calls(60)
    serving.pop()
    await nodes[2].kill()
    await load.calls(60)
    const { done, failed } = await load.stop()
    expect(failed).toEqual([])
    await until(() => done.every(id => load.heard.every(heard => heard.includes(id))))
    const [heard] = load.heard as [string[], ...string[][]]
    const again = [...new Set(heard)].filter(id => heard.indexOf(id) !== heard.lastIndexOf(id))
    // One for each client at most, whose call had run when its outcome was lost.
    expect(again.length).toBeLessThanOrEqual(clients)
    expect(heard.length - again.length).toBe(new Set(heard).size)
    expect(new Set(done).size).toBe(done.length)
  }, 60_000)

  test('come all at once when it is killed, and the history is read for many of them at a time', async () => {
    const channels = Array.from({ length: 5 }, (_, at) => `channel ${at}`)
    const nodes = await startNodes(redisOf().port, 'storm')
    const serving: Node[] = [nodes[2]]
    const clients = 150
    const heard = await connectListeners(await balancer(serving), clients, channels)
    const publish = (from: number, to: number) =>
      Promise.all(
        channels.map((channel, at) =>
          nodes[0].do('acknowledged', [channel, at * SPACE + from, at * SPACE + to]),
        ),
      )
    await publish(0, 20)
    await until(() => heard.every(own => channels.every(channel => own.get(channel)?.length === 20)))
    const redis = createRedis({ url: `redis://127.0.0.1:${redisOf().port}` })
    redis.on('error', () => undefined)
    await redis.connect()
    onTestFinished(() => void redis.destroy())
    await redis.configResetStat()
    serving.splice(0, 1, nodes[0], nodes[1])
    await nodes[2].kill()
    await publish(20, 40)
    await until(() => heard.every(own => channels.every(channel => (own.get(channel)?.length ?? 0) >= 40)))
    for (const own of heard) for (const channel of channels) expect(own.get(channel)).toEqual(range(0, 40))
    const stats = await redis.info('commandstats')
    const reads = Number(/cmdstat_xrange:calls=(\d+)/.exec(stats)?.[1] ?? 0)
    expect(reads).toBeGreaterThan(0)
    // A read is two of them; 70 where clients come as fast as here, 670 if each has its own.
    expect(reads).toBeLessThan((clients * channels.length) / 4)
  }, 60_000)

  test('go on elsewhere when theirs is frozen; who was on it and does not come back is told to have gone', async () => {
    const nodes = await startNodes(redisOf().port, 'frozen')
    const [, other, third] = nodes
    const serving: Node[] = [third]
    const url = await balancer(serving)
    const load = await connectLoad(url, 3)
    const mortal = await connectLoad(third.url, 1, { name: 'mortal', reconnect: false })
    const absences = await load.watch()
    await load.calls(10)
    third.child.kill('SIGSTOP')
    serving.splice(0, 1, ...nodes.slice(0, 2))
    await load.calls(20)
    await until(() => other.left.includes(third.id) && absences.includes('mortal 0'))
    third.child.kill('SIGCONT')
    await until(async () => (await other.do<string[]>('nodes')).length === 3)
    await load.calls(20)
    await mortal.stop()
    const { done, failed } = await load.stop()
    expect(failed).toEqual([])
    await until(() => done.every(id => load.heard.every(heard => heard.includes(id))))
    // What had run on the frozen server runs again elsewhere once its lease is over: one call of each client at most.
    for (const heard of load.heard) expect(heard.length - new Set(heard).size).toBeLessThanOrEqual(3)
    expect(isOneSequence(load.heard.map(heard => [...new Set(heard)]))).toBe(true)
    // A server that goes on may take its clients for there, for the moment before it reads from their sockets.
    const times = absences.filter(user => user === 'mortal 0').length
    expect([1, 2]).toContain(times)
  }, 60_000)
})
