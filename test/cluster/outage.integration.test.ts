import { randomUUID } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { presenceClient, type RemotePresence } from '../../src/services/presence/client.js'
import { channelsClient, type Recovered } from '../../src/services/pubsub/channels-client.js'
import { pubsubClient } from '../../src/services/pubsub/client.js'
import { describeRedis, describeServers, RedisServer, redisClient } from '../support/redis.js'
import { Node } from './processes.js'
import { until } from './support.js'

interface Api {
  readonly feed: {
    on(event: 'said', listener: (what: number) => void): void
    subscribe(channel: string): Promise<unknown>
    onrecovered(listener: (channel: string, how: Recovered) => void): void
  }
  readonly chat: {
    on(event: 'said', listener: (what: number) => void): void
    subscribe(channel: string): Promise<unknown>
  }
  readonly work: { echo(what: string): Promise<string> }
  readonly here: {
    join(channel: string, meta: null): Promise<void>
    leave(channel: string): Promise<void>
    watch(channel: string): RemotePresence<unknown>
  }
}

const USERS = ['ann', 'bob']
/** Milliseconds until calls of a Redis that is not there fail. */
const DEADLINE = 2000

/** A client of one of them, and what it is told: it keeps its connection whatever becomes of Redis. */
async function connect(node: Node, user: string) {
  const client = createClient({
    url: `${node.url}?user=${user}`,
    services: { chat: pubsubClient, feed: channelsClient, here: presenceClient },
    // A machine that is busy may be silent for too long: it resumes then.
    reconnect: { minDelay: 10, maxDelay: 200 },
  })
  onTestFinished(() => client.close())
  await client.connect()
  const id = client.connectionId
  const { feed, chat, here, work } = client.api as unknown as Api
  const kept: number[] = []
  const plain: number[] = []
  const recoveries: [channel: string, how: Recovered][] = []
  feed.on('said', what => kept.push(what))
  feed.onrecovered((...recovery) => recoveries.push(recovery))
  chat.on('said', what => plain.push(what))
  await feed.subscribe('kept')
  await chat.subscribe('plain')
  await here.join('room', null)
  const room = here.watch('room')
  await room.ready
  /** Who is there with a device, as this client sees it. */
  const seen = () =>
    room.getSnapshot().ready
      ? room.getSnapshot().members.flatMap(({ user, devices }) => (devices.length > 0 ? [user] : []))
      : []
  /** Users as they go. */
  const gone: string[] = []
  const users = () => new Set(room.getSnapshot().members.map(({ user }) => user))
  let before = users()
  room.subscribe(() => {
    if (!room.getSnapshot().ready) return
    const now = users()
    for (const user of before) if (!now.has(user)) gone.push(user)
    before = now
  })
  return { client, id, user, here, work, kept, plain, recoveries, seen, gone }
}

interface Pair {
  readonly nodes: readonly [Node, Node]
  readonly clients: readonly Awaited<ReturnType<typeof connect>>[]
}

/** Two servers. */
async function startNodes(port: number, prefix: string): Promise<Pair['nodes']> {
  const nodes = await Promise.all([
    Node.start(port, prefix, 'one', { deadline: DEADLINE }),
    Node.start(port, prefix, 'other', { deadline: DEADLINE }),
  ])
  onTestFinished(() => Promise.all(nodes.map(node => node.kill())).then(() => undefined))
  return nodes
}

/** Waits until two servers know each other, and gives each a client. */
async function together(nodes: Pair['nodes']): Promise<Pair> {
  await Promise.all(nodes.map(node => node.do('watch')))
  await until(async () => (await eachDoes<string[]>(nodes, 'nodes')).every(names => names.length === 2))
  const clients = await Promise.all(nodes.map((node, at) => connect(node, USERS[at]!)))
  await until(() => clients.every(({ seen }) => seen().length === 2))
  const pair = { nodes, clients }
  await exchange(pair)
  expect(await counts(pair)).toEqual([1, 2])
  expect(await ready(pair)).toEqual([200, 200])
  return pair
}

function eachDoes<Value>(nodes: readonly Node[], command: string, argument?: unknown): Promise<Value[]> {
  return Promise.all(nodes.map(node => node.do<Value>(command, argument)))
}

/** What `/readyz` of both says. */
function ready({ nodes }: Pair): Promise<number[]> {
  return Promise.all(nodes.map(async ({ port }) => (await fetch(`http://127.0.0.1:${port}/readyz`)).status))
}

/** Has both count one after the other, where the counter lives: once each, however often it has to be asked. */
async function counts({ nodes }: Pair): Promise<unknown[]> {
  const found: unknown[] = []
  for (const node of nodes) {
    const once = randomUUID()
    await until(async () => {
      const outcome = await node.do('count', ['counter', 1000, once])
      if (Array.isArray(outcome)) found.push(outcome[1])
      else expect(['TIMEOUT', 'NO_RESPONDER', 'CONNECTION_LOST', 'ENGINE_UNAVAILABLE']).toContain(outcome)
      return Array.isArray(outcome)
    })
  }
  return found
}

