import { describe, expect, it } from 'vitest'
import { rpcClient } from '../../src/services/rpc/client.js'
import { type Handlers, type RpcClient, rpc } from '../../src/services/rpc/index.js'
import { TestBroker } from './support.js'

function connect<H extends Handlers>(handlers: H) {
  const broker = new TestBroker(rpc(handlers))
  const client = broker.connect()
  return { broker, client, api: client.api as RpcClient<H> }
}

describe('the client of RPC', () => {
  it('calls methods by path and gets their values', async () => {
    const { api, client } = connect({
      add: (_ctx, a: number, b: number) => a + b,
      nested: { deep: async (ctx, x: string) => x + ctx.connectionId },
    })
    expect(await api.add(1, 2)).toBe(3)
    expect(await api.nested.deep('x')).toBe('xc1')
    expect(client.sent).toEqual([
      ['add', 1, 2],
      ['nested.deep', 'x'],
    ])
  })

  it('reads streams, and cancels one that it leaves', async () => {
    let closed = false
    const { api } = connect({
      async *count(_ctx, to: number) {
        try {
          for (let i = 0; i < to; i++) yield i
        } finally {
          closed = true
        }
      },
    })
    const seen: number[] = []
    for await (const item of api.count(3)) seen.push(item)
    expect([seen, closed]).toEqual([[0, 1, 2], true])
    closed = false
    for await (const item of api.count(1e9)) if (item === 5) break
    await new Promise(setImmediate)
    expect(closed).toBe(true)
  })

  it('rejects with the error of the handler', async () => {
    const { api } = connect({
      fails: () => {
        throw new Error('No')
      },
    })
    await expect(api.fails()).rejects.toThrow('No')
  })

  it('does not send missing arguments at the end', async () => {
    const { api, client } = connect({ opt: (_ctx, ...args: (number | undefined)[]) => args })
    expect(await api.opt(1, undefined, undefined)).toEqual([1])
    expect(await api.opt(undefined, 2)).toEqual([null, 2])
    expect(client.sent).toEqual([
      ['opt', 1],
      ['opt', undefined, 2],
    ])
  })

  it('can be awaited, printed, converted and kept in JSON without a call', async () => {
    const { api, client } = connect({ nested: { deep: () => 1 } })
    expect(await (api as unknown)).toBe(api)
    expect(await (api.nested as unknown)).toBe(api.nested)
    expect(() => `${api}`).toThrow(TypeError)
    expect(JSON.stringify({ api })).toBe('{}')
    for (const name of ['then', 'constructor', 'prototype', 'toJSON', '_x', '__proto__', 'toString']) {
      expect(Reflect.get(api, name)).toBeUndefined()
    }
    expect(Reflect.get(api, Symbol.iterator)).toBeUndefined()
    expect(client.sent).toEqual([])
  })

  it('has methods named like properties of functions', async () => {
    const table = {
      name: () => 1,
      length: () => 2,
      call: () => 3,
      apply: () => 4,
      bind: () => 5,
      catch: () => 6,
    }
    const { api } = connect(table)
    const values = [api.name(), api.length(), api.call(), api.apply(), api.bind(), api.catch()]
    expect(await Promise.all(values)).toEqual([1, 2, 3, 4, 5, 6])
  })

  it('keeps what it has made for a name', () => {
    const { api } = connect({ add: () => 1, nested: { deep: () => 1 } })
    expect(api.add).toBe(api.add)
    expect(api.nested.deep).toBe(api.nested.deep)
    expect(api.nested.deep).not.toBe(api.add)
  })

  it('works without the server half', async () => {
    const { client } = connect({ add: (_ctx, a: number) => a })
    const api = rpcClient.client(client)
    expect(await api.add?.(1)).toBe(1)
    await expect(api.nope?.deep?.()).rejects.toMatchObject({ code: 'UNKNOWN_METHOD' })
    await expect(api()).rejects.toMatchObject({ code: 'UNKNOWN_METHOD' })
  })
})
