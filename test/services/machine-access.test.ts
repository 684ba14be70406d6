import { describe, expect, test } from 'vitest'
import { SocketStreamError } from '../../src/errors.js'
import type { MachineContext } from '../../src/services/machine/index.js'
import { raw, start } from './machine-support.js'

describe('what a client may do', () => {
  test('is up to authorize, which hears who, which key and what', async () => {
    const heard: unknown[] = []
    const { connect } = await start({
      authorize: async (ctx: MachineContext, key, what) => {
        heard.push([ctx.connectionId, ctx.clientIp, typeof ctx.session.id, key, what])
        return what === 'read' || what.type === 'place'
      },
    })
    const { client, get } = await connect()
    const who = [client.connectionId, expect.any(String), 'string', '1']
    await get('1').ready()
    await get('1').send({ type: 'place' })
    await expect(get('1').send({ type: 'cancel' })).rejects.toMatchObject({ code: 'FORBIDDEN' })
    expect(await get('1').can({ type: 'cancel' })).toBe(false)
    expect(heard).toEqual([
      [...who, 'read'],
      [...who, { type: 'place' }],
      [...who, { type: 'cancel' }],
      [...who, { type: 'cancel' }],
    ])
  })

  test.each<[string, unknown]>([
    ['anything but true', 1],
    ['undefined', undefined],
  ])('is nothing when authorize says %s', async (_what, verdict) => {
    const made = await start({ authorize: () => verdict as boolean })
    const { get } = await made.connect()
    await expect(get('1').ready()).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await expect(get('1').done()).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await expect(get('1').send({ type: 'place' })).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await expect(raw(made, 'get', '1')).rejects.toMatchObject({ code: 'FORBIDDEN' })
    expect(made.keys()).toEqual([])
  })

  test('is refused with the code that authorize throws', async () => {
    const { connect } = await start({
      authorize: () => {
        throw new SocketStreamError<string>('LOGIN_FIRST', 'Who are you?')
      },
    })
    const { get } = await connect()
    await expect(get('1').ready()).rejects.toMatchObject({ code: 'LOGIN_FIRST' })
    await expect(get('1').send({ type: 'place' })).rejects.toMatchObject({ code: 'LOGIN_FIRST' })
    expect(await get('1').can({ type: 'place' })).toBe(false)
  })

  test('is asked by can, which goes by the state', async () => {
    const { connect } = await start()
    const { get } = await connect()
    expect(await get('1').can({ type: 'place' })).toBe(true)
    expect(await get('1').can({ type: 'pay', amount: 1 })).toBe(false)
    expect(await get('1').can({ type: 'hidden' } as never)).toBe(false)
  })

  test.each(['hidden', 'xstate.stop', 'xstate.after.5000.order.paid', 'xstate.init', '', '*', '__proto__'])(
    'does not include the event %j',
    async type => {
      const made = await start()
      await expect(raw(made, 'send', '1', { type })).rejects.toMatchObject({ code: 'FORBIDDEN' })
      expect(made.keys()).toEqual([])
    },
  )

  test.each<[string, unknown]>([
    ['null', null],
    ['a text', 'place'],
    ['a list', ['place']],
    ['no type', {}],
    ['a type that is no text', { type: ['place'] }],
    ['a date', new Date()],
  ])('does not include %s for an event', async (_what, event) => {
    const made = await start()
    await expect(raw(made, 'send', '1', event)).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
    await expect(raw(made, 'can', '1', event)).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
  })

  test.each<[string, unknown]>([
    ['an empty one', ''],
    ['one with a slash', 'a/b'],
    ['a huge one', 'a'.repeat(129)],
    ['a number', 1],
    ['null', null],
    ['blanks', 'a b'],
    ['a line', 'a\n'],
    ['another script', 'ключ'],
  ])('does not include %s for a key', async (_what, key) => {
    const made = await start()
    await expect(raw(made, 'send', key, { type: 'place' })).rejects.toMatchObject({
      code: 'INVALID_ARGUMENTS',
    })
    await expect(raw(made, 'get', key)).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
    const { orders } = await made.connect()
    await expect(orders.get(key as string).ready()).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
  })

  test.each(['a/b', '', 'a\u0000', 'a'.repeat(257)])(
    'does not include the key %j, whatever the option says',
    async key => {
      const made = await start({ key: () => true })
      await expect(raw(made, 'get', key)).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
      expect(made.keys()).toEqual([])
    },
  )

  test('includes keys that are names of properties', async () => {
    const { connect } = await start({ persist: true })
    const { get } = await connect()
    for (const key of ['__proto__', 'constructor', 'toString', '..']) {
      await get(key).send({ type: 'place' })
      expect(await get(key).ready()).toMatchObject({ value: 'placed' })
    }
    expect(await get('valueOf').ready()).toMatchObject({ value: 'cart' })
  })

  test('goes by the pattern or the function for keys', async () => {
    const pattern = await start({ key: /^\d+$/g })
    for (const key of ['1', '2', '3']) expect(await raw(pattern, 'get', key)).toBeDefined()
    await expect(raw(pattern, 'get', 'x')).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
    const given = await start({ key: key => key === 'only me' })
    expect(await raw(given, 'get', 'only me')).toEqual([
      0,
      { status: 'active', value: 'cart', paid: 0 },
      false,
    ])
    await expect(raw(given, 'get', 'you')).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
  })

  test.each<[unknown, string]>([
    ['text', 'INVALID_ARGUMENTS'],
    [{ method: 'get' }, 'INVALID_ARGUMENTS'],
    [['stop', '1'], 'UNKNOWN_METHOD'],
    [['__proto__', '1'], 'UNKNOWN_METHOD'],
    [[], 'UNKNOWN_METHOD'],
  ])('does not include the call %j', async (payload, code) => {
    await expect(raw(await start(), payload)).rejects.toMatchObject({ code })
  })

  test('is to view so many keys at a time', async () => {
    const { connect } = await start({ keys: 2 })
    const { get } = await connect()
    const leave = get('1').subscribe(() => {})
    get('2').subscribe(() => {})
    await Promise.all([get('1').ready(), get('2').ready()])
    await expect(get('3').ready()).rejects.toMatchObject({ code: 'OVERLOADED' })
    leave()
    expect(await get('3').ready()).toMatchObject({ value: 'cart' })
    const other = await connect()
    expect(await other.get('4').ready()).toMatchObject({ value: 'cart' })
  })

  test('is to have so many actors started, until some have gone', async () => {
    const { connect, clock } = await start({ keys: 1, idle: 1000 })
    const [{ get }, other] = [await connect(), await connect()]
    for (let i = 11; i <= 20; i++) await get(String(i)).send({ type: 'place' })
    await expect(get('3').send({ type: 'place' })).rejects.toMatchObject({
      code: 'OVERLOADED',
      retryAfter: 1000,
    })
    expect(await get('12').can({ type: 'place' })).toBe(false)
    await other.get('3').send({ type: 'place' })
    clock.advance(1100)
    await get('4').send({ type: 'place' })
  })

  test('ends where too many actors live', async () => {
    const { connect, clock } = await start({ limit: 1, idle: 1000 })
    const { get } = await connect()
    await get('1').send({ type: 'place' })
    await expect(get('2').send({ type: 'place' })).rejects.toMatchObject({
      code: 'OVERLOADED',
      retryAfter: 1000,
    })
    await expect(get('2').ready()).rejects.toMatchObject({ code: 'OVERLOADED' })
    clock.advance(1100)
    await get('2').send({ type: 'place' })
  })
})
