import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { rpc } from '../../src/services/rpc/index.js'
import { testServer, WireClient } from '../support/wire.js'

afterEach(() => {
  vi.useRealTimers()
})

/** A server with a call that ends when it is told to, and clients of it. */
async function start(clients: number) {
  const { app, transport, log } = testServer()
  let finish!: () => void
  const finished = new Promise<string>(resolve => {
    finish = () => resolve('done')
  })
  const began = vi.fn()
  const handlers = {
    wait() {
      began()
      return finished
    },
    now: () => 1,
  }
  await app.service('rpc', rpc(handlers)).start()
  const all: WireClient[] = []
  for (let i = 0; i < clients; i++) all.push(await WireClient.open(transport))
  return { app, transport, log, finish, began, clients: all }
}

const open = (clients: readonly WireClient[]) => clients.filter(({ closed }) => closed === undefined).length

describe('a drain', () => {
  test('lets clients go in batches, each told when, and keeps who has a call in flight', async () => {
    const { app, clients, finish, began } = await start(250)
    const [first, last] = [clients[0]!, clients.at(-1)!]
    first.send([1, 1, 1, ['wait']])
    await vi.waitUntil(() => began.mock.calls.length === 1)
    vi.useFakeTimers()
    const stopped = app.stop({ drain: '30s' })
    await vi.advanceTimersByTimeAsync(0)
    expect(clients.map(({ frames }) => frames[1]?.[2])).toEqual([
      ...Array<number>(100).fill(0),
      ...Array<number>(100).fill(50),
      ...Array<number>(50).fill(100),
    ])
    expect(open(clients)).toBe(151)
    await vi.advanceTimersByTimeAsync(50)
    expect(open(clients)).toBe(51)
    await vi.advanceTimersByTimeAsync(50)
    expect(open(clients)).toBe(1)
    expect(last.closed).toMatchObject({ code: 4501 })
    finish()
    await vi.advanceTimersByTimeAsync(0)
    await stopped
    expect(first.frames.slice(-2)).toEqual([
      [2, 1, 'done'],
      [22, 4501, { reason: 'the server is stopping', reconnect: true }],
    ])
  })

  test('takes half of its time to let clients go, however many there are', async () => {
    const { app, clients, finish, began } = await start(301)
    clients[0]!.send([1, 1, 1, ['wait']])
    await vi.waitUntil(() => began.mock.calls.length === 1)
    vi.useFakeTimers()
    const stopped = app.stop({ drain: 60 })
    await vi.advanceTimersByTimeAsync(0)
    expect(clients.at(-1)!.frames[1]).toEqual([21, 4501, 30])
    await vi.advanceTimersByTimeAsync(30)
    expect(open(clients)).toBe(1)
    await vi.advanceTimersByTimeAsync(30)
    await stopped
    expect(clients[0]!.frames.at(-2)).toEqual([3, 1, expect.objectContaining({ code: 'DRAIN_TIMEOUT' })])
    finish()
  })

  test('refuses late calls, which are not run, and says when to ask again', async () => {
    const { app, clients, finish, began } = await start(1)
    const client = clients[0]!
    client.send([1, 1, 1, ['wait']])
    await vi.waitUntil(() => began.mock.calls.length === 1)
    const stopped = app.stop({ drain: '1m' })
    await vi.waitUntil(() => client.frames.length > 1)
    client.send([1, 1, 3, ['wait']])
    expect(await client.received(3)).toEqual([
      3,
      3,
      expect.objectContaining({ code: 'DRAINING', retryAfter: 1000 }),
    ])
    expect(began).toHaveBeenCalledOnce()
    finish()
    await stopped
  })

  test('goes on as before for its delay, but is not ready', async () => {
    const { app, transport, clients } = await start(1)
    const health = app.healthHandler()
    expect(await health.check()).toMatchObject({ ready: true, server: 'started' })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const stopped = app.stop({ delay: '5s' })
    await vi.advanceTimersByTimeAsync(4999)
    expect(await health.check()).toMatchObject({ ready: false, server: 'stopping' })
    clients[0]!.send([1, 1, 1, ['now']])
    expect(await clients[0]!.next()).toEqual([2, 1, 1])
    const late = await WireClient.open(transport)
    await vi.advanceTimersByTimeAsync(1)
    await stopped
    expect(await late.ended()).toMatchObject({ code: 4501 })
    expect(await health.check()).toMatchObject({ ready: false, server: 'stopped' })
  })
})

describe('signals', () => {
  test('are listened to while the server runs, and no longer', async () => {
    const { app } = testServer({ handleSignals: true })
    const counts = () => ['SIGTERM', 'SIGINT'].map(signal => process.listenerCount(signal))
    const before = counts()
    await app.start()
    expect(counts()).toEqual(before.map(count => count + 1))
    await app.stop()
    expect(counts()).toEqual(before)
  })

  test('stop the server, leaving the process to the application where it says so', async () => {
    const { app, log } = testServer({ handleSignals: { exit: false, drain: '1s' } })
    await app.start()
    process.emit('SIGTERM', 'SIGTERM')
    await app.stop()
    expect(log.of('info')).toContain('SIGTERM: the server stops')
  })

  test('end the process: the first when all is done, the second at once', async () => {
    const child = fork(join(import.meta.dirname, 'signalled.mjs'))
    try {
      await once(child, 'message')
      child.kill('SIGTERM')
      expect(await once(child, 'message')).toEqual(['draining', undefined])
      child.kill('SIGINT')
      expect(await once(child, 'exit')).toEqual([130, null])
    } finally {
      child.kill('SIGKILL')
    }
  })

  test.each([
    [{ handleSignals: 'yes' }, '`handleSignals` must be true, false or options'],
    [{ handleSignals: { drain: 'soon' } }, '`handleSignals.drain` must be milliseconds'],
    [{ handleSignals: { delay: -1 } }, '`handleSignals.delay` must be milliseconds'],
    [{ health: 1 }, '`health` must be true, false or options'],
  ])('%j is refused', (options, message) => {
    expect(() => testServer(options as never)).toThrow(message)
  })
})
