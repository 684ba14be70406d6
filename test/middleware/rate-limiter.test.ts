import { describe, expect, test } from 'vitest'
import { rateLimiter } from '../../src/middleware/rate-limiter.js'
import { testServer, WireClient } from '../support/wire.js'

async function start(options: { maxRequestsPerSecond: number; burst: number }) {
  const clock = { now: 0 }
  const limiter = rateLimiter({ ...options, now: () => clock.now })
  const made = testServer()
  made.app.use(limiter).service('echo', {
    use: { callbacks: true },
    server(server) {
      server.onmessage = (message, request, reply) => {
        if (request.kind === 'message') server.send(request.connectionId, message)
        else reply(message)
      }
    },
  })
  await made.app.start()
  return { ...made, clock, limiter, client: await WireClient.open(made.transport) }
}

/** Sends messages and a ping behind them; gives what came before the pong. */
async function burst(client: WireClient, messages: unknown[]) {
  const before = client.frames.length
  for (const message of messages) client.send([0, 1, message])
  client.send([19, 0])
  while (client.frames.at(-1)?.[0] !== 20 || client.frames.length === before) await client.next()
  return client.frames.slice(before, -1)
}

describe('the rate limiter', () => {
  test('lets a burst through, drops the rest and warns once', async () => {
    const { app, client, limiter } = await start({ maxRequestsPerSecond: 10, burst: 3 })
    const answers = await burst(client, [1, 2, 3, 4, 5, 6])
    expect(answers.map(answer => answer[0])).toEqual([0, 0, 0, 3])
    expect(answers[3]).toEqual([3, 0, expect.objectContaining({ code: 'OVERLOADED', retryAfter: 100 })])
    expect(limiter.dropped).toBe(3)
    await app.stop()
  })

  test('refills with time, up to the burst, and warns again in the next one', async () => {
    const { app, client, clock, limiter } = await start({ maxRequestsPerSecond: 10, burst: 2 })
    await burst(client, [1, 2, 3])
    clock.now += 100
    expect((await burst(client, [4, 5])).map(answer => answer[0])).toEqual([0])
    clock.now += 60_000
    expect((await burst(client, [6, 7, 8, 9])).map(answer => answer[0])).toEqual([0, 0, 3])
    expect(limiter.dropped).toBe(4)
    await app.stop()
  })

  test('answers every call, since somebody waits for it', async () => {
    const { app, client } = await start({ maxRequestsPerSecond: 1, burst: 1 })
    for (const id of [1, 3, 5]) client.send([1, 1, id, 'x'])
    await client.received(4)
    expect(client.frames.slice(1).map(frame => frame.slice(0, 2))).toEqual([
      [2, 1],
      [3, 3],
      [3, 5],
    ])
    await app.stop()
  })

  test('counts each connection by itself and forgets those that have gone', async () => {
    const { app, client, transport, limiter } = await start({ maxRequestsPerSecond: 1, burst: 1 })
    const other = await WireClient.open(transport)
    expect((await burst(client, [1])).map(answer => answer[0])).toEqual([0])
    expect((await burst(other, [1])).map(answer => answer[0])).toEqual([0])
    expect(limiter.connections).toBe(2)
    const gone = new Promise(resolve => app.events.once('client:disconnect', resolve))
    client.link.close()
    await gone
    expect(limiter.connections).toBe(1)
    await app.stop()
    expect(limiter.connections).toBe(0)
  })

  test.each([
    { maxRequestsPerSecond: 0 },
    { burst: 0 },
    { burst: Number.NaN },
    { maxRequestsPerSecond: '5' },
  ])('refuses %j', options => {
    expect(() => rateLimiter(options as never)).toThrow(/rateLimiter: `\w+` must be a number/)
  })
})
