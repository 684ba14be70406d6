import { describe, expect, test } from 'vitest'
import { SocketStreamError } from '../../src/errors.js'
import type { Middleware } from '../../src/middleware/middleware.js'
import type { ServiceDefinition } from '../../src/services/service.js'
import { testServer, WireClient } from '../support/wire.js'

const echo = {
  use: { json: true, callbacks: true },
  server(server) {
    server.onmessage = (message, request, reply) => {
      if (request.kind === 'message') server.send(request.connectionId, message)
      else reply(message)
    }
  },
} satisfies ServiceDefinition

async function start(...chain: Middleware[]) {
  const made = testServer()
  for (const middleware of chain) made.app.use(middleware)
  made.app.service('echo', echo)
  await made.app.start()
  return { ...made, client: await WireClient.open(made.transport) }
}

/** A promise and how to settle it. */
function deferred() {
  let resolve!: () => void
  let reject!: (error: Error) => void
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

describe('a middleware', () => {
  test('sees who asks what of which service', async () => {
    const seen: unknown[] = []
    const { app, client } = await start((req, _res, next) => {
      seen.push([
        req.kind,
        req.service,
        req.message,
        req.transport,
        req.clientIp,
        req.attributes.callbackId,
        req.size,
      ])
      expect(req.socketId).toBe(req.connectionId)
      expect(req.session.id).toEqual(expect.any(String))
      next()
    })
    client.send([0, 1, 'm'])
    client.send([1, 1, 9, 'c'])
    await client.received(3)
    expect(seen).toEqual([
      ['message', 'echo', 'm', 'memory', '127.0.0.1', undefined, 3],
      ['call', 'echo', 'c', 'memory', '127.0.0.1', 9, 3],
    ])
    await app.stop()
  })

  test('runs in the order of use', async () => {
    const mark =
      (letter: string): Middleware =>
      (req, _res, next) => {
        req.message = `${req.message}${letter}`
        next()
      }
    const { app, client } = await start(mark('a'), mark('b'), mark('c'))
    client.send([0, 1, '>'])
    expect(await client.next()).toEqual([0, 1, '>abc'])
    await app.stop()
  })

  test('may drop a request and say why', async () => {
    const { app, client } = await start((req, res, next) => {
      if (req.message === 'no') res('not allowed')
      else next()
    })
    client.send([0, 1, 'no'])
    client.send([1, 1, 1, 'no'])
    expect(await client.received(2)).toEqual([
      3,
      0,
      expect.objectContaining({ code: 'REFUSED', message: 'not allowed', service: 'echo' }),
    ])
    expect(await client.received(3)).toEqual([3, 1, expect.objectContaining({ code: 'REFUSED' })])
    await app.stop()
  })

  test('may drop a request silently', async () => {
    const { app, client } = await start((req, _res, next) => {
      if (req.message !== 'no') next()
    })
    client.send([0, 1, 'no'])
    client.send([0, 1, 'yes'])
    expect(await client.next()).toEqual([0, 1, 'yes'])
    await app.stop()
  })

  test('that drops a call by an ended promise frees its id and window', async () => {
    const { app, client } = await start(async (req, _res, next) => {
      if (req.message !== 'no') next()
    })
    client.send([1, 1, 1, 'no'])
    client.send([0, 1, 'after it'])
    expect(await client.next()).toEqual([0, 1, 'after it'])
    client.send([1, 1, 1, 'same id'])
    expect(await client.next()).toEqual([2, 1, 'same id'])
    await app.stop()
  })

  test.each<[string, Middleware]>([
    [
      'throws',
      () => {
        throw new SocketStreamError('FORBIDDEN', 'thrown')
      },
    ],
    ['rejects', () => Promise.reject(new SocketStreamError('FORBIDDEN', 'thrown'))],
    ['passes an error on', (_req, _res, next) => next(new SocketStreamError('FORBIDDEN', 'thrown'))],
    ['answers with an error', (_req, res) => res(new SocketStreamError('FORBIDDEN', 'thrown'))],
  ])('that %s answers with the error', async (_what, middleware) => {
    const { app, client } = await start(middleware)
    client.send([1, 1, 1, 'x'])
    expect(await client.next()).toEqual([
      3,
      1,
      expect.objectContaining({ code: 'FORBIDDEN', message: 'thrown' }),
    ])
    await app.stop()
  })

  test('that fails of itself is logged, and the client told by an id', async () => {
    const { app, client, log } = await start(() => {
      throw new TypeError('oops')
    })
    client.send([0, 1, 'x'])
    expect(await client.next()).toEqual([
      3,
      0,
      expect.objectContaining({ code: 'INTERNAL', message: 'oops' }),
    ])
    expect(log.of('error')).toEqual(['middleware before echo failed'])
    await app.stop()
  })

  test('counts once, however often it calls next or res', async () => {
    const { app, client } = await start((_req, res, next) => {
      next()
      next()
      res('too late')
    })
    client.send([0, 1, 'a'])
    client.send([0, 1, 'b'])
    expect(await client.received(3)).toEqual([0, 1, 'b'])
    expect(client.frames[1]).toEqual([0, 1, 'a'])
    await app.stop()
  })
})

describe('an asynchronous middleware', () => {
  test('holds its own connection, in order, and nobody else', async () => {
    const gates = new Map<string, ReturnType<typeof deferred>>()
    const { app, client, transport } = await start((req, _res, next) => {
      if (!String(req.message).startsWith('wait')) return next()
      const gate = deferred()
      gates.set(req.message as string, gate)
      return gate.promise.then(() => next())
    })
    const other = await WireClient.open(transport)
    for (const text of ['wait 1', 'a', 'wait 2', 'b']) client.send([0, 1, text])
    other.send([0, 1, 'other'])
    expect(await other.next()).toEqual([0, 1, 'other'])
    expect(client.frames).toHaveLength(1)
    gates.get('wait 1')?.resolve()
    expect(await client.received(3)).toEqual([0, 1, 'a'])
    expect(gates.has('wait 2')).toBe(true)
    expect(client.frames).toHaveLength(3)
    gates.get('wait 2')?.resolve()
    await client.received(5)
    expect(client.frames.slice(1).map(frame => frame[2])).toEqual(['wait 1', 'a', 'wait 2', 'b'])
    await app.stop()
  })

  test('stops reading from a client that sends on, and reads on later, losing nothing', async () => {
    const gate = deferred()
    let first = true
    const { app, client } = await start((_req, _res, next) => {
      if (!first) return next()
      first = false
      return gate.promise.then(() => next())
    })
    for (let i = 0; i < 500; i++) client.send([0, 1, i])
    await new Promise(resolve => setImmediate(resolve))
    for (let i = 500; i < 1000; i++) client.send([0, 1, i])
    expect(client.frames).toHaveLength(1)
    gate.resolve()
    await client.received(1001)
    expect(client.frames.slice(1).map(frame => frame[2])).toEqual(Array.from({ length: 1000 }, (_, i) => i))
    await app.stop()
  })

  test('may stand twice in the chain', async () => {
    const slow: Middleware = async (_req, _res, next) => {
      await null
      next()
    }
    const { app, client } = await start(slow, slow)
    for (let i = 0; i < 50; i++) client.send([0, 1, i])
    await client.received(51)
    expect(client.frames.slice(1).map(frame => frame[2])).toEqual(Array.from({ length: 50 }, (_, i) => i))
    await app.stop()
  })

  test('that never settles holds nothing but its own connection, also when that closes', async () => {
    const { app, client, transport } = await start((req, _res, next) =>
      req.message === 'hang' ? new Promise(() => {}) : next(),
    )
    client.send([0, 1, 'hang'])
    client.send([0, 1, 'behind'])
    const other = await WireClient.open(transport)
    other.send([0, 1, 'free'])
    expect(await other.next()).toEqual([0, 1, 'free'])
    client.link.close()
    await client.ended()
    await app.stop()
  })

  test('that calls next late without a promise still passes the request on', async () => {
    const gate = deferred()
    const { app, client } = await start((_req, _res, next) => {
      gate.promise.then(() => next())
    })
    client.send([1, 1, 1, 'late'])
    client.send([19, 0])
    expect(await client.next()).toEqual([20, 1])
    gate.resolve()
    expect(await client.next()).toEqual([2, 1, 'late'])
    await app.stop()
  })
})
