import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SocketStreamError } from '../../src/errors.js'
import { type Handlers, type RpcContext, rpc } from '../../src/services/rpc/index.js'
import { RecordingResponder } from './recording-responder.js'
import { TestBroker } from './support.js'

const broker = (handlers: Handlers) => new TestBroker(rpc(handlers))

describe('a call', () => {
  it('reaches its handler with the arguments, and answers in the same turn', () => {
    const { outcome } = broker({ add: (_ctx, a: number, b: number) => a + b }).call(['add', 1, 2])
    expect(outcome).toEqual({ kind: 'reply', value: 3 })
  })

  it('finds nested methods by their dot path', () => {
    const { outcome } = broker({ a: { b: { c: () => 'deep' } } }).call(['a.b.c'])
    expect(outcome).toEqual({ kind: 'reply', value: 'deep' })
  })

  it('answers null for undefined, at once and later', async () => {
    const service = broker({ now: () => undefined, later: async () => undefined })
    expect(service.call(['now']).outcome).toEqual({ kind: 'reply', value: null })
    expect(await service.call(['later']).done).toEqual({ kind: 'reply', value: null })
  })

  it('answers what a promise or another thenable resolves to', async () => {
    const thenable = Object.fromEntries([['then', (resolve: (value: string) => void) => resolve('thenable')]])
    const service = broker({ promise: async (_ctx, x: number) => x * 2, thenable: () => thenable })
    expect(await service.call(['promise', 4]).done).toEqual({ kind: 'reply', value: 8 })
    expect(await service.call(['thenable']).done).toEqual({ kind: 'reply', value: 'thenable' })
  })

  it('runs a handler as a method of the object it stands in', () => {
    const table = {
      secret: () => 7,
      nested: {
        own: () => 8,
        read(ctx: RpcContext): number {
          return this.own() + (ctx.method === 'nested.read' ? 1 : 0)
        },
      },
    }
    expect(broker(table).call(['nested.read']).outcome).toEqual({ kind: 'reply', value: 9 })
  })

  it('sends arrays, sets and strings as values', () => {
    const service = broker({ array: () => [1, 2], set: () => new Set([1]), string: () => 'ab' })
    expect(service.call(['array']).outcome).toEqual({ kind: 'reply', value: [1, 2] })
    expect(service.call(['set']).outcome).toEqual({ kind: 'reply', value: new Set([1]) })
    expect(service.call(['string']).outcome).toEqual({ kind: 'reply', value: 'ab' })
  })
})

describe('a failing handler', () => {
  const thrown = [
    new SocketStreamError<string>('SOLD_OUT', 'No seats left'),
    new Error('x'),
    'text',
    7,
    undefined,
    null,
  ]

  it.each(thrown)('passes on %s, thrown at once or later', async error => {
    const service = broker({
      now: () => {
        throw error
      },
      later: () => Promise.reject(error),
    })
    expect(service.call(['now']).outcome).toEqual({ kind: 'error', error })
    expect(await service.call(['later']).done).toEqual({ kind: 'error', error })
  })

  it('is told when its value cannot be sent', async () => {
    const service = broker({ now: () => [() => 1], later: async () => [Symbol('x')] })
    expect(service.call(['now']).code).toBe('UNENCODABLE')
    const later = service.call(['later'])
    await later.done
    expect(later.code).toBe('UNENCODABLE')
  })

  it('answers with the error of a value whose `then` cannot be read', () => {
    const error = new Error('No then')
    const hostile = Object.defineProperty({}, 'then', {
      get() {
        throw error
      },
    })
    expect(broker({ hostile: () => hostile }).call(['hostile']).outcome).toEqual({ kind: 'error', error })
  })

  it('is only logged when the caller has cancelled', async () => {
    const service = broker({
      wait: ctx =>
        new Promise((_resolve, reject) => ctx.signal.addEventListener('abort', () => reject('late'))),
      finish: ctx => new Promise(resolve => ctx.signal.addEventListener('abort', () => resolve('late'))),
    })
    for (const method of ['wait', 'finish']) {
      const call = service.call([method])
      call.cancel()
      await new Promise(setImmediate)
      expect(call.outcome).toEqual({ kind: 'cancelled' })
      expect(call.late).toEqual([])
    }
    expect(service.lines).toMatchObject([{ level: 'debug', details: { error: 'late' } }])
  })
})

describe('the context', () => {
  it('tells who calls and what there is', () => {
    const service = broker({
      all: ctx => [ctx.method, ctx.connectionId, ctx.clientIp, ctx.session.id, ctx.connection.transport],
      services: ctx => Object.keys(ctx.services),
      log: ctx => ctx.log.info('logged'),
    })
    const expected = ['all', 'c0', '127.0.0.1', 'session-of-c0', 'memory']
    expect(service.call(['all']).outcome).toEqual({ kind: 'reply', value: expected })
    service.api.other = 1
    expect(service.call(['services']).outcome).toEqual({ kind: 'reply', value: ['rpc', 'other'] })
    service.call(['log'])
    expect(service.lines).toMatchObject([{ level: 'info', message: 'logged' }])
  })

  it('touches neither session nor signal unless it is asked', async () => {
    const service = broker({ add: (_ctx, a: number) => a, later: async () => 1 })
    for (const message of [['add', 1], ['later']]) {
      const request = Object.defineProperty(service.request(message), 'session', {
        get() {
          throw new Error('touched')
        },
      })
      const call = service.dispatch(request)
      await call.done
      expect(call.outcome?.kind).toBe('reply')
      expect(call.signalTouched).toBe(false)
    }
  })
})

