import { once } from 'node:events'
import zlib from 'node:zlib'
import { afterEach, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import { Server } from '../../src/server.js'
import { engineio } from '../../src/transports/engine-io.js'
import { sockjs } from '../../src/transports/sockjs.js'
import { sse } from '../../src/transports/sse.js'
import type { Transport } from '../../src/transports/transport.js'
import { ws } from '../../src/transports/ws.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const MiB = 1024 * 1024
/** Small on the wire, 8 MiB when it is inflated. */
const BOMB = Buffer.alloc(8 * MiB, '4')
/** What zlib gives at once beyond what is asked for. */
const CHUNK = 64 * 1024

async function served(transport: Transport) {
  const app = new Server({ transport, env: 'production' })
  await app.start()
  cleanups.push(() => app.stop({ drain: 0 }))
  return app
}

/** A WebSocket that would compress, and answers nothing. */
async function opened(port: number, path: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: { threshold: 0 } })
  cleanups.push(() => socket.terminate())
  socket.on('error', () => undefined)
  await once(socket, 'open')
  return socket
}

const WAYS: [name: string, make: (options: object) => Transport, path: string, limit: object][] = [
  ['ws', ws, '/', { maxPayload: MiB }],
  ['engineio', engineio, '/engine.io/?EIO=4&transport=websocket', { maxHttpBufferSize: MiB }],
]
const place = { port: 0, host: '127.0.0.1' }

test.each(WAYS)(
  '%s inflates no more of a message than the largest frame has',
  async (_name, make, path, limit) => {
    let inflated = 0
    const create = zlib.createInflateRaw.bind(zlib)
    vi.spyOn(zlib, 'createInflateRaw').mockImplementation(options => {
      const inflate = create(options)
      const { push } = inflate
      inflate.push = (chunk: Buffer | null, ...rest: []) => {
        inflated += chunk?.length ?? 0
        return push.call(inflate, chunk, ...rest)
      }
      return inflate
    })
    const app = await served(make({ ...place, ...limit, perMessageDeflate: true }))
    const { port } = app.address()!
    const [bomber, bystander] = [await opened(port!, path), await opened(port!, path)]
    expect(bomber.extensions).toContain('permessage-deflate')
    bomber.send(BOMB.toString('latin1'))
    await once(bomber, 'close')
    expect(inflated).toBeGreaterThan(MiB / 2)
    expect(inflated).toBeLessThanOrEqual(MiB + CHUNK)
    expect(bystander.readyState).toBe(WebSocket.OPEN)
    expect(app.statistics().connections.links).toBe(1)
  },
)

test.each([
  ['ws', ws, '/'],
  ['engineio', engineio, '/engine.io/?EIO=4&transport=websocket'],
  ['sockjs', sockjs, '/sockjs/websocket'],
] as const)('%s does not compress unless it is told to', async (_name, make, path) => {
  const app = await served(make(place))
  const socket = await opened(app.address()!.port!, path)
  expect(socket.extensions).toBe('')
})

test.each([
  ['sse', sse, '/sse'],
  ['sockjs', sockjs, '/sockjs/0/a/xhr_send'],
  ['engineio', engineio, '/engine.io/?EIO=4&transport=polling'],
] as const)('%s inflates no body of a request', async (_name, make, path) => {
  const spies = (['createGunzip', 'createInflate', 'createUnzip', 'createBrotliDecompress'] as const).map(
    name => vi.spyOn(zlib, name),
  )
  const app = await served(make(place))
  const response = await fetch(`http://127.0.0.1:${app.address()!.port}${path}`, {
    method: 'POST',
    headers: { 'Content-Encoding': 'gzip' },
    body: zlib.gzipSync(BOMB.subarray(0, MiB)),
  })
  await response.text()
  expect(response.status).toBeGreaterThanOrEqual(400)
  for (const spy of spies) expect(spy).not.toHaveBeenCalled()
})
