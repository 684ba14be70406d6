import { expect, test } from 'vitest'
import { Server } from '../../src/server.js'
import { rpc } from '../../src/services/rpc/index.js'
import { testServer } from '../../src/testing/index.js'

test.each([1, 500, 1000, 1500, 2500, 25_000])(
  'an idle client is taken for lost by neither end with pings every %i ms',
  async ping => {
    await using kit = await testServer(transport =>
      new Server({ transport, env: 'test', limits: { ping } }).service('rpc', rpc({})),
    )
    const client = await kit.connect()
    const heard: string[] = []
    client.on('status', status => heard.push(status))
    await kit.advance(20 * Math.max(ping, 1000))
    expect(heard).toEqual([])
    expect(client.status).toBe('connected')
  },
)
