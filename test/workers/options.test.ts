import cluster from 'node:cluster'
import { afterEach, describe, expect, test } from 'vitest'
import { Server } from '../../src/server.js'
import { engineio } from '../../src/transports/engine-io.js'
import { sockjs } from '../../src/transports/sockjs.js'
import { sse } from '../../src/transports/sse.js'
import { ws } from '../../src/transports/ws.js'
import { workers } from '../../src/workers/index.js'

const isWorker = cluster.isWorker
/** As node's cluster module has it in a worker. */
const asWorker = (value: boolean) => Object.assign(cluster, { isWorker: value })

afterEach(() => asWorker(isWorker))

describe('workers', () => {
  test.each<[object, RegExp]>([
    [{}, /`file` must be/],
    [{ file: new URL('http://localhost/server.js') }, /`file` must be/],
    [{ file: 'server.js', count: 0 }, /`count` must be/],
    [{ file: 'server.js', count: 1.5 }, /`count` must be/],
    [{ file: 'server.js', args: 'x' }, /`args` must be/],
    [{ file: 'server.js', env: 'x' }, /`env` must be/],
    [{ file: 'server.js', handleSignals: 1 }, /`handleSignals` must be/],
    [{ file: 'server.js', patience: 'long' }, /`patience` must be/],
  ])('refuse %j', (options, message) => {
    expect(() => workers(options as never)).toThrow(message)
  })

  test('are not begun by a worker', () => {
    asWorker(true)
    expect(() => workers({ file: 'server.js' })).toThrow(/another program/)
  })

  test('have no transport that needs a client in one process', () => {
    const make = (transport: ReturnType<typeof ws>) => () => new Server({ transport })
    for (const transport of [sockjs({ port: 0 }), engineio({ port: 0 })]) {
      asWorker(false)
      expect(make(transport)).not.toThrow()
      asWorker(true)
      expect(make(transport)).toThrow(/in the same process/)
    }
    for (const transport of [
      ws({ port: 0 }),
      sse({ port: 0 }),
      engineio({ port: 0, transports: ['websocket'] }),
    ]) {
      expect(make(transport)).not.toThrow()
    }
  })
})
