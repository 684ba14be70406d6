import { describe, expect, test } from 'vitest'
import type { Frame } from '../../src/codec/codec.js'
import { LinkRecorder } from '../../src/testing/link-recorder.js'
import { RecordingHost } from '../../src/testing/recording-host.js'
import { transportConformance } from '../../src/testing/transport-conformance.js'
import { type MemoryOptions, memory } from '../../src/transports/memory.js'

function subject(options?: MemoryOptions) {
  const transport = memory(options)
  return {
    transport,
    async connect(handler: LinkRecorder, protocols: readonly string[]) {
      const link = await transport.connect({ protocols })
      link.listen(handler)
      return link
    },
  }
}

transportConformance('memory()', () => subject(), { describe, test, expect })
transportConformance('memory({ maxFrame })', () => subject({ maxFrame: 70_000 }), { describe, test, expect })

async function connected(options?: MemoryOptions) {
  const transport = memory(options)
  const host = new RecordingHost()
  await transport.start(host)
  const client = await transport.connect()
  return { transport, host, client, server: await host.nextLink() }
}

describe('memory()', () => {
  test('passes frames by reference', async () => {
    const { client, server } = await connected()
    const frame = Uint8Array.of(1, 2, 3)
    client.send(frame)
    expect((await server.recorder.received(1))[0]).toBe(frame)
  })

  test('delivers all that one tick sends in one microtask turn', async () => {
    const { client, server } = await connected()
    for (let i = 0; i < 100; i++) client.send(`${i}`)
    expect(server.recorder.frames).toHaveLength(0)
    await Promise.resolve()
    expect(server.recorder.frames).toHaveLength(100)
  })

  test('keeps frames and the close for a client that listens late', async () => {
    const { client, server } = await connected()
    server.link.send('welcome')
    server.link.close(4404, 'bye')
    await server.recorder.ended()
    const seen = new LinkRecorder()
    client.listen(seen)
    expect(await seen.ended()).toEqual({ code: 4404, reason: 'bye' })
    expect(seen.frames).toEqual(['welcome'])
  })

  test('counts what waits for a paused end, empty frames too', async () => {
    const { client, server } = await connected({ highWaterMark: 10 })
    server.link.pause()
    expect(client.send('abc')).toBe(true)
    expect(client.send('')).toBe(true)
    expect(client.bufferedBytes).toBe(7)
    expect(client.send('')).toBe(true)
    expect(client.send('')).toBe(false)
    const seen = new LinkRecorder()
    client.listen(seen)
    server.link.resume()
    await seen.drainedTimes(1)
    expect(client.bufferedBytes).toBe(0)
    expect(server.recorder.frames).toEqual(['abc', '', '', ''])
  })

  test('stops delivering at the frame that pauses, and goes on from there', async () => {
    const { client, server } = await connected()
    server.recorder.onframe = () => server.link.pause()
    for (const frame of ['a', 'b', 'c']) client.send(frame)
    await server.recorder.received(1)
    client.send('d')
    await Promise.resolve()
    expect(server.recorder.frames).toEqual(['a'])
    for (let i = 2; i <= 4; i++) {
      server.link.resume()
      await server.recorder.received(i)
    }
    expect(server.recorder.frames).toEqual(['a', 'b', 'c', 'd'])
  })

  test('closes a paused end that closes itself, without what it had not read', async () => {
    const { client, server } = await connected()
    server.link.pause()
    client.send('unread')
    client.close(4001, 'first')
    server.link.close(4404, 'second')
    expect(await server.recorder.ended()).toEqual({ code: 4001, reason: 'first' })
    expect(server.recorder.frames).toEqual([])
  })

  test('lets timers and I/O have their turn in an endless exchange', async () => {
    const { client, server } = await connected()
    let over = false
    server.recorder.onframe = frame => {
      if (!over) server.link.send(frame)
    }
    client.listen({ frame: (frame: Frame) => void client.send(frame) })
    client.send('ping')
    await new Promise(resolve => setImmediate(resolve))
    over = true
    expect(server.recorder.frames.length).toBeGreaterThan(100)
  })

  test('hands the client on as it described itself', async () => {
    const { transport, host } = await connected()
    await transport.connect({ url: '/x?y', headers: { cookie: 'a=b' }, clientIp: '10.1.2.3', secure: true })
    expect(host.handshakes[1]).toEqual({
      transport: 'memory',
      url: '/x?y',
      headers: { cookie: 'a=b' },
      clientIp: '10.1.2.3',
      secure: true,
      cookies: true,
      protocols: [],
    })
  })

  test('refuses wrong options by name', () => {
    expect(() => memory({ maxFrame: -1 })).toThrow('memory: option `maxFrame` is -1 (number); give')
    expect(() => memory({ size: 1 } as MemoryOptions)).toThrow('memory: there is no option `size`')
  })
})
