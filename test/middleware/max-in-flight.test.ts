import { describe, expect, test } from 'vitest'
import { type MaxInFlightOptions, maxInFlight } from '../../src/middleware/max-in-flight.js'
import type { Middleware } from '../../src/middleware/middleware.js'
import { rpc } from '../../src/services/rpc/index.js'
import { manualClock } from '../../src/testing/manual-clock.js'
import { WireClient } from '../support/wire.js'
import { echo, open, settled, start } from './support.js'

/** A server with a service that keeps everything open. */
async function bounded(options: MaxInFlightOptions, ...after: Middleware[]) {
  const limiter = maxInFlight(options)
  const service = open()
  const users = ['ann', 'ann', 'bob']
  const authenticate = () => ({ id: users.shift() })
  const made = await start([limiter, ...after], { open: service.definition, echo }, { authenticate })
  return { ...made, limiter, service }
}

const overloaded = (what: string, retryAfter = 1000) =>
  expect.objectContaining({ code: 'OVERLOADED', message: expect.stringContaining(what), retryAfter })

describe('maxInFlight', () => {
  test('refuses what is over the bound until something has ended', async () => {
    const { app, client, limiter, service } = await bounded({ total: 2, retryAfter: 50 })
    for (const id of [1, 3, 5]) client.send([1, 1, id, 'x'])
    expect(await client.next()).toEqual([3, 5, overloaded('More than 2 requests in all', 50)])
    expect([limiter.inFlight, limiter.refused]).toEqual([2, 1])
    service.calls[0]?.reply('done')
    client.send([1, 1, 7, 'x'])
    await service.reached(3)
    expect(limiter.inFlight).toBe(2)
    await app.stop({ drain: 0 })
    expect(limiter.inFlight).toBe(0)
  })

  test('frees a place once, whatever the end', async () => {
    const { app, client, another, limiter, service } = await bounded({ total: 10 })
    const other = await another()
    for (const id of [1, 3, 5, 7]) client.send([1, 1, id, 'x'])
    client.send([0, 1, 'message'])
    client.send([0, 1, 'message'])
    other.send([1, 1, 1, 'x'])
    other.send([0, 1, 'message'])
    await service.reached(8)
    expect(limiter.inFlight).toBe(8)

    service.calls[0]?.reply(1)
    service.calls[0]?.reply(1)
    service.calls[1]?.error(new Error('failed'))
    service.calls[2]?.end()
    expect(limiter.inFlight).toBe(5)
    client.send([6, 7, 'CANCELLED'])
    await settled(client)
    service.calls[3]?.reply(1)
    expect(limiter.inFlight).toBe(4)
    service.messages[0]?.resolve()
    service.messages[1]?.reject(new Error('failed'))
    while (limiter.inFlight > 2) await settled(client)

    const gone = new Promise(resolve => app.events.once('client:disconnect', resolve))
    other.link.close()
    await gone
    expect(limiter.inFlight).toBe(0)
    service.calls[4]?.reply(1)
    service.messages[2]?.resolve()
    await settled(client)
    expect(limiter.inFlight).toBe(0)
    await app.stop()
  })

  test('frees the place of what a later middleware refuses or drops', async () => {
    const { app, client, limiter } = await bounded({ total: 1 }, (req, res, next) => {
      if (req.message === 'refuse') return res('no')
      if (req.message === 'throw') throw new Error('a fault')
      if (req.message === 'drop') return undefined
      if (req.message === 'drop later') return Promise.resolve()
      next()
    })
    for (const message of ['refuse', 'throw', 'drop', 'drop later']) client.send([0, 1, message])
    client.send([1, 1, 1, 'refuse'])
    client.send([1, 1, 3, 'drop later'])
    client.send([0, 2, 'through'])
    await client.received(5)
    expect(client.frames.slice(1).map(([kind, id]) => [kind, id])).toEqual([
      [3, 0],
      [3, 0],
      [3, 1],
      [0, 2],
    ])
    expect([limiter.inFlight, limiter.refused]).toEqual([0, 0])
    await app.stop()
  })

  test('keeps the place of a stream until its end', async () => {
    const limiter = maxInFlight({ total: 1 })
    const { app, client } = await start([limiter], {
      rpc: rpc({
        *two() {
          yield 1
          yield 2
        },
        *many() {
          for (let i = 0; ; i++) yield i
        },
      }),
    })
    client.send([1, 1, 1, ['two']])
    client.send([1, 1, 3, ['two']])
    await client.received(5)
    expect(client.frames.slice(1)).toEqual([
      [3, 3, overloaded('in all')],
      [4, 1, 1],
      [4, 1, 2],
      [5, 1, null],
    ])
    expect(limiter.inFlight).toBe(0)
    client.send([1, 1, 5, ['many']])
    await client.next()
    expect(limiter.inFlight).toBe(1)
    client.send([6, 5, 'CANCELLED'])
    await settled(client)
    expect(limiter.inFlight).toBe(0)
    await app.stop()
  })

  test.each<[keyof MaxInFlightOptions, boolean[]]>([
    ['perConnection', [false, true, true]],
    ['perUser', [false, false, true]],
  ])('counts %s', async (option, expected) => {
    const { app, client, another, service, limiter } = await bounded({ [option]: 1 })
    const others = [await another(), await another()]
    client.send([1, 1, 1, 'x'])
    await service.reached(1)
    const passed: boolean[] = []
    for (const asking of [client, ...others]) {
      asking.send([1, 1, 3, 'x'])
      passed.push((await settled(asking)).length === 0)
    }
    expect(passed).toEqual(expected)
    expect(limiter.refused).toBe(expected.filter(pass => !pass).length)
    await app.stop({ drain: 0 })
  })

  test('counts by service, with bounds of its own', async () => {
    const { app, client, service } = await bounded({ perService: { open: 1 } })
    client.send([1, 1, 1, 'x'])
    await service.reached(1)
    client.send([1, 1, 3, 'x'])
    client.send([1, 2, 5, 'x'])
    await client.received(3)
    expect(client.frames.slice(1)).toEqual([
      [3, 3, overloaded('to this service')],
      [2, 5, 'x'],
    ])
    await app.stop({ drain: 0 })
  })

  test('counts those without a user by their address, unless their session is in use', async () => {
    const service = open()
    const { app, transport } = await start(
      [
        (req, _res, next) => {
          if (req.message === 'log in') req.session.name = 'ann'
          next()
        },
        maxInFlight({ perUser: 1 }),
      ],
      { open: service.definition },
    )
    const ask = async (clientIp: string, message: string) => {
      const client = await WireClient.open(transport, {}, { clientIp })
      client.send([1, 1, 1, message])
      return (await settled(client)).length === 0
    }
    expect(await ask('10.0.0.1', 'x')).toBe(true)
    expect(await ask('10.0.0.1', 'x')).toBe(false)
    expect(await ask('10.0.0.2', 'x')).toBe(true)
    expect(await ask('10.0.0.1', 'log in')).toBe(true)
    await app.stop({ drain: 0 })
  })
})

