import type { StandardSchemaV1 } from '@standard-schema/spec'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type Handlers, rpc, validated } from '../../src/services/rpc/index.js'
import { TestBroker } from './support.js'

const broker = (handlers: Handlers) => new TestBroker(rpc(handlers))
const reply = (value: unknown) => ({ kind: 'reply', value })

describe('validated arguments', () => {
  it('reach the handler as the schema makes them, in the same turn', () => {
    const schema = z.tuple([z.coerce.number<string>(), z.object({ at: z.string().transform(s => s.length) })])
    const service = broker({ v: validated(schema, (ctx, n, { at }) => [ctx.method, n, at]) })
    expect(service.call(['v', '7', { at: 'abc', extra: 1 }]).outcome).toEqual(reply(['v', 7, 3]))
  })

  it('may be left out when they are optional or have a default', () => {
    const service = broker({
      opt: validated(z.tuple([z.string(), z.number().optional()]), (_ctx, s, n) => [s, n ?? 'none']),
      def: validated(z.tuple([z.number(), z.string().default('x')]), (_ctx, n, s) => [n, s]),
      none: validated(z.tuple([]), () => 1),
      rest: validated(z.tuple([z.string()], z.number()), (_ctx, s, ...ns) => [s, ns.length]),
    })
    expect(service.call(['opt', 'a']).outcome).toEqual(reply(['a', 'none']))
    expect(service.call(['opt', 'a', 1]).outcome).toEqual(reply(['a', 1]))
    expect(service.call(['def', 1]).outcome).toEqual(reply([1, 'x']))
    expect(service.call(['def', 1, 'y']).outcome).toEqual(reply([1, 'y']))
    expect(service.call(['none']).outcome).toEqual(reply(1))
    expect(service.call(['rest', 'a', 1, 2]).outcome).toEqual(reply(['a', 2]))
  })

  it('that do not fit are refused with what is wrong and where', () => {
    let reached = false
    const schema = z.tuple([z.object({ id: z.number(), tags: z.array(z.string()) })])
    const service = broker({
      v: validated(schema, () => {
        reached = true
      }),
    })
    const { outcome } = service.call(['v', { id: 'x', tags: ['a', 1] }])
    expect(outcome).toMatchObject({
      kind: 'error',
      error: {
        code: 'INVALID_ARGUMENTS',
        message: expect.stringContaining('0.id'),
        data: {
          issues: [
            { message: expect.any(String), path: [0, 'id'] },
            { message: expect.any(String), path: [0, 'tags', 1] },
          ],
        },
      },
    })
    for (const message of [['v'], ['v', { id: 1, tags: [] }, 'too many'], ['v', null]]) {
      expect(service.call(message).code).toBe('INVALID_ARGUMENTS')
    }
    expect(reached).toBe(false)
  })

  it('may be checked by an asynchronous schema', async () => {
    const taken = new Set(['ann'])
    const schema = z.tuple([z.string().refine(async name => !taken.has(name), 'Taken')])
    const service = broker({ join: validated(schema, async (_ctx, name) => `Hi ${name}`) })
    expect(await service.call(['join', 'bob']).done).toEqual(reply('Hi bob'))
    expect(await service.call(['join', 'ann']).done).toMatchObject({
      error: { code: 'INVALID_ARGUMENTS', data: { issues: [{ message: 'Taken', path: [0] }] } },
    })
  })

  it('may be checked by any Standard Schema, with path segments and symbols', () => {
    const schema: StandardSchemaV1<[number], [number]> = {
      '~standard': {
        version: 1,
        vendor: 'test',
        validate: () => ({
          issues: [{ message: 'No', path: [{ key: 'a' }, Symbol('s'), 2] }, { message: 'All' }],
        }),
      },
    }
    expect(broker({ v: validated(schema, () => 1) }).call(['v', 1]).outcome).toMatchObject({
      error: {
        data: {
          issues: [
            { message: 'No', path: ['a', 'Symbol(s)', 2] },
            { message: 'All', path: [] },
          ],
        },
      },
    })
  })

  it('go with the error of a schema that throws', async () => {
    const error = new Error('Broken schema')
    const schema = z.tuple([
      z.string().transform(() => {
        throw error
      }),
    ])
    const service = broker({ v: validated(schema, () => 1) })
    expect(await service.call(['v', 'x']).done).toEqual({ kind: 'error', error })
  })

  it('leave `this` and generators as they are', async () => {
    const service = broker({
      self: validated(z.tuple([]), function (this: unknown) {
        return Object.keys(this as object)
      }),
      count: validated(z.tuple([z.number()]), async function* (_ctx, n) {
        for (let i = 0; i < n; i++) yield i
      }),
    })
    expect(service.call(['self']).outcome).toEqual(reply(['self', 'count']))
    const call = service.call(['count', 2])
    expect(await call.done).toEqual({ kind: 'end' })
    expect(call.items).toEqual([0, 1])
  })
})

