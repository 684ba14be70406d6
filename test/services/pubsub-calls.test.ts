/** The server's calls to handlers of clients: to one, and to rooms. */
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import type { BrokerConnection } from '../../src/actors/connection.js'
import { handling } from '../../src/client/handlers.js'
import { rpcUploads, upload } from '../../src/client/uploads.js'
import { json } from '../../src/codec/json.js'
import { SocketStreamError } from '../../src/errors.js'
import { Server } from '../../src/server.js'
import { channelsClient } from '../../src/services/pubsub/channels-client.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { type TestClientOptions, testServer } from '../../src/testing/index.js'

type Events = { said: [what: string] }
interface Calls {
  ask(what: string): string
  count(to: number): AsyncIterable<number>
  nothing(): undefined
}

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function start(limits: ConstructorParameters<typeof Server>[0]['limits'] = {}, seed = 1) {
  const kit = await testServer(
    transport =>
      new Server({ transport, limits, resume: false })
        .service('chat', pubsub<Events, Calls>())
        .service('log', pubsub<Events, Calls>({ channels: { 'a:*': { history: { size: 1 } } } }))
        .service(
          'rpc',
          rpc({
            join: ({ connection }, room: string) => connection.join(room),
            async sum(_ctx, numbers: AsyncIterable<number>) {
              let sum = 0
              for await (const n of numbers) sum += n
              return sum
            },
          }),
        ),
    { seed },
  )
  cleanups.push(() => kit.stop())
  const connect = async (answer?: (what: string) => unknown, options: TestClientOptions = {}) => {
    const services = { chat: handling(), log: handling(channelsClient), rpc: rpcUploads }
    const client = await kit.connect({ codec: json(), reconnect: false, services, ...options })
    if (answer) client.api.chat.handle('ask', (_ctx, what) => answer(what) as string)
    await client.api.rpc.join('red')
    return client
  }
  return { kit, connect, chat: kit.app.api.chat, log: kit.app.api.log }
}

