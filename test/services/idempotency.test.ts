import fc from 'fast-check'
import { afterEach, expect, test, vi } from 'vitest'
import type { KeyValue } from '../../src/engines/key-value.js'
import { memory as memoryEngine } from '../../src/engines/memory.js'
import { SocketStreamError } from '../../src/errors.js'
import { runOnce } from '../../src/services/idempotency.js'
import type { Handlers } from '../../src/services/rpc/handlers.js'
import { rpc } from '../../src/services/rpc/rpc.js'
import type { Request, Responder, ServiceServer } from '../../src/services/service.js'
import { testServer, WireClient } from '../support/wire.js'
import { RecordingResponder } from './recording-responder.js'

const stops: (() => Promise<unknown>)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const stop of stops.splice(0)) await stop()
})

// ---- over the wire ------------------------------------------------------------------------------

async function serve(handlers: Handlers, engine = memoryEngine()) {
  const { app, transport, log } = testServer({
    engine,
    authenticate: ({ headers }) => ({ id: String(headers['x-user'] ?? 'ann') }),
  })
  app.service('rpc', rpc(handlers))
  await app.start()
  stops.push(() => app.stop())
  let id = -1
  const call = async (client: WireClient, key: unknown, ...payload: unknown[]) => {
    id += 2
    const mine = id
    client.send([0x21, 1, mine, { idempotencyKey: key }, payload])
    for (let at = 1; ; at++) {
      const frame = await client.received(at + 1)
      if (frame[1] === mine) return frame[0] === 2 ? frame[2] : (frame[2] as { code: string }).code
    }
  }
  const open = (user: string) => WireClient.open(transport, {}, { headers: { 'x-user': user } })
  return { call, open, engine, log }
}

test('a second call with the key is answered from the first one, also on another connection', async () => {
  let paid = 0
  const { call, open } = await serve({ pay: (_ctx, sum: number) => ({ sum, receipt: ++paid }) })
  const first = await open('ann')
  expect(await call(first, 'k1', 'pay', 5)).toEqual({ sum: 5, receipt: 1 })
  expect(await call(first, 'k1', 'pay', 5)).toEqual({ sum: 5, receipt: 1 })
  expect(await call(await open('ann'), 'k1', 'pay', 5)).toEqual({ sum: 5, receipt: 1 })
  expect(await call(first, 'k2', 'pay', 5)).toEqual({ sum: 5, receipt: 2 })
  expect(paid).toBe(2)
})

test('a key is the user’s and the method’s', async () => {
  let runs = 0
  const { call, open } = await serve({ one: () => ++runs, two: () => ++runs })
  const ann = await open('ann')
  expect(await call(ann, 'k', 'one')).toBe(1)
  expect(await call(ann, 'k', 'two')).toBe(2)
  expect(await call(await open('bob'), 'k', 'one')).toBe(3)
})

test('a key is the service’s, too', async () => {
  const { app, transport } = testServer({ authenticate: () => ({ id: 'ann' }) })
  let runs = 0
  app.service('shop', rpc({ run: () => ++runs })).service('bank', rpc({ run: () => ++runs }))
  await app.start()
  stops.push(() => app.stop())
  const client = await WireClient.open(transport)
  for (const [id, service, expected] of [
    [1, 1, 1],
    [3, 2, 2],
    [5, 1, 1],
  ]) {
    client.send([0x21, service, id, { idempotencyKey: 'k' }, ['run']])
    expect(await client.next()).toEqual([2, id, expected])
  }
})

test('without a user a key is the session’s', async () => {
  const { app, transport } = testServer()
  let runs = 0
  app.service('rpc', rpc({ run: () => ++runs }))
  await app.start()
  stops.push(() => app.stop())
  for (const expected of [1, 2]) {
    const client = await WireClient.open(transport)
    client.send([0x21, 1, 1, { idempotencyKey: 'k' }, ['run']])
    expect(await client.next()).toEqual([2, 1, expected])
  }
})

test('other arguments with the key are refused', async () => {
  const { call, open } = await serve({ pay: (_ctx, sum: number) => sum })
  const client = await open('ann')
  expect(await call(client, 'k', 'pay', 5)).toBe(5)
  expect(await call(client, 'k', 'pay', 6)).toBe('IDEMPOTENCY_MISMATCH')
  expect(await call(client, 'k', 'pay', 5)).toBe(5)
})

