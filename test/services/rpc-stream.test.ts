import { getEventListeners } from 'node:events'
import { describe, expect, it } from 'vitest'
import { type Handlers, rpc } from '../../src/services/rpc/index.js'
import { TestBroker } from './support.js'

const broker = (handlers: Handlers) => new TestBroker(rpc(handlers))
const turn = () => new Promise(setImmediate)

/** An iterable whose steps are settled by hand. */
function manual() {
  const log: string[] = []
  const steps: { resolve(step: IteratorResult<unknown>): void; reject(error: unknown): void }[] = []
  const source = {
    [Symbol.asyncIterator]: () => ({
      next: () => {
        log.push('next')
        return new Promise<IteratorResult<unknown>>((resolve, reject) => steps.push({ resolve, reject }))
      },
      return: async () => {
        log.push('return')
        return { done: true as const, value: undefined }
      },
    }),
  }
  return { source, log, steps }
}

describe('a stream', () => {
  it('sends what an async generator yields, then ends', async () => {
    const call = broker({
      async *count(_ctx, to: number) {
        for (let i = 0; i < to; i++) yield i
      },
    }).call(['count', 3])
    expect(await call.done).toEqual({ kind: 'end' })
    expect(call.items).toEqual([0, 1, 2])
  })

  it('sends what a generator yields, awaiting promises among it', async () => {
    const call = broker({
      *mixed() {
        yield 1
        yield Promise.resolve(2)
        yield undefined
      },
    }).call(['mixed'])
    expect(await call.done).toEqual({ kind: 'end' })
    expect(call.items).toEqual([1, 2, null])
  })

  it('may come out of a promise', async () => {
    const call = broker({
      later: async () =>
        (async function* () {
          yield 'x'
        })(),
    }).call(['later'])
    expect(await call.done).toEqual({ kind: 'end' })
    expect(call.items).toEqual(['x'])
  })

  it('makes no more items than the caller takes', async () => {
    let made = 0
    let closed = false
    const call = broker({
      async *endless() {
        try {
          for (;;) yield ++made
        } finally {
          closed = true
        }
      },
    }).call(['endless'], 2)
    await call.starving()
    expect(made).toBe(2)
    const again = call.starving()
    call.grant(3)
    await again
    expect(made).toBe(5)
    call.cancel()
    await turn()
    expect([made, closed]).toEqual([5, true])
    expect(call.items).toEqual([1, 2, 3, 4, 5])
    expect(call.late).toEqual([])
  })

  it('ends with the error that a generator throws, after the items before it', async () => {
    const error = new Error('Broken')
    const call = broker({
      async *breaks() {
        yield 1
        throw error
      },
    }).call(['breaks'])
    expect(await call.done).toEqual({ kind: 'error', error })
    expect(call.items).toEqual([1])
  })

  it('ends with the error of a sync generator, and of a promise in it', async () => {
    let closed = 0
    const service = broker({
      *breaks() {
        yield* []
        throw 'text'
      },
      *rejects() {
        try {
          yield Promise.reject('rejected')
        } finally {
          closed++
        }
      },
    })
    expect(await service.call(['breaks']).done).toEqual({ kind: 'error', error: 'text' })
    expect(await service.call(['rejects']).done).toEqual({ kind: 'error', error: 'rejected' })
    expect(closed).toBe(1)
  })

  it('ends when an item cannot be sent, and closes the generator', async () => {
    let closed = false
    const call = broker({
      async *unsendable() {
        try {
          yield () => 1
        } finally {
          closed = true
        }
      },
    }).call(['unsendable'])
    await call.done
    await turn()
    expect(call.code).toBe('UNENCODABLE')
    expect(closed).toBe(true)
  })

  it('answers with the error of an iterable that gives no iterator', async () => {
    const error = new Error('None')
    const hostile = {
      [Symbol.asyncIterator]() {
        throw error
      },
    }
    const service = broker({ now: () => hostile, later: async () => hostile })
    expect(service.call(['now']).outcome).toEqual({ kind: 'error', error })
    expect(await service.call(['later']).done).toEqual({ kind: 'error', error })
  })
})

