import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { timeout } from '../../src/middleware/timeout.js'
import type { Responder, ServiceServer } from '../../src/services/service.js'
import { testServer, WireClient } from '../support/wire.js'

/** What would end a process: nothing here may cause it. */
const unhandled: unknown[] = []
const note = (reason: unknown): void => void unhandled.push(reason)
beforeAll(() => void process.on('unhandledRejection', note))
afterAll(() => void process.off('unhandledRejection', note))

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
  expect(unhandled).toEqual([])
})
const turn = () => new Promise(resolve => setImmediate(resolve))

/** A production server with one service whose calls are answered so; it answers a second service, too. */
async function served(oncall: (responder: Responder) => unknown, { late = false } = {}) {
  const made = testServer({ env: 'production' })
  if (late) made.app.use(timeout({ bad: 20 }))
  made.app
    .service('bad', {
      use: { callbacks: true },
      server(server: ServiceServer) {
        server.oncall = (_request, responder) => oncall(responder)
      },
    })
    .service('good', {
      use: { callbacks: true },
      server(server: ServiceServer) {
        server.onmessage = (message, _request, reply) => reply(message)
      },
    })
  await made.app.start()
  cleanups.push(() => made.app.stop({ drain: 0 }))
  const client = await WireClient.open(made.transport)
  const bystander = async () => {
    client.send([1, 2, 99, 'still here'])
    return client.next()
  }
  return { ...made, client, bystander }
}

const cause = new Error('a secret')
const fails = (): never => {
  throw cause
}

describe('a handler that', () => {
  test.each<[string, (responder: Responder) => unknown]>([
    ['throws', fails],
    ['rejects', () => Promise.reject(cause)],
    ['rejects later', () => turn().then(() => Promise.reject(cause))],
  ])('%s gives its caller INTERNAL and an id, by which the log has the cause', async (_what, oncall) => {
    const { app, client, log, bystander } = await served(oncall)
    client.send([1, 1, 1, null])
    const [, , error] = await client.next()
    expect(error).toEqual({ code: 'INTERNAL', message: 'The server failed', errorId: expect.any(String) })
    expect(log.lines.find(({ level }) => level === 'error')?.details).toMatchObject({
      errorId: (error as { errorId: string }).errorId,
      error: cause,
    })
    expect(app.statistics()).toMatchObject({ errors: { INTERNAL: 1 }, calls: { inFlight: 0 } })
    expect(await bystander()).toEqual([2, 99, 'still here'])
  })

  test.each<[string, unknown]>([
    ['a function', () => 1],
    ['a Map', new Map()],
    ['a cycle', Object.assign([], { 0: [] as unknown[] })],
    ['a getter that throws', Object.defineProperty({}, 'x', { enumerable: true, get: () => fails() })],
  ])('returns %s, which cannot be sent, gives its caller a code', async (name, value) => {
    if (name === 'a cycle') (value as unknown[])[0] = value
    const { app, client, log, bystander } = await served(responder => responder.reply(value))
    client.send([1, 1, 1, null])
    expect(await client.next()).toEqual([3, 1, expect.objectContaining({ code: 'INTERNAL' })])
    expect(log.of('error')).toEqual(['call failed'])
    expect(log.lines.find(({ level }) => level === 'error')?.details).toMatchObject({
      error: {
        code: 'UNENCODABLE',
        message: expect.stringContaining('$'),
        ...(name === 'a getter that throws' && { cause }),
      },
    })
    expect(app.statistics()).toMatchObject({ errors: { INTERNAL: 1 }, calls: { inFlight: 0 } })
    expect(await bystander()).toEqual([2, 99, 'still here'])
  })

  test('replies twice answers once, is told so in the log, and counted', async () => {
    const { app, client, log, bystander } = await served(responder => {
      responder.reply('first')
      responder.reply('second')
      responder.error(cause)
    })
    client.send([1, 1, 1, null])
    expect(await client.next()).toEqual([2, 1, 'first'])
    expect(await bystander()).toEqual([2, 99, 'still here'])
    expect(client.frames).toHaveLength(3)
    expect(log.of('warn').slice(1)).toEqual([
      'reply after the call had ended',
      'error after the call had ended',
    ])
    expect(app.statistics().calls).toEqual({ inFlight: 0, late: 2 })
  })

  test('hangs is given up by timeout, and what it rejects with later does no harm', async () => {
    let fail = (_error: Error): void => undefined
    const { app, client, log, bystander } = await served(
      () =>
        new Promise((_resolve, reject) => {
          fail = reject
        }),
      { late: true },
    )
    client.send([1, 1, 1, null])
    expect(await client.next()).toEqual([3, 1, expect.objectContaining({ code: 'TIMEOUT' })])
    fail(cause)
    await turn()
    expect(app.statistics()).toMatchObject({ errors: { TIMEOUT: 1 }, calls: { inFlight: 0, late: 1 } })
    expect(log.of('warn').slice(1)).toEqual([])
    expect(await bystander()).toEqual([2, 99, 'still here'])
  })

  test('hangs holds nothing of a client that has gone', async () => {
    let signal: AbortSignal | undefined
    const { app, client } = await served(responder => {
      signal = responder.signal
      return new Promise(() => {})
    })
    client.send([1, 1, 1, null])
    while (signal === undefined) await turn()
    expect(app.statistics().calls.inFlight).toBe(1)
    client.send([22, 1000, null])
    await client.ended()
    expect(signal.aborted).toBe(true)
    expect(app.statistics()).toMatchObject({ connections: { open: 0 }, calls: { inFlight: 0 } })
  })
})
