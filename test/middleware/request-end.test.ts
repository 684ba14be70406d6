import { describe, expect, test } from 'vitest'
import { SocketStreamError } from '../../src/errors.js'
import type { Middleware } from '../../src/middleware/middleware.js'
import type { Request } from '../../src/services/service.js'
import { deferred, echo, open, settled, start } from './support.js'

/** Notes how each request ends, by its payload. */
function recorder() {
  const ends: unknown[] = []
  let wake: (() => void) | undefined
  const requests: Request[] = []
  const middleware: Middleware = (req, _res, next) => {
    const { message } = req
    requests.push(req)
    req.onend((outcome, error) => {
      ends.push(error === undefined ? [message, outcome] : [message, outcome, (error as Error).message])
      wake?.()
    })
    next()
  }
  const ended = async (count: number) => {
    while (ends.length < count) {
      await new Promise<void>(resolve => {
        wake = resolve
      })
    }
    return ends
  }
  return { middleware, ends, ended, requests }
}

describe('the end of a request', () => {
  test('is that of the answer, or of the handler of a message', async () => {
    const { middleware, ended } = recorder()
    const { app, client } = await start([middleware])
    client.send([1, 1, 1, 'call'])
    client.send([0, 1, 'message'])
    client.send([9, 1, 3, { ch: 'news' }])
    await client.received(4)
    expect(await ended(3)).toEqual([
      ['call', 'ok'],
      ['message', 'ok'],
      [{ ch: 'news' }, 'ok'],
    ])
    await app.stop()
  })

  test('is an error by a handler, a service without one, or a middleware', async () => {
    const { middleware, ends } = recorder()
    const failing = {
      server(server: { onmessage: unknown }) {
        server.onmessage = async () => {
          throw new SocketStreamError('FORBIDDEN', 'later')
        }
      },
    }
    const refuse: Middleware = (req, res, next) => (req.message === 'no' ? res('refused') : next())
    const { app, client } = await start([middleware, refuse], { failing: failing as never, deaf: {} })
    client.send([0, 1, 'message'])
    client.send([1, 1, 1, 'call'])
    client.send([0, 1, 'no'])
    client.send([1, 2, 3, 'deaf'])
    await client.received(5)
    expect(ends).toHaveLength(4)
    expect(ends).toEqual(
      expect.arrayContaining([
        ['message', 'error', 'later'],
        ['call', 'error', 'later'],
        ['no', 'error', 'refused'],
        ['deaf', 'error', 'service deaf takes no calls'],
      ]),
    )
    await app.stop()
  })

  test('comes when a middleware drops it, at once or by an ended promise', async () => {
    const { middleware, ended } = recorder()
    const drop: Middleware = (req, _res, next) => {
      if (req.message === 'sync') return
      if (req.message === 'async') return Promise.resolve()
      next()
    }
    const { app, client } = await start([middleware, drop])
    client.send([0, 1, 'sync'])
    client.send([0, 1, 'async'])
    client.send([1, 1, 1, 'async'])
    client.send([0, 1, 'through'])
    expect(await client.next()).toEqual([0, 1, 'through'])
    expect(await ended(4)).toEqual([
      ['sync', 'dropped'],
      ['async', 'dropped'],
      ['async', 'dropped'],
      ['through', 'ok'],
    ])
    await app.stop()
  })

  test('comes when its caller cancels, and when its connection goes', async () => {
    const { middleware, ended } = recorder()
    const service = open()
    const { app, client } = await start([middleware], { open: service.definition })
    client.send([1, 1, 1, 'cancelled'])
    client.send([1, 1, 3, 'call'])
    client.send([0, 1, 'message'])
    await service.reached(3)
    client.send([6, 1, null])
    expect(await ended(1)).toEqual([['cancelled', 'cancelled']])
    client.link.close()
    expect(await ended(3)).toEqual([
      ['cancelled', 'cancelled'],
      ['call', 'closed'],
      ['message', 'closed'],
    ])
    service.messages[0]?.resolve()
    service.calls[1]?.reply(1)
    await app.stop()
    expect(await ended(3)).toHaveLength(3)
  })

  test('is told at once to who asks later, and once only', async () => {
    const service = open()
    const { middleware, requests } = recorder()
    const { app, client } = await start([middleware], { open: service.definition, echo })
    client.send([1, 2, 1, 'call'])
    client.send([0, 2, 'message'])
    await client.received(3)
    const late: unknown[] = []
    for (const req of requests) req.onend(outcome => late.push(outcome))
    expect(late).toEqual(['ok', 'ok'])
    await app.stop()
  })

  test('of a message that nobody had watched is known to who asks later', async () => {
    const requests: Request[] = []
    const { app, client } = await start([
      (req, _res, next) => {
        requests.push(req)
        next()
      },
    ])
    client.send([0, 1, 'a'])
    await client.next()
    client.link.close()
    const late: unknown[] = []
    requests[0]?.onend(outcome => late.push(outcome))
    expect(late).toEqual(['ok'])
    await app.stop()
  })

  test('goes on when a listener throws', async () => {
    const { middleware, ends } = recorder()
    const { app, client, log } = await start([
      (req, _res, next) => {
        req.onend(() => {
          throw new Error('a listener')
        })
        next()
      },
      middleware,
    ])
    client.send([1, 1, 1, 'x'])
    expect(await client.next()).toEqual([2, 1, 'x'])
    expect(ends).toEqual([['x', 'ok']])
    expect(log.of('error')).toEqual(['a listener for the end of a request failed'])
    await app.stop()
  })
})

describe('aborting a request', () => {
  test('answers the call and aborts its handler, with the error as the reason', async () => {
    const { middleware, requests, ends } = recorder()
    const service = open()
    const { app, client } = await start([middleware], { open: service.definition })
    client.send([1, 1, 1, 'x'])
    await service.reached(1)
    const { signal } = service.calls[0]!
    const error = new SocketStreamError('FORBIDDEN', 'no more')
    expect([requests[0]?.answered, requests[0]?.abort(error), requests[0]?.abort(error)]).toEqual([
      false,
      true,
      false,
    ])
    expect([signal.aborted, signal.reason, requests[0]?.answered]).toEqual([true, error, true])
    service.calls[0]?.reply('late')
    expect(await settled(client)).toEqual([[3, 1, expect.objectContaining({ code: 'FORBIDDEN' })]])
    expect(ends).toEqual([['x', 'error', 'no more']])
    await app.stop()
  })

  test('does nothing to a message', async () => {
    const { middleware, requests } = recorder()
    const service = open()
    const { app, client } = await start([middleware], { open: service.definition })
    client.send([0, 1, 'x'])
    await service.reached(1)
    expect(requests[0]?.abort(new Error('no'))).toBe(false)
    expect(await settled(client)).toEqual([])
    service.messages[0]?.resolve()
    await app.stop()
  })

  test('lets the connection go on that it held back, though its middleware never settles', async () => {
    const { middleware, requests } = recorder()
    const never = deferred()
    const { app, client } = await start([
      middleware,
      (req, _res, next) => (req.message === 'stuck' ? never.promise : next()),
    ])
    client.send([1, 1, 1, 'stuck'])
    client.send([1, 1, 3, 'stuck'])
    client.send([0, 1, 'after'])
    expect(await settled(client)).toEqual([])
    requests[0]?.abort(new SocketStreamError('TIMEOUT', 'first'))
    expect(await settled(client)).toEqual([[3, 1, expect.objectContaining({ message: 'first' })]])
    // What settles late must not let go what others hold.
    never.resolve()
    await never.promise
    expect(await client.next()).toEqual([0, 1, 'after'])
    await app.stop()
  })
})
