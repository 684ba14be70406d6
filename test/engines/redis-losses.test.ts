import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import type { Engine } from '../../src/engines/engine.js'
import { redis } from '../../src/engines/redis.js'
import { faultProxy } from '../../src/testing/index.js'
import { describeRedis, describeServers, RedisServer, redisClient } from '../support/redis.js'
import { until } from '../support/redis-cluster.js'

const KEPT = { size: 10_000, ttl: 3_600_000 }
const text = (payload: Uint8Array) => String(Buffer.from(payload))

/** Everything that an engine tells of itself, and a way to wait for one of it. */
function told(engine: Engine) {
  const events: string[] = []
  const waiting: { event: string; resolve: () => void }[] = []
  for (const event of ['down', 'up', 'gap'] as const) {
    engine.on(event, () => {
      events.push(event)
      for (const each of waiting) if (each.event === event) each.resolve()
    })
  }
  const next = (event: string) => new Promise<void>(resolve => waiting.push({ event, resolve }))
  return { events, next }
}

/** What a subscriber hears, and a way to wait for an entry. */
async function hear(engine: Required<Engine>, channel: string) {
  const entries: string[] = []
  const gaps: string[] = []
  let wanted: { entry: string; resolve: () => void } | undefined
  const { position } = await engine.log.subscribe(channel, {
    entry: ({ payload }) => {
      entries.push(text(payload))
      if (entries.at(-1) === wanted?.entry) wanted?.resolve()
    },
    gap: reason => void gaps.push(reason),
  })
  const until = (entry: string) =>
    entries.includes(entry)
      ? Promise.resolve()
      : new Promise<void>(resolve => {
          wanted = { entry, resolve }
        })
  return { entries, gaps, position, until }
}