describe('a call to a client', () => {
  test('is answered by its handler, with a value or a stream', async () => {
    const { connect, chat, log } = await start()
    const client = await connect(what => `${what}!`)
    const id = client.connectionId!
    client.api.log.handle('ask', async (_ctx, what) => `${what}?`)
    client.api.chat.handle('count', async function* (_ctx: unknown, to: number) {
      for (let i = 1; i <= to; i++) yield i
    } as never)
    client.api.chat.handle('nothing', () => undefined)
    expect(await chat.call(id, 'ask', 'you')).toBe('you!')
    expect(await log.call(id, 'ask', 'you')).toBe('you?')
    expect(await chat.call(id, 'nothing')).toBe(null)
    const counted: number[] = []
    for await (const n of chat.call(id, 'count', 3)) counted.push(n)
    expect(counted).toEqual([1, 2, 3])
  })

  test('fails with what the handler throws, and where there is none', async () => {
    const { connect, chat } = await start()
    const client = await connect(what => {
      throw what === 'coded' ? new SocketStreamError('BUSY', 'Later', { data: 5 }) : new Error('secret')
    })
    const id = client.connectionId!
    await expect(chat.call(id, 'ask', 'coded')).rejects.toMatchObject({ code: 'BUSY', data: 5 })
    await expect(chat.call(id, 'ask', 'plain')).rejects.toMatchObject({
      code: 'INTERNAL',
      message: 'The client failed',
    })
    await expect(chat.call(id, 'nothing')).rejects.toMatchObject({ code: 'UNKNOWN_METHOD' })
    await expect(chat.call('nobody', 'ask', 'a')).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
    expect(() => chat.call(id, '' as 'ask', 'a')).toThrow('1 to 256')
    const off = client.api.chat.handle('ask', () => 'new')
    expect(await chat.call(id, 'ask', 'a')).toBe('new')
    off()
    await expect(chat.call(id, 'ask', 'a')).rejects.toMatchObject({ code: 'UNKNOWN_METHOD' })
  })

  test('is made by its connection too, with the options of the service', async () => {
    const { kit, connect, chat, log } = await start()
    const client = await connect(what => `${what}!`)
    const [connection] = kit.app.connections()
    client.api.log.handle('ask', () => new Promise<never>(() => {}))
    client.api.chat.handle('count', async function* (_ctx: unknown, to: number) {
      for (let i = 1; i <= to; i++) yield i
    } as never)
    expect(await connection!.call(chat, 'ask', 'you')).toBe('you!')
    const counted: number[] = []
    for await (const n of connection!.call(chat, 'count', 3)) counted.push(n)
    expect(counted).toEqual([1, 2, 3])
    await expect(connection!.call(log, 'nothing')).rejects.toMatchObject({ code: 'UNKNOWN_METHOD' })

    const late = expect(connection!.call(log.with({ timeout: 50 }), 'ask', 'a')).rejects.toMatchObject({
      code: 'TIMEOUT',
    })
    await kit.advance(50)
    await late
    const signal = AbortSignal.abort('no')
    await expect(connection!.call(log.with({ signal }), 'ask', 'a')).rejects.toMatchObject({
      code: 'CANCELLED',
    })
    expect(() => connection!.call('chat' as never, 'ask' as never)).toThrow('app.api.chat')
    expect(() => connection!.call(chat, '' as 'ask', 'a')).toThrow('1 to 256')

    const lost = expect(connection!.call(log, 'ask', 'a')).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    connection!.close()
    await lost
    await expect(connection!.call(chat, 'ask', 'a')).rejects.toMatchObject({ code: 'NOT_CONNECTED' })
  })

  test('times out, and tells the handler', async () => {
    const { kit, connect, chat } = await start()
    const client = await connect()
    let signal: AbortSignal | undefined
    client.api.chat.handle('ask', ctx => {
      signal = ctx.signal
      return new Promise<never>(() => {})
    })
    const call = expect(
      chat.with({ timeout: 50 }).call(client.connectionId!, 'ask', 'a'),
    ).rejects.toMatchObject({
      code: 'TIMEOUT',
    })
    await kit.advance(49)
    expect(signal?.aborted).toBe(false)
    await kit.advance(1)
    await call
    await kit.advance(0)
    expect(signal?.aborted).toBe(true)
  })

  test('with an answer that is larger than a frame fails, and the connection stays', async () => {
    const { connect, chat } = await start({ maxFrame: 2048 })
    const client = await connect(what => what.repeat(3000))
    await expect(chat.call(client.connectionId!, 'ask', 'a')).rejects.toMatchObject({ code: 'FRAME_TOO_BIG' })
    client.api.chat.handle('ask', () => {
      throw new SocketStreamError('BUSY', 'b', { data: 'x'.repeat(3000) })
    })
    await expect(chat.call(client.connectionId!, 'ask', 'a')).rejects.toMatchObject({ code: 'INTERNAL' })
    expect(client.status).toBe('connected')
  })
})

describe('a call to a room', () => {
  test('tells who has answered what, and who has not', async () => {
    const { kit, connect, chat } = await start()
    const [a, b, c, d] = [
      await connect(what => `${what} a`),
      await connect(() => {
        throw new SocketStreamError('BUSY', 'Later')
      }),
      await connect(() => new Promise(() => {})),
      await connect(what => `${what} d`),
    ]
    const room = chat.to('red').except(d.connectionId!).with({ timeout: 1000 })
    const asked = room.call('ask', 'hi')
    await kit.advance(1000)
    const { answers, missing } = await asked
    expect(answers).toEqual([{ connectionId: a.connectionId, value: 'hi a' }])
    const codes = Object.fromEntries(
      missing.map(({ connectionId, error }) => [connectionId, (error as SocketStreamError).code]),
    )
    expect(codes).toEqual({ [b.connectionId!]: 'BUSY', [c.connectionId!]: 'TIMEOUT' })
    expect(await chat.to([]).call('ask', 'hi')).toEqual({ answers: [], missing: [] })
  })

  test('has more members than are called at once', async () => {
    const { kit, chat } = await start()
    for (let i = 0; i < 300; i++) {
      const client = await kit.connect({ codec: json(), services: { chat: handling() } })
      client.api.chat.handle('ask', (_ctx, what) => `${what} ${i}`)
    }
    const { answers, missing } = await chat.except([]).call('ask', 'hi')
    expect(missing).toEqual([])
    expect(answers.map(({ value }) => value).sort()).toEqual(
      Array.from({ length: 300 }, (_, i) => `hi ${i}`).sort(),
    )
  })

  test('takes no streams, and may be cancelled', async () => {
    const { connect, chat } = await start()
    const client = await connect()
    let ended = false
    client.api.chat.handle('count', async function* () {
      try {
        for (let i = 0; ; i++) yield i
      } finally {
        ended = true
      }
    } as never)
    const { missing } = await chat.to('red').call('count', 3)
    expect(missing).toMatchObject([{ error: { code: 'INVALID_STATE' } }])
    await client.api.rpc.join('red')
    expect(ended).toBe(true)
    const signal = AbortSignal.abort()
    const cancelled = await chat.to('red').with({ signal }).call('nothing')
    expect(cancelled.missing).toMatchObject([{ error: { code: 'CANCELLED' } }])
  })
})

