import fc from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import type { Frame } from '../../src/codec/codec.js'
import type { HttpLink } from '../../src/transports/http-link.js'
import { HttpOrder } from '../../src/transports/http-order.js'

const TEN_SECONDS = 10_000

/** The order of a link that is handed frames, and can be paused or closed. */
function ordered(maxPayload = 1000) {
  const frames: Frame[] = []
  const state = { open: true, ended: 0 }
  let isPaused = false
  let goOn: () => void = () => undefined
  const link = {
    get open() {
      return state.open
    },
    async receive(batch: readonly Frame[]) {
      await new Promise(setImmediate)
      if (isPaused) await new Promise<void>(resolve => (goOn = resolve))
      frames.push(...batch)
    },
    close(code: number) {
      state.ended = code
      state.open = false
    },
    closedByClient(code: number) {
      state.ended = code
    },
  }
  const order = new HttpOrder(link as unknown as HttpLink, { maxPayload, handshakeTimeout: TEN_SECONDS })
  const send = async (from: number | undefined, parts: readonly string[]) => {
    const body = Buffer.from(JSON.stringify(parts))
    return (await order.request(from, () => order.take(body, from))).status
  }
  const pause = (paused: boolean) => {
    isPaused = paused
    if (!paused) goOn()
  }
  return { order, frames, state, send, pause }
}

const numbered = (from: number, count: number) => Array.from({ length: count }, (_, at) => `t${from + at}`)

describe('numbered requests of one link', () => {
  test('have each frame taken once and in order, however they are cut, repeated and overtaken', async () => {
    const cut = fc.record({ at: fc.nat(30), size: fc.integer({ min: 0, max: 6 }) })
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1 }),
        fc.array(cut),
        fc.infiniteStream(fc.nat(99)),
        async (sizes, more, draw) => {
          const { frames, send } = ordered()
          const total = sizes.reduce((sum, size) => sum + size, 0)
          const base = sizes.map((size, i) => ({
            at: sizes.slice(0, i).reduce((sum, one) => sum + one, 0),
            size,
          }))
          const extra = more.filter(({ at, size }) => at + size <= total)
          const all = [...base, ...extra].map(one => ({ ...one, rank: draw.next().value }))
          all.sort((one, other) => one.rank - other.rank)
          await Promise.all(
            all.map(async ({ at, size }) => {
              // Too many at once are told to come again.
              while ((await send(at, numbered(at, size))) !== 204) await new Promise(setImmediate)
            }),
          )
          expect(frames).toEqual(numbered(0, total).map(part => part.slice(1)))
        },
      ),
      { numRuns: 60 },
    )
  })

  test('are 409 when what comes before has not come in time, and 404 when the link goes', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const { order, frames, state, send } = ordered()
    const early = send(1, ['t1'])
    await new Promise(setImmediate)
    vi.advanceTimersByTime(TEN_SECONDS)
    expect(await early).toBe(409)
    expect(await send(0, ['t0'])).toBe(204)
    expect(await send(1, ['t1'])).toBe(204)
    const waiting = send(9, ['t9'])
    await new Promise(setImmediate)
    state.open = false
    order.closed()
    expect(await waiting).toBe(404)
    expect(frames).toEqual(['0', '1'])
    expect(vi.getTimerCount()).toBe(0)
  })

  test('are 503 while a paused link puts them off, and not taken twice when they come again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const { frames, send, pause } = ordered(10)
    pause(true)
    const put = send(0, ['t0', 't1'])
    await new Promise(setImmediate)
    vi.advanceTimersByTime(TEN_SECONDS)
    expect(await put).toBe(503)
    // What waits is bounded, whoever goes on regardless.
    expect(await send(2, numbered(2, 13))).toBe(503)
    const again = send(0, ['t0', 't1'])
    await new Promise(setImmediate)
    pause(false)
    expect(await again).toBe(204)
    expect(await send(2, ['t2'])).toBe(204)
    expect(frames).toEqual(['0', '1', '2'])
  })

  test('are four at once at most', async () => {
    const { send, pause } = ordered()
    pause(true)
    const sent = [0, 0, 0, 0].map(from => send(from, ['t0']))
    await new Promise(setImmediate)
    expect(await send(0, ['t0'])).toBe(503)
    expect(await send(undefined, ['t0'])).toBe(409)
    pause(false)
    expect(await Promise.all(sent)).toEqual([204, 204, 204, 204])
  })

  test('may close the link, and twice', async () => {
    const { send, state } = ordered()
    expect([await send(0, ['t0', 'c4000 bye']), await send(0, ['t0', 'c4000 bye'])]).toEqual([204, 204])
    expect(state.ended).toBe(4000)
  })
})