describeRedis('a Redis engine that loses its connections', server => {
  const engine = (prefix: string, options: object = {}) =>
    redis({ url: `redis://127.0.0.1:${server().port}`, prefix, ...options })

  test('tells `down` and `up` once when only its subscriber is lost, and misses nothing', async () => {
    const one = engine('subscriber')
    const publisher = engine('subscriber')
    const { events, next } = told(one)
    const { entries, gaps, until } = await hear(one, 'a')
    const killer = await redisClient(server().port)
    for (let i = 0; i < 3; i++) {
      const up = next('up')
      await killer.sendCommand(['CLIENT', 'KILL', 'TYPE', 'pubsub'])
      await publisher.log.publish('a', Buffer.from(`${i}`), KEPT)
      // Calls do not need what was lost.
      expect(await one.kv.get('nothing')).toBeUndefined()
      await up
      await until(`${i}`)
    }
    expect(events).toEqual(['down', 'gap', 'up', 'down', 'gap', 'up', 'down', 'gap', 'up'])
    expect([entries, gaps]).toEqual([['0', '1', '2'], []])
    killer.destroy()
    await Promise.all([one.close(), publisher.close()])
  })

  test('notices within seconds that nothing comes through any more, and reads what was missed', async () => {
    await using proxy = await faultProxy({ port: server().port })
    const hearer = redis({ url: `redis://127.0.0.1:${proxy.port}`, prefix: 'hole' })
    const publisher = engine('hole')
    const { events, next } = told(hearer)
    const { entries, gaps, until } = await hear(hearer, 'a')
    const up = next('up')
    proxy.blackHole()
    const names = Array.from({ length: 100 }, (_, i) => `${i}`)
    for (const name of names) await publisher.log.publish('a', Buffer.from(name), KEPT)
    expect(entries).toEqual([])
    await up
    await until('99')
    expect([entries, gaps, events.filter(event => event !== 'gap')]).toEqual([names, [], ['down', 'up']])
    await Promise.all([hearer.close(), publisher.close()])
  })

  test('publishes once when the answer is lost and the call repeated with its key', async () => {
    await using proxy = await faultProxy({ port: server().port })
    const publisher = redis({ url: `redis://127.0.0.1:${proxy.port}`, prefix: 'answer', deadline: 300 })
    const hearer = engine('answer')
    const { entries, until } = await hear(hearer, 'a')
    await publisher.log.publish('a', Buffer.from('first'), KEPT)
    proxy.blackHole('down')
    const lost = publisher.log.publish('a', Buffer.from('second'), { ...KEPT, key: 'k' })
    expect(await lost.catch(error => error.code)).toBe('ENGINE_UNAVAILABLE')
    await until('second')
    proxy.cut()
    const again = () => publisher.log.publish('a', Buffer.from('second'), { ...KEPT, key: 'k' })
    let answer: Awaited<ReturnType<typeof again>> | undefined
    while (!answer) answer = await again().catch(() => undefined)
    expect([answer.duplicate, answer.offset]).toEqual([true, 2])
    await publisher.log.publish('a', Buffer.from('third'), KEPT)
    await until('third')
    expect(entries).toEqual(['first', 'second', 'third'])
    await Promise.all([publisher.close(), hearer.close()])
  })

  test('tells who watches when Redis has lost its members: nobody is told that they have left', async () => {
    const [one, other] = [engine('flushed'), engine('flushed')]
    const heard: string[] = []
    let wanted: { count: number; resolve: () => void } | undefined
    const hear = (what: string): void => {
      heard.push(what)
      if (heard.length === wanted?.count) wanted.resolve()
    }
    const atLeast = (count: number) =>
      new Promise<void>(resolve => {
        wanted = { count, resolve }
        if (heard.length >= count) resolve()
      })
    await one.presence.watch('room', {
      joined: ({ member }) => hear(`${member} joined`),
      left: ({ member }) => hear(`${member} left`),
      gap: () => hear('gap'),
    })
    const info = Buffer.from('')
    await other.presence.join('room', 'ann', info, 1000)
    await other.presence.join('room', 'bob', info, 60_000)
    const client = await redisClient(server().port)
    await client.flushAll()
    client.destroy()
    expect(await other.presence.refresh('room', 'bob', 60_000)).toBe(false)
    await other.presence.join('room', 'bob again', info, 60_000)
    await atLeast(4)
    expect(heard).toEqual(['ann joined', 'bob joined', 'bob again joined', 'gap'])
    expect((await one.presence.members('room')).map(({ member }) => member)).toEqual(['bob again'])
    // From then on it is what there is.
    await other.presence.join('room', 'cid', info, 300)
    await atLeast(6)
    expect(heard.slice(4)).toEqual(['cid joined', 'cid left'])
    await Promise.all([one.close(), other.close()])
  })

  test('subscribes to many channels with few commands, and in the order of each channel', async () => {
    const one = engine('many')
    const asker = await redisClient(server().port)
    await one.log.subscribe('first', { entry() {}, gap() {} })
    await asker.sendCommand(['CONFIG', 'RESETSTAT'])
    const heard: string[] = []
    const names = Array.from({ length: 1200 }, (_, i) => `c${i}`)
    const handler = (name: string) => ({ entry: () => void heard.push(name), gap() {} })
    const subscriptions = await Promise.all(names.map(name => one.log.subscribe(name, handler(name))))
    const calls = async (name: string) => {
      const stats = String(await asker.sendCommand(['INFO', 'commandstats']))
      return Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0)
    }
    expect(await calls('subscribe')).toBe(3)
    // Left and joined in one turn, an odd number of times: the last one counts.
    for (const { close } of subscriptions) close()
    const again = names.map(async name => {
      for (let i = 0; i < 2; i++) (await one.log.subscribe(name, handler('gone'))).close()
      await one.log.subscribe(name, handler(name))
    })
    await Promise.all(again)
    await Promise.all(names.map(name => one.log.publish(name, Buffer.from('1'))))
    await until(async () => heard.length >= names.length)
    expect(heard.sort()).toEqual([...names].sort())
    asker.destroy()
    await one.close()
  })
})

