import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { memory } from '../../src/engines/memory.js'
import { BusListener } from '../../src/services/bus-listener.js'
import type { ServiceServer } from '../../src/services/service.js'

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(() => void vi.useRealTimers())

/** A listener of an engine that fails as often as is said, and what it hears. */
function listenerOf(failures: number) {
  const engine = memory()
  onTestFinished(() => engine.close())
  const heard: string[] = []
  const lines: string[] = []
  let attempts = 0
  const listen = (...args: Parameters<typeof engine.bus.listen>) =>
    ++attempts <= failures ? Promise.reject(new Error('It is away')) : engine.bus.listen(...args)
  const server = {
    engine: { bus: { listen } },
    log: { warn: (text: string) => lines.push(text) },
  } as unknown as ServiceServer
  const hear = (bytes: Uint8Array) => void heard.push(Buffer.from(bytes).toString())
  const listener = new BusListener(server, 'node', hear, () => heard.push('late'))
  return {
    listener,
    heard,
    lines,
    attempts: () => attempts,
    send: () => engine.bus.send('node', Buffer.from('hello')),
  }
}

test('a listener hears from when it has begun, until it is closed', async () => {
  const { listener, heard, lines, send } = listenerOf(0)
  await listener.listen()
  expect(await send()).toBe(true)
  listener.close()
  expect(await send()).toBe(false)
  expect([heard, lines]).toEqual([['hello'], []])
})

test('a listener of an engine that is away tries again, says so once, and tells that it is late', async () => {
  const { listener, heard, lines, send } = listenerOf(3)
  await listener.listen()
  await vi.advanceTimersByTimeAsync(2000)
  expect(await send()).toBe(false)
  await vi.advanceTimersByTimeAsync(1000)
  expect(await send()).toBe(true)
  expect([heard, lines]).toEqual([['late', 'hello'], ['other servers are not heard yet']])
  listener.close()
})

test('a listener that is closed does not try again', async () => {
  const { listener, attempts } = listenerOf(1)
  await listener.listen()
  listener.close()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(attempts()).toBe(1)
})
