import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type AnswerContext, Answers } from '../../src/cluster/answering.js'
import { ClusterWire, type WireHost } from '../../src/cluster/wire.js'
import { pack } from '../../src/codec/packed.js'
import type { Bus } from '../../src/engines/bus.js'
import { memory } from '../../src/engines/memory.js'
import { SocketStreamError } from '../../src/errors.js'
import { createLogger } from '../../src/log.js'
import { knows, startNode, turns } from './support.js'

const outcome = (call: Promise<unknown>) =>
  call.then(
    value => value,
    error => [error.code, error.data?.accepted],
  )

/** Two servers; the other one answers `work`, which ends when the test says so. */
async function two() {
  const engine = memory()
  onTestFinished(() => engine.close())
  const [one, other] = [await startNode(engine), await startNode(engine)]
  await knows(one.app, 1)
  const running: { context: AnswerContext; end(value: unknown): void }[] = []
  other.app.cluster.answer('work', (_payload: unknown, _from, context) => {
    void context.signal
    return new Promise(end => running.push({ context, end }))
  })
  return { engine, one, other, running }
}

describe('a call to another server', () => {
  test('is cancelled at both ends', async () => {
    const { one, running } = await two()
    const giving = new AbortController()
    const call = outcome(one.app.cluster.call('work', null, { signal: giving.signal }))
    await turns(() => running.length === 1)
    giving.abort()
    expect(await call).toEqual(['CANCELLED', undefined])
    await turns(() => running[0]!.context.signal.aborted)
    expect(await outcome(one.app.cluster.call('work', null, { signal: giving.signal }))).toEqual([
      'CANCELLED',
      undefined,
    ])
    expect(running).toHaveLength(1)
  })

  test('is refused with a deadline or a key that is none, here and there', async () => {
    const { one, other, running } = await two()
    for (const { app } of [one, other]) {
      for (const options of [{ deadline: -1 }, { deadline: Number.NaN }, { deadline: 2 ** 31 }]) {
        expect(await outcome(app.cluster.call('work', null, options))).toEqual([
          'INVALID_ARGUMENTS',
          undefined,
        ])
      }
      for (const idempotencyKey of [null, '', 'x'.repeat(256), 7]) {
        const options = { idempotencyKey } as { idempotencyKey: string }
        expect(await outcome(app.cluster.call('work', null, options))).toEqual([
          'INVALID_ARGUMENTS',
          undefined,
        ])
      }
    }
    expect(running).toEqual([])
  })

  test('that was answered at once has no signal that ends later', () => {
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    let signal: AbortSignal | undefined
    const replies: Uint8Array[] = []
    const answering = (_name: string, _payload: unknown, _details: object, context: AnswerContext) => {
      signal = context.signal
      return 'done'
    }
    const reply = (_to: string, bytes: Uint8Array) => void replies.push(bytes)
    const answers = new Answers('this', answering, reply, createLogger(undefined, 'test'))
    answers.answer(['ask', 'other', 1, 'work', pack(null), 20, null, null])
    expect(replies).toHaveLength(1)
    expect(vi.getTimerCount()).toBe(0)
    expect(signal?.aborted).toBe(false)
  })

  test('that is given up by its deadline is unknown, its handler is told, and the late answer goes to nobody', async () => {
    const { one, other, running } = await two()
    const { cluster } = one.app
    const call = outcome(cluster.call('work', null, { deadline: 30 }))
    expect(await call).toEqual(['TIMEOUT', 'unknown'])
    await turns(() => running[0]!.context.signal.aborted)
    running[0]!.end('late')
    other.app.cluster.answer('next', () => 'in time')
    expect(await cluster.call('next', null, { node: other.app.cluster.id })).toBe('in time')
  })

  test('is told at once that nobody is there, and that nothing was done', async () => {
    const { one } = await two()
    expect(await outcome(one.app.cluster.call('nothing'))).toEqual(['NO_RESPONDER', false])
    expect(await outcome(one.app.cluster.call('work', null, { node: 'nobody' }))).toEqual([
      'NO_RESPONDER',
      false,
    ])
  })

  test('asks the engine who answers only when nobody is known to, or those who were do not any more', async () => {
    const engine = memory()
    onTestFinished(() => engine.close())
    let reads = 0
    const members: typeof engine.presence.members = (...args) => {
      reads++
      return engine.presence.members(...args)
    }
    const counted = { ...engine, presence: { ...bound(engine.presence), members } }
    // No list is read meanwhile to renew a lease.
    const cluster = { lease: 600_000 }
    const [one, other] = [await startNode(counted, { cluster }), await startNode(engine)]
    await knows(one.app, 1)
    const end = other.app.cluster.answer('echo', (value: unknown) => value)
    expect(await one.app.cluster.call('echo', 1)).toBe(1)
    reads = 0
    for (let call = 0; call < 20; call++) expect(await one.app.cluster.call('echo', call)).toBe(call)
    expect(reads).toBe(0)
    end()
    expect(await outcome(one.app.cluster.call('echo'))).toEqual(['NO_RESPONDER', false])
    expect(reads).toBe(1)
    const third = await startNode(engine)
    third.app.cluster.answer('echo', () => 'third')
    expect(await one.app.cluster.call('echo')).toBe('third')
  })

  test('carries megabytes either way, and says when it is too much', async () => {
    const { one, other } = await two()
    const echo = other.app.cluster.answer('echo', (bytes: Uint8Array) => bytes)
    const node = other.app.cluster.id
    const bytes = new Uint8Array(1_000_000).fill(7)
    const back = (await one.app.cluster.call('echo', bytes, { node })) as Uint8Array
    expect([back.length, back[999_999]]).toEqual([1_000_000, 7])
    const huge = new Uint8Array(17 * 1024 * 1024)
    expect(await outcome(one.app.cluster.call('echo', huge, { node }))).toEqual(['FRAME_TOO_BIG', undefined])
    other.app.cluster.answer('huge', () => huge)
    expect(await outcome(one.app.cluster.call('huge', null, { node }))).toEqual(['FRAME_TOO_BIG', undefined])
    echo()
  })

  test('is answered while its server stops, and fails at once when that has died', async () => {
    const { one, other, running } = await two()
    const call = one.app.cluster.call('work')
    await turns(() => running.length === 1)
    const stopped = other.app.stop({ drain: 0 })
    await turns(async () => (await one.app.cluster.nodes()).length === 1)
    running[0]!.end('done')
    expect(await call).toBe('done')
    await stopped
  })
})

