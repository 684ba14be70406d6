import { describe, expect, test } from 'vitest'
import { checkOptions } from '../../src/options.js'
import { Server } from '../../src/server.js'
import { rpc } from '../../src/services/rpc/index.js'
import { memory } from '../../src/transports/memory.js'
import { blocksOf, readPage, tableRows } from '../docs/markdown.js'
import { WireClient } from '../support/wire.js'

test('the example of a resume in the protocol page is what a server says', async () => {
  const transport = memory()
  let release!: (value: string) => void
  const slow = () => new Promise<string>(resolve => (release = resolve))
  const app = new Server({ transport, env: 'production' }).service(
    'rpc',
    rpc({ add: (_ctx, a: number, b: number) => a + b, slow }),
  )
  await app.start()
  const code = blocksOf(readPage('docs/protocol.md')).find(
    ({ language }) => language === 'session-resume',
  )!.code
  let client = await WireClient.silent(transport)
  let seen = 0
  const known: { session?: unknown; token?: unknown } = {}
  for (const line of code.split('\n')) {
    if (line.startsWith('---')) {
      // Whatever was said has arrived: a pong comes behind it.
      client.send([19, 0])
      while (client.frames.at(-1)?.[0] !== 20) await client.next()
      client.link.terminate()
      await client.ended()
      release('done')
      client = await WireClient.silent(transport)
      seen = 0
    } else if (line.startsWith('C ')) {
      const frame = line
        .slice(2)
        .replace('"session":"…"', `"session":${JSON.stringify(known.session)}`)
        .replace('"token":"…"', `"token":${JSON.stringify(known.token)}`)
      client.send(frame)
    } else if (line.startsWith('S ')) {
      const frame = await client.received(++seen)
      if (frame[0] === 17) Object.assign(known, frame[1])
      const varying = /"(cid|token|session)":"[^"]+"/g
      expect(JSON.stringify(frame).replaceAll(varying, '"$1":"…"')).toBe(line.slice(2))
    }
  }
  client.link.close()
  await app.stop({ drain: 0 })
})

test('the protocol page lists every reason that a server gives', () => {
  const reasons = tableRows(readPage('docs/protocol.md'), 'Resume').map(([reason]) =>
    reason?.replaceAll('`', ''),
  )
  const given = 'off unknown window overflow evicted closed session superseded counts draining bound'.split(
    ' ',
  )
  expect(reasons.slice(-given.length)).toEqual(given)
})

describe('the option `resume`', () => {
  const check = (resume: unknown, limits = {}) =>
    checkOptions({ transport: memory(), resume, limits } as never, () => 'secret').resume

  test('has defaults, and takes durations', () => {
    const defaults = {
      window: 120_000,
      bytes: 1_048_576,
      total: 67_108_864,
      connections: 10_000,
      handover: true,
    }
    expect(check(undefined)).toEqual(defaults)
    expect(check(true)).toEqual(defaults)
    expect(check({ window: '30s', bytes: 10 })).toEqual({ ...defaults, window: 30_000, bytes: 10 })
    expect(check(false)).toBeUndefined()
    // Less may wait than is kept otherwise.
    expect(check({}, { outboundBytes: 1000 })).toMatchObject({ bytes: 1000 })
  })

  test('says what is wrong and how to mend it', () => {
    expect(() => check(null)).toThrow('`resume` must be false or options; give resume: { window:')
    expect(() => check({ windows: 1 })).toThrow(
      'there is no option `resume.windows`; give one of window, bytes',
    )
    expect(() => check({ window: 0 })).toThrow('give resume: false to keep nobody')
    expect(() => check({ window: 'soon' })).toThrow('`resume.window` must be milliseconds')
    expect(() => check({ bytes: 0 })).toThrow('`resume.bytes` must be a positive whole number')
    expect(() => check({ total: 1.5 })).toThrow('`resume.total` must be')
    expect(() => check({ connections: -1 })).toThrow('`resume.connections` must be')
    expect(() => check({ bytes: 2000 }, { outboundBytes: 1000 })).toThrow(
      '`resume.bytes` must be at most `limits.outboundBytes`; give resume: { bytes: 1000 }',
    )
  })
})