async function drain(call: unknown): Promise<unknown> {
  const value = await (call as Promise<unknown>)
  if (typeof value !== 'object' || value === null || !(Symbol.asyncIterator in value)) return value
  for await (const _ of value as AsyncIterable<unknown>);
  return undefined
}

test('every call settles once, and nothing is left of it, whatever clients and callers do', async () => {
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('one' as const),
        to: fc.nat(3),
        how: fc.nat(4),
        timeout: fc.nat(80),
        cancel: fc.boolean(),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('room' as const),
        how: fc.nat(4),
        timeout: fc.nat(80),
        cancel: fc.boolean(),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('upload' as const),
        to: fc.nat(3),
        items: fc.nat(200),
        cancel: fc.boolean(),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(60) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('leave' as const), to: fc.nat(3) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.nat(), async (steps, seed) => {
      const { kit, connect, chat } = await start({ credit: 4 }, seed)
      const answers: ((what: string) => unknown)[] = [
        what => what,
        () => {
          throw new SocketStreamError('BUSY', 'Later')
        },
        () => new Promise(() => {}),
        what => new Promise(resolve => setTimeout(resolve, 30, what)),
        async function* () {
          for (let i = 0; i < 20; i++) {
            await new Promise(resolve => setTimeout(resolve, 3))
            yield i
          }
        },
      ]
      const clients = []
      for (let i = 0; i < 4; i++) clients.push(await connect(what => answers[Number(what)]!(what)))
      const ids = clients.map(client => client.connectionId!)
      let started = 0
      let settled = 0
      let room = 0
      const watch = (promise: Promise<unknown>): void => {
        started++
        promise.then(
          () => settled++,
          () => settled++,
        )
      }
      const controllers: AbortController[] = []
      const options = (timeout: number, cancel: boolean) => {
        const controller = new AbortController()
        if (cancel) controllers.push(controller)
        return { timeout: timeout + 1, signal: controller.signal }
      }
      for (const one of steps) {
        if (one.do === 'one') {
          const call = chat.with(options(one.timeout, one.cancel)).call(ids[one.to]!, 'ask', `${one.how}`)
          watch(drain(call))
        } else if (one.do === 'room') {
          const members = chat.to('red').size
          const call = chat.to('red').with(options(one.timeout, one.cancel)).call('ask', `${one.how}`)
          watch(
            call.then(({ answers, missing }) => {
              const names = new Set([...answers, ...missing].map(({ connectionId }) => connectionId))
              if (names.size === members && answers.length + missing.length === members) room++
              else throw new Error('somebody is missing')
            }),
          )
          room--
        } else if (one.do === 'upload') {
          const client = clients[one.to]!
          if (client.status !== 'connected') continue
          const numbers = Array.from({ length: one.items }, (_, i) => i)
          watch(client.with(options(100, one.cancel)).api.rpc.sum(upload(numbers)))
        } else if (one.do === 'leave') clients[one.to]!.close()
        else {
          for (const controller of controllers.splice(0)) controller.abort()
          await kit.advance(one.ms)
        }
      }
      await kit.advance(1000)
      expect({ settled, room }).toEqual({ settled: started, room: 0 })
      for (const connection of kit.app.connections() as readonly BrokerConnection[]) {
        expect(connection.ownCalls.size + connection.uploads.size).toBe(0)
        expect(connection.calling).toBe(false)
      }
      await kit.stop()
    }),
    { numRuns: 25 },
  )
})
