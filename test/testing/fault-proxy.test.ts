import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server as NetServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { Server } from '../../src/server.js'
import { rpc } from '../../src/services/rpc/index.js'
import { type FaultProxyOptions, faultProxy } from '../../src/testing/index.js'
import { ws } from '../../src/transports/ws.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A plain socket at either side of a proxy, with the chunks that each has read. */
async function pair(options: Omit<FaultProxyOptions, 'port'> = {}, allowHalfOpen = false) {
  const server: NetServer = createServer({ allowHalfOpen }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => server.close())
  const proxy = await faultProxy({ port: (server.address() as AddressInfo).port, ...options })
  cleanups.push(() => proxy.close())
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const client = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen }).setNoDelay(true)
  const [served] = await accepted
  const ends = [client, served].map(socket => {
    const chunks: string[] = []
    const closed = new Promise<void>(resolve => socket.on('close', () => resolve()))
    socket.on('error', () => undefined)
    socket.on('data', chunk => chunks.push(chunk.toString()))
    cleanups.push(() => socket.destroy())
    const received = async (bytes: number) => {
      while (chunks.join('').length < bytes) await once(socket, 'data')
      return chunks.join('')
    }
    return { socket, chunks, closed, received }
  })
  return { proxy, client: ends[0]!, served: ends[1]! }
}

describe('a fault proxy', () => {
  test('splits chunks and loses nothing', async () => {
    const { client, served } = await pair({ split: 1 })
    client.socket.write('0123456789')
    expect(await served.received(10)).toBe('0123456789')
    expect(served.chunks.length).toBe(2)
  })

  test('merges chunks', async () => {
    const { client, served } = await pair({ merge: 30 })
    for (const text of ['ab', 'cd']) await new Promise(done => client.socket.write(text, done))
    await served.received(4)
    expect(served.chunks).toEqual(['abcd'])
  })

  test('cuts after so many bytes', async () => {
    const { proxy, client, served } = await pair()
    proxy.cutAfter(4, 'up')
    client.socket.write('0123456789')
    await Promise.all([client.closed, served.closed])
    expect(served.chunks.join('').length).toBeLessThanOrEqual(4)
    expect(String(proxy.log)).toMatch(/cut after up 4 B\n.*cut up, mid-way/)
    expect(proxy.open).toBe(0)
  })

  test('black-holes one direction', async () => {
    const { proxy, client, served } = await pair()
    proxy.blackHole('up')
    client.socket.write('lost')
    served.socket.write('heard')
    expect(await client.received(5)).toBe('heard')
    expect(served.chunks).toEqual([])
  })

  test('half-closes: the other direction goes on', async () => {
    const { proxy, client, served } = await pair({}, true)
    client.socket.write('before')
    await served.received(6)
    const ended = once(served.socket, 'end')
    proxy.halfClose('up')
    await ended
    served.socket.write('after')
    expect(await client.received(5)).toBe('after')
    expect(client.socket.readyState).toBe('open')
  })

  test('holds back what is over its rate', async () => {
    const { client, served } = await pair({ bytesPerSecond: 10_000, delay: 5 })
    const begin = performance.now()
    client.socket.write('x'.repeat(1_000))
    await served.received(1_000)
    expect(performance.now() - begin).toBeGreaterThanOrEqual(99)
  })

  test('closes everything, and needs a port', async () => {
    const { proxy, client, served } = await pair()
    await proxy.close()
    await Promise.all([client.closed, served.closed])
    const refused = once(connect(proxy.port, '127.0.0.1'), 'connect')
    await expect(refused).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await expect(faultProxy({} as never)).rejects.toMatchObject({ code: 'INVALID_OPTION' })
  })

  test('stands between a ws client and its server', async () => {
    const app = new Server({ transport: ws({ port: 0 }), env: 'test' }).service(
      'rpc',
      rpc({ echo: (_ctx, text: string) => text }),
    )
    await app.start()
    cleanups.push(() => app.stop({ drain: 0 }))
    const proxy = await faultProxy({ port: app.address()!.port!, seed: 3, split: 1 })
    cleanups.push(() => proxy.close())
    const client = createClient<typeof app>({
      url: `ws://127.0.0.1:${proxy.port}`,
      reconnect: { minDelay: 1, maxDelay: 1 },
    })
    cleanups.push(() => client.close())
    await client.connect()
    const long = 'x'.repeat(100_000)
    expect(await client.api.rpc.echo(long)).toBe(long)
    const back = new Promise<void>(resolve =>
      client.on('status', status => status === 'connected' && resolve()),
    )
    proxy.cutAfter(50_000, 'down')
    // The answer is cut in the middle, and comes whole over the next link.
    expect(await client.api.rpc.echo(long)).toBe(long)
    await back
    expect(await client.api.rpc.echo('again')).toBe('again')
  })
})