test('a call whose first one still runs is told so', async () => {
  let finish!: (value: string) => void
  let begun!: () => void
  const running = new Promise<void>(resolve => {
    begun = resolve
  })
  const { call, open } = await serve({
    wait: () => {
      begun()
      return new Promise(resolve => {
        finish = resolve
      })
    },
  })
  const client = await open('ann')
  const first = call(client, 'k', 'wait')
  await running
  expect(await call(await open('ann'), 'k', 'wait')).toBe('IDEMPOTENCY_RUNNING')
  finish('done')
  expect(await first).toBe('done')
  expect(await call(client, 'k', 'wait')).toBe('done')
})

test('the outcome is kept for a caller that has gone meanwhile', async () => {
  let finish!: (value: string) => void
  let started!: () => void
  const running = new Promise<void>(resolve => {
    started = resolve
  })
  let aborted = false
  const { call, open, engine } = await serve({
    wait: ctx => {
      ctx.signal.addEventListener('abort', () => {
        aborted = true
      })
      started()
      return new Promise(resolve => {
        finish = resolve
      })
    },
  })
  const gone = await open('ann')
  gone.send([0x21, 1, 1, { idempotencyKey: 'k' }, ['wait']])
  await running
  gone.link.close(1000, '')
  await gone.ended()
  const kept = new Promise<void>(resolve => {
    const { set } = engine.kv
    engine.kv.set = async (...args) => {
      const version = await set.apply(engine.kv, args)
      resolve()
      return version
    }
  })
  finish('done')
  await kept
  expect(await call(await open('ann'), 'k', 'wait')).toBe('done')
  expect(aborted).toBe(false)
})

test.each([[''], ['x'.repeat(256)], [7], [null], [{}]])('the key %j is refused', async key => {
  const { call, open } = await serve({ run: () => 1 })
  expect(await call(await open('ann'), key, 'run')).toBe('INVALID_ARGUMENTS')
})

test('an error is an outcome, but one that says that nothing was done', async () => {
  let runs = 0
  const { call, open } = await serve({
    fail: (_ctx, kind: string) => {
      runs++
      if (kind === 'busy') throw new SocketStreamError('BUSY', 'Later', { retryAfter: 10 })
      if (kind === 'sold out') throw new SocketStreamError('SOLD_OUT', 'No seats')
      throw new Error('a secret')
    },
  })
  const client = await open('ann')
  for (const [kind, code, expected] of [
    ['busy', 'BUSY', 2],
    ['sold out', 'SOLD_OUT', 1],
    ['fault', 'INTERNAL', 1],
  ] as const) {
    runs = 0
    expect(await call(client, kind, 'fail', kind)).toBe(code)
    expect(await call(client, kind, 'fail', kind)).toBe(code)
    expect(runs).toBe(expected)
  }
  expect(await call(client, 'k', 'nothing')).toBe('UNKNOWN_METHOD')
  expect(await call(client, 'k', 'nothing')).toBe('UNKNOWN_METHOD')
})

test('a stream is refused, and its generator closed', async () => {
  let closed = false
  const { call, open } = await serve({
    async *count() {
      try {
        yield 1
        yield 2
      } finally {
        closed = true
      }
    },
  })
  const client = await open('ann')
  expect(await call(client, 'k', 'count')).toBe('INVALID_STATE')
  expect(closed).toBe(true)
})

test('a result that is too big is answered, and not kept', async () => {
  const { call, open } = await serve({ big: () => 'x'.repeat(1024 * 1024) })
  const client = await open('ann')
  expect(await call(client, 'k', 'big')).toHaveLength(1024 * 1024)
  expect(await call(client, 'k', 'big')).toBe('FRAME_TOO_BIG')
})

test('without a key-value part in the engine, a key is refused', async () => {
  const { call, open } = await serve({ run: () => 1 }, {
    name: 'none',
    on: () => () => {},
    close: async () => {},
  } as never)
  expect(await call(await open('ann'), 'k', 'run')).toBe('INVALID_STATE')
})

// ---- by itself ----------------------------------------------------------------------------------

const silent = { debug() {}, info() {}, warn() {}, error() {} } as never

function keyed(
  kv: KeyValue,
  key: string,
  args: readonly unknown[],
  run: (responder: Responder) => void,
  cluster?: { readonly lease: number },
) {
  const responder = new RecordingResponder()
  const server = { engine: { kv }, name: 'rpc', log: silent, cluster } as unknown as ServiceServer
  const request = { idempotencyKey: key, connection: { userId: 'ann' } } as unknown as Request
  const started = runOnce({ server, request, responder, method: 'm', args }, run)
  started.catch(error => responder.error(error))
  return responder.done
}

