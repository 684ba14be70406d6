import { createCluster } from 'redis'
import { expect, test } from 'vitest'
import { redis } from '../../src/engines/redis.js'
import { slotOf } from '../../src/engines/redis-slots.js'
import { describeServers, redisClient } from '../support/redis.js'
import { RedisCluster, until } from '../support/redis-cluster.js'

const KEPT = { size: 10_000, ttl: 3_600_000 }
const text = (payload: Uint8Array) => String(Buffer.from(payload))

describeServers(
  'an engine on a Redis Cluster and its faults',
  () => new RedisCluster({ masters: 3, replicas: 1 }),
  cluster => {
    const engine = (prefix: string, options: object = {}) =>
      redis({ client: cluster().client(), prefix, ...options })
    const clients = (count = 3) =>
      Promise.all(
        cluster()
          .servers.slice(0, count)
          .map(({ port }) => redisClient(port)),
      )

    test('finds slots as Redis does', async () => {
      const [asker, ...others] = await clients()
      for (const key of ['', 'a', '{a}b', 'a{}b', 'a{b', '{é}', 'x{{a}}', '123456789', 'x}{a}']) {
        expect([key, slotOf(key)]).toEqual([
          key,
          Number(await asker!.sendCommand(['CLUSTER', 'KEYSLOT', key])),
        ])
      }
      for (const client of [asker!, ...others]) client.destroy()
    })

    test('loses and repeats nothing acknowledged while its connections are killed', async () => {
      const publisher = engine('kills')
      const hearer = engine('kills')
      const killers = await clients()
      // Channels on each of the masters.
      const channels = Array.from({ length: 6 }, (_, i) => `c${i}`)
      const heard = new Map<string, string[]>(channels.map(channel => [channel, []]))
      const gaps: string[] = []
      await Promise.all(
        channels.map(channel =>
          hearer.log.subscribe(channel, {
            entry: ({ payload }) => void heard.get(channel)!.push(text(payload)),
            gap: reason => void gaps.push(reason),
          }),
        ),
      )
      const publish = async (channel: string) => {
        for (let i = 0; i < 100; i++) {
          const key = `${channel} ${i}`
          let isAcked = false
          while (!isAcked) {
            isAcked = await publisher.log.publish(channel, Buffer.from(key), { ...KEPT, key }).then(
              () => true,
              () => new Promise<boolean>(resolve => setImmediate(resolve, false)),
            )
          }
          if (channel !== 'c0' || i % 25 !== 10) continue
          for (const killer of killers) {
            for (const type of ['normal', 'pubsub']) {
              await killer.sendCommand(['CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes'])
            }
          }
        }
      }
      await Promise.all(channels.map(publish))
      const whole = (channel: string) => Array.from({ length: 100 }, (_, i) => `${channel} ${i}`)
      await until(async () => channels.every(channel => heard.get(channel)!.length >= 100))
      for (const channel of channels) expect(heard.get(channel)).toEqual(whole(channel))
      expect(gaps).toEqual([])
      await Promise.all([publisher.close(), hearer.close()])
      for (const killer of killers) killer.destroy()
    })

    test('follows a slot to another master', async () => {
      const one = engine('moved', { checkEvery: 200 })
      const heard: string[] = []
      await one.log.subscribe('a', { entry: ({ payload }) => void heard.push(text(payload)), gap() {} })
      await one.log.publish('a', Buffer.from('before'), KEPT)
      await until(async () => heard.length === 1)
      const slot = String(slotOf('{a}'))
      const servers = await clients()
      const ids = await Promise.all(
        servers.map(async server => String(await server.sendCommand(['CLUSTER', 'MYID']))),
      )
      const from = Math.floor((slotOf('{a}') * 3) / 16_384)
      const to = (from + 1) % 3
      await servers[to]!.sendCommand(['CLUSTER', 'SETSLOT', slot, 'IMPORTING', ids[from]!])
      await servers[from]!.sendCommand(['CLUSTER', 'SETSLOT', slot, 'MIGRATING', ids[to]!])
      const keys = (await servers[from]!.sendCommand(['CLUSTER', 'GETKEYSINSLOT', slot, '100'])) as unknown
      const port = String(cluster().servers[to]!.port)
      await servers[from]!.sendCommand([
        ...['MIGRATE', '127.0.0.1', port, '', '0', '5000', 'KEYS'],
        ...(keys as string[]),
      ])
      for (const server of [servers[to]!, servers[from]!, servers[3 - from - to]!]) {
        await server.sendCommand(['CLUSTER', 'SETSLOT', slot, 'NODE', ids[to]!])
      }
      for (const name of ['after', 'again']) {
        await one.log.publish('a', Buffer.from(name), KEPT)
        await until(async () => heard.at(-1) === name)
      }
      expect(heard).toEqual(['before', 'after', 'again'])
      for (const server of servers) server.destroy()
      await one.close()
    })

    test('goes on by itself when a replica takes the place of a dead master', async () => {
      const one = engine('dead', { deadline: 10_000 })
      const events: string[] = []
      for (const event of ['down', 'up'] as const) one.on(event, () => void events.push(event))
      const names = Array.from({ length: 12 }, (_, i) => `c${i}`)
      const heard: string[] = []
      const gaps: string[] = []
      for (const name of names) {
        await one.log.subscribe(name, {
          entry: ({ payload }) => void heard.push(text(payload)),
          gap: reason => void gaps.push(reason),
        })
      }
      await Promise.all(names.map(name => one.log.publish(name, Buffer.from('before'), KEPT)))
      await until(async () => heard.length === names.length)
      const [first] = await clients(1)
      await first!.sendCommand(['WAIT', '1', '1000'])
      first!.destroy()
      await cluster().servers[0]!.kill()
      // Sent while nobody has a third of the slots: they wait for the replica. One whose link breaks may have taken
      // effect, and is repeated with its key.
      const sent = (name: string) =>
        one.log.publish(name, Buffer.from(`after ${name}`), { ...KEPT, key: name }).then(
          () => true,
          (error: { code: string }) => {
            if (error.code !== 'ENGINE_UNAVAILABLE') throw error
            return false
          },
        )
      await Promise.all(names.map(name => until(() => sent(name))))
      await until(async () => heard.length === 2 * names.length && events.includes('up'))
      expect(heard.slice(names.length).sort()).toEqual(names.map(name => `after ${name}`).sort())
      const moved = names.filter(name => slotOf(`{${name}}`) < Math.floor(16_384 / 3)).length
      expect(moved).toBeGreaterThan(0)
      expect([gaps, events]).toEqual([Array.from({ length: moved }, () => 'epoch'), ['down', 'up']])
      await one.close()
    })
  },
)

test('an engine that finds no server of its cluster says so, and closes', async () => {
  const client = createCluster({ rootNodes: [{ url: 'redis://127.0.0.1:1' }] })
  const one = redis({ client, deadline: 100 })
  const down = new Promise(resolve => one.on('down', resolve))
  const call = one.kv.get('a').catch(error => error.code)
  expect(String(await down)).toMatch(/ECONNREFUSED/)
  expect(await call).toBe('ENGINE_UNAVAILABLE')
  await one.close()
})
