import { describe, expect, test } from 'vitest'
import { answerCalls, type CallHandler } from '../../src/client/answer-calls.js'
import { createClient } from '../../src/client/node.js'
import { rpcUploads, upload } from '../../src/client/uploads.js'
import { json } from '../../src/codec/json.js'
import { msgpack } from '../../src/codec/msgpack.js'
import { SocketStreamError } from '../../src/errors.js'
import { rpc } from '../../src/services/rpc/index.js'
import type {
  Call,
  CallOptions,
  ClientHalf,
  ServiceClient,
  ServiceDefinition,
} from '../../src/services/service.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { testServer, WireClient } from '../support/wire.js'

const asking = {
  server: server => ({
    call: (id: string, payload: unknown, options?: CallOptions): Call =>
      server.callClient(id, payload, options),
  }),
} satisfies ServiceDefinition

async function wire(options: Parameters<typeof testServer>[0] = {}) {
  const { app, transport } = testServer(options)
  const asked = app.service('ask', asking)
  await asked.start()
  const client = await WireClient.open(transport)
  const call = (payload: unknown, more?: CallOptions): Call =>
    asked.api.ask.call(client.welcome.cid as string, payload, more)
  return { app, client, call }
}

async function list(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('a call of the server, on the wire', () => {
  test('has an even id, and resolves with the reply', async () => {
    const { app, client, call } = await wire()
    const [one, two] = [call('one'), call('two')]
    expect(await client.received(2)).toEqual([1, 1, 2, 'one'])
    expect(await client.received(3)).toEqual([1, 1, 4, 'two'])
    client.send([2, 4, 'second'])
    client.send([2, 2, 'first'])
    expect(await Promise.all([one, two])).toEqual(['first', 'second'])
    await app.stop()
  })

  test('is refused past the limit of calls', async () => {
    const { app, client, call } = await wire({ limits: { calls: 1 } })
    const one = call('one')
    await expect(call('two')).rejects.toMatchObject({ code: 'OVERLOADED' })
    await client.received(2)
    client.send([2, 2, null])
    await one
    await app.stop()
  })

  test('is cancelled by its signal, and ignores what comes late', async () => {
    const { app, client, call } = await wire()
    const controller = new AbortController()
    const one = call('one', { signal: controller.signal })
    controller.abort()
    await expect(one).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(await client.received(3)).toEqual([6, 2, 'CANCELLED'])
    client.send([2, 2, 'late'])
    client.send([19, 0])
    expect((await client.received(4))[0]).toBe(20)
    expect(client.closed).toBeUndefined()
    await app.stop()
  })

  test('fails when the connection goes, and where there is none', async () => {
    const { app, client, call } = await wire()
    const one = call('one')
    await client.next()
    client.send([22, 1000, {}])
    await expect(one).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    await expect(call('two')).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
    await app.stop()
  })

  test('is refused by its client at once with an error', async () => {
    const { app, client, call } = await wire()
    const one = call('one')
    await client.next()
    client.send([3, 2, { code: 'UNKNOWN_METHOD', message: 'takes no calls' }])
    await expect(one).rejects.toMatchObject({ code: 'UNKNOWN_METHOD' })
    expect(client.closed).toBeUndefined()
    await app.stop()
  })

  test('closes the connection for an item beyond the credit', async () => {
    const { app, client, call } = await wire({ limits: { credit: 2 } })
    const one = call('one')
    await client.next()
    for (const item of [1, 2, 3]) client.send([4, 2, item])
    await expect(list(one)).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    expect((await client.ended()).code).toBe(4400)
    await app.stop()
  })
})

describe.each([{ codec: json() }, { codec: msgpack() }])('a client that answers no calls', ({ codec }) => {
  async function start(services: Readonly<Record<string, ClientHalf>> = {}) {
    const { app, transport } = testServer()
    const served = app.service('ask', asking).service('other', asking).service('rpc', rpc({ sum }))
    await served.start()
    const client = createClient<typeof served>({
      url: 'memory:',
      transport: memoryClient(transport),
      codec,
      services,
    })
    await client.connect()
    return { app, client, call: () => served.api.ask.call(client.connectionId!, 'why', { timeout: 0 }) }
  }

  async function sum(_ctx: unknown, numbers: AsyncIterable<number>): Promise<number> {
    let total = 0
    for await (const n of numbers) total += n
    return total
  }

  test('refuses them, as often as it is asked', async () => {
    const { app, client, call } = await start()
    const calls = await Promise.allSettled([call(), call(), call()])
    expect(calls.map(one => one.status === 'rejected' && one.reason.code)).toEqual(
      Array(3).fill('UNKNOWN_METHOD'),
    )
    expect(client.status).toBe('connected')
    client.close()
    await app.stop()
  })

  test('refuses them while it uploads', async () => {
    const { app, client, call } = await start({ rpc: rpcUploads })
    let asked: Promise<unknown> | undefined
    const source = (async function* () {
      yield 1
      asked = call().catch(error => error.code)
      await asked
      yield 2
    })()
    expect(await client.api.rpc.sum(upload(source) as never)).toBe(3)
    expect(await asked).toBe('UNKNOWN_METHOD')
    client.close()
    await app.stop()
  })

  test('refuses those of other services, and until its half is made', async () => {
    const half = { client: (service: ServiceClient) => answerCalls(service, () => 'because') }
    const { app, client, call } = await start({ ask: half, other: half })
    await expect(call()).rejects.toMatchObject({ code: 'UNKNOWN_METHOD' })
    void client.api.other
    await expect(call()).rejects.toMatchObject({ code: 'UNKNOWN_METHOD' })
    void client.api.ask
    expect(await call()).toBe('because')
    client.close()
    await app.stop()
  })
})

describe.each([{ codec: json() }, { codec: msgpack() }])('a client half that answers calls', ({ codec }) => {
  async function start(handler: CallHandler) {
    const { app, transport } = testServer({ limits: { credit: 4 } })
    const asked = app.service('ask', asking)
    await asked.start()
    const half = { client: (service: Parameters<typeof answerCalls>[0]) => answerCalls(service, handler) }
    const client = createClient<typeof asked>({
      url: 'memory:',
      transport: memoryClient(transport),
      codec,
      services: { ask: half },
    })
    await client.connect()
    void client.api.ask
    return { app, client, call: (payload: unknown) => asked.api.ask.call(client.connectionId!, payload) }
  }

  test('answers with a value', async () => {
    const { app, client, call } = await start(async payload => ({ got: payload }))
    expect(await call([1, 'two'])).toEqual({ got: [1, 'two'] })
    client.close()
    await app.stop()
  })

  test('streams more items than the credit', async () => {
    const { app, client, call } = await start(async function* (to) {
      for (let item = 0; item < (to as number); item++) yield item
    })
    expect(await list(call(50))).toEqual(Array.from({ length: 50 }, (_, item) => item))
    client.close()
    await app.stop()
  })

  test('tells an error with its code and data, and hides others', async () => {
    const { app, client, call } = await start(coded => {
      throw coded ? new SocketStreamError('BUSY', 'not now', { data: { left: 1 } }) : new Error('secret')
    })
    await expect(call(true)).rejects.toMatchObject({ code: 'BUSY', data: { left: 1 } })
    await expect(call(false)).rejects.toMatchObject({ code: 'INTERNAL', message: 'The client failed' })
    client.close()
    await app.stop()
  })

  test('hears of a cancelled stream', async () => {
    let aborted!: () => void
    const heard = new Promise<void>(resolve => {
      aborted = resolve
    })
    const { app, client, call } = await start(async function* (_payload, { signal }) {
      signal.addEventListener('abort', aborted)
      for (;;) yield 'again'
    })
    for await (const item of call(null)) {
      expect(item).toBe('again')
      break
    }
    await heard
    client.close()
    await app.stop()
  })
})
