import { expect, test } from 'vitest'
import { createClient } from '../src/client/node.js'
import { json } from '../src/codec/json.js'
import { Server } from '../src/server.js'
import { pubsub } from '../src/services/pubsub/index.js'
import { rpc } from '../src/services/rpc/index.js'
import { memoryClient } from '../src/testing/memory-client.js'
import { memory } from '../src/transports/memory.js'

test('smoke', async () => {
  const transport = memory()
  const app = new Server({ transport, log: console.log })
    .service(
      'rpc',
      rpc({
        add: (_c, a: number, b: number) => a + b,
        count: async function* (_c, n: number) {
          for (let i = 0; i < n; i++) yield i
        },
      }),
    )
    .service('chat', pubsub<{ news: [string] }>())
  const api = await app.start()
  for (const codec of [undefined, json()]) {
    const client = createClient<typeof app>({
      url: 'memory:',
      transport: memoryClient(transport),
      ...(codec ? { codec } : {}),
    })
    await client.connect()
    expect(await client.api.rpc.add(1, 2)).toBe(3)
    const got: number[] = []
    for await (const i of client.api.rpc.count(500)) got.push(i)
    expect(got.length).toBe(500)
    const news: string[] = []
    client.api.chat.on('news', x => news.push(x))
    await client.api.chat.subscribe('x')
    api.chat.publish.channel('x', 'news', 'a')
    api.chat.publish.all('news', 'b')
    await client.api.rpc.add(1, 2)
    expect(news).toEqual(['a', 'b'])
    client.close()
  }
  await app.stop()
})