describe('a validated result', () => {
  const result = z.object({ n: z.number() })

  it('is what the schema makes of it', async () => {
    const service = broker({
      now: validated(z.tuple([]), result, () => ({ n: 1, secret: 2 })),
      later: validated(z.tuple([]), result, async () => ({ n: 2 })),
      refined: validated(
        z.tuple([]),
        z.number().refine(async () => true),
        () => 3,
      ),
    })
    expect(service.call(['now']).outcome).toEqual(reply({ n: 1 }))
    expect(await service.call(['later']).done).toEqual(reply({ n: 2 }))
    expect(await service.call(['refined']).done).toEqual(reply(3))
  })

  it('that does not fit is logged, and the caller learns nothing of it', async () => {
    const service = broker({
      now: validated(z.tuple([]), result, () => JSON.parse('{"n":"secret"}')),
      later: validated(z.tuple([]), result, async () => JSON.parse('{"n":"secret"}')),
    })
    for (const method of ['now', 'later']) {
      const call = service.call([method])
      expect(await call.done).toMatchObject({ kind: 'error', error: { cause: { code: 'INVALID_RESULT' } } })
      expect(call.code).toBeUndefined()
    }
    expect(service.lines).toMatchObject([
      {
        level: 'error',
        details: { code: 'INVALID_RESULT', method: 'now', data: { issues: [{ path: ['n'] }] } },
      },
      { level: 'error', details: { code: 'INVALID_RESULT', method: 'later' } },
    ])
  })

  it('is checked for each item of a stream', async () => {
    const closed: string[] = []
    const service = broker({
      async: validated(z.tuple([]), z.number().transform(String), async function* () {
        try {
          yield 1
          yield 2
          yield JSON.parse('"x"')
        } finally {
          closed.push('async')
        }
      }),
      sync: validated(z.tuple([]), z.number().max(1), function* () {
        try {
          yield 1
          yield 2
        } finally {
          closed.push('sync')
        }
      }),
      good: validated(z.tuple([]), z.number(), async function* () {
        yield 1
      }),
    })
    const calls = ['async', 'sync', 'good'].map(method => service.call([method]))
    const outcomes = await Promise.all(calls.map(({ done }) => done))
    await new Promise(setImmediate)
    expect(calls.map(({ items }) => items)).toEqual([['1', '2'], [1], [1]])
    expect(outcomes.map(({ kind }) => kind)).toEqual(['error', 'error', 'end'])
    expect(closed.sort()).toEqual(['async', 'sync'])
    expect(service.lines).toHaveLength(2)
  })

  it('lets a cancelled stream close at once', async () => {
    const log: string[] = []
    const source: AsyncIterable<number> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => log.push('next')),
        return: async () => {
          log.push('return')
          return { done: true, value: undefined }
        },
      }),
    }
    const call = broker({ v: validated(z.tuple([]), z.number(), () => source) }).call(['v'])
    await new Promise(setImmediate)
    call.cancel()
    expect(log).toEqual(['next', 'return'])
  })
})

describe('validated()', () => {
  it('refuses what is no Standard Schema and no function', () => {
    const schema = z.tuple([])
    const handler = () => 1
    const wrong: [unknown, unknown, unknown?][] = [
      [{}, handler],
      [undefined, handler],
      [schema, undefined],
      [schema, z.string()],
      [schema, {}, handler],
      [schema, z.string(), 7],
    ]
    for (const args of wrong) {
      expect(() => Reflect.apply(validated, undefined, args)).toThrow(
        expect.objectContaining({ code: 'INVALID_OPTION' }),
      )
    }
  })
})
