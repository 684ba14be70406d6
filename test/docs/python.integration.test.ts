import { execFile, execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { SocketStreamError } from '../../src/errors.js'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { ws } from '../../src/transports/ws.js'

const script = fileURLToPath(new URL('python-client.py', import.meta.url))
const python = process.env.PYTHON || 'python3'
const missing = whyMissing()

describe('a client in Python, written from docs/protocol.md alone,', () => {
  if (missing !== undefined && !process.env.CI) {
    test.skip(`is not tried (skipped: ${missing})`, () => {})
    return
  }

  test('calls, streams, subscribes, is pinged and closes', { timeout: 60_000 }, async () => {
    expect(missing).toBeUndefined()
    const app = new Server({
      transport: ws({ port: 0, host: '127.0.0.1' }),
      env: 'production',
      limits: { ping: 1000 },
    })
      .service(
        'rpc',
        rpc({
          add: (_ctx, a: number, b: number) => a + b,
          echo: (_ctx, value: unknown) => value,
          fail: () => {
            throw new SocketStreamError('SOLD_OUT', 'No seats left', { data: { row: 7 } })
          },
          *count(_ctx, to: number) {
            for (let i = 0; i < to; i++) yield i
          },
        }),
      )
      .service('chat', pubsub({ canPublish: () => true }))
    await app.start()
    try {
      const { stdout } = await promisify(execFile)(python, [script, '127.0.0.1', `${app.address()?.port}`], {
        timeout: 30_000,
      })
      const lines = stdout.trim().split('\n')
      expect(lines.map(line => JSON.parse(line))).toEqual([
        ['services', ['chat', 'rpc']],
        ['add', 3],
        ['text', 'æøå 漢字'],
        ['bytes', { $t: ['u8', 'AQI='] }],
        ['fail', { code: 'SOLD_OUT', message: 'No seats left', data: { row: 7 } }],
        ['stream', 499_500],
        ['publish', null],
        ['broadcast', null],
        [
          'events',
          [
            ['room', 'said', 'Ann', 'hello'],
            ['said', 'Ann', 'to all'],
          ],
        ],
        ['pinged', true],
        ['close', [[1000, 'closed by the client', false], 1000]],
      ])
    } finally {
      await app.stop({ drain: 0 })
    }
  })
})

function whyMissing(): string | undefined {
  try {
    execFileSync(python, ['-c', 'import sys; assert sys.version_info >= (3, 8)'], { stdio: 'ignore' })
    return undefined
  } catch {
    return `no ${python} of version 3.8 or later`
  }
}
