import { describe, expect, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { memory } from '../../src/engines/memory.js'
import { SocketStreamError } from '../../src/errors.js'
import { machineClient } from '../../src/services/machine/client.js'
import { machine } from '../../src/services/machine/index.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import { testServer } from '../support/wire.js'
import { cleanups, EVENTS, order, raw, reached, start, until } from './machine-support.js'

describe('a machine service', () => {
  test('keeps two clients in step', async () => {
    const { connect, clock } = await start()
    const [ann, ben] = [await connect(), await connect()]
    const [hers, his] = [ann.get('1'), ben.get('1')]
    const seen: unknown[] = []
    const leave = his.subscribe(() => seen.push(his.getSnapshot()))
    expect(await Promise.all([hers.ready(), his.ready()])).toEqual([
      { status: 'active', value: 'cart', paid: 0 },
      { status: 'active', value: 'cart', paid: 0 },
    ])
    await hers.send({ type: 'place' })
    await reached(his, 'placed')
    await his.send({ type: 'pay', amount: 7 })
    await reached(hers, 'paid')
    const done = hers.done()
    clock.advance(5000)
    expect(await done).toEqual({ status: 'done', value: 'shipped', paid: 7 })
    expect(await his.done()).toEqual({ status: 'done', value: 'shipped', paid: 7 })
    leave()
    expect(seen).toEqual([
      { status: 'active', value: 'cart', paid: 0 },
      { status: 'active', value: 'placed', paid: 0 },
      { status: 'active', value: 'paid', paid: 7 },
      { status: 'done', value: 'shipped', paid: 7 },
    ])
  })

  test('shows state and status only, unless told otherwise', async () => {
    const made = testServer()
    const app = made.app.service(
      'order',
      machine(order, { events: EVENTS, authorize: () => true, input: id => ({ id }) }),
    )
    await app.start()
    cleanups.push(() => app.stop())
    const client = createClient<typeof app>({
      url: 'memory:',
      transport: memoryClient(made.transport),
      services: { order: machineClient },
    })
    cleanups.push(() => client.close())
    await client.connect()
    expect(await client.api.order.get('1').ready()).toEqual({ status: 'active', value: 'cart' })
  })

  test('shows each viewer its own when the projection asks who it is', async () => {
    const { connect } = await start<{ value: unknown; mine: string }>({
      project: ({ value }, ctx) => ({ value, mine: ctx.connectionId }),
    })
    const [ann, ben] = [await connect(), await connect()]
    const leaves = [ann.get('1').subscribe(() => {}), ben.get('1').subscribe(() => {})]
    await Promise.all([ann.get('1').ready(), ben.get('1').ready()])
    await ann.get('1').send({ type: 'place' })
    await reached(ben.get('1'), 'placed')
    await reached(ann.get('1'), 'placed')
    for (const { get, client } of [ann, ben]) {
      expect(get('1').getSnapshot()).toEqual({ value: 'placed', mine: client.connectionId })
    }
    for (const leave of leaves) leave()
  })

  test('sends nothing when a change cannot be seen', async () => {
    const { connect } = await start<{ status: string }>({ project: ({ status }) => ({ status }) })
    const { get } = await connect()
    let calls = 0
    get('1').subscribe(() => calls++)
    await get('1').ready()
    await get('1').send({ type: 'place' })
    await get('1').can({ type: 'cancel' })
    expect(calls).toBe(1)
  })

  test('has a done actor shown as done until it is idle, then begins anew', async () => {
    const { connect, clock, keys } = await start({ idle: 1000 })
    const { get } = await connect()
    await get('1').send({ type: 'cancel' })
    expect(await get('1').done()).toEqual({ status: 'done', value: 'cancelled', paid: 0 })
    await expect(get('1').send({ type: 'place' })).rejects.toMatchObject({ code: 'ACTOR_STOPPED' })
    expect(await get('1').can({ type: 'place' })).toBe(false)
    expect(keys()).toEqual([])
    clock.advance(1100)
    expect(await get('1').ready()).toMatchObject({ value: 'cart' })
  })

  test('stops an actor some time after its last viewer and event', async () => {
    const { connect, clock, keys } = await start({ idle: 1000 })
    const { client, get } = await connect()
    const leave = get('1').subscribe(() => {})
    await get('1').ready()
    clock.advance(5000)
    expect(keys()).toEqual(['1'])
    leave()
    await get('2').send({ type: 'place' })
    clock.advance(900)
    await get('2').send({ type: 'pay', amount: 1 })
    clock.advance(200)
    expect(keys()).toEqual(['2'])
    get('3').subscribe(() => {})
    await get('3').ready()
    client.close()
    await until(() => {
      clock.advance(1100)
      return keys().length === 0
    })
  })

  test('begins with the saved state, also a done one', async () => {
    const first = await start({ persist: true, idle: 1000 })
    const { get } = await first.connect()
    await get('1').send({ type: 'place' })
    await get('2').send({ type: 'cancel' })
    first.clock.advance(1100)
    expect(first.keys()).toEqual([])
    expect(await get('1').ready()).toMatchObject({ value: 'placed' })
    await first.app.stop()
    first.system.stop()
    const second = await start({ persist: {} }, first.store)
    const again = await second.connect()
    expect(await again.get('1').ready()).toMatchObject({ value: 'placed' })
    expect(await again.get('2').done()).toMatchObject({ value: 'cancelled' })
    await expect(again.get('2').send({ type: 'place' })).rejects.toMatchObject({ code: 'ACTOR_STOPPED' })
  })

  test('comes back to a client that has reconnected', async () => {
    const { connect } = await start()
    const [ann, ben] = [await connect(), await connect()]
    const hers = ann.get('1')
    hers.subscribe(() => {})
    await hers.ready()
    ann.links[0]?.close(4500, 'cut')
    await ben.get('1').send({ type: 'place' })
    await reached(hers, 'placed')
  })
})

describe('what goes wrong', () => {
  test('at an event reaches its sender, and the machine begins anew for all', async () => {
    const { connect, clock } = await start()
    const { get } = await connect()
    const order = get('1')
    order.subscribe(() => {})
    await order.send({ type: 'place' })
    await reached(order, 'placed')
    await expect(order.send({ type: 'break' })).rejects.toMatchObject({ code: 'ACTOR_CRASHED' })
    clock.advance(200)
    await reached(order, 'cart')
  })

  test('for good stops the machine; the next event starts it, and viewers see it again', async () => {
    const { connect, clock, keys } = await start()
    const { get } = await connect()
    const order = get('1')
    order.subscribe(() => {})
    await order.ready()
    for (let crash = 0; keys().length > 0 && crash < 10; crash++) {
      await order.send({ type: 'break' }).catch(() => {})
      if (keys().length > 0) clock.advance(1700)
    }
    expect(keys()).toEqual([])
    await order.send({ type: 'place' })
    await reached(order, 'placed')
  })

  test('with a view is logged and told to who asks; it mends itself', async () => {
    const made = await start()
    const { get } = await made.connect()
    const order = get('1')
    const seen: unknown[] = []
    order.subscribe(() => seen.push(order.getSnapshot()))
    await order.send({ type: 'place' })
    await order.send({ type: 'spoil' })
    expect(made.log.of('error')).toEqual([expect.stringContaining('the view of "1" cannot be sent')])
    const other = await made.connect()
    await expect(other.get('1').ready()).rejects.toMatchObject({ code: 'UNENCODABLE' })
    await expect(raw(made, 'get', '1')).rejects.toMatchObject({ code: 'UNENCODABLE' })
    await order.send({ type: 'pay', amount: 3 })
    await reached(order, 'paid')
    expect(seen.at(-1)).toEqual({ status: 'active', value: 'paid', paid: 3 })
    expect(await other.get('1').ready()).toEqual({ status: 'active', value: 'paid', paid: 3 })
  })

  test('with the store is told as PERSIST_FAILED', async () => {
    const kv = memory().kv!
    let full = false
    const { connect } = await start(
      { persist: true },
      {
        ...kv,
        get: key => kv.get(key),
        set: (key, value, options) =>
          full
            ? Promise.reject(new SocketStreamError('ENGINE_UNAVAILABLE', 'no'))
            : kv.set(key, value, options),
      },
    )
    const { get } = await connect()
    await get('1').ready()
    full = true
    await expect(get('1').send({ type: 'place' })).rejects.toMatchObject({ code: 'PERSIST_FAILED' })
    expect(get('1').getSnapshot()).toMatchObject({ value: 'cart' })
  })

  test('with the input leaves no actor behind', async () => {
    const made = await start({
      input: () => {
        throw new SocketStreamError<string>('NO_SUCH_ORDER', 'There is none')
      },
    })
    const { get } = await made.connect()
    await expect(get('1').ready()).rejects.toMatchObject({ code: 'NO_SUCH_ORDER' })
    expect(made.keys()).toEqual([])
  })
})
