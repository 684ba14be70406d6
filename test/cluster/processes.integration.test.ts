import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import { pubsubClient } from '../../src/services/pubsub/client.js'
import { describeRedis } from '../support/redis.js'
import { until } from './support.js'

const program = fileURLToPath(new URL('node.mjs', import.meta.url))

/** A server of the cluster in its own process. */
class Node {
  readonly child: ChildProcess
  /** Ids of servers that it says have left. */
  readonly left: string[] = []
  url = ''
  id = ''
  readonly #waiting = new Map<number, (message: { value?: unknown; code?: string }) => void>()
  #last = 0

  constructor(port: number, prefix: string, name: string) {
    this.child = fork(program, [`redis://127.0.0.1:${port}`, prefix, name])
  }

  static async start(port: number, prefix: string, name: string): Promise<Node> {
    const node = new Node(port, prefix, name)
    const [{ ready }] = (await once(node.child, 'message')) as [{ ready: { url: string; node: string } }]
    node.url = ready.url
    node.id = ready.node
    node.child.on('message', (message: { id?: number; left?: string; value?: unknown; code?: string }) => {
      if (message.left !== undefined) node.left.push(message.left)
      else node.#waiting.get(message.id!)?.(message)
    })
    return node
  }

  /** Has it do something; resolves to the value, or the code of the error. */
  async do<Value = unknown>(command: string, argument?: unknown): Promise<Value> {
    const id = ++this.#last
    this.child.send({ id, command, argument })
    const { value, code } = await new Promise<{ value?: unknown; code?: string }>(resolve =>
      this.#waiting.set(id, resolve),
    )
    return (code ?? value) as Value
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const gone = once(this.child, 'exit')
    this.child.kill('SIGKILL')
    await gone
  }
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
  const { chat, feed } = client.api as unknown as Record<
    string,
    { on(event: string, listener: (i: number) => void): void; subscribe(channel: string): Promise<unknown> }
  >
  for (const service of [chat!, feed!]) service.on('said', i => heard.push(i))
  return { heard, chat: chat!, feed: feed! }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

describeRedis('servers in processes of their own, on one Redis', redis => {
  const nodes: Node[] = []

  beforeAll(async () => {
    const names = ['one', 'other', 'third']
    nodes.push(...(await Promise.all(names.map(name => Node.start(redis().port, 'nodes', name)))))
    for (const node of nodes) {
      await until(async () => (await node.do<string[]>('nodes')).length === names.length)
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

  /** Who has counted, and how far. */
  const count = async (node: Node, key: string) =>
    (await firstOf(() => node.do<[string, number, number]>('count', [key, 500]))).slice(0, 2)

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
    await until(() => other.left.length >= 2)
    expect([...other.left].sort()).toEqual([one.id, third.id].sort())

    third.child.kill('SIGCONT')
    await until(async () => (await other.do<string[]>('nodes')).length === 2)
    // It has learnt that the key is not its own any more: its calls go to the other one.
    expect(await count(third, 'b')).toEqual(['other', 3])
    expect(await third.do('keys')).toEqual([])
  })
})

/** Repeats a call that failed for now: its outcome is told by a list. */
async function firstOf<Value>(call: () => Promise<Value>): Promise<Value> {
  for (;;) {
    const outcome = await call()
    if (Array.isArray(outcome)) return outcome
    expect(['TIMEOUT', 'NO_RESPONDER', 'INTERNAL']).toContain(outcome)
  }
}
