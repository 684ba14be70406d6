import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
// @ts-expect-error: examples are JavaScript; their own jsconfig.json checks them
import { createApp } from '../../examples/middleware/app.js'
import { createClient } from '../../src/client/node.js'
import type { RpcService } from '../../src/services/rpc/index.js'
import { LogLines } from '../support/wire.js'

interface BankApp {
  readonly '~services': {
    readonly bank: RpcService<{
      balance(ctx: unknown): number
      send(ctx: unknown, to: string, amount: number): number
    }>
    readonly admin: RpcService<{ total(ctx: unknown): number; audit(ctx: unknown): void }>
  }
}

const ask = fileURLToPath(new URL('../../examples/middleware/ask.js', import.meta.url))
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** The example in this process, on a free port. */
async function startBank() {
  const log = new LogLines()
  const app = createApp({ port: 0, log: log.target })
  await app.start()
  cleanups.push(() => app.stop({ drain: 0 }))
  const { port } = app.address()
  const connect = async (token: string) => {
    const client = createClient<BankApp>({ url: `ws://localhost:${port}/?token=${token}` })
    cleanups.push(() => client.close())
    await client.connect()
    return client.api
  }
  return { log, port, connect }
}

const codeOf = (answer: PromiseLike<unknown>) =>
  answer.then(
    () => 'ok',
    (error: { code: string }) => error.code,
  )

describe('the bank', () => {
  test('serves who is known, each what is theirs', async () => {
    const { connect } = await startBank()
    const [ann, bob, eve] = [
      await connect('token-of-ann'),
      await connect('token-of-bob'),
      await connect('constructor'),
    ]
    expect(await ann.bank.send('bob', 30)).toBe(70)
    expect(await bob.bank.balance()).toBe(50)
    expect(await ann.admin.total()).toBe(120)
    expect(await codeOf(bob.admin.total())).toBe('FORBIDDEN')
    expect(await codeOf(eve.bank.balance())).toBe('FORBIDDEN')
  })

  test('checks what it is sent, and gives up what takes too long', async () => {
    const { connect, log } = await startBank()
    const { bank, admin } = await connect('token-of-ann')
    expect(await codeOf(bank.send('eve', 1))).toBe('INVALID_ARGUMENTS')
    expect(await codeOf(bank.send('bob', -1))).toBe('INVALID_ARGUMENTS')
    expect(await bank.send('bob', '5' as never)).toBe(95)
    const audits = [codeOf(admin.audit()), codeOf(admin.audit())]
    expect(await Promise.all(audits)).toEqual(['TIMEOUT', 'OVERLOADED'])
    const lines = log.lines.filter(({ message }) => message === 'request').map(({ details }) => details)
    expect(lines.map(({ method, user, outcome, code }) => [method, user, outcome, code])).toEqual([
      ['send', 'ann', 'error', 'INVALID_ARGUMENTS'],
      ['send', 'ann', 'error', 'INVALID_ARGUMENTS'],
      ['send', 'ann', 'ok', undefined],
      ['audit', 'ann', 'error', 'OVERLOADED'],
      ['audit', 'ann', 'error', 'TIMEOUT'],
    ])
  })

  test('has a quota of each user', async () => {
    const { connect } = await startBank()
    const { bank } = await connect('token-of-bob')
    const refusal = async (): Promise<{ code: string; message: string }> => {
      for (;;) {
        const error = await bank.balance().then(
          () => undefined,
          error => error,
        )
        if (error !== undefined) return error
      }
    }
    // However slow the machine: more than one call comes back in 600 ms.
    expect(await refusal()).toMatchObject({ code: 'OVERLOADED', message: 'More than 100 requests in 60 s' })
  })

  test('answers the script that asks it', async () => {
    const { port } = await startBank()
    const script = spawn(process.execPath, [ask], { env: { ...process.env, PORT: `${port}` } })
    let printed = ''
    script.stdout.on('data', text => {
      printed += text
    })
    expect(await once(script, 'close')).toEqual([0, null])
    expect(printed.split('\n').map(line => line.replace(/(?<=INVALID_ARGUMENTS).*/, ''))).toEqual([
      'balance: 100',
      'send 30 to bob: 70',
      'send nothing to eve: INVALID_ARGUMENTS',
      'total: 120',
      'audit: TIMEOUT: No answer within 200 ms',
      '',
    ])
  })
})
