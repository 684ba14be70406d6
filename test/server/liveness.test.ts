import { describe, expect, test } from 'vitest'
import { type LinkState, Liveness } from '../../src/actors/liveness.js'

const LIMITS = { ping: 25_000, handshake: 10_000 } as never
const AT_REST: LinkState = { holds: false, full: false, waiting: 0 }

describe('the deadline of a heartbeat', () => {
  test('ends what answers no ping', () => {
    const liveness = new Liveness(LIMITS, 0)
    expect(liveness.check(24_999, AT_REST, true)).toBe('wait')
    expect(liveness.check(25_000, AT_REST, true)).toBe('ping')
    expect(liveness.check(50_000, AT_REST, true)).toMatchObject({ code: 4503 })
  })

  test('is suspended while reading is paused: the pong waits, too', () => {
    const liveness = new Liveness(LIMITS, 0)
    const paused = { ...AT_REST, holds: true }
    for (let now = 25_000; now <= 250_000; now += 25_000) {
      expect(liveness.check(now, paused, true)).toBe('ping')
    }
    expect(liveness.check(275_000, AT_REST, true)).toMatchObject({ code: 4503 })
  })

  test('of a client that is not read for its own sake ends it when it has read nothing between two pings', () => {
    const liveness = new Liveness(LIMITS, 0)
    const full = (waiting: number): LinkState => ({ holds: true, full: true, waiting })
    expect(liveness.check(25_000, full(900), true)).toBe('ping')
    expect(liveness.check(50_000, full(800), true)).toBe('ping')
    expect(liveness.check(75_000, full(800), true)).toMatchObject({ code: 4504 })
  })
})
