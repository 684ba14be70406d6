import session from 'express-session'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Nodes } from '../../src/cluster/nodes.js'
import { memory } from '../../src/engines/memory.js'
import type { Subscription } from '../../src/engines/presence.js'
import { createLogger } from '../../src/log.js'
import { virtualTime } from '../../src/testing/index.js'
import { away, forgetful, through } from './engine-faults.js'
import { knows, put, startNode } from './support.js'

const LEASE = 3000
const cluster = { lease: LEASE }

/** Virtual time for the test; what is to be ended while it lasts is ended before. */
function underVirtualTime() {
  const time = virtualTime()
  onTestFinished(() => time.restore())
  return time
}

describe('a server that could not join at once', () => {
  /** An engine that counts what a server asks of it, and refuses what is said. */
  function counted(refused: (name: string, args: readonly unknown[]) => boolean) {
    const engine = memory()
    onTestFinished(() => engine.close())
    const counts: Record<string, number> = {}
    const own = through(engine, (name, call, args) => {
      if (refused(name, args)) return Promise.reject(away())
      counts[name] = (counts[name] ?? 0) + 1
      return call()
    })
    return { engine, own: own.engine, counts }
  }

  test.each([
    ['it could listen and not enter the list', 'presence.join', undefined],
    ['it could not listen to one of two places', 'bus.listen', '$cluster'],
    ['it could not watch', 'presence.watch', undefined],
  ])('hears once what comes, by one renewal at a time: %s', async (_why, refused, place) => {
    const time = underVirtualTime()
    let isFull = true
    const { engine, own, counts } = counted((name, [first]) => {
      return isFull && name === refused && (place === undefined || first === place)
    })
    const one = await time.until(startNode(engine, { cluster }))
    const other = await time.until(startNode(own, { cluster }))
    const far = await other.client('ann')
    await time.advance(5000)
    isFull = false
    await time.advance(2000)
    expect(await one.app.cluster.nodes()).toHaveLength(2)
    one.app.api.chat.publish.user('ann', 'said', 'once')
    one.app.api.chat.publish.user('ann', 'said', 'last')
    expect(await far.atLeast(2)).toEqual(['once', 'last'])
    await time.settle()
    expect(far.heard).toEqual(['once', 'last'])
    expect([counts['bus.listen'], counts['presence.watch']]).toEqual([2, 1])
    const before = counts['presence.refresh'] ?? 0
    await time.advance(LEASE)
    expect(counts['presence.refresh']! - before).toBe(3)
  })

  test('leaves nothing behind when it stops', async () => {
    const time = underVirtualTime()
    let isFull = true
    const { engine, own, counts } = counted(name => isFull && name === 'presence.join')
    await time.until(startNode(engine, { cluster }))
    const other = await time.until(startNode(own, { cluster }))
    await time.advance(5000)
    isFull = false
    await time.advance(2000)
    await time.until(other.app.stop({ drain: 0 }))
    const before = { ...counts }
    await time.advance(10 * LEASE)
    expect(counts).toEqual(before)
  })

  test('does not come back when it is stopped while it tries', async () => {
    const time = underVirtualTime()
    const { engine, own, counts } = counted(name => name === 'presence.join')
    await time.until(startNode(engine, { cluster }))
    const other = await time.until(startNode(own, { cluster }))
    await time.advance(1500)
    await time.until(other.app.stop({ drain: 0 }))
    const before = { ...counts }
    await time.advance(10 * LEASE)
    expect(counts).toEqual(before)
  })
})

