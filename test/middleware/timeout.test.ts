import { describe, expect, test } from 'vitest'
import { timeout } from '../../src/middleware/timeout.js'
import { rpc } from '../../src/services/rpc/index.js'
import { manualClock } from '../../src/testing/manual-clock.js'
import { deferred, echo, open, settled, start } from './support.js'

const late = expect.objectContaining({ code: 'TIMEOUT', message: 'No answer within 100 ms' })

describe('timeout', () => {
  test('answers a call that takes too long and aborts its handler', async () => {
    const clock = manualClock()
    const service = open()
    const { app, client } = await start([timeout(100, { clock })], { open: service.definition })
    client.send([1, 1, 1, 'x'])
    await service.reached(1)
    const { signal } = service.calls[0]!
    clock.advance(99)
    expect([await settled(client), signal.aborted]).toEqual([[], false])
    clock.advance(1)
    expect([await client.next(), signal.aborted]).toEqual([[3, 1, late], true])
    service.calls[0]?.reply('too late')
    client.send([1, 1, 1, 'the id is free again'])
    await service.reached(2)
    expect(await settled(client)).toEqual([])
    await app.stop({ drain: 0 })
  })

  test('leaves no timer behind, however a call ends', async () => {
    const clock = manualClock()
    const service = open()
    const { app, client } = await start([timeout(100, { clock })], { open: service.definition })
    for (const id of [1, 3, 5, 7]) client.send([1, 1, id, 'x'])
    await service.reached(4)
    expect(clock.timers).toBe(4)
    service.calls[0]?.reply(1)
    service.calls[1]?.error(new Error('failed'))
    client.send([6, 5, 'CANCELLED'])
    await settled(client)
    expect(clock.timers).toBe(1)
    const gone = new Promise(resolve => app.events.once('client:disconnect', resolve))
    client.link.close()
    await gone
    expect(clock.timers).toBe(0)
    await app.stop()
  })

  test('lets messages pass, however long they take', async () => {
    const clock = manualClock()
    const { app, client } = await start([timeout(100, { clock })])
    client.send([0, 1, 'x'])
    expect(await client.next()).toEqual([0, 1, 'x'])
    expect(clock.timers).toBe(0)
    await app.stop()
  })

  test('wants the first item of a stream in time, and no more', async () => {
    const clock = manualClock()
    const [first, second] = [deferred(), deferred()]
    const { app, client } = await start([timeout(100, { clock })], {
      rpc: rpc({
        async *begun() {
          yield 1
          await second.promise
          yield 2
        },
        async *late() {
          await first.promise
          yield 1
        },
      }),
    })
    client.send([1, 1, 1, ['begun']])
    client.send([1, 1, 3, ['late']])
    await client.next()
    clock.advance(100)
    await client.received(3)
    second.resolve()
    await client.received(5)
    expect(client.frames.slice(1)).toEqual([
      [4, 1, 1],
      [3, 3, late],
      [4, 1, 2],
      [5, 1, null],
    ])
    first.resolve()
    await app.stop()
  })

  test('has times by service, and none for those not listed', async () => {
    const clock = manualClock()
    const [quick, slow, free] = [open(), open(), open()]
    const limits = { quick: 100, slow: 1000 }
    const { app, client } = await start([timeout(limits, { clock })], {
      quick: quick.definition,
      slow: slow.definition,
      free: free.definition,
    })
    for (const [index, service] of [quick, slow, free].entries()) {
      client.send([1, index + 1, index * 2 + 1, 'x'])
      await service.reached(1)
    }
    clock.advance(100)
    expect(await client.next()).toEqual([3, 1, late])
    clock.advance(10_000)
    expect(await client.next()).toEqual([3, 3, expect.objectContaining({ code: 'TIMEOUT' })])
    free.calls[0]?.reply('at last')
    expect(await client.next()).toEqual([2, 5, 'at last'])
    await app.stop()
  })

  test('frees a connection from a middleware further down that never settles', async () => {
    const clock = manualClock()
    const { app, client } = await start([
      timeout(100, { clock }),
      (req, _res, next) => (req.message === 'stuck' ? new Promise(() => undefined) : next()),
    ])
    client.send([1, 1, 1, 'stuck'])
    client.send([1, 1, 3, 'after'])
    expect(await settled(client)).toEqual([])
    clock.advance(100)
    await client.received(4)
    expect(client.frames.slice(2)).toEqual([
      [3, 1, late],
      [2, 3, 'after'],
    ])
    await app.stop()
  })

  test('takes what drops a call silently for no answer', async () => {
    const clock = manualClock()
    const { app, client } = await start([timeout(100, { clock }), (_req, _res, _next) => undefined], { echo })
    client.send([1, 1, 1, 'x'])
    await settled(client)
    clock.advance(100)
    expect(await client.next()).toEqual([3, 1, late])
    await app.stop()
  })

  test.each([0, -1, 1.5, Number.NaN, 2 ** 31, '5', undefined, null, { rpc: 0 }, { rpc: '5' }])(
    'refuses %j',
    limits => {
      expect(() => timeout(limits as never)).toThrow(/timeout\(\)/)
    },
  )
})