let numbers = 0
/** Numbers that nobody has had. */
function fresh(count: number): { readonly from: number; readonly to: number; readonly all: number[] } {
  const from = numbers
  numbers += count
  return { from, to: numbers, all: Array.from({ length: count }, (_, at) => from + at) }
}

/** Both publish to the clients of both: each hears everything once, of what is kept in one order. */
async function exchange({ nodes, clients }: Pair): Promise<void> {
  const kept = nodes.map(() => fresh(100))
  const plain = nodes.map(() => fresh(100))
  const [first, last] = [kept[0]!.from, plain[1]!.to]
  await Promise.all([
    ...nodes.map((node, at) => node.do('acknowledged', ['kept', kept[at]!.from, kept[at]!.to])),
    ...nodes.map((node, at) => node.do('publish', ['channel', 'plain', plain[at]!.from, plain[at]!.to])),
  ])
  const of = (heard: readonly number[]) => heard.filter(i => i >= first && i < last)
  await until(() => clients.every(one => of(one.kept).length >= 200 && of(one.plain).length >= 200))
  const [ann, bob] = clients.map(one => of(one.kept))
  expect(ann).toEqual(bob)
  for (const { all } of kept) expect(ann!.filter(i => all.includes(i))).toEqual(all)
  for (const one of clients) {
    for (const { all } of plain) expect(of(one.plain).filter(i => all.includes(i))).toEqual(all)
    expect(of(one.kept).length + of(one.plain).length).toBe(400)
  }
}

/** Waits until the engines of both have told that they work again, after they have told once that they do not. */
async function upAgain({ nodes }: Pair): Promise<void> {
  await until(() => nodes.every(({ engine }) => engine.length > 1))
  for (const { engine } of nodes) expect(engine).toEqual(['down', 'up'])
}

/** Waits until both have found Redis again, and each other. */
async function healed(pair: Pair): Promise<void> {
  const { nodes, clients } = pair
  await until(async () => (await ready(pair)).every(status => status === 200))
  await until(async () => (await eachDoes<string[]>(nodes, 'nodes')).every(names => names.length === 2))
  await until(async () => (await eachDoes(nodes, 'present', 'room')).every(count => count === 2))
  await until(() => clients.every(({ seen }) => seen().length === 2))
}

/** Nobody was told twice that somebody has left, and nobody is there for ever. */
async function leavings({ nodes, clients }: Pair): Promise<void> {
  const most = (users: readonly string[]) =>
    Math.max(...USERS.map(user => users.filter(one => one === user).length))
  for (const { gone } of clients) expect(most(gone)).toBeLessThanOrEqual(1)
  expect(most(nodes.flatMap(({ gone }) => gone))).toBeLessThanOrEqual(1)
  const [ann, bob] = clients
  const before = [ann!, bob!].map(({ gone }) => gone.length)
  await ann!.here.leave('room')
  await until(() => [ann!, bob!].every(({ seen }) => seen().join() === 'bob'))
  expect([ann!, bob!].map(({ gone }, at) => gone.slice(before[at]))).toEqual([['ann'], ['ann']])
}

/** What is true in the end, whatever has happened. */
function ends({ clients }: Pair): void {
  for (const { client, id, kept, plain } of clients) {
    expect(client.connectionId).toBe(id)
    expect(new Set(kept).size).toBe(kept.length)
    expect(new Set(plain).size).toBe(plain.length)
  }
}

/** Redis has gone: what needs it fails, everything else goes on. Resolves to what has failed. */
async function goesOnAlone(pair: Pair): Promise<number[]> {
  const { nodes, clients } = pair
  const failing = fresh(2).all
  const failed = Promise.all(nodes.map((node, at) => node.do('once', ['kept', failing[at]])))
  for (const [at, node] of nodes.entries()) {
    const { work, plain, user } = clients[at]!
    const [own, all, topic] = [fresh(20), fresh(20), fresh(20)]
    await node.do('publish', ['user', user, own.from, own.to])
    await node.do('publish', ['all', null, all.from, all.to])
    await node.do('publish', ['channel', 'plain', topic.from, topic.to])
    await until(() => plain.includes(topic.to - 1))
    expect(plain.filter(i => i >= own.from)).toEqual([...own.all, ...all.all, ...topic.all])
    expect(await work.echo(`${user} is served`)).toBe(`${user} is served`)
  }
  expect(await failed).toEqual(['ENGINE_UNAVAILABLE', 'ENGINE_UNAVAILABLE'])
  expect(nodes.map(({ engine }) => engine)).toEqual([['down'], ['down']])
  await until(async () => (await ready(pair)).every(status => status === 503))
  return failing
}

