import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { validate } from '../../src/middleware/validate.js'
import { rpc } from '../../src/services/rpc/index.js'
import { deferred, echo, settled, start } from './support.js'

describe('validate', () => {
  test('passes what fits, as the schema makes it', async () => {
    const schema = z.object({ at: z.coerce.number(), tag: z.string().default('none') })
    const { app, client } = await start([validate({ echo: schema })])
    client.send([0, 1, { at: '7', extra: true }])
    client.send([1, 1, 1, { at: 8, tag: 'x' }])
    await client.received(3)
    expect(client.frames.slice(1)).toEqual([
      [0, 1, { at: 7, tag: 'none' }],
      [2, 1, { at: 8, tag: 'x' }],
    ])
    await app.stop()
  })

  test('answers what does not fit with what is wrong and where', async () => {
    const { app, client } = await start([validate({ echo: z.object({ tags: z.array(z.string()) }) })])
    client.send([0, 1, { tags: 1 }])
    client.send([1, 1, 1, { tags: ['a', 2] }])
    client.send([1, 1, 3, null])
    await client.received(4)
    const issue = { message: expect.any(String), path: ['tags', 1] }
    expect(client.frames[1]).toEqual([
      ...[3, 0],
      expect.objectContaining({ code: 'INVALID_ARGUMENTS', service: 'echo' }),
    ])
    expect(client.frames[2]).toEqual([
      ...[3, 1],
      expect.objectContaining({ message: expect.stringContaining('at tags.1:'), data: { issues: [issue] } }),
    ])
    expect(client.frames[3]).toEqual([3, 3, expect.objectContaining({ code: 'INVALID_ARGUMENTS' })])
    await app.stop()
  })

  test('checks the arguments of methods; those that are not listed pass', async () => {
    const methods = {
      'math.add': z.tuple([z.coerce.number(), z.number().default(1)]),
      say: z.tuple([z.string()], z.string()),
    }
    const { app, client } = await start([validate({ rpc: methods })], {
      rpc: rpc({
        math: { add: (_ctx, a: number, b: number) => a + b },
        say: (_ctx, ...words: string[]) => words.join(' '),
        free: (_ctx, ...args: unknown[]) => args,
      }),
    })
    const calls = [['math.add', '2'], ['math.add', 'x'], ['say', 'a', 'b'], ['say'], ['free', 1, null]]
    for (const [index, call] of calls.entries()) client.send([1, 1, index * 2 + 1, call])
    await client.received(6)
    const invalid = expect.objectContaining({ code: 'INVALID_ARGUMENTS' })
    expect(client.frames.slice(1)).toEqual([
      [2, 1, 3],
      [3, 3, invalid],
      [2, 5, 'a b'],
      [3, 7, invalid],
      [2, 9, [1, null]],
    ])
    await app.stop()
  })

  test('checks methods that are not listed by `*`, also those named as a property of objects', async () => {
    const { app, client } = await start([validate({ echo: { '*': z.tuple([]) } })])
    for (const [index, name] of ['constructor', '__proto__', 'free'].entries()) {
      client.send([1, 1, index * 2 + 1, [name, 1]])
    }
    client.send([1, 1, 7, ['free']])
    await client.received(5)
    expect(client.frames.slice(1).map(([kind]) => kind)).toEqual([3, 3, 3, 2])
    await app.stop()
  })

  test.each([[null], ['text'], [{}], [[]], [[1, 2]]])(
    'refuses %j where methods are listed',
    async message => {
      const { app, client } = await start([validate({ echo: { say: z.tuple([]) } })])
      client.send([1, 1, 1, message])
      expect(await client.next()).toEqual([3, 1, expect.objectContaining({ code: 'INVALID_ARGUMENTS' })])
      await app.stop()
    },
  )

  test('lets pass other services and subscribes', async () => {
    const { app, client } = await start([validate({ echo: z.string() })], { echo, other: echo })
    client.send([0, 2, 1])
    client.send([9, 1, 1, { ch: 'news' }])
    await client.received(3)
    expect(client.frames[1]).toEqual([0, 2, 1])
    expect(client.frames[2]?.[0]).toBe(2)
    await app.stop()
  })

  test('checks every service by a schema under `*`, unless it has its own', async () => {
    const { app, client } = await start([validate({ echo: z.number(), '*': z.string() })], {
      echo,
      other: echo,
    })
    client.send([1, 1, 1, 5])
    client.send([1, 2, 3, 5])
    await client.received(3)
    expect(client.frames.slice(1).map(([kind]) => kind)).toEqual([2, 3])
    await app.stop()
  })

  test('waits for a schema, holding its own connection only', async () => {
    const slow = deferred<boolean>()
    const { app, client, another } = await start([
      validate({
        echo: z
          .string()
          .refine(text => (text === 'slow' ? slow.promise : true))
          .transform(s => `${s}!`),
      }),
    ])
    const other = await another()
    client.send([0, 1, 'slow'])
    client.send([0, 1, 'after'])
    other.send([0, 1, 'other'])
    expect(await other.next()).toEqual([0, 1, 'other!'])
    expect(await settled(client)).toEqual([])
    slow.resolve(true)
    await client.received(4)
    expect(client.frames.slice(2)).toEqual([
      [0, 1, 'slow!'],
      [0, 1, 'after!'],
    ])
    await app.stop()
  })

  test('takes a schema that throws, and one of arguments that gives none, for a fault of the server', async () => {
    const throws = z.string().transform(() => {
      throw new Error('broken')
    })
    const noArray = z.unknown().transform(() => 1) as never
    const { app, client, log } = await start([validate({ echo: throws, other: { say: noArray } })], {
      echo,
      other: echo,
    })
    client.send([1, 1, 1, 'x'])
    client.send([1, 2, 3, ['say']])
    await client.received(3)
    const internal = expect.objectContaining({ code: 'INTERNAL' })
    expect(client.frames.slice(1)).toEqual([
      [3, 1, internal],
      [3, 3, internal],
    ])
    expect(log.of('error')).toHaveLength(2)
    await app.stop()
  })

  test.each<[unknown, RegExp]>([
    [null, /validate\(\) takes a Standard Schema/],
    [{ rpc: 1 }, /`rpc` must be a Standard Schema, or a table of them by method/],
    [{ rpc: { add: 1 } }, /`rpc` must be a Standard Schema/],
    [{ 'no name': z.string() }, /"no name" is no service's name/],
  ])('refuses %j', (schemas, message) => {
    expect(() => validate(schemas as never)).toThrow(message)
  })
})