describeServers(
  'an engine on a Redis that writes everything to its disk',
  () => new RedisServer({ appendonly: 'yes', appendfsync: 'always' }),
  server => {
    test('keeps every acknowledged write over a crash, and does not vouch for its channels', async () => {
      const one = redis({ url: `redis://127.0.0.1:${server().port}` })
      const { next } = told(one)
      const { gaps, position } = await hear(one, 'a')
      await one.log.publish('a', Buffer.from('before'), KEPT)
      let isOver = false
      const acked: string[] = []
      const writing = (async () => {
        for (let i = 0; !isOver; i++) {
          const name = `k${i}`
          await one.kv.set(name, Buffer.from(name)).then(
            () => acked.push(name),
            () => {
              isOver = true
            },
          )
          // The crash comes in the middle of the writes.
          if (i === 50) void server().kill()
        }
      })()
      const up = next('up')
      await next('down')
      await server().start()
      await up
      isOver = true
      await writing
      expect(acked.length).toBeGreaterThan(49)
      for (const name of acked) expect(text((await one.kv.get(name))!.value)).toBe(name)
      const after = await one.log.publish('a', Buffer.from('after'), KEPT)
      expect([after.epoch === position.epoch, after.offset]).toEqual([false, 1])
      await until(async () => gaps.length > 0)
      expect(gaps).toEqual(['epoch'])
      await one.close()
    })
  },
)

describeServers(
  'an engine on a Redis that takes a second to read its data',
  () => new RedisServer({ 'key-load-delay': '2000', 'loading-process-events-interval-bytes': '1024' }),
  server => {
    test('works when that is done, though calls were refused when it had connected', async () => {
      const one = redis({ url: `redis://127.0.0.1:${server().port}` })
      const { events, next } = told(one)
      for (let i = 0; i < 500; i++) await one.kv.set(`k${i}`, Buffer.alloc(100))
      const client = await redisClient(server().port)
      await client.sendCommand(['SAVE'])
      client.destroy()
      const [down, up] = [next('down'), next('up')]
      await server().kill()
      await down
      await server().start()
      await up
      expect((await one.kv.get('k499'))?.value.length).toBe(100)
      expect(events.filter(event => event !== 'gap')).toEqual(['down', 'up'])
      await one.close()
    })
  },
)

class Pair {
  // The first replica takes the copy at once.
  readonly master = new RedisServer({ 'repl-diskless-sync-delay': '0' })
  readonly replica = new RedisServer()

  async start(): Promise<void> {
    await Promise.all([this.master.start(), this.replica.start()])
  }

  async stop(): Promise<void> {
    await Promise.all([this.master.stop(), this.replica.stop()])
  }
}

describeServers(
  'an engine on a Redis with a replica',
  () => new Pair(),
  pair => {
    test('begins a new epoch when a replica is promoted that lacks what was acknowledged', async () => {
      const { master, replica } = pair()
      const [first, second] = await Promise.all([redisClient(master.port), redisClient(replica.port)])
      const target = { port: master.port }
      const door = await switchable(target)
      const one = redis({ url: `redis://127.0.0.1:${door.port}` })
      await second.sendCommand(['REPLICAOF', '127.0.0.1', String(master.port)])
      await until(async () => /master_link_status:up/.test(String(await second.sendCommand(['INFO']))))
      const { entries, gaps, until: heard } = await hear(one, 'a')
      const before = await one.log.publish('a', Buffer.from('1'), KEPT)
      await until(async () => Number(await first.sendCommand(['WAIT', '1', '100'])) === 1)
      await second.sendCommand(['REPLICAOF', 'NO', 'ONE'])
      for (const name of ['2', '3']) await one.log.publish('a', Buffer.from(name), KEPT)
      await heard('3')

      target.port = replica.port
      door.cut()
      const publish = (name: string) => one.log.publish('a', Buffer.from(name), { ...KEPT, key: name })
      let after: Awaited<ReturnType<typeof publish>> | undefined
      while (!after) after = await publish('new').catch(() => undefined)
      // With the old epoch this would be its second entry once more.
      expect([after.offset, after.epoch === before.epoch]).toEqual([1, false])
      await heard('new')
      expect([entries, gaps]).toEqual([['1', '2', '3', 'new'], ['epoch']])
      await one.close()
      door.close()
      for (const client of [first, second]) client.destroy()
    })
  },
)

/** A port behind which servers can be exchanged, as an address that a failover moves. */
async function switchable(target: { port: number }) {
  const sockets = new Set<Socket>()
  const server = createServer(client => {
    const upstream = connect({ port: target.port, host: '127.0.0.1' })
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from)
      from.pipe(to)
      from.on('error', () => to.destroy())
      from.on('close', () => {
        sockets.delete(from)
        to.destroy()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const close = () => {
    server.close()
    cut()
  }
  return { port: (server.address() as AddressInfo).port, cut, close }
}
