import { describe, expect, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { rpcUploads, upload } from '../../src/client/uploads.js'
import type { CodecFactory } from '../../src/codec/codec.js'
import { json } from '../../src/codec/json.js'
import { msgpack } from '../../src/codec/msgpack.js'
import { SocketStreamError } from '../../src/errors.js'
import { Server } from '../../src/server.js'
import { type RpcContext, rpc } from '../../src/services/rpc/index.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { ws } from '../../src/transports/ws.js'
import { testServer, WireClient } from '../support/wire.js'

/** A promise and what settles it. */
function gate<T = void>() {
  let open!: (value: T) => void
  const promise = new Promise<T>(resolve => {
    open = resolve
  })
  return { promise, open }
}

/** Numbers, with what became of their generator. */
function counted(to: number) {
  const seen = { read: 0, returned: gate() }
  async function* numbers() {
    try {
      for (let i = 0; i < to; i++) {
        seen.read++
        yield i
      }
    } finally {
      seen.returned.open()
    }
  }
  return { seen, numbers: numbers() }
}

function methods() {
  const state = { error: gate<SocketStreamError>(), go: gate(), called: gate() }
  const table = {
    async sum(_ctx: RpcContext, start: number, numbers: AsyncIterable<number>) {
      let sum = start
      for await (const n of numbers) sum += n
      return sum
    },
    async *double(_ctx: RpcContext, numbers: AsyncIterable<number>) {
      for await (const n of numbers) yield 2 * n
    },
    async first(_ctx: RpcContext, numbers: AsyncIterable<number>) {
      for await (const n of numbers) {
        return n
      }
      return undefined
    },
    async leave(_ctx: RpcContext, numbers: AsyncIterable<number>) {
      for await (const _ of numbers) break
      await state.go.promise
      return 'left'
    },
    ignore: (_ctx: RpcContext, _numbers: AsyncIterable<number>) => 'ignored',
    async fail(_ctx: RpcContext, numbers: AsyncIterable<number>) {
      for await (const _ of numbers) throw new SocketStreamError('ENOUGH', 'No more')
    },
    async caught(_ctx: RpcContext, numbers: AsyncIterable<number>) {
      try {
        for await (const _ of numbers);
      } catch (error) {
        state.error.open(error as SocketStreamError)
        return (error as SocketStreamError).code
      }
      return 'none'
    },
    async twice(_ctx: RpcContext, numbers: AsyncIterable<number>) {
      for await (const _ of numbers);
      for await (const _ of numbers);
    },
    async pause(_ctx: RpcContext, numbers: AsyncIterable<number>) {
      numbers[Symbol.asyncIterator]()
        .next()
        .catch(() => {})
      await state.go.promise
    },
    async slow(_ctx: RpcContext, numbers: AsyncIterable<number>) {
      state.called.open()
      await state.go.promise
      let sum = 0
      for await (const n of numbers) sum += n
      return sum
    },
    async bytes(_ctx: RpcContext, chunks: AsyncIterable<Uint8Array>) {
      let bytes = 0
      for await (const chunk of chunks) bytes += chunk.length
      return bytes
    },
  }
  return { state, table }
}

async function start(codec: CodecFactory = json(), limits = { credit: 4 }) {
  const { app, transport } = testServer({ limits })
  const { state, table } = methods()
  const served = app.service('rpc', rpc(table))
  await served.start()
  const client = createClient<typeof served>({
    url: 'memory:',
    transport: memoryClient(transport),
    codec,
    services: { rpc: rpcUploads },
    reconnect: false,
  })
  await client.connect()
  return { app, client, state, rpc: client.api.rpc }
}

describe.each([{ codec: json() }, { codec: msgpack() }])('an upload, with $codec.name', ({ codec }) => {
  test('is an async iterable to the handler, however long it is', async () => {
    const { app, client, rpc } = await start(codec)
    const { numbers, seen } = counted(100)
    expect(await rpc.sum(7, upload(numbers))).toBe(4957)
    await seen.returned.promise
    expect(await rpc.sum(7, upload([]))).toBe(7)
    expect(await rpc.sum(0, upload(new Set([1, 2])))).toBe(3)
    expect(await rpc.bytes(upload([new Uint8Array(10), new Uint8Array(20)]))).toBe(30)
    client.close()
    await app.stop()
  })

  test('may be a ReadableStream', async () => {
    const { app, client, rpc } = await start(codec)
    expect(await rpc.bytes(upload(new Blob(['abc']).stream()))).toBe(3)
    const cancelled = gate()
    const endless = new ReadableStream<number>({
      pull: controller => controller.enqueue(1),
      cancel: () => cancelled.open(),
    })
    // Without the iterator that browsers may lack.
    const bare = { getReader: () => endless.getReader() }
    expect(await rpc.first(upload<number>(bare))).toBe(1)
    await cancelled.promise
    client.close()
    await app.stop()
  })

  test('goes with an answer that streams', async () => {
    const { app, client, rpc } = await start(codec)
    const doubled: number[] = []
    for await (const n of rpc.double(upload(counted(30).numbers))) doubled.push(n)
    expect(doubled).toEqual(Array.from({ length: 30 }, (_, i) => 2 * i))
    client.close()
    await app.stop()
  })

  test('that fails is thrown in the handler', async () => {
    const { app, client, rpc } = await start(codec)
    async function* failing() {
      yield 1
      throw new SocketStreamError('NO_PAPER', 'Empty', { data: { tray: 2 } })
    }
    await expect(rpc.sum(0, upload(failing()))).rejects.toMatchObject({ code: 'NO_PAPER', data: { tray: 2 } })
    const unsendable = upload([1, (() => {}) as never])
    await expect(rpc.sum(0, unsendable)).rejects.toMatchObject({ code: 'UNENCODABLE' })
    expect(await rpc.caught(upload(failing()))).toBe('NO_PAPER')
    client.close()
    await app.stop()
  })
})

describe('the flow of an upload', () => {
  test('begins when the handler reads, and is ahead of it by the credit at the most', async () => {
    const { app, client, rpc, state } = await start(json(), { credit: 8 })
    const { numbers, seen } = counted(1000)
    const sum = rpc.slow(upload(numbers))
    expect(await rpc.ignore(upload([]))).toBe('ignored')
    expect(seen.read).toBe(0)
    state.go.open()
    expect(await sum).toBe(499_500)
    const other = counted(1000)
    const left = rpc.leave(upload(other.numbers))
    await other.seen.returned.promise
    expect(other.seen.read).toBeLessThanOrEqual(9)
    expect(await left).toBe('left')
    client.close()
    await app.stop()
  })

  test('ends at the source when the handler returns, throws or does not read', async () => {
    const { app, client, rpc } = await start()
    for (const call of ['first', 'ignore', 'fail'] as const) {
      const { numbers, seen } = counted(1000)
      const started = numbers.next()
      await started
      const answer = rpc[call](upload(numbers)) as Promise<unknown>
      await answer.catch(error => expect(error.code).toBe('ENOUGH'))
      await seen.returned.promise
      expect(seen.read).toBeLessThanOrEqual(7)
    }
    client.close()
    await app.stop()
  })

  test('ends at both ends when the call is cancelled, times out or loses its connection', async () => {
    for (const how of ['cancel', 'timeout', 'close'] as const) {
      const { app, client, state } = await start()
      const returned = gate()
      const begun = gate()
      const never = {
        [Symbol.asyncIterator]: () => ({
          next: () => {
            begun.open()
            return new Promise<never>(() => {})
          },
          return: async () => {
            returned.open()
            return { done: true as const, value: undefined }
          },
        }),
      }
      const controller = new AbortController()
      const view = client.with({ signal: controller.signal, timeout: how === 'timeout' ? 1 : 0 })
      const answer = view.api.rpc.caught(upload<number>(never))
      const failed = expect(answer).rejects.toMatchObject({
        code: { cancel: 'CANCELLED', timeout: 'TIMEOUT', close: 'CONNECTION_LOST' }[how],
      })
      await begun.promise
      if (how === 'cancel') controller.abort()
      if (how === 'close') client.close()
      await failed
      await returned.promise
      expect((await state.error.promise).code).toBe(how === 'close' ? 'CONNECTION_LOST' : 'CANCELLED')
      client.close()
      await app.stop()
    }
  })

  test('is refused where it cannot be', async () => {
    const { app, client, rpc } = await start()
    await expect(rpc.twice(upload([1]))).rejects.toMatchObject({ code: 'INVALID_STATE' })
    const keyed = client.with({ idempotencyKey: 'k' }).api.rpc.sum(0, upload([1]))
    await expect(keyed).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
    expect(() => rpc.sum(upload([1]) as never, upload([2]))).toThrow('one upload')
    expect(() => upload(5 as never)).toThrow('upload() takes')
    await expect(rpc.bytes(upload([new Uint8Array(2 ** 21)]))).rejects.toMatchObject({
      code: 'FRAME_TOO_BIG',
    })
    expect(client.status).toBe('connected')
    client.close()
    await app.stop()
  })

  test('needs the half that uploads', async () => {
    const { app, transport } = testServer()
    const served = app.service('rpc', rpc(methods().table))
    await served.start()
    for (const codec of [json(), msgpack()]) {
      const client = createClient<typeof served>({
        url: 'memory:',
        transport: memoryClient(transport),
        codec,
      })
      await client.connect()
      await expect(client.api.rpc.sum(0, upload([1]))).rejects.toMatchObject({ code: 'UNENCODABLE' })
      client.close()
    }
    await app.stop()
  })
})

test('an upload goes over WebSockets, with both codecs', async () => {
  const served = new Server({ transport: ws({ host: '127.0.0.1', port: 0 }) }).service(
    'rpc',
    rpc(methods().table),
  )
  await served.start()
  const { url } = served.address()!
  for (const codec of [json(), msgpack()]) {
    const client = createClient<typeof served>({
      url,
      codec,
      services: { rpc: rpcUploads },
    })
    await client.connect()
    const chunks = Array.from({ length: 200 }, () => new Uint8Array(10_000))
    expect(await client.api.rpc.bytes(upload(chunks))).toBe(2_000_000)
    client.close()
  }
  await served.stop()
})

describe('an upload, on the wire', () => {
  async function wire(limits = { credit: 4 }) {
    const { app, transport } = testServer({ limits })
    const { state, table } = methods()
    await app.service('rpc', rpc(table)).start()
    const client = await WireClient.open(transport)
    return { app, client, state, id: client.welcome.services[0]!.id }
  }

  test('is granted its credit at first, and then in halves', async () => {
    const { app, client, id } = await wire()
    client.send([33, id, 1, { upload: 1 }, ['sum', 0, null]])
    expect(await client.received(2)).toEqual([7, 1, 4])
    for (const item of [1, 2]) client.send([4, 1, item])
    expect(await client.received(3)).toEqual([7, 1, 2])
    client.send([5, 1, null])
    expect(await client.received(4)).toEqual([2, 1, 3])
    await app.stop()
  })

  test('is cancelled when the handler wants no more, and what was on the way is ignored', async () => {
    const { app, client, id, state } = await wire()
    client.send([33, id, 1, { upload: 0 }, ['leave', null]])
    expect(await client.received(2)).toEqual([7, 1, 4])
    client.send([4, 1, 'a'])
    expect(await client.received(3)).toEqual([6, 1, 'CANCELLED'])
    client.send([4, 1, 'b'])
    state.go.open()
    expect(await client.received(4)).toEqual([2, 1, 'left'])
    client.send([4, 1, 'c'])
    client.send([5, 1, null])
    client.send([19, 0])
    expect((await client.received(5))[0]).toBe(20)
    await app.stop()
  })

  const many = Array.from({ length: 5 }, (): unknown[] => [4, 1, 'a'])
  const end: unknown[] = [5, 1, null]
  const hostile: [what: string, method: 'slow' | 'pause', frames: unknown[][]][] = [
    ['items before the credit', 'slow', [[4, 1, 'a']]],
    ['an end before the credit', 'slow', [end]],
    ['an error before the credit', 'slow', [[3, 1, { code: 'A', message: 'a' }]]],
    ['items beyond the credit', 'pause', many],
    ['items behind the end', 'pause', [end, [4, 1, 'a']]],
    ['a second end', 'pause', [end, end]],
    ['an error that is none', 'pause', [[3, 1, 'no']]],
    ['a reply', 'pause', [[2, 1, 'a']]],
  ]
  test.each(hostile)('closes the connection for %s', async (_what, method, frames) => {
    const { app, client, id, state } = await wire()
    client.send([33, id, 1, { upload: 0 }, [method, null]])
    if (method === 'pause') expect(await client.received(2)).toEqual([7, 1, 4])
    else await state.called.promise
    for (const frame of frames) client.send(frame)
    expect((await client.ended()).code).toBe(4400)
    state.go.open()
    await app.stop()
  })

  test('closes the connection for items of a call without an upload', async () => {
    const { app, client, id, state } = await wire()
    client.send([33, id, 1, { upload: 0 }, ['ignore', null]])
    await client.received(2)
    client.send([1, id, 3, ['slow', null]])
    client.send([4, 3, 'a'])
    expect((await client.ended()).code).toBe(4400)
    state.go.open()
    await app.stop()
  })

  test('names an argument that is there', async () => {
    const { app, client, id } = await wire()
    for (const upload of [1, -1, 0.5, 'a', null]) {
      client.send([33, id, 1, { upload }, ['ignore', null]])
      expect((await client.next())[2]).toMatchObject({ code: 'INVALID_ARGUMENTS' })
      if (client.frames.at(-1)![0] !== 6) await client.next()
    }
    await app.stop()
  })
})