/** Clients are told of the gap once, and what had failed is published by its key. */
async function goOnInAnotherEpoch({ nodes, clients }: Pair, failed: readonly number[]): Promise<void> {
  await until(() => clients.every(({ recoveries }) => recoveries.length > 0))
  for (const { recoveries } of clients) {
    expect(recoveries).toEqual([['kept', { recovered: false, reason: 'epoch', count: 0 }]])
  }
  for (const [at, node] of nodes.entries()) {
    expect(await node.do('once', ['kept', failed[at]])).toMatchObject({ duplicate: false })
    expect(await nodes[1 - at]!.do('once', ['kept', failed[at]])).toMatchObject({ duplicate: true })
  }
  await until(() => clients.every(({ kept }) => failed.every(i => kept.includes(i))))
}

/** Two servers with clients before, while and after Redis has crashed; gives what they count afterwards. */
async function throughCrash(redis: RedisServer, prefix: string): Promise<unknown> {
  const pair = await together(await startNodes(redis.port, prefix))
  await redis.kill()
  const failed = await goesOnAlone(pair)
  await redis.start()
  await upAgain(pair)
  await healed(pair)
  await goOnInAnotherEpoch(pair, failed)
  await exchange(pair)
  const counted = await counts(pair)
  await leavings(pair)
  ends(pair)
  return counted
}

describeRedis('servers whose Redis', redis => {
  test('is killed serve on alone, and find each other again on an empty one', async () => {
    expect(await throughCrash(redis(), 'killed')).toEqual([1, 2])
  }, 60_000)

  test('is away when they start begin alone, and join each other when it is there', async () => {
    await redis().kill()
    const nodes = await startNodes(redis().port, 'late')
    const client = createClient({ url: nodes[0].url, reconnect: false })
    onTestFinished(() => client.close())
    await client.connect()
    const { work } = client.api as unknown as Api
    expect(await work.echo('served')).toBe('served')
    expect((await fetch(`http://127.0.0.1:${nodes[0].port}/readyz`)).status).toBe(503)
    await redis().start()
    ends(await together(nodes))
  }, 60_000)

  test('loses all data while they run enter it again, and tell clients of the gap', async () => {
    const pair = await together(await startNodes(redis().port, 'flushed'))
    const { nodes } = pair
    const client = await redisClient(redis().port)
    onTestFinished(() => client.destroy())
    await client.flushAll()
    await healed(pair)
    // A channel is known to have begun anew when it is published to, at the latest by the check of its position.
    const unheard = fresh(1)
    await nodes[0].do('acknowledged', ['kept', unheard.from, unheard.to])
    await goOnInAnotherEpoch(pair, fresh(2).all)
    expect(nodes.map(({ engine }) => engine)).toEqual([[], []])
    expect(await ready(pair)).toEqual([200, 200])
    await exchange(pair)
    expect(await counts(pair)).toEqual([1, 2])
    await leavings(pair)
    ends(pair)
  }, 60_000)

  test('is frozen until it is given up for lost lose nothing that was acknowledged', async () => {
    const pair = await together(await startNodes(redis().port, 'frozen'))
    const { nodes, clients } = pair
    const acknowledged: number[] = []
    const failed: number[] = []
    let isOver = false
    let isFrozen = false
    /** Publishes until it is over, ten at a time; with keys what fails is repeated. */
    const publish = async (node: Node, keyed: boolean): Promise<void> => {
      const one = async (i: number): Promise<void> => {
        for (;;) {
          const outcome = keyed
            ? await node.do('once', ['kept', i])
            : await node.do('acknowledged', ['kept', i, i + 1])
          if (typeof outcome === 'object') return void acknowledged.push(i)
          expect(outcome).toBe('ENGINE_UNAVAILABLE')
          failed.push(i)
          if (!keyed) return
        }
      }
      while (!isOver) await Promise.all(fresh(10).all.map(one))
    }
    const publishing = nodes.flatMap(node => [publish(node, true), publish(node, false)])
    const more = async (count: number): Promise<void> => {
      const before = acknowledged.length
      await until(() => acknowledged.length >= before + count)
    }
    await more(200)
    redis().freeze()
    isFrozen = true
    onTestFinished(() => {
      if (isFrozen) redis().thaw()
    })
    await until(() => nodes.every(({ engine }) => engine.includes('down')))
    await until(async () => (await ready(pair)).every(status => status === 503))
    redis().thaw()
    isFrozen = false
    await upAgain(pair)
    await healed(pair)
    await more(200)
    isOver = true
    await Promise.all(publishing)
    expect(failed.length).toBeGreaterThan(0)
    await until(() => clients.every(({ kept }) => acknowledged.every(i => kept.includes(i))))
    const [ann, bob] = clients.map(({ kept }) => kept)
    await until(() => ann!.length === bob!.length)
    expect(ann).toEqual(bob)
    for (const { recoveries } of clients) expect(recoveries).toEqual([])
    await exchange(pair)
    expect(await counts(pair)).toEqual([3, 4])
    await leavings(pair)
    ends(pair)
  }, 60_000)
})

describeServers(
  'servers whose Redis writes everything to its disk',
  () => new RedisServer({ appendonly: 'yes', appendfsync: 'always' }),
  redis => {
    test('find each other again after a crash of it, and count on: only its channels begin anew', async () => {
      expect(await throughCrash(redis(), 'written')).toEqual([3, 4])
    }, 60_000)
  },
)
