import { afterEach, expect, test } from 'vitest'
import { redis } from '../../src/engines/redis.js'
import { type QuotaOptions, quota } from '../../src/middleware/quota.js'
import { rpc } from '../../src/services/rpc/rpc.js'
import { describeRedis } from '../support/redis.js'
import { testServer, WireClient } from '../support/wire.js'

const LIMIT = 40
/** Milliseconds: so long that next to nothing comes back while a test runs. */
const WINDOW = 3_600_000

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

describeRedis('a limit of two servers with one Redis', server => {
  let names = 0

  /** Two servers that share a quota, and a client of the same user on each. */
  async function two(options: Partial<QuotaOptions> = {}) {
    const name = `quota-${++names}`
    const made = await Promise.all([0, 1].map(() => one({ limit: LIMIT, window: WINDOW, name, ...options })))
    return made as [(typeof made)[0], (typeof made)[0]]
  }

  async function one(options: QuotaOptions) {
    const engine = redis({ url: `redis://127.0.0.1:${server().port}`, deadline: 500 })
    ends.push(() => engine.close())
    const { app, transport } = testServer({ authenticate: () => ({ id: 'ann' }) })
    const limited = quota({ ...options, engine })
    app.use(limited)
    app.service('rpc', rpc({ hit: () => 'hit' }))
    await app.start()
    ends.push(() => app.stop())
    const client = await WireClient.open(transport)
    let id = -1
    /** Makes calls at once, and gives what each was answered: undefined for a success, else the error. */
    const hit = async (calls: number) => {
      const before = client.frames.length
      for (let call = 0; call < calls; call++) {
        id += 2
        client.send([1, 1, id, ['hit']])
      }
      await client.received(before + calls)
      const answers = client.frames.slice(before, before + calls)
      return answers.map(([kind, , error]) => (kind === 2 ? undefined : (error as Refusal)))
    }
    /** Resolves when Redis answers. */
    const works = async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          return void (await engine.limiter.take('probe', { rate: 1, burst: 1, cost: 0 }))
        } catch (error) {
          if (attempt === 20) throw error
        }
      }
    }
    return { hit, limited, works }
  }

  test('lets through exactly the limit, however the requests are spread', async () => {
    const [first, second] = await two({ batch: 1 })
    const answers = [
      await first.hit(15),
      await second.hit(7),
      await first.hit(9),
      await second.hit(30),
    ].flat()
    expect(passed(answers)).toBe(LIMIT)
    for (const refusal of answers.filter(answer => answer !== undefined)) {
      expect(refusal).toMatchObject({ code: 'OVERLOADED' })
      expect(refusal.retryAfter).toBeGreaterThan(0)
    }
    expect(first.limited.refused + second.limited.refused).toBe(answers.length - LIMIT)
  })

  test('lets through exactly the limit of a burst at both at once', async () => {
    const [first, second] = await two({ batch: 1 })
    const answers = await Promise.all([first.hit(LIMIT), second.hit(LIMIT)])
    expect(passed(answers.flat())).toBe(LIMIT)
    // Neither is let through anything afterwards.
    expect(passed([...(await first.hit(3)), ...(await second.hit(3))])).toBe(0)
  })

  test('lets through no more than the limit with batches, and no fewer than it less what one keeps', async () => {
    const batch = 8
    const [first, second] = await two({ batch })
    // One call here keeps a batch: seven of it are for this server only, until they are given up.
    expect(passed(await second.hit(1))).toBe(1)
    expect(passed(await first.hit(LIMIT * 2))).toBe(LIMIT - batch)
    expect(passed(await second.hit(LIMIT))).toBe(batch - 1)
  })

  test('gives up what is left of a batch once as much has come back', async () => {
    let time = 0
    const clock = { now: () => time } as never
    const [first] = await two({ batch: 8, limit: 8, clock })
    expect(passed(await first.hit(1))).toBe(1)
    time += WINDOW
    // Seven were kept. By the clock of Redis next to no time has gone by, and there is nothing.
    expect(passed(await first.hit(8))).toBe(0)
  })

  test.each([
    ['local', 5, undefined],
    ['open', 12, undefined],
    ['closed', 0, 'ENGINE_UNAVAILABLE'],
  ] as const)(
    'counts as `onFailure: %s` says while Redis is frozen, and together again after it',
    async (onFailure, most, code) => {
      const name = `quota-${++names}`
      let time = 0
      const clock = { now: () => time } as never
      const options = { limit: 5, window: WINDOW, batch: 1, name, onFailure, clock }
      const [first, second] = await Promise.all([one(options), one(options)])
      server().freeze()
      ends.push(() => server().thaw())
      const [here, there] = await Promise.all([first.hit(12), second.hit(12)])
      for (const answers of [here, there]) {
        expect(passed(answers)).toBe(most)
        if (code !== undefined) expect(answers.every(answer => answer?.code === code)).toBe(true)
      }
      server().thaw()
      for (const { works } of [first, second]) await works()
      // Past the pause in which Redis is not asked. What it was asked while it was frozen may have been taken.
      time += 1001
      expect(passed([...(await first.hit(12)), ...(await second.hit(12))])).toBeLessThanOrEqual(5)
      // A server that has counted nothing by itself: it is the count of all that is used up.
      const third = await one(options)
      expect(passed(await third.hit(12))).toBe(0)
    },
  )
})

interface Refusal {
  readonly code: string
  readonly retryAfter: number
}

function passed(answers: readonly (Refusal | undefined)[]): number {
  return answers.filter(answer => answer === undefined).length
}
