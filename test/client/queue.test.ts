import { describe, expect, test } from 'vitest'
import { type ClientOptions, createClient } from '../../src/client/json.js'
import type { ClientLinkHandler } from '../../src/client/transport.js'
import type { ServiceClient } from '../../src/services/service.js'

/** A service whose half is what the broker gives it. */
const raw = { client: (service: ServiceClient) => service, stateless: true }

/** A client, connected over a link that is held up and let go by hand; a window of two calls. */
async function connected(options: Partial<ClientOptions> = {}) {
  const frames: unknown[][] = []
  const link = {
    full: false,
    send: (frame: unknown) => void frames.push(JSON.parse(frame as string)),
    close() {},
  }
  let handler!: ClientLinkHandler
  // biome-ignore lint/suspicious/noExplicitAny: there is no server to take the types from
  const client = createClient<any>({
    url: 'memory:',
    services: { raw },
    transport: {
      open(_url, _protocols, events) {
        handler = events
        return link
      },
    },
    ...options,
  })
  const ready = client.connect()
  const receive = (frame: unknown[]): void => handler.frame(JSON.stringify(frame))
  const services = [{ id: 1, name: 'raw', type: 'custom', version: 1, use: {} }]
  const limits = { ping: 25_000, calls: 2, credit: 64, maxFrame: 1000 }
  receive([17, { v: 1, cid: 'a', services, ...limits }])
  await ready
  const service = client.api.raw as ServiceClient
  return {
    client,
    service,
    frames,
    receive,
    lose() {
      link.full = true
      handler.resuming?.({ code: 1006, reason: '' })
    },
    comeBack() {
      link.full = false
      handler.resuming?.()
    },
    end: () => handler.closed(1006, ''),
  }
}

describe('what is volatile', () => {
  test('is sent like anything else when there is room', async () => {
    const { client, service, frames } = await connected()
    expect(service.send('one', undefined, { volatile: true })).toBe(true)
    service.call('two', { volatile: true }).catch(() => {})
    expect(frames).toEqual([
      [0, 1, 'one'],
      [1, 1, 1, 'two'],
    ])
    client.close()
  })

  test('does not wait for a lost link', async () => {
    const { client, service, frames, lose, comeBack } = await connected()
    lose()
    const kept = service.call('kept')
    kept.catch(() => {})
    expect(service.send('kept')).toBe(true)
    expect(service.send('dropped', undefined, { volatile: true })).toBe(false)
    await expect(service.call('dropped', { volatile: true })).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
    const view = client.with({ volatile: true }).api.raw as ServiceClient
    expect(view.send('dropped')).toBe(false)
    await expect(view.call('dropped')).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
    expect(view.send('kept', undefined, { volatile: false })).toBe(true)
    expect(frames).toEqual([])
    comeBack()
    expect(frames).toEqual([
      [1, 1, 1, 'kept'],
      [0, 1, 'kept'],
      [0, 1, 'kept'],
    ])
    client.close()
  })

  test('does not wait behind a full window of calls', async () => {
    const { client, service, frames, receive } = await connected()
    const calls = ['a', 'b', 'c'].map(text => service.call(text))
    for (const call of calls) call.catch(() => {})
    expect(service.send('dropped', undefined, { volatile: true })).toBe(false)
    await expect(service.call('dropped', { volatile: true })).rejects.toMatchObject({ code: 'OVERLOADED' })
    receive([2, 1, 'answer'])
    expect(await calls[0]).toBe('answer')
    expect(frames).toEqual([
      [1, 1, 1, 'a'],
      [1, 1, 3, 'b'],
      [1, 1, 5, 'c'],
    ])
    // Nothing waits now, though the window is full: messages are not of it.
    expect(service.send('sent', undefined, { volatile: true })).toBe(true)
    client.close()
  })

  test('is dropped where there is no connection, and refused as a call', async () => {
    const { client, service, end } = await connected({ reconnect: false })
    end()
    expect(service.send('dropped', undefined, { volatile: true })).toBe(false)
    expect(() => service.send('x', () => {}, { volatile: true })).toThrow('connect first')
    await expect(service.call('x', { volatile: true })).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
    client.close()
  })

  test('is refused for its own faults', async () => {
    const { client, service } = await connected()
    const volatile = { volatile: true }
    expect(() => service.send('x'.repeat(1000), undefined, volatile)).toThrow('No room')
    expect(() => service.send(() => {}, undefined, volatile)).toThrow('function at $ cannot be sent')
    client.close()
  })
})

describe('the queue of a client', () => {
  test('holds as many bytes as it may, whatever has left it', async () => {
    // Frames of 100: `[0,1,"…"]`.
    const text = 'x'.repeat(100 - '[0,1,""]'.length)
    const { client, service, frames, lose, comeBack } = await connected({ queueBytes: 1000 })
    for (let round = 0; round < 3; round++) {
      lose()
      for (let i = 0; i < 10; i++) service.send(text)
      expect(() => service.send('one more')).toThrow('No room')
      await expect(service.call('one more')).rejects.toMatchObject({ code: 'OVERLOADED' })
      comeBack()
    }
    expect(frames).toHaveLength(30)
    client.close()
  })

  test('has room again for what was cancelled while it waited', async () => {
    const { client, service, frames, lose, comeBack } = await connected({ queueBytes: 100 })
    lose()
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController()
      const call = service.call('x'.repeat(80), { signal: controller.signal })
      controller.abort()
      await expect(call).rejects.toMatchObject({ code: 'CANCELLED' })
    }
    comeBack()
    expect(frames).toEqual([])
    client.close()
  })

  test('bounds what waits behind a full window, too', async () => {
    const { client, service } = await connected({ queueBytes: 100 })
    for (const text of ['a', 'b', 'c']) service.call(text).catch(() => {})
    await expect(service.call('x'.repeat(90))).rejects.toMatchObject({ code: 'OVERLOADED' })
    client.close()
  })
})
