import { describe, expect, test } from 'vitest'
import type { Middleware } from '../../src/middleware/middleware.js'
import { type RequestLoggerOptions, requestLogger } from '../../src/middleware/request-logger.js'
import { rpc } from '../../src/services/rpc/index.js'
import { manualClock } from '../../src/testing/manual-clock.js'
import { LogLines } from '../support/wire.js'
import { echo, open, settled, start } from './support.js'

/** A server that logs its requests, and how. */
async function logged(options: RequestLoggerOptions = {}, ...after: Middleware[]) {
  const clock = manualClock()
  const service = open()
  const services = {
    rpc: rpc({ add: (_ctx, a: number, b: number) => a + b }),
    echo,
    open: service.definition,
  }
  const authenticate = () => ({ id: 7, secret: 'sesame' })
  const made = await start([requestLogger({ clock, ...options }), ...after], services, { authenticate })
  const lines = () => made.log.lines.filter(({ message }) => message === 'request')
  return { ...made, clock, service, lines }
}

describe('the request logger', () => {
  test('logs who asked what of which service, how long it took and how it ended', async () => {
    const { app, client, clock, service, lines } = await logged()
    client.send([1, 3, 1, 'x'])
    await service.reached(1)
    clock.advance(12.3456)
    service.calls[0]?.reply('done')
    expect(lines()).toEqual([
      {
        level: 'info',
        message: 'request',
        details: {
          name: 'socketstream',
          kind: 'call',
          service: 'open',
          size: 3,
          connection: expect.stringMatching(/^[0-9a-f]{8}\./),
          ip: '127.0.0.1',
          user: 7,
          ms: 12.346,
          outcome: 'ok',
        },
      },
    ])
    await app.stop()
  })

  test('names the methods of rpc, and no part of other payloads', async () => {
    const { app, client, lines } = await logged()
    client.send([1, 1, 1, ['add', 1, 2]])
    client.send([1, 1, 3, [`a\u001b[2J${'x'.repeat(200)}`]])
    client.send([1, 1, 5, null])
    client.send([1, 2, 7, ['secret', 'payload']])
    await client.received(5)
    expect(lines().map(({ details }) => details.method)).toEqual([
      'add',
      `a?[2J${'x'.repeat(95)}`,
      undefined,
      undefined,
    ])
    expect(JSON.stringify(lines())).not.toMatch(/secret|payload/)
    await app.stop()
  })

  test('tells each end apart, with the code of errors', async () => {
    const { app, client, service, lines } = await logged({}, (req, res, next) => {
      if (req.message === 'refuse') return res('no')
      if (req.message === 'drop') return undefined
      next()
    })
    client.send([0, 3, 'refuse'])
    client.send([0, 3, 'drop'])
    for (const id of [1, 3, 5]) client.send([1, 3, id, 'x'])
    await service.reached(3)
    service.calls[0]?.error(new Error('a fault'))
    client.send([6, 3, 'CANCELLED'])
    await settled(client)
    const gone = new Promise(resolve => app.events.once('client:disconnect', resolve))
    client.link.close()
    await gone
    expect(lines().map(({ details: { outcome, code } }) => [outcome, code])).toEqual([
      ['error', 'REFUSED'],
      ['dropped', undefined],
      ['error', 'INTERNAL'],
      ['cancelled', undefined],
      ['closed', undefined],
    ])
    await app.stop()
  })

  test('logs slow requests as warnings, others at its level', async () => {
    const { app, client, clock, service, lines } = await logged({ level: 'debug', slow: 100 })
    for (const id of [1, 3]) client.send([1, 3, id, 'x'])
    await service.reached(2)
    clock.advance(99)
    service.calls[0]?.reply(1)
    clock.advance(1)
    service.calls[1]?.reply(1)
    expect(lines().map(({ level }) => level)).toEqual(['debug', 'warn'])
    await app.stop()
  })

  test('logs of the payload what `redact` leaves, as it came in', async () => {
    const redact = (message: unknown) => {
      if (message === 'throw') throw new Error('with the secret in it')
      return Object.keys(message as object)
    }
    const { app, client, lines } = await logged({ redact }, (req, _res, next) => {
      req.message = 'another'
      next()
    })
    client.send([1, 2, 1, { user: 'ann', password: 'secret' }])
    client.send([1, 2, 3, 'throw'])
    await client.received(3)
    expect(lines().map(({ details }) => details.payload)).toEqual([['user', 'password'], '[redact failed]'])
    expect(JSON.stringify(lines())).not.toContain('secret')
    await app.stop()
  })

  test('writes to a log of its own', async () => {
    const own = new LogLines()
    const { app, client, lines } = await logged({ log: own.target })
    client.send([0, 2, 'x'])
    await client.next()
    expect(lines()).toEqual([])
    expect(own.lines).toEqual([
      { level: 'info', message: 'request', details: expect.objectContaining({ name: 'requests' }) },
    ])
    await app.stop()
  })

  test('survives a log that throws', async () => {
    const log = () => {
      throw new Error('the disk is full')
    }
    const { app, client } = await logged({ log })
    client.send([1, 2, 1, 'x'])
    expect(await client.next()).toEqual([2, 1, 'x'])
    await app.stop()
  })

  test.each<[object, RegExp]>([
    [{ level: 'loud' }, /`level` must be debug, info, warn or error/],
    [{ slow: -1 }, /`slow` must be milliseconds/],
    [{ slow: '5' }, /`slow`/],
    [{ redact: 'all' }, /`redact` must be a function/],
  ])('refuses %j', (options, message) => {
    expect(() => requestLogger(options as never)).toThrow(message)
  })
})