describe('the list of servers', () => {
  const settings = { name: 'one', lease: LEASE, deadline: 1000 }
  const log = createLogger(undefined, 'test')

  /** A list over an engine that is slow to watch. */
  function slowToWatch() {
    const engine = memory()
    onTestFinished(() => engine.close())
    const open: (() => Promise<void>)[] = []
    let watches = 0
    const { engine: own } = through(engine, (name, call) => {
      if (name !== 'presence.watch') return call()
      return new Promise(resolve => {
        open.push(async () => {
          const watch = (await call()) as Subscription
          watches++
          resolve({
            close() {
              watches--
              watch.close()
            },
          })
        })
      })
    })
    const joined: string[] = []
    const events = { joined: (id: string) => void joined.push(id), left: () => undefined }
    const nodes = new Nodes('one', own.presence!, settings, events, log)
    onTestFinished(() => nodes.leave())
    return { engine, nodes, open, joined, watching: () => watches }
  }

  test('is watched once, however many want it at a time', async () => {
    const { engine, nodes, open, joined, watching } = slowToWatch()
    const entered = nodes.join()
    nodes.answers('a', true)
    nodes.answers('b', true)
    for (const each of open) await each()
    await entered
    await engine.presence.join(
      '$cluster',
      'other',
      (await engine.presence.members('$cluster'))[0]!.info,
      LEASE,
    )
    await new Promise(setImmediate)
    expect([open.length, watching(), joined]).toEqual([1, 1, ['other']])
    await nodes.leave()
    expect(watching()).toBe(0)
  })

  test('is not watched by one that has left before it was', async () => {
    const { engine, nodes, open, watching } = slowToWatch()
    const entered = nodes.join()
    await nodes.leave()
    for (const each of open) await each()
    await entered
    expect([watching(), await engine.presence.count('$cluster')]).toEqual([0, 0])
  })
})

describe('when the engine has lost its data', () => {
  /** Two servers that know each other, and what one hears of the others. */
  async function two(options: object = {}) {
    const time = underVirtualTime()
    const shared = forgetful()
    onTestFinished(() => shared.close())
    const sessionStore = new session.MemoryStore()
    const cut = { isCut: false }
    const start = async (name: string) => {
      const own = through(shared.engine, (called, call) => {
        return name === 'mortal' && cut.isCut && called !== 'bus.listen' ? Promise.reject(away()) : call()
      })
      const node = await time.until(
        startNode(own.engine, { sessionStore, cluster: { ...cluster, name }, ...options }),
      )
      onTestFinished(() => time.until(node.app.stop({ drain: 0 })))
      return { ...node, emit: own.emit }
    }
    const [one, other] = [await start('one'), await start('other')]
    await knows(one.app, 1)
    await knows(other.app, 1)
    const heard: string[] = []
    for (const event of ['joined', 'left'] as const) {
      one.app.cluster.on(event, id => heard.push(`${event} ${id}`))
      other.app.cluster.on(event, id => heard.push(`${event} ${id}`))
    }
    return { time, ...shared, start, one, other, heard, sessionStore, cut }
  }

  test('servers take each other for there, and what they say comes', async () => {
    const { time, forget, one, other, heard, sessionStore } = await two()
    await put(sessionStore, 'abc', { user: 'ann' })
    other.app.cluster.answer('who', () => 'other')
    const [far, stranger] = [await other.client('ann', 'abc'), await other.client('bob')]
    await one.app.cluster.nodes()
    await forget()
    expect(await one.app.cluster.nodes()).toHaveLength(2)
    expect(await one.app.cluster.call('who')).toBe('other')
    expect((await one.app.cluster.stats()).nodes.size).toBe(2)
    one.app.api.chat.publish.user('ann', 'said', 'still here')
    expect(await far.atLeast(1)).toEqual(['still here'])
    await one.app.sessions.destroy('abc')
    expect(await far.closed).toBe(4405)
    other.app.api.chat.publish.user('bob', 'said', 'you too')
    expect(await stranger.atLeast(1)).toEqual(['you too'])
    await time.advance(3 * LEASE)
    expect(heard).toEqual([])
  })

  test.each(['gap', 'up'] as const)('a server enters the list at once on `%s`', async event => {
    const { time, engine, forget, one, other, heard } = await two()
    await forget()
    for (const { emit } of [one, other]) emit(event)
    await time.settle()
    expect([await engine.presence.count('$cluster'), heard]).toEqual([2, []])
  })

  test('a server enters the list as soon as it finds that it is not on it', async () => {
    const { time, engine, forget, one } = await two()
    await forget()
    await one.app.cluster.nodes()
    await time.settle()
    const [member] = await engine.presence.members('$cluster')
    expect(member?.member).toBe(one.app.cluster.id)
  })

  test('a server that died then has left within about a lease, once, and nobody else has', async () => {
    const { time, forget, start, one, other, heard, cut } = await two()
    const mortal = await start('mortal')
    await Promise.all([knows(one.app, 2), knows(other.app, 2)])
    heard.length = 0
    cut.isCut = true
    await forget()
    for (const { emit } of [one, other]) emit('gap')
    await time.settle()
    expect(await one.app.cluster.nodes()).toHaveLength(3)
    await time.advance((LEASE * 4) / 3)
    const { id } = mortal.app.cluster
    expect(heard).toEqual([`left ${id}`, `left ${id}`])
    expect(await one.app.cluster.nodes()).toHaveLength(2)
  })

  test('what a server says is sent also while it does not know who is there', async () => {
    const time = underVirtualTime()
    const engine = memory()
    onTestFinished(() => engine.close())
    const one = await time.until(startNode(engine, { cluster }))
    const far = await one.client('ann')
    const { engine: full } = through(engine, (name, call) => {
      return name === 'presence.join' ? Promise.reject(away()) : call()
    })
    const unknown = await time.until(startNode(full, { cluster }))
    unknown.app.api.chat.publish.user('ann', 'said', 'from nobody')
    expect(await far.atLeast(1)).toEqual(['from nobody'])
  })

  test('nothing is sent by a server that is alone', async () => {
    const time = underVirtualTime()
    const engine = memory()
    onTestFinished(() => engine.close())
    let sent = 0
    const { engine: own } = through(engine, (name, call) => {
      if (name === 'bus.send') sent++
      return call()
    })
    const { app } = await time.until(startNode(own, { cluster }))
    app.api.chat.publish.all('said', 'to nobody')
    expect(sent).toBe(0)
  })
})

