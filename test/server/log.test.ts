import { pino } from 'pino'
import { describe, expect, test } from 'vitest'
import { createLogger, type LogTarget } from '../../src/log.js'
import { Server } from '../../src/server.js'
import { memory } from '../../src/transports/memory.js'

/** A server whose service logs at every level while it starts. */
async function logOf(log: LogTarget | undefined) {
  const app = new Server({ transport: memory(), ...(log === undefined ? {} : { log }) })
  app.service(
    'chatty',
    {
      server({ log, debug }) {
        log('called', { a: 1 }, new Error('shown').message)
        log.debug('fine')
        log.warn('careful', { why: 'because' })
        log.error('broken', { error: new Error('cause') })
        debug('with the option debug')
      },
    },
    { debug: true },
  )
  await app.start()
  await app.stop()
}

describe('the log', () => {
  test('may be a function like console.log', async () => {
    const lines: unknown[][] = []
    await logOf((...args) => void lines.push(args))
    expect(lines).toEqual([
      ['[chatty] info: called {"a":1} shown'],
      ['[chatty] debug: fine'],
      ['[chatty] warn: careful', { why: 'because' }],
      ['[chatty] error: broken', { error: new Error('cause') }],
      ['[chatty] debug: with the option debug'],
    ])
  })

  test('may be a pino logger', async () => {
    const lines: Record<string, unknown>[] = []
    const logger = pino({ level: 'debug' }, { write: line => void lines.push(JSON.parse(line)) })
    await logOf(logger)
    expect(lines.map(({ level, name, msg, why }) => [level, name, msg, why])).toEqual([
      [30, 'chatty', 'called {"a":1} shown', undefined],
      [20, 'chatty', 'fine', undefined],
      [40, 'chatty', 'careful', 'because'],
      [50, 'chatty', 'broken', undefined],
      [20, 'chatty', 'with the option debug', undefined],
    ])
  })

  test('is silent by default', async () => {
    await expect(logOf(undefined)).resolves.toBeUndefined()
  })

  test('that throws, or values that cannot be shown, take nothing down', () => {
    const log = createLogger(() => {
      throw new Error('disk full')
    }, 'x')
    expect(() => log('hello')).not.toThrow()
    const lines: unknown[] = []
    const cyclic: Record<string, unknown> = {}
    cyclic.self = cyclic
    createLogger(line => void lines.push(line), 'x')(cyclic, undefined, 1n)
    expect(lines).toEqual(['[x] info: [object Object] undefined 1'])
  })
})
