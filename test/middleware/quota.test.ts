import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Engine } from '../../src/engines/engine.js'
import { lmdb } from '../../src/engines/lmdb.js'
import { memory as memoryEngine } from '../../src/engines/memory.js'
import { SocketStreamError } from '../../src/errors.js'
import { type QuotaEngine, type QuotaOptions, quota } from '../../src/middleware/quota.js'
import { manualClock } from '../../src/testing/manual-clock.js'
import { WireClient } from '../support/wire.js'
import { deferred, echo, settled, start } from './support.js'

/** A server whose clients are users, by the order of their coming. */
async function limited(options: QuotaOptions, users: string[] = []) {
  const clock = manualClock()
  const limiter = quota({ clock, ...options })
  const authenticate = () => ({ id: users.shift() ?? 'ann' })
  return { ...(await start([limiter], { echo }, { authenticate })), clock, limiter }
}

const kinds = async (client: WireClient, messages: number) => {
  for (let i = 0; i < messages; i++) client.send([0, 1, i])
  return (await settled(client)).map(([kind]) => kind)
}

describe('quota', () => {
  test('drops what is over it, and says so once until something passes again', async () => {
    const { app, client, clock, limiter } = await limited({ limit: 2, window: 1000 })
    expect(await kinds(client, 5)).toEqual([0, 0, 3])
    expect(await kinds(client, 2)).toEqual([])
    expect(limiter.refused).toBe(5)
    clock.advance(500)
    expect(await kinds(client, 3)).toEqual([0, 3])
    await app.stop()
  })

  test('answers every call, with the time after which it passes', async () => {
    const { app, client, clock } = await limited({ limit: 3, window: 1000 })
    for (const id of [1, 3, 5, 7, 9]) client.send([1, 1, id, 'x'])
    await client.received(6)
    const error = { code: 'OVERLOADED', message: 'More than 3 requests in 1 s', retryAfter: 334 }
    expect(client.frames.slice(4)).toEqual([
      [3, 7, expect.objectContaining(error)],
      [3, 9, expect.objectContaining(error)],
    ])
    clock.advance(333)
    client.send([1, 1, 11, 'early'])
    expect((await client.next())[0]).toBe(3)
    clock.advance(1)
    client.send([1, 1, 13, 'in time'])
    expect(await client.next()).toEqual([2, 13, 'in time'])
    await app.stop()
  })

  test('never lets through more than the limit and what comes back in time', async () => {
    const { app, client, clock } = await limited({ limit: 7, window: 1000 })
    let passed = 0
    for (let step = 0; step < 20; step++) {
      passed += (await kinds(client, 5)).filter(kind => kind === 0).length
      expect(passed).toBeLessThanOrEqual(7 + Math.floor((clock.now() * 7) / 1000 + 1e-6))
      clock.advance(100)
    }
    expect(passed).toBe(7 + 13)
    await app.stop()
  })

  test('counts a user over all connections, and each user alone', async () => {
    const { app, client, another, limiter } = await limited({ limit: 2 }, ['ann', 'ann', 'bob', 'ann'])
    const [same, bob] = [await another(), await another()]
    expect(await kinds(client, 1)).toEqual([0])
    expect(await kinds(same, 2)).toEqual([0, 3])
    expect(await kinds(bob, 2)).toEqual([0, 0])
    expect(limiter.keys).toBe(2)
    client.link.close()
    same.link.close()
    const back = await another()
    expect(await kinds(back, 2)).toEqual([3])
    await app.stop()
  })

  test('counts by whatever it is told, and nothing without a key', async () => {
    const by = (req: { message: unknown }) => (req.message === 'free' ? undefined : String(req.message))
    const { app, client, limiter } = await limited({ limit: 1, by })
    for (const message of ['a', 'b', 'a', 'free', 'free']) client.send([0, 1, message])
    expect((await settled(client)).map(([kind]) => kind)).toEqual([0, 0, 3, 0, 0])
    expect(limiter.keys).toBe(2)
    await app.stop()
  })

  test('forgets the client not heard of for longest past `maxKeys`', async () => {
    const by = (req: { message: unknown }) => String(req.message)
    const { app, client, limiter } = await limited({ limit: 1, by, maxKeys: 3 })
    for (const key of ['a', 'b', 'c', 'a', 'd', '__proto__', 'a', 'b']) client.send([1, 1, 1, key])
    const outcomes = (await settled(client)).map(([kind]) => kind)
    // `a` was asked for in between, so `b` and then `c` had to go.
    expect(outcomes).toEqual([2, 2, 2, 3, 2, 2, 3, 2])
    expect(limiter.keys).toBe(3)
    await app.stop()
  })

  test('counts those without a user by their address, unless their session is in use', async () => {
    const { app, transport } = await start([
      (req, _res, next) => {
        if (req.message === 'log in') req.session.name = 'ann'
        next()
      },
      quota({ limit: 1, clock: manualClock() }),
    ])
    const ask = async (clientIp: string, message: string) => {
      const client = await WireClient.open(transport, {}, { clientIp })
      client.send([1, 1, 1, message])
      return (await client.next())[0] === 2
    }
    expect(await ask('10.0.0.1', 'x')).toBe(true)
    expect(await ask('10.0.0.1', 'x')).toBe(false)
    expect(await ask('10.0.0.2', 'x')).toBe(true)
    expect(await ask('10.0.0.1', 'log in')).toBe(true)
    await app.stop()
  })

  test.each<[object, RegExp]>([
    [{}, /`limit` must be a whole number of at least 1; give quota\(\{ limit: 100/],
    [{ limit: 0 }, /`limit`/],
    [{ limit: 1, window: 0 }, /`window`/],
    [{ limit: 1, maxKeys: 0 }, /`maxKeys`/],
    [{ limit: 1, by: 'ip' }, /`by` must be a function/],
    [{ limit: 1, name: 'a b' }, /`name` must have/],
    [{ limit: 1, engine: {} }, /`engine` has no limiter/],
    [{ limit: 10, batch: 11 }, /`batch` must be/],
    [{ limit: 10, onFailure: 'shut' }, /`onFailure` must be/],
  ])('refuses %j', (options, message) => {
    expect(() => quota(options as never)).toThrow(message)
  })
})

/** An engine whose verdicts the test gives. */
function engine() {
  const asked: { key: string; rate: number; burst: number; verdict: ReturnType<typeof deferred<unknown>> }[] =
    []
  const limiter: NonNullable<QuotaEngine['limiter']> = {
    take(key, { rate, burst }) {
      const verdict = deferred<unknown>()
      asked.push({ key, rate, burst, verdict })
      return verdict.promise as ReturnType<NonNullable<QuotaEngine['limiter']>['take']>
    },
  }
  return { asked, limiter }
}

describe.each<[string, () => { engine: Engine; remove(): void }]>([
  ['memory', () => ({ engine: memoryEngine(), remove: () => undefined })],
  [
    'lmdb',
    () => {
      const path = mkdtempSync(join(tmpdir(), 'quota-'))
      return { engine: lmdb({ path }), remove: () => rmSync(path, { recursive: true }) }
    },
  ],
])('quota with the limiter of %s', (_name, make) => {
  test('counts a user over two servers, and lets through no more than the limit', async () => {
    const { engine, remove } = make()
    // A window this long gives nothing back during the test.
    const options = { limit: 5, window: 3_600_000, engine }
    const nodes = [await limited(options), await limited(options, ['ann', 'bob'])]
    const [one, two] = nodes.map(({ client }) => client)
    const bob = await nodes[1]!.another()
    const ask = async (client: WireClient, id: number) => {
      client.send([1, 1, id, 'x'])
      return await client.next()
    }
    for (const id of [1, 3, 5]) expect(await ask(one!, id)).toEqual([2, id, 'x'])
    for (const id of [1, 3]) expect(await ask(two!, id)).toEqual([2, id, 'x'])
    for (const client of [one!, two!]) {
      const [kind, , error] = (await ask(client, 9)) as [number, number, { code: string; retryAfter: number }]
      expect([kind, error.code]).toEqual([3, 'OVERLOADED'])
      expect(error.retryAfter).toBeGreaterThan(0)
      expect(error.retryAfter).toBeLessThanOrEqual(720_000)
    }
    expect(await ask(bob, 1)).toEqual([2, 1, 'x'])
    expect(nodes.map(({ limiter }) => limiter.refused)).toEqual([1, 1])
    expect(nodes.flatMap(({ log }) => log.of('warn'))).toEqual([])
    for (const { app } of nodes) await app.stop()
    await engine.close()
    remove()
  })
})

describe('quota with an engine', () => {
  test('asks its limiter, and holds back the connection meanwhile', async () => {
    const shared = engine()
    const { app, client } = await limited({ limit: 10, window: 2000, engine: shared, name: 'api' })
    client.send([1, 1, 1, 'first'])
    client.send([1, 1, 3, 'second'])
    expect(await settled(client)).toEqual([])
    expect(shared.asked).toEqual([expect.objectContaining({ key: 'api:user:ann', rate: 5, burst: 10 })])
    shared.asked[0]?.verdict.resolve({ allowed: true, retryAfter: 0 })
    expect(await client.next()).toEqual([2, 1, 'first'])
    shared.asked[1]?.verdict.resolve({ allowed: false, retryAfter: 70 })
    expect(await client.next()).toEqual([
      ...[3, 3],
      expect.objectContaining({ code: 'OVERLOADED', retryAfter: 70 }),
    ])
    await app.stop()
  })

  test.each([
    ['local', [2, 3], 'a quota is counted on this node only', 'OVERLOADED'],
    ['open', [2, 2], 'a quota lets everything through', undefined],
    ['closed', [3, 3], 'a quota lets nothing through', 'ENGINE_UNAVAILABLE'],
  ] as const)('is %s while the engine fails, logs it, and asks again a second later', async (...args) => {
    const [onFailure, kinds, line, code] = args
    const shared = engine()
    const { app, client, clock, log } = await limited({ limit: 1, engine: shared, onFailure })
    for (const id of [1, 3]) client.send([1, 1, id, 'x'])
    await settled(client)
    shared.asked[0]?.verdict.reject(new SocketStreamError('ENGINE_UNAVAILABLE', 'gone'))
    await client.received(3)
    const answers = client.frames.slice(-2)
    expect(answers.map(([kind]) => kind)).toEqual(kinds)
    expect((answers.at(-1)?.[2] as { code?: string } | undefined)?.code).toBe(code)
    expect([shared.asked.length, log.of('warn')]).toEqual([1, [line]])
    clock.advance(1000)
    client.send([1, 1, 5, 'x'])
    await settled(client)
    expect(shared.asked.length).toBe(2)
    await app.stop({ drain: 0 })
  })

  test('gives it short names only, whatever the key', async () => {
    const shared = engine()
    const keys = ['\ud800', 'x'.repeat(10_000), '', 'plain']
    const by = (req: { message: unknown }) => keys[req.message as number]
    const { app, client } = await limited({ limit: 1, engine: shared, by })
    for (let i = 0; i < keys.length; i++) {
      client.send([0, 1, i])
      await settled(client)
      shared.asked[i]?.verdict.resolve({ allowed: true, retryAfter: 0 })
      await client.next()
    }
    expect(shared.asked.map(({ key }) => key)).toEqual([
      ...Array<unknown>(3).fill(expect.stringMatching(/^quota:[\w-]{43}$/)),
      'quota:plain',
    ])
    await app.stop()
  })
})