describe('a wire', () => {
  /** Servers that only have a wire. */
  function wires() {
    const engine = memory()
    onTestFinished(() => engine.close())
    return async (id: string, answer: WireHost['answer'] = () => null) => {
      const wire = new ClusterWire(engine.bus, id, { heard() {}, answer }, createLogger(undefined, 'test'))
      await wire.listen()
      return wire
    }
  }

  test('fails what a server was asked as soon as that is known to have gone, and not while it stops', async () => {
    const make = wires()
    const one = await make('one')
    let asked = 0
    let end = (_value: string): void => undefined
    const other = await make('other', () => {
      asked++
      return new Promise(resolve => {
        end = resolve
      })
    })
    const paused = outcome(one.ask('other', 'work', null, { deadline: 60_000 }))
    await turns(() => asked === 1)
    // Its lease is over: whether it has died or is paused, it does not act any more.
    one.left('other')
    expect(await paused).toEqual(['CONNECTION_LOST', 'unknown'])
    end('late')

    expect(await outcome(one.ask('other', 'work', null, { deadline: 60_000 }))).toEqual([
      'NO_RESPONDER',
      false,
    ])
    one.joined('other')
    const answered = outcome(one.ask('other', 'work', null, { deadline: 60_000 }))
    await turns(() => asked === 2)
    await other.leaving(new Set(['one']))
    expect(await outcome(one.ask('other', 'more', null, { deadline: 60_000 }))).toEqual([
      'NO_RESPONDER',
      false,
    ])
    one.left('other')
    end('in time')
    expect(await answered).toBe('in time')

    one.joined('other')
    const lost = outcome(one.ask('other', 'work', null, { deadline: 60_000 }))
    await turns(() => asked === 3)
    await other.leaving(new Set(['one']))
    await other.close(0)
    one.left('other')
    expect(await lost).toEqual(['CONNECTION_LOST', 'unknown'])
    const last = outcome(one.ask('one', 'x', null, { deadline: 60_000 }))
    await one.close(0)
    expect(await last).toEqual(['CONNECTION_LOST', 'unknown'])
  })

  test('answers what it was asked before the others knew that it stops, however long that is on its way', async () => {
    const engine = memory()
    onTestFinished(() => engine.close())
    const make = async (id: string, bus: Bus) => {
      const answer = () => 'answered'
      const wire = new ClusterWire(bus, id, { heard() {}, answer }, createLogger(undefined, 'test'))
      await wire.listen()
      return wire
    }
    // What it says is heard some turns later, in order.
    const slow: Bus = {
      broadcast: bytes => engine.bus.broadcast(bytes),
      listen: (node, handler) => engine.bus.listen(node, handler),
      async send(node, bytes) {
        for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
        return engine.bus.send(node, bytes)
      },
    }
    const one = await make('one', slow)
    const other = await make('other', engine.bus)
    const answered = outcome(one.ask('other', 'work', null, { deadline: 60_000 }))
    await other.leaving(new Set(['one']))
    await other.close(60_000)
    one.left('other')
    expect(await answered).toBe('answered')
  })

  test('stops without whoever does not note it, because it goes or says nothing', async () => {
    const make = wires()
    const other = await make('other')
    const left = other.leaving(new Set(['a', 'b']))
    other.left('a')
    other.left('b')
    await left
    vi.useFakeTimers()
    onTestFinished(() => void vi.useRealTimers())
    const silent = other.leaving(new Set(['c']))
    await vi.advanceTimersByTimeAsync(1000)
    await silent
  })

  test('passes on what goes with an error', async () => {
    const make = wires()
    const one = await make('one')
    await make('other', () => {
      throw new SocketStreamError('OVERLOADED', 'later', { retryAfter: 70, data: { row: 1 } })
    })
    const error = await one
      .ask('other', 'work', null, { deadline: 1000 })
      .then(() => undefined as never)
      .catch(thrown => thrown as SocketStreamError)
    expect([error.code, error.message, error.retryAfter, error.data]).toEqual([
      'OVERLOADED',
      'later',
      70,
      { row: 1 },
    ])
  })
})

