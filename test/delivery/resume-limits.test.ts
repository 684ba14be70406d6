import { afterEach, describe, expect, test } from 'vitest'
import { Server } from '../../src/server.js'
import { rpc } from '../../src/services/rpc/index.js'
import { faultLink, testServer } from '../../src/testing/index.js'
import { startServer } from './wire-support.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

describe('clients of one address', () => {
  test('resume as often as they have to; those that only say so are counted', async () => {
    const limits = { handshakesPerAddress: 1, handshakesPerSecond: 1000 }
    const made = await startServer({ limits })
    cleanups.push(() => made.kit.stop())
    const one = await made.open()
    for (let n = 0; n < 30; n++) {
      await one.lose()
      expect(await one.resume()).toMatchObject({ resumed: true })
    }
    await one.lose()
    // Ten may come at once, of which one has. A token that is wrong does not help the others: each comes twice.
    for (let n = 0; n < 4; n++) {
      const other = await made.open()
      await other.lose()
      expect(await other.resume({ resume: { token: one.token } })).toMatchObject({ resumed: false })
    }
    await made.open()
    await expect(made.open()).rejects.toMatchObject({ data: { status: 429 } })
    await made.kit.advance(1000)
    expect(await one.resume()).toMatchObject({ resumed: true })
  })
})

describe('a server that is short of memory', () => {
  test('gives up clients that are away before it refuses newcomers', async () => {
    let used = 0
    const made = await startServer({ memory: { limit: 100, gauge: () => used } })
    cleanups.push(() => made.kit.stop())
    const [away, there] = [await made.open(), await made.open()]
    await away.lose()
    used = 100
    await made.kit.advance(1000)
    expect(made.disconnected).toEqual([away.cid])
    const late = await made.open()
    expect(await away.resume()).toMatchObject({ resumed: false, reason: 'evicted' })
    await made.kit.advance(1000)
    await expect(made.open()).rejects.toMatchObject({ data: { status: 503 } })
    await there.send([1, 1, 1, ['echo', 'still here']])
    expect(there.got.at(-1)).toEqual([2, 1, 'still here'])
    expect(late.client.closed).toBeUndefined()
  })
})

describe('a call without an answer', () => {
  test('fails with CONNECTION_LOST when its client comes too late, saying whether the server had it', async () => {
    const ran: string[] = []
    const kit = await testServer(transport =>
      new Server({ transport, env: 'test', resume: { window: '1s' } }).service(
        'rpc',
        rpc({
          hang(_ctx, name: string) {
            ran.push(name)
            return new Promise<void>(() => {})
          },
        }),
      ),
    )
    cleanups.push(() => kit.stop())
    const faults = faultLink()
    const client = await kit.connect({ faults, reconnect: { minDelay: 5000, maxDelay: 5000 } })
    const failures: unknown[] = []
    const call = (name: string) => {
      client.api.rpc.hang(name).catch(({ code, data }) => failures.push([name, code, data]))
      return kit.settle()
    }
    await call('acknowledged')
    await kit.advance(3000)
    await call('arrived')
    faults.blackHole('up')
    await call('swallowed')
    faults.cut()
    await kit.advance(15_000)
    expect(client.status).toBe('connected')
    expect(ran).toEqual(['acknowledged', 'arrived'])
    expect(failures).toEqual([
      ['acknowledged', 'CONNECTION_LOST', { accepted: true }],
      ['arrived', 'CONNECTION_LOST', { accepted: 'unknown' }],
      ['swallowed', 'CONNECTION_LOST', { accepted: 'unknown' }],
    ])
  })

  test('does not count as one that the server had because its client kept it no longer', async () => {
    const ran: number[] = []
    const kit = await testServer(transport =>
      new Server({ transport, env: 'test', resume: { window: 100 } }).service(
        'rpc',
        rpc({
          take(_ctx, number: number, _text: string) {
            ran.push(number)
            return number
          },
        }),
      ),
    )
    cleanups.push(() => kit.stop())
    const faults = faultLink()
    const client = await kit.connect({ faults, resume: { bytes: 2000 } })
    expect(await client.api.rpc.take(0, '')).toBe(0)
    faults.blackHole('up')
    const outcomes: unknown[] = []
    for (let number = 1; number <= 6; number++) {
      client.api.rpc
        .take(number, 'x'.repeat(900))
        .catch(({ code, data }) => outcomes.push([number, code, data]))
    }
    await kit.advance(100)
    faults.cut()
    await kit.advance(60_000)
    expect(ran).toEqual([0])
    expect(outcomes).toEqual(
      [1, 2, 3, 4, 5, 6].map(number => [number, 'CONNECTION_LOST', { accepted: 'unknown' }]),
    )
  })

  test('is unknown where nothing is kept', async () => {
    const kit = await testServer(transport =>
      new Server({ transport, env: 'test', resume: false }).service(
        'rpc',
        rpc({ hang: () => new Promise<void>(() => {}) }),
      ),
    )
    cleanups.push(() => kit.stop())
    const faults = faultLink()
    const client = await kit.connect({ faults })
    const failure = client.api.rpc.hang().catch(error => error)
    await kit.settle()
    faults.cut()
    await kit.advance(1000)
    expect(await failure).toMatchObject({ code: 'CONNECTION_LOST', data: { accepted: 'unknown' } })
  })
})

test('a client gives a link that says nothing no more time than its window has left', async () => {
  const kit = await testServer(transport =>
    new Server({ transport, env: 'test', resume: { window: '2s' } }).service(
      'rpc',
      rpc({ hang: () => new Promise<void>(() => {}) }),
    ),
  )
  cleanups.push(() => kit.stop())
  const faults = faultLink()
  const client = await kit.connect({ faults, reconnect: { minDelay: 10, maxDelay: 10 } })
  let failed: string | undefined
  client.api.rpc.hang().catch(({ code }) => {
    failed = code
  })
  await kit.settle()
  faults.cut()
  faults.delay(60_000)
  await kit.advance(1500)
  expect(failed).toBeUndefined()
  await kit.advance(1000)
  expect(failed).toBe('CONNECTION_LOST')
})
