import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { describe, expect, test, vi } from 'vitest'
import { LinkRecorder } from '../../src/testing/link-recorder.js'
import { connectWs, listeningServer, RawClient, startedWs } from './ws-client.js'

describe('ws() and faulty clients', () => {
  test.each([
    ['text that is not UTF-8', '818200000000c328', 1007],
    ['an unknown opcode', '8380 00000000', 1002],
    ['an unmasked frame', '8100', 1002],
    ['a message over maxPayload', '82fe 0400 00000000', 1009],
  ])('closes on %s with its code', async (_what, hex, code) => {
    const { host, port } = await startedWs({ maxPayload: 1000 })
    const client = await new RawClient(port).upgrade().upgraded()
    const { recorder } = await host.nextLink()
    client.write(hex)
    const expected = `8802${code.toString(16).padStart(4, '0')}`
    expect(await client.frames(4)).toBe(expected)
    expect((await recorder.ended()).code).toBe(code)
    expect(recorder.frames).toEqual([])
    expect(recorder.endings).toHaveLength(1)
  })

  test('gives 1005 for a close without a code', async () => {
    const { host, port } = await startedWs()
    const client = await new RawClient(port).upgrade().upgraded()
    const { recorder } = await host.nextLink()
    client.write('888000000000')
    expect(await recorder.ended()).toEqual({ code: 1005, reason: '' })
  })

  test('gives 1006 for a client that ends without a close frame', async () => {
    const { host, port } = await startedWs()
    const client = await new RawClient(port).upgrade().upgraded()
    const { recorder } = await host.nextLink()
    client.socket.end()
    expect(await recorder.ended()).toEqual({ code: 1006, reason: '' })
  })

  test('survives a reset at any time', async () => {
    const { host, port, url } = await startedWs()
    const early = new RawClient(port).upgrade()
    early.socket.once('data', () => early.socket.resetAndDestroy())
    await early.closed
    const { recorder: first } = await host.nextLink()
    await first.ended()

    const busy = await new RawClient(port).upgrade().upgraded()
    const { link, recorder } = await host.nextLink()
    for (let i = 0; i < 100; i++) link.send(Buffer.alloc(64 * 1024))
    busy.socket.resetAndDestroy()
    link.send('into the void')
    expect((await recorder.ended()).code).toBe(1006)

    host.decide = () => ({ accept: false, status: 403, message: 'x'.repeat(100_000) })
    const refused = new RawClient(port).upgrade()
    refused.socket.once('data', () => refused.socket.resetAndDestroy())
    await refused.closed

    host.decide = () => ({ accept: true })
    await connectWs(url)
    await host.nextLink()
  })

  test('listens for errors of every socket from its upgrade on, whatever becomes of it', async () => {
    const sockets: Socket[] = []
    const { server, port } = await listeningServer(createServer())
    server.on('connection', socket => sockets.push(socket))
    const { transport, host } = await startedWs({ server, path: '/ws' })
    const accepted = await new RawClient(port).upgrade('/ws').upgraded()
    host.decide = () => ({ accept: false, status: 403, message: 'No entry' })
    const answered = [accepted]
    for (const [path, headers] of [
      ['/ws', {}],
      ['/ws', { 'Sec-WebSocket-Key': 'short' }],
      ['/elsewhere', {}],
    ] as const) {
      answered.push(await new RawClient(port).upgrade(path, headers).upgraded())
    }
    transport.stopAccepting()
    answered.push(await new RawClient(port).upgrade('/ws').upgraded())
    expect(answered.map(client => client.received.toString().slice(9, 12))).toEqual([
      '101',
      '403',
      '400',
      '404',
      '503',
    ])
    for (const socket of sockets) {
      expect(socket.emit('error', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }))).toBe(
        true,
      )
    }
  })

  test('goes on when the host fails to take a link over', async () => {
    const { host, url } = await startedWs()
    host.onconnect = () => {
      throw new Error('no')
    }
    const seen = new LinkRecorder()
    await connectWs(url, seen)
    expect((await seen.ended()).code).toBe(1006)
    expect(host.logs).toMatchObject([{ level: 'error' }])
  })

  test('closes a paused link without waiting for its client', async () => {
    const { host, url } = await startedWs()
    const seen = new LinkRecorder()
    await connectWs(url, seen)
    const { link, recorder } = await host.nextLink()
    link.pause()
    link.close(4404, 'enough')
    expect(await recorder.ended()).toEqual({ code: 4404, reason: 'enough' })
    expect(await seen.ended()).toEqual({ code: 4404, reason: 'enough' })
  })
})

describe('the heartbeat of ws()', () => {
  const fakeInterval = () => vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
  const PING = '8900'

  test('pings a silent client and drops it when it stays silent', async () => {
    fakeInterval()
    const { host, port, transport } = await startedWs({ heartbeat: 1000 })
    expect(transport.capabilities.heartbeat).toBe(true)
    const client = await new RawClient(port).upgrade().upgraded()
    const { recorder } = await host.nextLink()
    vi.advanceTimersByTime(2000)
    expect(await client.frames(2)).toBe(PING)
    vi.advanceTimersByTime(1000)
    expect(await recorder.ended()).toEqual({ code: 1006, reason: '' })
  })

  test('keeps a client that answers', async () => {
    fakeInterval()
    const { host, port } = await startedWs({ heartbeat: 1000 })
    const client = await new RawClient(port).upgrade().upgraded()
    const { recorder } = await host.nextLink()
    vi.advanceTimersByTime(2000)
    await client.frames(2)
    client.write('8a8000000000 818100000000 61')
    await recorder.received(1)
    vi.advanceTimersByTime(2000)
    expect(await client.frames(4)).toBe(PING + PING)
    expect(recorder.endings).toEqual([])
  })

  test('leaves a paused link alone', async () => {
    fakeInterval()
    const { host, port } = await startedWs({ heartbeat: 1000 })
    const client = await new RawClient(port).upgrade().upgraded()
    const { link, recorder } = await host.nextLink()
    link.pause()
    vi.advanceTimersByTime(10_000)
    link.send('x')
    expect(await client.frames(3)).toBe('810178')
    expect(recorder.endings).toEqual([])
  })

  test('can be turned off', async () => {
    fakeInterval()
    const { transport } = await startedWs({ heartbeat: 0 })
    expect(transport.capabilities.heartbeat).toBe(false)
    expect(vi.getTimerCount()).toBe(0)
  })
})
