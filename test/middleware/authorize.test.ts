import { describe, expect, test } from 'vitest'
import { SocketStreamError } from '../../src/errors.js'
import { type AuthorizeRule, authorize } from '../../src/middleware/authorize.js'
import { deferred, echo, settled, start } from './support.js'

const forbidden = expect.objectContaining({ code: 'FORBIDDEN' })

describe('authorize', () => {
  test('lets through what its rule allows and answers everything else', async () => {
    const { app, client } = await start([authorize(req => req.message === 'yes')])
    client.send([0, 1, 'no'])
    client.send([1, 1, 1, 'no'])
    client.send([9, 1, 3, { ch: 'no' }])
    client.send([1, 1, 5, 'yes'])
    await client.received(5)
    expect(client.frames.slice(1)).toEqual([
      [3, 0, expect.objectContaining({ code: 'FORBIDDEN', service: 'echo' })],
      [3, 1, forbidden],
      [3, 3, forbidden],
      [2, 5, 'yes'],
    ])
    await app.stop()
  })

  test.each<unknown>([
    1,
    'true',
    {},
    undefined,
    null,
    Promise.resolve(1),
    // biome-ignore lint/suspicious/noThenProperty: a promise of another make
    { then: (settle: (verdict: unknown) => void) => settle(1) },
  ])('takes %j for a no', async verdict => {
    const { app, client } = await start([authorize((() => verdict) as unknown as AuthorizeRule)])
    client.send([1, 1, 1, 'x'])
    expect(await client.next()).toEqual([3, 1, forbidden])
    await app.stop()
  })

  test('asks the rule of the service; services without one are refused', async () => {
    const rules = { open: () => true, own: async () => false }
    const { app, client } = await start([authorize(rules)], { open: echo, own: echo, other: echo })
    for (const service of [1, 2, 3]) client.send([1, service, service * 2 + 1, 'x'])
    await client.received(4)
    expect(client.frames.slice(1)).toEqual([
      [2, 3, 'x'],
      [3, 5, forbidden],
      [3, 7, forbidden],
    ])
    await app.stop()
  })

  test('asks the rule `*` for services that are not listed', async () => {
    const { app, client } = await start([authorize({ echo: () => false, '*': () => true })], {
      echo,
      other: echo,
    })
    client.send([1, 1, 1, 'x'])
    client.send([1, 2, 3, 'x'])
    await client.received(3)
    expect(client.frames.slice(1)).toEqual([
      [3, 1, forbidden],
      [2, 3, 'x'],
    ])
    await app.stop()
  })

  test('knows the user and the session', async () => {
    const rule: AuthorizeRule = req =>
      (req.user as { id: string }).id === 'ann' && req.session.role === 'admin'
    const { app, client } = await start(
      [
        (req, _res, next) => {
          req.session.role = req.message
          next()
        },
        authorize(rule),
      ],
      { echo },
      { authenticate: () => ({ id: 'ann' }) },
    )
    client.send([1, 1, 1, 'guest'])
    client.send([1, 1, 3, 'admin'])
    await client.received(3)
    expect(client.frames.slice(1)).toEqual([
      [3, 1, forbidden],
      [2, 3, 'admin'],
    ])
    await app.stop()
  })

  test.each<[string, AuthorizeRule, string]>([
    [
      'thrown',
      () => {
        throw new SocketStreamError('SESSION_ENDED', 'log in again')
      },
      'SESSION_ENDED',
    ],
    [
      'rejected',
      () => Promise.reject(new SocketStreamError('SESSION_ENDED', 'log in again')),
      'SESSION_ENDED',
    ],
    ['of no code', () => Promise.reject(new Error('a fault')), 'INTERNAL'],
  ])('answers with an error that is %s', async (_how, rule, code) => {
    const { app, client } = await start([authorize(rule)])
    client.send([1, 1, 1, 'x'])
    expect(await client.next()).toEqual([3, 1, expect.objectContaining({ code })])
    await app.stop()
  })

  test('while its rule waits holds its own connection, in order, and no other', async () => {
    const slow = deferred<boolean>()
    const { app, client, another } = await start([
      authorize(req => (req.message === 'slow' ? slow.promise : true)),
    ])
    const other = await another()
    client.send([0, 1, 'slow'])
    client.send([0, 1, 'after'])
    other.send([0, 1, 'other'])
    expect(await other.next()).toEqual([0, 1, 'other'])
    expect(await settled(client)).toEqual([])
    slow.resolve(true)
    await client.received(4)
    expect(client.frames.slice(2)).toEqual([
      [0, 1, 'slow'],
      [0, 1, 'after'],
    ])
    await app.stop()
  })

  test('passes nothing on of a connection that has gone meanwhile', async () => {
    const slow = deferred<boolean>()
    const seen: unknown[] = []
    const { app, client, another } = await start([
      authorize(req => (req.message === 'slow' ? slow.promise : true)),
      (req, _res, next) => {
        seen.push(req.message)
        next()
      },
    ])
    client.send([0, 1, 'slow'])
    client.send([0, 1, 'after'])
    await settled(client)
    const gone = new Promise(resolve => app.events.once('client:disconnect', resolve))
    client.link.close()
    await gone
    slow.resolve(true)
    const other = await another()
    other.send([0, 1, 'other'])
    await other.next()
    expect(seen).toEqual(['other'])
    await app.stop()
  })

  test('takes a large table, and inherited names for nobody', async () => {
    const rules = Object.assign(Object.create({ echo: () => true }), {
      ...Object.fromEntries(Array.from({ length: 50_000 }, (_, i) => [`s${i}`, () => true])),
    })
    const { app, client } = await start([authorize(rules)], { echo, s49999: echo })
    client.send([1, 1, 1, 'x'])
    client.send([1, 2, 3, 'x'])
    await client.received(3)
    expect(client.frames.slice(1)).toEqual([
      [3, 1, forbidden],
      [2, 3, 'x'],
    ])
    await app.stop()
  })

  test.each<[unknown, RegExp]>([
    [undefined, /authorize\(\) takes a function \(req\) => boolean, in a table/],
    [[], /in a table by service/],
    [{ rpc: true }, /authorize\(\): `rpc` must be a function/],
    [{ Rpc: () => true }, /"Rpc" is no service's name/],
    [JSON.parse('{ "__proto__": 1 }'), /"__proto__" is no service's name/],
    [{ constructor: () => true }, /"constructor" is no service's name/],
  ])('refuses %j', (rules, message) => {
    expect(() => authorize(rules as never)).toThrow(message)
  })
})
