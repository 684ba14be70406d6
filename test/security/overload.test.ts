import { get, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { MemoryGuard, memorySettings } from '../../src/actors/memory-guard.js'
import { Tally } from '../../src/actors/statistics.js'
import { SocketStreamError } from '../../src/errors.js'
import { createLogger } from '../../src/log.js'
import type { ServiceServer } from '../../src/services/service.js'
import { memory } from '../../src/transports/memory.js'
import { ws } from '../../src/transports/ws.js'
import { LogLines, testServer, WireClient } from '../support/wire.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A guard with a gauge at hand, and clients that are away. */
function guarded(limit = 1000) {
  const lines = new LogLines()
  const state = { used: 0, away: 0 }
  const evict = () => {
    const { away } = state
    state.away = 0
    return away
  }
  const settings = memorySettings({ limit, gauge: () => state.used })
  const guard = new MemoryGuard(settings, evict, createLogger(lines.target, 'test'))
  const at = (used: number, away = state.away): boolean => {
    Object.assign(state, { used, away })
    guard.look()
    return guard.full
  }
  return { guard, lines, state, at }
}

describe('the guard of memory', () => {
  test('gives up those who are away, then refuses, then lets in below 90 % of the limit', () => {
    const { at, state, lines } = guarded()
    expect(at(999, 5)).toBe(false)
    expect(state.away).toBe(5)
    expect(at(1000)).toBe(false)
    expect(state.away).toBe(0)
    expect(at(1000)).toBe(true)
    expect(at(2000, 3)).toBe(true)
    expect(state.away).toBe(0)
    expect(at(950)).toBe(true)
    expect(at(900)).toBe(true)
    expect(at(899)).toBe(false)
    expect(at(1100)).toBe(true)
    expect(lines.of('warn')).toEqual([
      'memory is short: gave up clients that were away',
      'memory is short: no more clients are let in',
      'memory is short: gave up clients that were away',
      'memory is short: no more clients are let in',
    ])
  })

  test('stays as it is when its gauge fails', () => {
    const settings = memorySettings({
      limit: 10,
      gauge: () => {
        throw new Error('no gauge')
      },
    })
    const lines = new LogLines()
    const guard = new MemoryGuard(settings, () => 0, createLogger(lines.target, 'test'))
    guard.look()
    expect(guard.full).toBe(false)
    expect(lines.of('error')).toEqual(['the gauge of `memory` failed'])
    expect(guarded(10).at(Number.NaN)).toBe(false)
  })

  test('measures a share of what the process may have', () => {
    const { pressure } = memorySettings({ limit: 0.9 })!
    expect(pressure()).toBeGreaterThan(0)
    expect(pressure()).toBeLessThan(1)
    expect(memorySettings({ limit: 1e-6 })!.pressure()).toBeGreaterThan(1)
    expect(memorySettings(false)).toBeUndefined()
  })

  test.each([[null], [true], [{ limit: 0 }], [{ limit: '1g' }], [{ gauge: 5 }], [{ limits: 5 }]])(
    'does not take %o for options',
    given => {
      expect(() => memorySettings(given)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    },
  )

  test('keeps newcomers out, of which readiness and statistics tell, and serves who is there', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    let used = 0
    const transport = ws({ port: 0, host: '127.0.0.1' })
    const wire = memory()
    const { app } = testServer({
      transport: [wire, transport],
      memory: { limit: 100, gauge: () => used },
      health: true,
      resume: false,
    })
    app.service('echo', {
      use: { callbacks: true },
      server(server: ServiceServer) {
        server.onmessage = (message, _request, reply) => reply(message)
      },
    })
    await app.start()
    cleanups.push(() => app.stop())
    const ready = async () => {
      const response = await new Promise<IncomingMessage>(resolve => {
        get(`http://127.0.0.1:${transport.address()!.port}/readyz`, { agent: false }, resolve)
      })
      return [response.statusCode, JSON.parse(await text(response)).memory]
    }
    const there = await WireClient.open(wire)
    expect(await ready()).toEqual([200, 'free'])
    used = 100
    vi.advanceTimersByTime(1000)
    await expect(WireClient.silent(wire)).rejects.toMatchObject({ data: { status: 503 } })
    expect(await ready()).toEqual([503, 'full'])
    expect(app.statistics()).toMatchObject({
      connections: { open: 1, refused: { memory: 1 } },
      overloads: 1,
      memoryFull: true,
    })
    there.send([1, 1, 7, 'still'])
    expect(await there.next()).toEqual([2, 7, 'still'])
    used = 80
    vi.advanceTimersByTime(1000)
    expect(await ready()).toEqual([200, 'free'])
    await WireClient.open(wire)
  })
})

describe('who reads slowly', () => {
  async function served(limits: object = {}) {
    const transport = memory({ highWaterMark: 4096 })
    const made = testServer({ transport, limits, resume: false })
    let server: ServiceServer | undefined
    made.app.service('news', {
      server(given) {
        server = given
      },
    })
    await made.app.start()
    cleanups.push(() => made.app.stop())
    const client = await WireClient.open(transport)
    const id = client.welcome.cid as string
    return { ...made, client, id, server: server!, transport }
  }
  const turn = () => new Promise(resolve => setImmediate(resolve))

  test('is told by send, and drained waits until it has read', async () => {
    const { client, id, server } = await served()
    expect(server.send(id, 'x')).toBe(true)
    expect(await server.drained(id)).toBe(true)
    client.link.pause()
    while (server.send(id, 'x'.repeat(1000))) await turn()
    let drained: boolean | undefined
    const waiting = server.drained(id).then(result => {
      drained = result
    })
    await turn()
    expect(drained).toBeUndefined()
    client.link.resume()
    await waiting
    expect(drained).toBe(true)
    expect(server.send(id, 'x')).toBe(true)
  })

  test('and goes is told by both', async () => {
    const { client, id, server } = await served()
    client.link.pause()
    while (server.send(id, 'x'.repeat(1000))) await turn()
    const waiting = [server.drained(id), server.drained(id)]
    client.link.terminate()
    expect(await Promise.all(waiting)).toEqual([false, false])
    expect(server.send(id, 'x')).toBe(false)
    expect(await server.drained(id)).toBe(false)
    expect(await server.drained('nobody')).toBe(false)
  })

  test('is closed past so many messages, however small, and counted', async () => {
    const { app, client, id, server } = await served({ outboundMessages: 50 })
    client.link.pause()
    let full = 0
    while (app.statistics().connections.open > 0) {
      if (!server.send(id, 'x')) full++
      await turn()
      expect(full).toBeLessThan(60)
    }
    expect(full).toBeGreaterThanOrEqual(50)
    expect(app.statistics()).toMatchObject({ connections: { slow: 1, closed: { 4504: 1 } } })
  })

  test('in time is not closed, however many messages it gets in all', async () => {
    const { app, client, id, server } = await served({ outboundMessages: 50 })
    for (let round = 0; round < 10; round++) {
      client.link.pause()
      for (let n = 0; n < 40; n++) server.send(id, 'x'.repeat(100))
      client.link.resume()
      await server.drained(id)
      await turn()
    }
    expect(app.statistics().connections).toMatchObject({ open: 1, slow: 0 })
  })
})

describe('statistics', () => {
  test('count messages and bytes both ways, of who is there and who was', async () => {
    const { app, transport } = testServer()
    app.service('echo', {
      use: { callbacks: true },
      server(server: ServiceServer) {
        server.onmessage = (message, _request, reply) => reply(message)
      },
    })
    expect(() => app.statistics()).toThrow(expect.objectContaining({ code: 'INVALID_STATE' }))
    await app.start()
    cleanups.push(() => app.stop())
    for (let n = 0; n < 2; n++) {
      const client = await WireClient.open(transport)
      client.send([1, 1, 1, 'hello'])
      await client.next()
      client.send([0, 9, 'nobody'])
      await client.next()
      expect(app.statistics().messages).toEqual({ in: 2 * (n + 1), out: 2 * (n + 1) })
      client.send([22, 1000, null])
      await client.ended()
    }
    const { bytes, errors, connections, calls } = app.statistics()
    expect(bytes.in).toBe(2 * '[16,{"v":1}][1,1,1,"hello"][0,9,"nobody"][22,1000,null]'.length)
    expect(bytes.out).toBeGreaterThan(bytes.in)
    expect(errors).toEqual({ UNKNOWN_SERVICE: 2 })
    expect(connections).toMatchObject({ welcomed: 2, closed: { 1000: 2 } })
    expect(calls.inFlight).toBe(0)
  })

  test('count an error by its code, and codes without end as others', async () => {
    const { app, transport } = testServer()
    let code = 0
    app.service('odd', {
      use: { callbacks: true },
      server(server: ServiceServer) {
        server.oncall = () => {
          throw new SocketStreamError(`CODE_${code++}`, 'no')
        }
      },
    })
    await app.start()
    cleanups.push(() => app.stop())
    const client = await WireClient.open(transport)
    for (let id = 1; id <= 300; id++) client.send([1, 1, 2 * id - 1, null])
    await client.received(301)
    const { errors } = app.statistics()
    expect(Object.keys(errors)).toHaveLength(257)
    expect(errors).toMatchObject({ CODE_0: 1, other: 44 })
    const tally = new Tally()
    tally.add('__proto__')
    expect(tally.toObject()).toEqual(JSON.parse('{"__proto__":1}'))
  })

  test('count who was refused, and why', async () => {
    const { app, transport } = testServer({ authenticate: ({ url }) => url !== '/no' })
    await app.start()
    cleanups.push(() => app.stop())
    const codes = ['/no', '/no'].map(url => WireClient.silent(transport, { url }).catch(error => error.data))
    expect(await Promise.all(codes)).toEqual([{ status: 401 }, { status: 401 }])
    await expect(WireClient.silent(transport, { protocols: ['chat'] })).rejects.toThrow('chat')
    expect(app.statistics().connections.refused).toMatchObject({ authenticate: 2, subprotocol: 1 })
  })
})
