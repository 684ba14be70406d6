import { createServer, get, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Engine } from '../../src/engines/engine.js'
import { memory } from '../../src/engines/memory.js'
import { eventLoopLag } from '../../src/event-loop-lag.js'
import { healthHandler } from '../../src/health.js'
import { Server } from '../../src/server.js'
import { ws } from '../../src/transports/ws.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function ask(url: string, method = 'GET') {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(url, { method, agent: false }, resolve).on('error', reject)
  })
  const { statusCode: status, headers } = response
  const body = await text(response)
  return { status, headers, body: body === '' ? '' : JSON.parse(body) }
}

/** An engine whose answers can be kept back. */
function engine() {
  const real = memory()
  let answers = true
  const kv = { ...real.kv!, get: () => (answers ? real.kv!.get('x') : new Promise<never>(() => {})) }
  const all: Engine = { name: 'slow', kv, on: real.on, close: () => real.close() }
  const hang = (): void => {
    answers = false
  }
  return { all, hang }
}

describe('health', () => {
  test('is served on the HTTP servers of the transports, as long as the server is there', async () => {
    const transport = ws({ port: 0 })
    const app = new Server({ transport, env: 'test', health: true })
    await app.start()
    cleanups.push(() => app.stop())
    const origin = `http://127.0.0.1:${transport.address()!.port}`
    expect(await ask(`${origin}/livez`)).toMatchObject({ status: 200, body: { live: true } })
    expect(await ask(`${origin}/readyz?verbose`)).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
      body: { ready: true, server: 'started', engine: 'up', lag: expect.any(Number) },
    })
    expect(await ask(`${origin}/readyz`, 'HEAD')).toMatchObject({ status: 200, body: '' })
    expect(await ask(`${origin}/readyz`, 'POST')).toMatchObject({
      status: 405,
      headers: { allow: 'GET, HEAD' },
    })
  })

  test('is not ready before the server is, nor when it stops; paths are a choice', async () => {
    let status: 'starting' | 'started' | 'stopping' = 'starting'
    const handler = healthHandler(
      { status: () => status, engine: () => undefined, lag: () => 0 },
      { live: '/up', ready: '/health' },
    )
    const server = createServer((request, response) =>
      handler(request, response, () => response.writeHead(404).end('{"next":true}')),
    )
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    cleanups.push(() => server.close())
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    expect(await ask(`${origin}/up`)).toMatchObject({ status: 200 })
    expect(await ask(`${origin}/health`)).toMatchObject({
      status: 503,
      body: { server: 'starting', engine: 'none' },
    })
    status = 'started'
    expect(await ask(`${origin}/health`)).toMatchObject({ status: 200, body: { ready: true } })
    status = 'stopping'
    expect(await ask(`${origin}/health`)).toMatchObject({ status: 503, body: { ready: false } })
    expect(await ask(`${origin}/readyz`)).toMatchObject({ status: 404, body: { next: true } })
  })

  test('asks the engine once a second at most, and waits for it as long as it is told to', async () => {
    const slow = engine()
    const get = vi.spyOn(slow.all.kv!, 'get')
    const { check } = healthHandler(
      { status: () => 'started', engine: () => slow.all, lag: () => 0 },
      { engineTimeout: '50ms', maxLag: '1h' },
    )
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    const both = await Promise.all([check(), check()])
    expect(both).toEqual([both[0], expect.objectContaining({ ready: true, engine: 'up' })])
    expect(get).toHaveBeenCalledOnce()
    slow.hang()
    expect(await check()).toMatchObject({ engine: 'up' })
    await vi.advanceTimersByTimeAsync(1000)
    const late = check()
    await vi.advanceTimersByTimeAsync(50)
    expect(await late).toMatchObject({ ready: false, engine: 'down' })
    expect(get).toHaveBeenCalledTimes(2)
  })

  test('takes an engine that fails for down', async () => {
    const broken = {
      name: 'broken',
      kv: { get: () => Promise.reject(new Error('gone')) },
    } as unknown as Engine
    const { check } = healthHandler({ status: () => 'started', engine: () => broken, lag: () => 0 })
    expect(await check()).toMatchObject({ ready: false, engine: 'down' })
  })

  test('is not ready while an engine that answers says that it is down, as one that hears nothing', async () => {
    const real = memory()
    cleanups.push(() => real.close())
    const listening = new Set<{ event: string; listener: (cause?: unknown) => void }>()
    const on = ((event: string, listener: () => void) => {
      const entry = { event, listener }
      listening.add(entry)
      return () => void listening.delete(entry)
    }) as Engine['on']
    const tell = (told: string): void => {
      for (const { event, listener } of listening) if (event === told) listener(new Error('nothing is heard'))
    }
    const lines: string[] = []
    const say = (_details: object, line: string) => void lines.push(line)
    const app = new Server({
      transport: ws({ port: 0 }),
      engine: { ...real, on },
      env: 'test',
      log: { debug() {}, info: say, warn: say, error: say },
    })
    await app.start()
    cleanups.push(() => app.stop())
    const { check } = app.healthHandler()
    expect(await check()).toMatchObject({ ready: true, engine: 'up' })
    tell('down')
    expect(await check()).toMatchObject({ ready: false, engine: 'down' })
    tell('up')
    expect(await check()).toMatchObject({ ready: true, engine: 'up' })
    expect(lines).toEqual(
      expect.arrayContaining(["the engine 'memory' is down", "the engine 'memory' is up again"]),
    )
    await app.stop()
    expect([...listening]).toEqual([])
  })

  test('is not ready after the event loop has stood still for too long', async () => {
    const source = { status: () => 'started' as const, engine: () => undefined, lag: () => 300 }
    expect(await healthHandler(source, { maxLag: 299 }).check()).toMatchObject({ ready: false, lag: 300 })
    expect(await healthHandler(source, { maxLag: '300ms' }).check()).toMatchObject({ ready: true, lag: 300 })
  })

  test('sees how long the event loop stands still, and tells it once', () => {
    let now = 0
    const due: (() => void)[] = []
    const clock = { now: () => now, setTimeout: (look: () => void) => due.push(look), clearTimeout() {} }
    const lag = eventLoopLag(clock)
    const pass = (ms: number): void => {
      now += ms
      due.shift()!()
    }
    pass(20)
    pass(21)
    expect(lag()).toBe(1)
    expect(lag()).toBe(0)
    pass(320)
    pass(20)
    expect(lag()).toBe(300)
    // Over, but not looked at yet.
    now += 520
    expect(lag()).toBe(500)
    expect(due).toHaveLength(1)
  })

  test.each([
    [{ ready: 'readyz' }, '`health.ready` must be a path'],
    [{ live: 1 }, '`health.live` must be a path'],
    [{ maxLag: 'long' }, '`health.maxLag` must be milliseconds'],
    [{ engineTimeout: -1 }, '`health.engineTimeout` must be milliseconds'],
  ])('%j is refused', (options, message) => {
    const source = { status: () => 'started' as const, engine: () => undefined, lag: () => 0 }
    expect(() => healthHandler(source, options as never)).toThrow(message)
  })
})
