import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { sse } from '../../src/client/sse.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import { pubsubClient } from '../../src/services/pubsub/client.js'
import { describeRedis } from '../support/redis.js'
import { balancer as httpBalancer } from './forward-support.js'
import { connectLoad, isOneSequence } from './load.js'
import { balancer, Node } from './processes.js'
import { until } from './support.js'

interface Channels {
  on(event: 'said', listener: (i: number) => void): void
  subscribe(channel: string): Promise<unknown>
}

/** A client of one of them, and the numbers that it hears. */
async function listen(node: Node, user: string) {
  const client = createClient({
    url: `${node.url}?user=${user}`,
    services: { chat: pubsubClient, feed: channelsClient },
    reconnect: false,
  })
  await client.connect()
  onTestFinished(() => client.close())
  const heard: number[] = []
  const { chat, feed, work } = client.api as unknown as Record<'chat' | 'feed', Channels> & {
    work: { session(): Promise<string> }
  }
  for (const service of [chat, feed]) service.on('said', i => heard.push(i))
  return { heard, chat, feed, work, id: client.connectionId }
}

const NAMES = ['one', 'other', 'third']

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

describeRedis('servers in processes of their own, on one Redis', redis => {
  const nodes: Node[] = []

  beforeAll(async () => {
    nodes.push(...(await Promise.all(NAMES.map(name => Node.start(redis().port, 'nodes', name)))))
    for (const node of nodes) {
      await until(async () => (await node.do<string[]>('nodes')).length === NAMES.length)
    }
  }, 60_000)
  afterAll(() => Promise.all(nodes.map(node => node.kill())))

  test('publish to each other: everything once, and in order', async () => {
    const [one, other] = nodes as [Node, Node]
    const [near, far] = [await listen(one, 'ann'), await listen(other, 'ann')]
    await one.do('publish', ['user', 'ann', 0, 300])
    await other.do('publish', ['all', null, 300, 600])
    await until(() => near.heard.length >= 600 && far.heard.length >= 600)
    expect(far.heard.filter(i => i < 300)).toEqual(range(0, 300))
    expect(near.heard.filter(i => i >= 300)).toEqual(range(300, 600))
    expect([near.heard.length, far.heard.length]).toEqual([600, 600])

    await near.feed.subscribe('kept')
    await far.feed.subscribe('kept')
    const offsets = await Promise.all([
      one.do<number[]>('acknowledged', ['kept', 1000, 1200]),
      other.do<number[]>('acknowledged', ['kept', 2000, 2200]),
    ])
    expect(offsets.flat().sort((a, b) => a - b)).toEqual(range(1, 401))
    await until(() => near.heard.length >= 1000 && far.heard.length >= 1000)
    expect(near.heard.slice(600)).toEqual(far.heard.slice(600))
    expect(far.heard.slice(600).filter(i => i < 2000)).toEqual(range(1000, 1200))
  })

  test('publish to one session and to one connection, whichever of them has it', async () => {
    const [one, other, third] = nodes as [Node, Node, Node]
    const [far, near] = [await listen(other, 'ann'), await listen(one, 'ann')]
    const apart = await listen(third, 'ann')
    const session = await far.work.session()
    await one.do('publish', ['session', session, 0, 100])
    await one.do('publish', ['connection', far.id, 100, 200])
    await third.do('publish', ['session', session, 200, 300])
    await third.do('publish', ['connection', near.id, 300, 400])
    await other.do('publish', ['connection', far.id, 400, 500])
    // What all hear comes behind it.
    for (const [at, node] of nodes.entries()) await node.do('publish', ['all', null, 1000 + at, 1001 + at])
    const ends = range(1000, 1003)
    await until(() => [far, near, apart].every(({ heard }) => ends.every(i => heard.includes(i))))
    const mine = ({ heard }: { heard: readonly number[] }) => heard.filter(i => i < 1000)
    expect(mine(far).filter(i => i < 200)).toEqual(range(0, 200))
    expect(mine(far).filter(i => i >= 200 && i < 300)).toEqual(range(200, 300))
    expect(mine(far).filter(i => i >= 400)).toEqual(range(400, 500))
    expect(mine(far).length).toBe(400)
    expect(mine(near)).toEqual(range(300, 400))
    expect(mine(apart)).toEqual([])
  })

  test('publish all at once to clients of all: each hears everything once, in one order', async () => {
    const channels = ['first', 'second']
    const listeners = await Promise.all(nodes.flatMap(node => [listen(node, 'ann'), listen(node, 'bob')]))
    for (const { feed } of listeners) for (const channel of channels) await feed.subscribe(channel)
    const ranges = nodes.map((_, at) =>
      channels.map((_, of) => range(at * 1000 + of * 500, at * 1000 + of * 500 + 100)),
    )
    await Promise.all(
      nodes.flatMap((node, at) =>
        channels.map((channel, of) => {
          const numbers = ranges[at]![of]!
          return node.do('acknowledged', [channel, numbers[0], numbers.at(-1)! + 1])
        }),
      ),
    )
    const all = ranges.flat(2)
    await until(() => listeners.every(({ heard }) => heard.length >= all.length))
    for (const { heard } of listeners) {
      expect([...heard].sort((a, b) => a - b)).toEqual(all)
      for (const numbers of ranges.flat()) expect(heard.filter(i => numbers.includes(i))).toEqual(numbers)
    }
    // The order is that of each channel.
    for (const [of] of channels.entries()) {
      const numbers = new Set(ranges.flatMap(each => each[of]!))
      const [first, ...others] = listeners.map(({ heard }) => heard.filter(i => numbers.has(i)))
      for (const other of others) expect(other).toEqual(first)
    }
  }, 60_000)

  test('are replaced one after the other under load: no call fails or runs twice, and everybody hears everything', async () => {
    const serving = [...nodes]
    const load = await connectLoad(await balancer(serving), 3)
    const absences = await load.watch()
    await load.calls(20)
    const fresh = Promise.all(nodes.map((_, at) => Node.start(redis().port, 'nodes', NAMES[at]!)))
    for (const [at, node] of (await fresh).entries()) {
      const [old] = serving.splice(at, 1, node)
      expect(await old!.end('SIGTERM')).toBe(0)
      nodes[at] = node
      await load.calls(20)
    }
    const { done, failed } = await load.stop()
    expect(failed).toEqual([])
    await until(() => load.heard.every(heard => heard.length >= done.length))
    expect(load.heard.map(heard => [...heard].sort())).toEqual(load.heard.map(() => [...done].sort()))
    expect(isOneSequence(load.heard)).toBe(true)
    // What is not kept has moved with the connections, as their rooms, topics and places have.
    const all = [...done].sort()
    await until(() =>
      load.told.every(({ of }) => [of.all, of.topic, of.room].every(ids => ids.length >= all.length)),
    )
    for (const { user, of } of load.told) {
      for (const ids of [of.all, of.topic, of.room]) expect([...ids].sort()).toEqual(all)
      expect([...of.own].sort()).toEqual([...load.doneBy.get(user)!].sort())
    }
    expect(absences).toEqual([])
  }, 60_000)

  test('take POSTs of a client whose stream another one has: none is sticky, and each call runs once, in order', async () => {
    const { url } = await httpBalancer(nodes.map(({ port }) => port))
    const welcomed = async () => {
      const counts = await Promise.all(nodes.map(node => node.do<number>('welcomed')))
      return counts.reduce((sum, count) => sum + count, 0)
    }
    const before = await welcomed()
    const client = createClient({ url, transport: sse() })
    onTestFinished(() => client.close())
    await client.connect()
    const { work } = client.api as unknown as { work: { echo(what: number): Promise<number> } }
    const answers: number[] = []
    for (let number = 0; number < 30; ) {
      const wave = Array.from({ length: 1 + (number % 3) }, () => work.echo(number++))
      answers.push(...(await Promise.all(wave)))
    }
    expect(answers).toEqual(range(0, answers.length))
    expect((await welcomed()) - before).toBe(1)
  })

  /** Who has counted, and how far: once, however often it has to be asked. */
  const count = async (node: Node, key: string) => {
    const once = randomUUID()
    return (await firstOf(() => node.do<[string, number, number]>('count', [key, 500, once]))).slice(0, 2)
  }

  test('name who is silent, take over from who is killed, and refuse who comes back too late', async () => {
    const [one, other, third] = nodes as [Node, Node, Node]
    expect(await one.do('call', ['who third'])).toBe('third')
    expect(await count(one, 'a')).toEqual(['one', 1])
    expect(await count(other, 'a')).toEqual(['one', 2])
    expect(await count(third, 'b')).toEqual(['third', 1])

    third.child.kill('SIGSTOP')
    const stats = await one.do<{ nodes: string[]; silent: string[] }>('stats', 200)
    expect([stats.nodes.sort(), stats.silent]).toEqual([[one.id, other.id].sort(), [third.id]])
    // Frozen, it holds its key until its lease is over.
    expect(await count(other, 'b')).toEqual(['other', 2])
    await one.kill()
    expect(await count(other, 'a')).toEqual(['other', 3])
    await until(() => [one, third].every(({ id }) => other.left.includes(id)))
    expect(other.left.filter(id => id === one.id || id === third.id).length).toBe(2)

    third.child.kill('SIGCONT')
    await until(async () => (await other.do<string[]>('nodes')).length === 2)
    // It has learnt that the key is not its own any more: its calls go to the other one.
    expect(await count(third, 'b')).toEqual(['other', 3])
    expect(await third.do('keys')).toEqual([])
  })

  test('lose no acknowledged message when one is killed under load, and tell once that its client is gone', async () => {
    const [, other, killed] = nodes as [Node, Node, Node]
    const serving = [other, killed]
    const mortal = await connectLoad(killed.url, 1, { name: 'mortal', reconnect: false })
    const load = await connectLoad(await balancer(serving), 3, { keyed: false })
    const absences = await load.watch()
    await load.calls(10)
    await killed.kill()
    serving.pop()
    await load.calls(20)
    await until(() => absences.length > 0)
    const { done, failed } = await load.stop()
    await mortal.stop()
    expect(failed).toEqual([])
    await until(() => done.every(id => load.heard.every(heard => heard.includes(id))))
    expect(load.heard.map(heard => new Set(heard).size)).toEqual(load.heard.map(heard => heard.length))
    expect(isOneSequence(load.heard)).toBe(true)
    expect(absences).toEqual(['mortal 0'])
    await until(async () => (await other.do<string[]>('nodes')).length === 1)
  }, 60_000)
})

/** Repeats a call that failed for now: its outcome is told by a list. */
async function firstOf<Value>(call: () => Promise<Value>): Promise<Value> {
  for (;;) {
    const outcome = await call()
    if (Array.isArray(outcome)) return outcome
    expect(['TIMEOUT', 'NO_RESPONDER', 'INTERNAL', 'CONNECTION_LOST']).toContain(outcome)
  }
}
