import { afterEach, describe, expect, test } from 'vitest'
import { SocketStreamError } from '../../src/errors.js'
import { Summary } from '../../src/log.js'
import type { ServerOptions } from '../../src/options.js'
import { Server } from '../../src/server.js'
import { testServer } from '../../src/testing/test-server.js'
import { type VirtualTime, virtualTime } from '../../src/testing/virtual-time.js'
import { LogLines, WireClient } from '../support/wire.js'

const MINUTE = 60_000
const FLOOD = 200

let end: (() => unknown) | undefined
afterEach(async () => {
  await end?.()
  end = undefined
})

/** A server under virtual time, what it has logged of refusals, and a flood of clients. */
async function start(options: Partial<ServerOptions>) {
  const log = new LogLines()
  const kit = await testServer(
    transport => new Server({ transport, log: log.target, env: 'production', ...options }),
  )
  end = () => kit.stop()
  const flood = async (url = '/', count = FLOOD) => {
    for (let n = 0; n < count; n++) {
      await expect(kit.until(WireClient.silent(kit.transport, { url }))).rejects.toMatchObject({
        data: { status: expect.any(Number) },
      })
    }
  }
  const told = () => {
    const lines = log.lines.splice(0).filter(({ level }) => level !== 'debug')
    return lines.map(({ level, details: { times, limit, status } }) => [level, times, limit ?? status])
  }
  await kit.advance(0)
  told()
  return { kit, flood, told }
}

describe('the log of a flood of handshakes', () => {
  test('has the first refusal by a limit, then one line a minute that counts them', async () => {
    const { kit, flood, told } = await start({ limits: { connections: 1 } })
    await kit.until(WireClient.silent(kit.transport))
    await flood()
    expect(told()).toEqual([['warn', 1, 'limits.connections']])
    await kit.advance(MINUTE)
    expect(told()).toEqual([['warn', FLOOD - 1, 'limits.connections']])
    // Nothing more happens: nothing more is told.
    await kit.advance(2 * MINUTE)
    expect(told()).toEqual([])
  })

  test('tells whom nobody knows apart from a hook that fails', async () => {
    const { kit, flood, told } = await start({
      authenticate: ({ url }) => {
        if (url === '/') return false
        throw new SocketStreamError('SESSION_UNAVAILABLE', 'the store is down')
      },
    })
    await flood()
    await flood('/fails', 3)
    expect(told()).toEqual([
      ['info', 1, undefined],
      ['warn', 1, 503],
    ])
    await kit.advance(MINUTE)
    expect(told()).toEqual([
      ['info', FLOOD - 1, undefined],
      ['warn', 2, 503],
    ])
    await flood()
    expect(told()).toEqual([])
    await kit.stop()
    expect(told()).toContainEqual(['info', FLOOD, undefined])
  })
})

describe('what is summed up', () => {
  function summed(): { time: VirtualTime; lines: string[]; add(kind: string): void; summary: Summary } {
    const time = virtualTime()
    end = () => time.restore()
    const summary = new Summary()
    const lines: string[] = []
    return { time, lines, summary, add: kind => summary.add(kind, times => lines.push(`${kind} ${times}`)) }
  }

  test('is told again at once after a minute in which nothing happened', async () => {
    const { time, lines, add } = summed()
    add('a')
    add('a')
    await time.advance(MINUTE)
    expect(lines.splice(0)).toEqual(['a 1', 'a 1'])
    await time.advance(MINUTE / 2)
    add('a')
    expect(lines).toEqual([])
    await time.advance(MINUTE / 2)
    expect(lines.splice(0)).toEqual(['a 1'])
    await time.advance(MINUTE)
    add('a')
    expect(lines).toEqual(['a 1'])
  })

  test('is bounded, however many kinds clients make up', async () => {
    const { time, lines, add } = summed()
    for (let n = 0; n < 10_000; n++) add(`kind ${n % 1000}`)
    expect(lines.splice(0)).toHaveLength(17)
    await time.advance(MINUTE)
    expect(lines).toHaveLength(17)
    const times = lines.map(line => Number(line.split(' ')[2]))
    expect(times.reduce((sum, one) => sum + one, 0)).toBe(10_000 - 17)
  })

  test('leaves no timer behind when it is flushed, and nothing untold', () => {
    const { time, lines, add, summary } = summed()
    add('a')
    add('a')
    summary.flush()
    summary.flush()
    expect(lines).toEqual(['a 1', 'a 1'])
    expect(time.timers).toBe(0)
  })
})
