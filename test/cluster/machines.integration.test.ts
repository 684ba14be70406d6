import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { machineClient, type RemoteActor } from '../../src/services/machine/client.js'
import { describeRedis } from '../support/redis.js'
import { until } from './support.js'

const program = fileURLToPath(new URL('machine-node.mjs', import.meta.url))
const LEASE = 1000
const KEYS = ['a', 'b', 'c', 'd']

type Counter = RemoteActor<{ type: 'add' | 'arm' }, { value: string; count: number }>
interface FromNode {
  readonly id?: number
  readonly value?: unknown
  readonly off?: string
  readonly name?: string
}

/** A server in its own process. */
class Node {
  readonly name: string
  readonly child: ChildProcess
  url = ''
  readonly #waiting = new Map<number, (value: unknown) => void>()
  #last = 0

  constructor(name: string, port: number, off: (what: string) => void) {
    this.name = name
    this.child = fork(program, [`redis://127.0.0.1:${port}`, 'machines', name, String(LEASE)])
    onTestFinished(() => void this.child.kill('SIGKILL'))
    this.child.on('message', (message: FromNode) => {
      if (message.off !== undefined) off(`${message.off} on ${message.name}`)
      else this.#waiting.get(message.id!)?.(message.value)
    })
  }

  async ready(): Promise<this> {
    const [{ ready }] = (await once(this.child, 'message')) as [{ ready: string }]
    this.url = ready
    return this
  }

  do<Value>(command: 'keys' | 'nodes' | 'stop'): Promise<Value> {
    const id = ++this.#last
    this.child.send({ id, command })
    return new Promise<Value>(resolve => this.#waiting.set(id, resolve as (value: unknown) => void))
  }
}

/** A client of one server, which views all keys and counts what it has been told to be done. */
async function visitor(node: Node) {
  const client = createClient({ url: node.url, services: { counter: machineClient }, reconnect: false })
  await client.connect()
  onTestFinished(() => client.close())
  const { counter } = client.api as unknown as { counter: { get(key: string): Counter } }
  const actors = new Map(KEYS.map(key => [key, counter.get(key)]))
  /** Counts that it has seen, by key. */
  const seen = new Map<string, number[]>(KEYS.map(key => [key, []]))
  for (const [key, actor] of actors) {
    actor.subscribe(() => seen.get(key)!.push(actor.getSnapshot()!.count))
  }
  const done = new Map(KEYS.map(key => [key, 0]))
  const failures: string[] = []
  let isOver = false
  const add = async (key: string): Promise<void> => {
    while (!isOver) {
      try {
        await actors.get(key)!.send({ type: 'add' })
        done.set(key, done.get(key)! + 1)
      } catch (error) {
        const { code } = error as { code: string }
        // Its server has been killed.
        if (code === 'NOT_CONNECTED') return
        failures.push(code)
        await new Promise(setImmediate)
      }
    }
  }
  const adding = Promise.all(KEYS.map(add))
  const end = () => {
    isOver = true
    return adding
  }
  return { actors, seen, done, failures, end }
}

describeRedis('machines on three servers in processes of their own', redis => {
  test('move with their state, under load, when a server stops, is paused and is killed', async () => {
    const off: string[] = []
    const [one, other, third] = (await Promise.all(
      ['one', 'other', 'third'].map(name => new Node(name, redis().port, what => off.push(what)).ready()),
    )) as [Node, Node, Node]
    for (const node of [one, other, third]) await until(async () => (await node.do('nodes')) === 3)
    const first = await visitor(one)
    await first.end()
    expect(await one.do('keys')).toEqual(KEYS)
    const visitors = [await visitor(other), await visitor(third)] as const
    const total = (key: string) => [first, ...visitors].reduce((sum, { done }) => sum + done.get(key)!, 0)
    /** Resolves when all keys take events, of both. */
    const progress = async (of: readonly (typeof visitors)[number][]): Promise<void> => {
      const before = of.map(({ done }) => new Map(done))
      await until(() =>
        of.every(({ done }, i) => KEYS.every(key => done.get(key)! > before[i]!.get(key)! + 2)),
      )
    }

    await progress(visitors)
    await one.do('stop')
    await progress(visitors)
    // A planned stop fails nobody's event.
    expect([visitors.map(({ failures }) => failures), await one.do('keys')]).toEqual([[[], []], []])

    // All of them on the one that is going to be paused in the middle of it, about to go off.
    const mine = await other.do<string[]>('keys')
    expect([...mine, ...(await third.do<string[]>('keys'))].sort()).toEqual(KEYS)
    const paused = mine.length > 0 ? other : third
    const [here, there] = paused === other ? visitors : ([visitors[1], visitors[0]] as const)
    const armed = (await paused.do<string[]>('keys'))[0]!
    await there.actors.get(armed)!.send({ type: 'arm' })
    paused.child.kill('SIGSTOP')
    await progress([there])
    await until(() => off.length > 0)
    const survivor = paused === other ? third : other
    paused.child.kill('SIGCONT')
    await progress([here, there])
    expect(await survivor.do('keys')).toEqual(KEYS)
    expect(await paused.do('keys')).toEqual([])
    // What was due when it went on was no longer its own.
    expect(off).toEqual([`${armed} on ${survivor.name}`])

    survivor.child.kill('SIGKILL')
    await progress([here])
    await Promise.all([here.end(), there.end()])
    expect(await paused.do('keys')).toEqual(KEYS)
    // Nobody knows of these whether they count.
    const failures = new Set([...here.failures, ...there.failures])
    expect(
      [...failures].filter(code => !['CONNECTION_LOST', 'PERSIST_FAILED', 'TIMEOUT'].includes(code)),
    ).toEqual([])
    for (const key of KEYS) {
      // Every event that was acknowledged counts, and none twice; it is seen a little later where its actor has just moved.
      await until(() => here.actors.get(key)!.getSnapshot()!.count >= total(key))
      const { count } = here.actors.get(key)!.getSnapshot()!
      expect(count).toBeLessThanOrEqual(total(key) + here.failures.length + there.failures.length)
      const seen = here.seen.get(key)!
      expect(seen).toEqual([...seen].sort((a, b) => a - b))
    }
  }, 60_000)
})