describe('a hostile payload', () => {
  const service = broker({ add: (_ctx, a: number, b: number) => a + b, nested: { deep: () => 1 } })

  it.each([null, 'add', 7, { 0: 'add', length: 1 }, new Uint8Array(3)])(
    'that is no array is refused: %j',
    payload => {
      expect(service.call(payload).code).toBe('INVALID_ARGUMENTS')
    },
  )

  it.each([
    [[]],
    [[7]],
    [[null]],
    [[['add']]],
    [['']],
    [['nested']],
    [['nested.']],
    [['.add']],
    [['__proto__']],
    [['constructor']],
    [['toString']],
    [['hasOwnProperty']],
    [['nested.constructor']],
    [['add.call']],
    [['x'.repeat(100_000)]],
  ])('that names no method is refused: %j', payload => {
    const call = service.call(payload)
    expect(call.code).toBe('UNKNOWN_METHOD')
    expect((call.outcome as { error: Error }).error.message.length).toBeLessThan(200)
  })

  it('with too many arguments is refused before they reach the stack', () => {
    expect(service.call(['add', ...Array(1001).fill(1)]).code).toBe('INVALID_ARGUMENTS')
    expect(service.call(['add', ...Array(1000).fill(1)]).outcome).toEqual({ kind: 'reply', value: 2 })
  })

  it('that cannot be decoded is answered with the error', () => {
    const error = new SocketStreamError('BAD_FRAME', 'Malformed')
    const request = Object.defineProperty(service.request(undefined), 'message', {
      get() {
        throw error
      },
    })
    expect(service.dispatch(request).outcome).toEqual({ kind: 'error', error })
  })

  it('never throws out of the service, and reaches own methods only', () => {
    const reached: string[] = []
    const guarded = broker({
      add: ctx => reached.push(ctx.method),
      nested: { deep: ctx => reached.push(ctx.method) },
    })
    const name = fc.oneof(
      fc.constantFrom(
        'add',
        'nested.deep',
        'nested',
        '__proto__',
        'constructor',
        'nested.__proto__',
        'add.apply',
      ),
      fc.constantFrom('toString', 'valueOf', 'hasOwnProperty', 'then', '__defineGetter__', 'prototype'),
      fc.string(),
      fc.anything(),
    )
    const payload = fc.oneof(
      fc.anything(),
      fc.tuple(name, fc.array(fc.anything())).map(([first, rest]) => [first, ...rest]),
    )
    fc.assert(
      fc.property(payload, message => {
        reached.length = 0
        const responder = new RecordingResponder()
        guarded.oncall?.(guarded.request(message), responder)
        const { outcome, late, code } = responder
        const method = Array.isArray(message) ? message[0] : undefined
        const known = method === 'add' || method === 'nested.deep'
        expect(late).toEqual([])
        expect(reached).toEqual(known ? [method] : [])
        expect(outcome?.kind).toBe(known ? 'reply' : 'error')
        expect(code).toBe(known ? undefined : Array.isArray(message) ? 'UNKNOWN_METHOD' : 'INVALID_ARGUMENTS')
      }),
      { numRuns: 500 },
    )
  })
})

describe('a table of handlers', () => {
  const handler = () => 1

  it.each(['then', 'constructor', 'prototype', 'toJSON', 'toString', 'valueOf', '_private', '__proto__'])(
    'may not use the reserved name %s',
    name => {
      const table = Object.fromEntries([[name, handler]])
      expect(() => rpc(table)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
      expect(() => rpc({ nested: table })).toThrow(`'nested.${name}'`)
    },
  )

  it.each(['', 'a.b', '.'])('may not use the name %j', name => {
    expect(() => rpc({ [name]: handler })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  const cyclic: Record<string, unknown> = { handler }
  cyclic.inner = { cyclic }
  it.each([
    [7],
    [null],
    [[handler]],
    [new Map()],
    [{ a: 7 }],
    [{ a: null }],
    [{ a: { b: [handler] } }],
    [{ a: new (class {})() }],
    [{ dir: undefined }],
    [cyclic],
  ])('may hold nothing but functions and plain objects: %o', table => {
    expect(() => rpc(table as never)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })

  it('may share a namespace, lack a prototype and have methods with names of function properties', () => {
    const shared = { call: handler, name: handler, length: handler }
    const table = Object.assign(Object.create(null), { a: shared, b: shared, dir: handler })
    const service = broker(table)
    for (const method of ['a.call', 'b.name', 'b.length', 'dir']) {
      expect(service.call([method]).outcome).toEqual({ kind: 'reply', value: 1 })
    }
  })

  it('is read once, at construction', () => {
    const table: Record<string, () => number> = { add: handler }
    const service = broker(table)
    table.late = handler
    expect(service.call(['late']).code).toBe('UNKNOWN_METHOD')
  })

  it('serves under several names at once', () => {
    const definition = rpc({ where: ctx => Object.keys(ctx.services) })
    expect(new TestBroker(definition, 'one').call(['where']).outcome).toMatchObject({ value: ['one'] })
    expect(new TestBroker(definition, 'two').call(['where']).outcome).toMatchObject({ value: ['two'] })
  })
})
