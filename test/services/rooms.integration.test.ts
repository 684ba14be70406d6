/** Rooms over real WebSockets, with clients of both codecs. */
import { afterEach, expect, test } from 'vitest'
import { createClient as createJsonClient } from '../../src/client/json-node.js'
import { createClient } from '../../src/client/node.js'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { ws } from '../../src/transports/ws.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start() {
  const app = new Server({ transport: ws({ port: 0, host: '127.0.0.1' }), env: 'test', client: false })
    .service('chat', pubsub<{ said: [what: string, at: Date] }>())
    .service('rpc', rpc({ enter: ({ connection }, room: string) => connection.join(room) }))
  await app.start()
  cleanups.push(() => app.stop({ drain: 0 }))
  return app
}

test('reach clients of both codecs, by rooms and ids, once each, and end with the connection', async () => {
  const app = await start()
  const url = app.address()!.url
  const connect = async (create: typeof createClient) => {
    const client = create<typeof app>({ url, reconnect: false })
    cleanups.push(() => client.close())
    await client.connect()
    const heard: unknown[] = []
    client.api.chat.on('said', (...args) => heard.push(args))
    return { client, heard, enter: (room: string) => client.api.rpc.enter(room) }
  }
  const [one, other, apart] = [
    await connect(createClient),
    await connect(createJsonClient),
    await connect(createClient),
  ]
  for (const client of [one, other]) expect(await client.enter('red')).toBe(true)
  await other.enter('blue')
  await apart.enter('green')
  const at = new Date(0)
  expect(app.api.chat.to('red').to('blue').to(other.client.connectionId!).emit('said', 'hello', at)).toBe(2)
  expect(app.api.chat.to(['red', 'green']).except('blue').emit('said', 'again', at)).toBe(2)
  for (const client of [one, other, apart]) await client.enter('red')
  expect(one.heard).toEqual([
    ['hello', at],
    ['again', at],
  ])
  expect(other.heard).toEqual([['hello', at]])
  expect(apart.heard).toEqual([['again', at]])

  const gone = new Promise<string[]>(resolve =>
    app.events.once('client:disconnect', (_id, { rooms }) => resolve([...rooms])),
  )
  one.client.close()
  expect(await gone).toEqual(['red'])
  expect(app.to('red').size).toBe(2)
  const closed = new Promise(resolve => other.client.on('status', resolve))
  expect(app.to('blue').disconnect('enough')).toBe(1)
  expect(await closed).toBe('closed')
  expect(app.connections().map(({ id }) => id)).toEqual([apart.client.connectionId])
})
