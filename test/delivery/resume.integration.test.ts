import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { Server } from '../../src/server.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { ServiceDefinition, ServiceServer } from '../../src/services/service.js'
import { faultProxy } from '../../src/testing/index.js'
import { ws } from '../../src/transports/ws.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

type Frame = [kind: number, ...rest: unknown[]]

/** One WebSocket that speaks JSON frames by hand. */
class Socket {
  readonly frames: Frame[] = []
  readonly #socket: WebSocket
  #wake: (() => void)[] = []
  over = false

  private constructor(socket: WebSocket) {
    this.#socket = socket
    const wake = (): void => {
      for (const next of this.#wake.splice(0)) next()
    }
    socket.on('message', data => {
      this.frames.push(JSON.parse(String(data)) as Frame)
      wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.over = true
      wake()
    })
    cleanups.push(() => socket.terminate())
  }

  static async open(port: number, hello: object): Promise<Socket> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, ['ss1.json'])
    const made = new Socket(socket)
    await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject))
    made.send([16, { v: 1, caps: ['resume'], ...hello }])
    await made.until(() => made.frames.length > 0)
    return made
  }

  send(frame: Frame): void {
    this.#socket.send(JSON.stringify(frame))
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds() && !this.over) await new Promise<void>(wake => this.#wake.push(wake))
  }

  terminate(): void {
    this.#socket.terminate()
  }
}

/** Starts a server behind a proxy with faults. */
async function start() {
  let own!: ServiceServer
  const gone: string[] = []
  const definition: ServiceDefinition = {
    server(server) {
      own = server
      server.onclose = ({ id }) => void gone.push(id)
      return {}
    },
  }
  const app = new Server({ transport: ws({ port: 0, host: '127.0.0.1' }), env: 'test' })
    .service('rpc', rpc({ echo: (_ctx, value: unknown) => value }))
    .service('own', definition)
  await app.start()
  cleanups.push(() => app.stop({ drain: 0 }))
  const proxy = await faultProxy({ port: Number(new URL(app.address()!.url).port), split: 0.3 })
  cleanups.push(() => proxy.close())
  return { app, proxy, own, gone }
}

describe('over real WebSockets', () => {
  test('a link that is cut in the middle of a frame, again and again, loses and repeats nothing', async () => {
    const { proxy, own, gone } = await start()
    const rounds = 12
    const each = 20
    const got: unknown[] = []
    let socket = await Socket.open(proxy.port, {})
    const { token, session, cid } = socket.frames.shift()![1] as Record<string, string>
    for (let round = 0; round < rounds; round++) {
      // Somewhere in what follows, seldom between two frames.
      proxy.cutAfter(90 + round * 37, 'down')
      for (let n = 0; n < each; n++) own.send(cid!, [round, n, 'x'.repeat(20)])
      await socket.until(() => false)
      got.push(...socket.frames.filter(([kind]) => kind < 16).map(frame => frame[2]))
      const resume = { token, try: round + 1, recv: got.length }
      socket = await Socket.open(proxy.port, { session, resume })
      expect(socket.frames.shift()?.[1]).toMatchObject({ resumed: true, cid })
    }
    const expected = Array.from({ length: rounds * each }, (_, at) => [
      Math.floor(at / each),
      at % each,
      'x'.repeat(20),
    ])
    await socket.until(() => got.length + socket.frames.length >= expected.length)
    got.push(...socket.frames.map(frame => frame[2]))
    expect(got).toEqual(expected)
    expect(gone).toEqual([])
  })

  test('a link that brings nothing any more gives way to a newer one', async () => {
    const { proxy, app, own } = await start()
    const old = await Socket.open(proxy.port, {})
    const { token, session, cid } = old.frames.shift()![1] as Record<string, string>
    proxy.blackHole()
    own.send(cid!, 'into the hole')
    const socket = await Socket.open(proxy.port, { session, resume: { token, try: 1, recv: 0 } })
    await socket.until(() => socket.frames.length === 2)
    expect(socket.frames[0]?.[1]).toMatchObject({ resumed: true, cid })
    expect(socket.frames[1]).toEqual([0, 2, 'into the hole'])
    socket.send([1, 1, 1, ['echo', 'here']])
    await socket.until(() => socket.frames.length === 3)
    expect(socket.frames[2]).toEqual([2, 1, 'here'])
    expect(app.connections().map(({ id }) => id)).toEqual([cid])
  })

  test('a link that the client alone has lost is taken over, with what was written to it', async () => {
    const { proxy, app, own, gone } = await start()
    const old = await Socket.open(proxy.port, {})
    const { token, session, cid } = old.frames.shift()![1] as Record<string, string>
    proxy.set({ delay: 5, merge: 5 })
    proxy.blackHole('up')
    proxy.halfClose('down')
    await old.until(() => false)
    own.send(cid!, 'to nobody')
    expect([app.connections().map(({ id }) => id), gone]).toEqual([[cid], []])
    const socket = await Socket.open(proxy.port, { session, resume: { token, try: 1, recv: 0 } })
    await socket.until(() => socket.frames.length === 2)
    expect(socket.frames[0]?.[1]).toMatchObject({ resumed: true, cid })
    expect(socket.frames[1]).toEqual([0, 2, 'to nobody'])
    expect([app.connections().map(({ id }) => id), gone]).toEqual([[cid], []])
  })
})
