import { describe, expect, test } from 'vitest'
import { LinkRecorder } from '../../src/testing/link-recorder.js'
import { transportConformance } from '../../src/testing/transport-conformance.js'
import { ws } from '../../src/transports/ws.js'
import { connectWs, RawClient, startedWs, urlOf } from './ws-client.js'

const runner = { describe, test, expect }

transportConformance(
  'ws({ port })',
  () => {
    const transport = ws({ port: 0, host: '127.0.0.1' })
    return {
      transport,
      connect: (handler, protocols) => connectWs(urlOf(transport), handler, protocols),
      rival: () => ws({ port: transport.address()?.port ?? 0, host: '127.0.0.1' }),
    }
  },
  runner,
)

transportConformance(
  'ws({ perMessageDeflate })',
  () => {
    const transport = ws({ port: 0, host: '127.0.0.1', perMessageDeflate: { threshold: 0 } })
    return {
      transport,
      connect: (handler, protocols) =>
        connectWs(urlOf(transport), handler, protocols, { perMessageDeflate: true }),
    }
  },
  runner,
)

async function startedEcho() {
  const { host, port } = await startedWs()
  host.onconnect = ({ link, recorder }) => {
    recorder.onframe = frame => link.send(frame)
  }
  const client = await new RawClient(port).upgrade().upgraded()
  return { host, client }
}

describe('what ws() sends', () => {
  test('has the reply to a message before the answer to a close in the same chunk', async () => {
    const { client } = await startedEcho()
    // "hi" as text, then a close with 1000; masked with zeros
    client.write('8182000000006869 8882 00000000 03e8')
    expect(await client.frames(8)).toBe('81026869880203e8')
  })

  test('has the reply to a message before the pong to a ping in the same chunk', async () => {
    const { client } = await startedEcho()
    client.write('818200000000686989800000000081820000000068 6f')
    expect(await client.frames(10)).toBe('810268698a008102686f')
  })

  test('leaves in one write per tick', async () => {
    const { host, port } = await startedWs()
    const client = await new RawClient(port).upgrade().upgraded()
    const { link } = await host.nextLink()
    link.send('a')
    link.send(Uint8Array.of(1, 2))
    link.send('')
    expect(link.bufferedBytes).toBe(9)
    const chunk = new Promise<Buffer>(resolve => client.socket.once('data', resolve))
    expect((await chunk).toString('hex')).toBe('810161820201028100')
  })

  test('has frames of all sizes and both kinds, mixed in one tick, in order', async () => {
    const { host, url } = await startedWs()
    const seen = new LinkRecorder()
    await connectWs(url, seen)
    const { link } = await host.nextLink()
    const large = Buffer.alloc(100_000, 5)
    const frames = ['a', large, 'b', 'ü'.repeat(40_000), Buffer.alloc(16 * 1024, 6), large, Buffer.from('z')]
    for (const frame of frames) link.send(frame)
    expect(await seen.received(frames.length)).toEqual(frames)
  })

  test('has the headers of the verdict in the answer to the handshake', async () => {
    const { host, port } = await startedWs()
    host.decide = () => ({ accept: true, headers: { 'Set-Cookie': 'sid=1; HttpOnly' } })
    const client = await new RawClient(port).upgrade().upgraded()
    expect(client.received.toString()).toContain('\r\nSet-Cookie: sid=1; HttpOnly\r\n')
  })
})

describe('a client of ws() that does not read', () => {
  test('fills its link, and gets everything once it reads', async () => {
    const { host, url } = await startedWs()
    const seen = new LinkRecorder()
    const client = await connectWs(url, seen)
    client.pause()
    const { link, recorder } = await host.nextLink()
    const frame = Buffer.alloc(64 * 1024)
    let sent = 0
    // Past what the system buffers, so that the rest has to wait in this process.
    for (; link.bufferedBytes < 2 ** 20; sent++) {
      link.send(frame)
      await new Promise(resolve => setImmediate(resolve))
    }
    expect(link.send(frame)).toBe(false)
    expect(recorder.drains).toBe(0)
    client.resume()
    await recorder.drainedTimes(1)
    expect(await seen.received(sent + 1)).toHaveLength(sent + 1)
    expect(link.bufferedBytes).toBe(0)
  })

  test('has a link that drains also when it is full before its socket is', async () => {
    const { host, url } = await startedWs({ highWaterMark: 100 })
    await connectWs(url)
    const { link, recorder } = await host.nextLink()
    expect(link.send('x'.repeat(100))).toBe(false)
    await recorder.drainedTimes(1)
    expect(link.send('y')).toBe(true)
  })

  test('is dropped with all that waits for it when terminated', async () => {
    const { host, url } = await startedWs()
    const client = await connectWs(url)
    client.pause()
    const { link, recorder } = await host.nextLink()
    while (link.send(Buffer.alloc(256 * 1024))) await new Promise(resolve => setImmediate(resolve))
    link.terminate()
    expect(await recorder.ended()).toEqual({ code: 1006, reason: '' })
    expect(link.bufferedBytes).toBe(0)
  })
})
