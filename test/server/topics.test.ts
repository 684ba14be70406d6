import { describe, expect, test } from 'vitest'
import type { ServiceDefinition, Topic } from '../../src/services/service.js'
import { testServer, WireClient } from '../support/wire.js'

async function start(options: Parameters<typeof testServer>[0] = {}) {
  const made = testServer(options)
  const left: string[] = []
  let topic!: Topic
  made.app.service('news', {
    server(server) {
      topic = server.topic('sport')
      server.onsubscribe = async (_request, name) => {
        if (name === 'closed') throw new Error('no')
      }
      server.onunsubscribe = (_connection, name) => void left.push(name)
    },
  } satisfies ServiceDefinition)
  await made.app.start()
  return { ...made, topic, left }
}

/** Lets the server handle everything that was sent before. */
async function settle(client: WireClient) {
  client.send([19, 0])
  while ((await client.next())[0] !== 20);
}

describe('a topic', () => {
  test('taken before anybody has subscribed reaches those who do later', async () => {
    const { app, transport, topic } = await start()
    const clients = await Promise.all([WireClient.open(transport), WireClient.open(transport)])
    for (const client of clients) {
      client.send([9, 1, 1, { ch: 'sport' }])
      expect(await client.next()).toEqual([2, 1, { topic: 1 }])
    }
    expect(topic.size).toBe(2)
    topic.publish({ goal: 1 })
    for (const client of clients) expect(await client.received(3)).toEqual([8, 1, { goal: 1 }])
    await app.stop()
  })

  test('spares whom it is told to', async () => {
    const { app, transport, topic } = await start()
    const client = await WireClient.open(transport)
    client.send([9, 1, 1, { ch: 'sport' }])
    await client.next()
    topic.publish('not you', { except: client.welcome.cid as string })
    topic.publish('you')
    expect(await client.next()).toEqual([8, 1, 'you'])
    await app.stop()
  })

  test('is left by an unsubscribe and by the end of a connection, each told to the service', async () => {
    const { app, transport, topic, left } = await start()
    const one = await WireClient.open(transport)
    const two = await WireClient.open(transport)
    for (const client of [one, two]) {
      client.send([9, 1, 1, { ch: 'sport' }])
      await client.next()
    }
    one.send([10, 1])
    one.send([10, 1])
    one.send([10, 77])
    await settle(one)
    expect(topic.size).toBe(1)
    const gone = new Promise(resolve => app.events.once('client:disconnect', resolve))
    two.link.close()
    await gone
    await settle(one)
    expect(topic.size).toBe(0)
    expect(left).toEqual(['sport', 'sport'])
    topic.publish('nobody')
    await app.stop()
  })

  test('is not joined by a connection that has gone while the service thought about it', async () => {
    const made = testServer()
    let allow!: () => void
    let topic!: Topic
    made.app.service('news', {
      server(server) {
        topic = server.topic('slow')
        server.onsubscribe = () => new Promise<void>(resolve => (allow = resolve))
      },
    })
    await made.app.start()
    const client = await WireClient.open(made.transport)
    client.send([9, 1, 1, { ch: 'slow' }])
    await settle(client)
    const gone = new Promise(resolve => made.app.events.once('client:disconnect', resolve))
    client.link.close()
    await gone
    allow()
    await new Promise(resolve => setImmediate(resolve))
    expect(topic.size).toBe(0)
    await made.app.stop()
  })

  test('gets a new number after it had been empty, so that late publications reach nobody else', async () => {
    const { app, transport } = await start()
    const client = await WireClient.open(transport)
    client.send([9, 1, 1, { ch: 'sport' }])
    expect(await client.next()).toEqual([2, 1, { topic: 1 }])
    client.send([10, 1])
    client.send([9, 1, 3, { ch: 'sport' }])
    expect(await client.next()).toEqual([2, 3, { topic: 2 }])
    await app.stop()
  })

  test('is refused past the number of topics a connection may have', async () => {
    const { app, transport } = await start({ limits: { topics: 2 } })
    const client = await WireClient.open(transport)
    for (const [index, ch] of ['a', 'b', 'c'].entries()) client.send([9, 1, index * 2 + 1, { ch }])
    await client.received(4)
    expect(client.frames.find(frame => frame[1] === 5)).toEqual([
      3,
      5,
      expect.objectContaining({ code: 'OVERLOADED' }),
    ])
    await app.stop()
  })
})