describe('maxInFlight with `wait`', () => {
  test('lets in who has waited longest, and answers who has waited too long', async () => {
    const clock = manualClock()
    const { app, client, another, limiter, service } = await bounded({ total: 1, wait: 100, clock })
    const others = [await another(), await another()] as const
    client.send([1, 1, 1, 'first'])
    await service.reached(1)
    for (const other of others) {
      other.send([1, 1, 1, 'x'])
      await settled(other)
    }
    expect([limiter.inFlight, limiter.waiting, clock.timers]).toEqual([1, 2, 2])
    service.calls[0]?.reply('done')
    await service.reached(2)
    expect([limiter.inFlight, limiter.waiting]).toEqual([1, 1])
    service.calls[1]?.reply('second')
    expect(await others[0].next()).toEqual([2, 1, 'second'])
    await service.reached(3)

    client.send([1, 1, 3, 'too long'])
    await settled(client)
    clock.advance(100)
    expect(await client.next()).toEqual([3, 3, overloaded('in all')])
    expect([limiter.waiting, limiter.refused, clock.timers]).toEqual([0, 1, 0])
    await app.stop({ drain: 0 })
  })

  test('holds back the later requests of who waits, in order', async () => {
    const { app, client, service } = await bounded({ perService: { open: 1 }, wait: 1000 })
    for (const id of [1, 3]) client.send([1, 1, id, 'x'])
    client.send([0, 2, 'after'])
    await service.reached(1)
    expect(await settled(client)).toEqual([])
    service.calls[0]?.reply('done')
    await service.reached(2)
    await client.received(4)
    expect(client.frames.slice(2).filter(([kind]) => kind !== 20)).toContainEqual([0, 2, 'after'])
    await app.stop({ drain: 0 })
  })

  test('forgets who cancels or goes while waiting', async () => {
    const clock = manualClock()
    const { app, client, another, limiter, service } = await bounded({ total: 1, wait: 100, clock })
    const others = [await another(), await another()] as const
    client.send([1, 1, 1, 'first'])
    await service.reached(1)
    others[0].send([1, 1, 1, 'x'])
    others[1].send([0, 1, 'x'])
    for (const other of others) await settled(other)
    expect(limiter.waiting).toBe(2)
    others[0].send([6, 1, 'CANCELLED'])
    await settled(others[0])
    const gone = new Promise(resolve => app.events.once('client:disconnect', resolve))
    others[1].link.close()
    await gone
    expect([limiter.waiting, limiter.refused, clock.timers]).toEqual([0, 0, 0])
    service.calls[0]?.reply('done')
    expect(limiter.inFlight).toBe(0)
    await app.stop()
  })

  test('lets in a thousand that are all refused at once behind it', async () => {
    const limiter = maxInFlight({ total: 1, wait: 1000 })
    const service = open()
    const { app, client, another } = await start(
      [limiter, (req, res, next) => (req.message === 'refuse' ? res('no') : next())],
      { open: service.definition },
    )
    client.send([1, 1, 1, 'first'])
    await service.reached(1)
    const others = await Promise.all(Array.from({ length: 1030 }, another))
    for (const other of others) other.send([1, 1, 1, 'refuse'])
    await settled(others.at(-1)!)
    expect([limiter.waiting, limiter.refused]).toEqual([1024, 6])
    service.calls[0]?.reply('done')
    for (const other of others) await other.received(2)
    expect([limiter.waiting, limiter.inFlight]).toEqual([0, 0])
    await app.stop()
  })

  test.each<[object, RegExp]>([
    [{}, /needs a bound/],
    [{ wait: 5 }, /needs a bound/],
    [{ total: 0 }, /`total` must be a whole number of at least 1; give maxInFlight\(\{ total: 20 \}\)/],
    [{ perUser: '5' }, /`perUser`/],
    [{ perConnection: { a: 1 } }, /`perConnection`/],
    [{ perService: { open: 0 } }, /`open` must be a whole number/],
    [{ total: 1, wait: -1 }, /`wait` must be a whole number from 0/],
    [{ total: 1, retryAfter: 0.5 }, /`retryAfter`/],
  ])('refuses %j', (options, message) => {
    expect(() => maxInFlight(options)).toThrow(message)
  })
})
