import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { isSameSecret } from '../../src/actors/resume-token.js'
import { Resumption } from '../../src/actors/resumption.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { ServiceServer } from '../../src/services/service.js'
import { SessionIdentity } from '../../src/sessions/identity.js'
import { testServer, WireClient } from '../support/wire.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  syncBuiltinESMExports()
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

describe('a private service', () => {
  test('is in no table and reached by no kind of message, while others of the server use it', async () => {
    const { app, transport } = testServer({ textWire: true })
    const reached: string[] = []
    app
      .service('secret', {
        private: true,
        use: { json: true, callbacks: true },
        server(server: ServiceServer) {
          server.onmessage = () => void reached.push('message')
          server.oncall = () => void reached.push('call')
          server.onsubscribe = () => void reached.push('subscribe')
          return { tell: () => 'told within' }
        },
      })
      .service('rpc', rpc({ ask: ctx => (ctx.services as { secret: { tell(): string } }).secret.tell() }))
    await app.start()
    cleanups.push(() => app.stop())
    const client = await WireClient.open(transport)
    expect(client.welcome.services.map(({ name }) => name)).toEqual(['rpc'])
    client.send([0, 1, 'x'])
    client.send([1, 1, 1, ['x']])
    client.send([9, 1, 3, 'topic'])
    for (const [n, id] of [0, 1, 3].entries()) {
      const [kind, answers, error] = await client.received(2 + n)
      expect([kind, answers, error]).toEqual([3, id, expect.objectContaining({ code: 'UNKNOWN_SERVICE' })])
    }
    client.send([1, 2, 5, ['ask']])
    expect(await client.next()).toEqual([2, 5, 'told within'])
    const classic = await WireClient.silent(transport)
    classic.send('1|{"x":1}')
    classic.send('1|7|{"x":1}')
    client.send([1, 2, 7, ['ask']])
    await client.next()
    expect(reached).toEqual([])
  })
})

describe('secrets', () => {
  test('are compared in constant time: of cookies, tokens and resumes, at another server too', () => {
    const compare = vi.spyOn(crypto, 'timingSafeEqual')
    syncBuiltinESMExports()
    const identity = new SessionIdentity({ secrets: ['a secret'], name: 'sid' })
    const spoilt = (value: string): string => value.slice(0, -1) + (value.endsWith('x') ? 'y' : 'x')
    expect(identity.fromValue(identity.value('id'))).toBe('id')
    expect(identity.fromValue(spoilt(identity.value('id')))).toBeUndefined()
    expect(identity.fromToken(spoilt(identity.token('id')))).toBeUndefined()
    expect(compare.mock.calls.length).toBeGreaterThanOrEqual(3)
    compare.mockClear()
    const resumption = new Resumption('a-connection', 1000)
    const secret = resumption.token.slice(resumption.token.lastIndexOf('.') + 1)
    expect(resumption.knows(secret)).toBe(true)
    expect(resumption.knows(spoilt(secret))).toBe(false)
    expect(compare).toHaveBeenCalledTimes(2)
    compare.mockClear()
    expect(isSameSecret(secret, secret)).toBe(true)
    expect(isSameSecret(spoilt(secret), secret)).toBe(false)
    expect(compare).toHaveBeenCalledTimes(2)
  })
})

describe('prototypes', () => {
  test('are changed by nothing that a client sends, in any place', async () => {
    const { app, transport } = testServer()
    app.service(
      'rpc',
      rpc({
        merge(ctx, into: Record<string, unknown>) {
          Object.assign(ctx.connection.data, into)
          return Object.keys(ctx.connection.data)
        },
      }),
    )
    await app.start()
    cleanups.push(() => app.stop())
    const evil = '{"__proto__":{"polluted":true}}'
    const constructed = '{"constructor":{"prototype":{"polluted":true}}}'
    for (const place of [`[1,1,1,["merge",${evil}]]`, `[1,1,1,["merge",{"a":[${evil}]}]]`]) {
      const client = await WireClient.open(transport)
      client.send(place)
      expect(await client.next()).toEqual([3, 1, expect.objectContaining({ code: 'BAD_FRAME' })])
    }
    for (const hello of [`[16,{"v":1,"auth":${evil}}]`, `[48,${evil},{"v":1}]`]) {
      const client = await WireClient.silent(transport)
      client.send(hello)
      expect((await client.ended()).code).toBe(4400)
    }
    const client = await WireClient.open(transport)
    client.send(`[1,1,1,["merge",${constructed}]]`)
    expect(await client.next()).toEqual([2, 1, ['constructor']])
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })
})