describe('an idempotency key', () => {
  test('has a call run once on whichever server, and answers others from its outcome', async () => {
    const { one, other } = await two()
    let runs = 0
    for (const { app } of [one, other]) {
      app.cluster.answer('pay', (amount: number) => {
        runs++
        if (amount < 0) throw new SocketStreamError('REFUSED', 'negative')
        return { paid: amount, at: app.cluster.id }
      })
    }
    const key = { idempotencyKey: 'order 7' }
    const first = await one.app.cluster.call('pay', 5, key)
    expect(first).toEqual({ paid: 5, at: one.app.cluster.id })
    expect(await other.app.cluster.call('pay', 5, key)).toEqual(first)
    expect(await other.app.cluster.call('pay', 5, { ...key, node: one.app.cluster.id })).toEqual(first)
    expect(await outcome(other.app.cluster.call('pay', 6, key))).toEqual(['IDEMPOTENCY_MISMATCH', undefined])
    expect(runs).toBe(1)
    const bad = { idempotencyKey: 'order 8' }
    for (const { app } of [one, other]) {
      expect(await outcome(app.cluster.call('pay', -1, bad))).toEqual(['REFUSED', undefined])
    }
    expect(runs).toBe(2)
    expect(await outcome(one.app.cluster.call('pay', 1, { idempotencyKey: '' }))).toEqual([
      'INVALID_ARGUMENTS',
      undefined,
    ])
  })

  test('has one of two calls at once wait for the other', async () => {
    const { one, other, running } = await two()
    const { id } = other.app.cluster
    const key = { idempotencyKey: 'k', node: id }
    const calls = [one.app.cluster.call('work', 1, key), other.app.cluster.call('work', 1, key)]
    await turns(() => running.length === 1)
    running[0]!.end('once')
    expect([await Promise.all(calls), running.length]).toEqual([['once', 'once'], 1])
  })
})

/** The methods of an object, that can be taken from it. */
function bound(presence: ReturnType<typeof memory>['presence']): typeof presence {
  return {
    join: (...args) => presence.join(...args),
    refresh: (...args) => presence.refresh(...args),
    leave: (...args) => presence.leave(...args),
    members: (...args) => presence.members(...args),
    count: (...args) => presence.count(...args),
    watch: (...args) => presence.watch(...args),
  }
}
