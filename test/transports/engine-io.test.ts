import { describe, expect, test } from 'vitest'
import { LinkRecorder } from '../../src/testing/link-recorder.js'
import { transportConformance } from '../../src/testing/transport-conformance.js'
import { engineio } from '../../src/transports/engine-io.js'
import { connectEngineIo, startedEngineIo, urlOf } from './engine-io-client.js'

const runner = { describe, test, expect }

const WAYS = {
  'engineio() by polling': { transports: ['polling'] },
  'engineio() by WebSocket': { transports: ['websocket'] },
  'engineio() by polling, then WebSocket': { transports: ['polling', 'websocket'] },
}

for (const [name, options] of Object.entries(WAYS)) {
  transportConformance(
    name,
    () => {
      const transport = engineio({ port: 0, host: '127.0.0.1' })
      return {
        transport,
        connect: (handler, protocols) => connectEngineIo(urlOf(transport), handler, protocols, options),
        rival: () => engineio({ port: transport.address()?.port ?? 0, host: '127.0.0.1' }),
      }
    },
    runner,
  )
}

describe('a client of engineio()', () => {
  test('keeps its one link through the upgrade, and the order of its frames', async () => {
    const { host, url } = await startedEngineIo()
    const seen = new LinkRecorder()
    const { socket, ...client } = await connectEngineIo(url, seen)
    const { link, recorder } = await host.nextLink()
    const frames = Array.from({ length: 300 }, (_, i) => (i % 2 ? `frame ${i}` : Buffer.from([i % 256])))
    for (const frame of frames.slice(0, 100)) {
      client.send(frame)
      link.send(frame)
    }
    const upgraded = new Promise(resolve => socket.once('upgrade', resolve))
    socket.once('upgrading', () => {
      for (const frame of frames.slice(100, 200)) {
        client.send(frame)
        link.send(frame)
      }
    })
    await upgraded
    for (const frame of frames.slice(200)) {
      client.send(frame)
      link.send(frame)
    }
    expect(await recorder.received(300)).toEqual(frames)
    expect(await seen.received(300)).toEqual(frames)
    expect(host.calls).toEqual(['authorize', 'connect'])
  })
})