test('a key is renewed as long as its call runs, and runs anew when its server has died', async () => {
  vi.useFakeTimers()
  const { kv } = memoryEngine()
  const dying = { ...faulty(kv, []) }
  let answer!: Responder
  void keyed(dying, 'k', [], responder => {
    answer = responder
  })
  await vi.advanceTimersByTimeAsync(600_000)
  const refused = await keyed(kv, 'k', [], () => {})
  expect(refused).toMatchObject({ kind: 'error', error: { code: 'IDEMPOTENCY_RUNNING', retryAfter: 1000 } })
  expect(answer.ended).toBe(false)

  dying.set = () => new Promise(() => {})
  await vi.advanceTimersByTimeAsync(60_001)
  const again = await keyed(kv, 'k', [], responder => responder.reply('again'))
  expect(again).toEqual({ kind: 'reply', value: 'again' })
})

test('in a cluster a call runs anew once the lease of its server is over, whose outcome is then refused', async () => {
  vi.useFakeTimers()
  const cluster = { lease: 3000 }
  const { kv } = memoryEngine()
  const paused = { ...faulty(kv, []) }
  const set = paused.set
  let answer!: Responder
  const first = keyed(
    paused,
    'k',
    [],
    responder => {
      answer = responder
    },
    cluster,
  )
  await vi.advanceTimersByTimeAsync(60_000)
  // It renews nothing any more, as a process that is stopped.
  paused.set = () => Promise.reject(new SocketStreamError('ENGINE_UNAVAILABLE', 'paused'))
  await vi.advanceTimersByTimeAsync(1500)
  const running = await keyed(kv, 'k', [], () => {}, cluster)
  expect(running).toMatchObject({ kind: 'error', error: { code: 'IDEMPOTENCY_RUNNING' } })
  await vi.advanceTimersByTimeAsync(1501)
  const second = await keyed(kv, 'k', [], responder => responder.reply('second'), cluster)
  expect(second).toEqual({ kind: 'reply', value: 'second' })

  paused.set = set
  answer.reply('first')
  await first
  const third = await keyed(kv, 'k', [], responder => responder.reply('third'), cluster)
  expect(third).toEqual({ kind: 'reply', value: 'second' })
})

/** Key-value whose writes may fail before or after they take effect, by a list of dice. */
function faulty(kv: KeyValue, dice: number[]): KeyValue {
  const unavailable = () => new SocketStreamError('ENGINE_UNAVAILABLE', 'down')
  const through = async <T>(write: () => Promise<T>): Promise<T> => {
    const die = dice.shift() ?? 0
    if (die === 1) throw unavailable()
    const result = await write()
    if (die === 2) throw unavailable()
    return result
  }
  return {
    get: key => kv.get(key),
    set: (...args) => through(() => kv.set(...args)),
    delete: (...args) => through(() => kv.delete(...args)),
    keys: options => kv.keys(options),
  }
}

test('whatever the engine does, a handler runs once and everybody hears of one outcome', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 12 }),
      fc.array(fc.record({ key: fc.integer({ min: 0, max: 1 }), turns: fc.integer({ min: 0, max: 6 }) }), {
        minLength: 2,
        maxLength: 8,
      }),
      async (dice, calls) => {
        const { kv } = memoryEngine()
        // At the most two failures in a row: a third is told in the log, and the key is free after a minute.
        const store = faulty(kv, dice)
        const runs = [0, 0]
        const outcomes = await Promise.all(
          calls.map(async ({ key, turns }) => {
            for (let turn = 0; turn < turns; turn++) await null
            const outcome = await keyed(store, `k${key}`, [key], async responder => {
              runs[key]!++
              for (let turn = 0; turn < turns; turn++) await null
              responder.reply(`${key}.${runs[key]}`)
            })
            return { key, outcome }
          }),
        )
        for (const { key, outcome } of outcomes) {
          if (outcome.kind === 'reply') expect(outcome.value).toBe(`${key}.1`)
          else
            expect((outcome as { error: { code: string } }).error.code).toMatch(
              /^(IDEMPOTENCY_RUNNING|ENGINE_UNAVAILABLE|ENGINE_CONFLICT)$/,
            )
        }
        expect(Math.max(...runs)).toBeLessThanOrEqual(1)
      },
    ),
    { numRuns: 300 },
  )
})