describe('cancelling a stream', () => {
  it('closes the iterator at once while a step is awaited, and drops the step', async () => {
    const { source, log, steps } = manual()
    const service = broker({ manual: () => source })
    const call = service.call(['manual'])
    await turn()
    expect(log).toEqual(['next'])
    call.cancel()
    expect(log).toEqual(['next', 'return'])
    steps[0]?.resolve({ done: false, value: 1 })
    await turn()
    expect(log).toEqual(['next', 'return'])
    expect([call.items, call.late]).toEqual([[], []])
    expect(service.lines).toEqual([])
  })

  it('only logs the failure of a step that was awaited', async () => {
    const { source, log, steps } = manual()
    const service = broker({ manual: () => source })
    const call = service.call(['manual'])
    await turn()
    call.cancel()
    steps[0]?.reject('late')
    await turn()
    expect(log).toEqual(['next', 'return'])
    expect(call.late).toEqual([])
    expect(service.lines).toMatchObject([{ level: 'debug', details: { error: 'late' } }])
  })

  it("aborts the handler's signal, which lets a waiting generator finish", async () => {
    const seen: string[] = []
    const call = broker({
      async *wait(ctx) {
        try {
          await new Promise(resolve => ctx.signal.addEventListener('abort', resolve))
          seen.push('aborted')
          yield 1
        } finally {
          seen.push('finally')
        }
      },
    }).call(['wait'])
    await turn()
    call.cancel()
    await turn()
    expect(seen).toEqual(['aborted', 'finally'])
    expect([call.items, call.late]).toEqual([[], []])
  })

  it('closes a sync generator, also from within itself', async () => {
    const seen: string[] = []
    let cancel = () => {}
    const service = broker({
      *endless(_ctx, inside: boolean) {
        try {
          for (;;) {
            if (inside) cancel()
            yield 1
          }
        } finally {
          seen.push('finally')
        }
      },
    })
    const outer = service.call(['endless', false], 1)
    await outer.starving()
    outer.cancel()
    expect(seen).toEqual(['finally'])
    const inner = service.call(['endless', true], 1)
    cancel = () => inner.cancel()
    await inner.done
    await turn()
    expect(seen).toEqual(['finally', 'finally'])
    expect(inner.items).toEqual([])
    expect(service.lines).toEqual([])
  })

  it('before the first step asks for none', async () => {
    const { source, log } = manual()
    let resolve = (_value: unknown) => {}
    const call = broker({
      later: () =>
        new Promise(settle => {
          resolve = settle
        }),
    }).call(['later'])
    call.cancel()
    resolve(source)
    await turn()
    expect(log).toEqual(['return'])
    expect(call.late).toEqual([])
  })

  it('while a promise inside a sync generator is awaited drops its value', async () => {
    let resolve = (_value: unknown) => {}
    const call = broker({
      *one() {
        yield new Promise(settle => {
          resolve = settle
        })
      },
    }).call(['one'])
    await turn()
    call.cancel()
    resolve(1)
    await turn()
    expect([call.items, call.late]).toEqual([[], []])
  })

  it('logs an iterator that fails to close, and leaves no rejection behind', async () => {
    const unclosable = (close: () => unknown) => ({
      [Symbol.asyncIterator]: () => ({ next: async () => ({ done: false, value: 1 }), return: close }),
    })
    const service = broker({
      sync: () =>
        unclosable(() => {
          throw 'sync'
        }),
      async: () => unclosable(() => Promise.reject('async')),
    })
    for (const method of ['sync', 'async']) {
      const call = service.call([method], 1)
      await call.starving()
      call.cancel()
      await turn()
      expect(call.late).toEqual([])
    }
    expect(service.lines).toMatchObject([
      { level: 'warn', details: { error: 'sync' } },
      { level: 'warn', details: { error: 'async' } },
    ])
  })

  it('takes iterators that have no `return`', async () => {
    const source = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) }
    const service = broker({ source: () => source })
    const call = service.call(['source'])
    await turn()
    call.cancel()
    expect(service.lines).toEqual([])
  })

  it('or any other end leaves no listener on the signal', async () => {
    const service = broker({
      async *some(_ctx, fails: boolean) {
        yield 1
        if (fails) throw new Error('x')
      },
    })
    for (const fails of [false, true]) {
      const call = service.call(['some', fails], 1)
      await call.starving()
      expect(getEventListeners(call.signal, 'abort')).toHaveLength(1)
      call.grant(1)
      await call.done
      expect(getEventListeners(call.signal, 'abort')).toHaveLength(0)
    }
  })
})