test('sessions are looked at again soon when the engine says that something was missed', async () => {
  const time = underVirtualTime()
  const engine = memory()
  onTestFinished(() => engine.close())
  const sessionStore = new session.MemoryStore()
  const state = { isDeaf: false }
  const own = through(engine, (name, call, args) => {
    if (name !== 'bus.listen') return call()
    const hear = args[1] as (bytes: Uint8Array) => void
    return engine.bus.listen(args[0] as string, bytes => state.isDeaf || hear(bytes))
  })
  const one = await time.until(startNode(engine, { sessionStore, cluster }))
  const other = await time.until(startNode(own.engine, { sessionStore, cluster }))
  await knows(one.app, 1)
  for (const id of ['used', 'kept', 'good']) await put(sessionStore, id, { user: id })
  const [used, good] = [await other.client('ann', 'used'), await other.client('eve', 'good')]
  const kept = await other.client('bob', 'kept')
  kept.close()
  await time.advance(5000)
  state.isDeaf = true
  await one.app.sessions.destroy('used')
  await one.app.sessions.destroy('kept')
  await time.settle()
  state.isDeaf = false
  const before = time.elapsed
  own.emit('gap')
  await time.settle()
  await time.until(other.client('bob', 'kept'))
  expect(other.app.sessions.list().map(({ id }) => id)).not.toContain('kept')
  expect(await time.until(used.closed)).toBe(4405)
  // A sixth of `sessions.recheck`, and until the next look.
  expect(time.elapsed - before).toBeLessThanOrEqual(11_000)
  one.app.api.chat.publish.user('eve', 'said', 'still here')
  expect(await good.atLeast(1)).toEqual(['still here'])
})
