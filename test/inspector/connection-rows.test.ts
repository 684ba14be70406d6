import { expect, test, vi } from 'vitest'
import type { BrokerConnection } from '../../src/actors/connection.js'
import { Liveness } from '../../src/actors/liveness.js'
import { connectionRow } from '../../src/inspector/connection-rows.js'
import { testServer, WireClient } from '../support/wire.js'

test('the round trip of a connection is that of its last ping', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
  try {
    const { app, transport } = testServer()
    await app.start()
    const client = await WireClient.open(transport)
    const row = () => connectionRow(app.connections()[0] as BrokerConnection)
    expect(row()).toMatchObject({ id: client.welcome.cid, state: 'open', codec: 'json', queued: 0 })
    expect(row().rtt).toBeUndefined()
    vi.advanceTimersByTime(25_000)
    expect(await client.next()).toEqual([19, 0])
    expect(row().rtt).toBeUndefined()
    client.send([20, 0])
    client.send([19, 0])
    await client.next()
    expect(row().rtt).toBeGreaterThanOrEqual(0)
    await app.stop()
  } finally {
    vi.useRealTimers()
  }
})

test('a round trip begins with the ping and ends with the first pong', () => {
  const liveness = new Liveness({} as never, 0)
  liveness.answered(5)
  expect(liveness.roundTrip).toBeUndefined()
  liveness.leaves(10)
  liveness.answered(13.256)
  liveness.answered(99)
  expect(liveness.roundTrip).toBe(3.26)
})
