import { afterEach, describe, expect, test } from 'vitest'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import { type FaultLinkOptions, faultLink, testServer } from '../../src/testing/index.js'
import type { MemoryTransport } from '../../src/transports/memory.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** Calls by their arguments, as often as they were run. */
async function start(wrapServer?: ReturnType<typeof faultLink>) {
  const ran: number[] = []
  const makeApp = (transport: MemoryTransport) =>
    new Server({ transport: wrapServer?.server(transport) ?? transport, env: 'test', resume: false })
      .service(
        'rpc',
        rpc({
          echo(_ctx, n: number) {
            ran.push(n)
            return n
          },
        }),
      )
      .service('chat', pubsub<{ said: [number] }>({ canSubscribe: () => true }))
  const kit = await testServer(makeApp)
  cleanups.push(() => kit.stop())
  return { kit, ran }
}

async function startWith(options: FaultLinkOptions = {}) {
  const faults = faultLink(options)
  const { kit, ran } = await start()
  const client = await kit.connect({ faults })
  return { kit, ran, faults, client, count: () => kit.app.connections().length }
}

const outcome = (answer: PromiseLike<unknown>) =>
  answer.then(
    value => value,
    (error: { code: string }) => error.code,
  )

describe('a fault link', () => {
  test('changes nothing without faults', async () => {
    const { client, faults } = await startWith()
    expect(await client.api.rpc.echo(1)).toBe(1)
    expect([faults.open, faults.log.events]).toEqual([1, []])
  })

  test('delays frames each way, in order', async () => {
    const { kit, client, faults } = await startWith()
    faults.delay(50)
    faults.delay([10, 40], 'down')
    const answers: number[] = []
    for (let n = 0; n < 20; n++) void client.api.rpc.echo(n).then(n => answers.push(n as number))
    await kit.advance(59)
    expect(answers).toEqual([])
    await kit.advance(31)
    expect(answers).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })

  test('cuts a link, which both ends hear of', async () => {
    const { kit, client, faults, count } = await startWith({ delay: 10 })
    const answer = outcome(client.api.rpc.echo(1))
    faults.cut()
    await kit.settle()
    expect([client.status, count(), await answer]).toEqual(['waiting', 0, 'CONNECTION_LOST'])
    await kit.advance(1_000)
    expect([client.status, count()]).toEqual(['connected', 1])
    expect(String(faults.log)).toMatch(/^\d+ ms, link 1: cut$/)
  })

  test.each(['up', 'down', 'both'] as const)('black-holes: %s', async which => {
    const { kit, ran, client, faults, count } = await startWith()
    faults.blackHole(which)
    const answer = outcome(client.api.rpc.echo(1))
    await kit.settle()
    expect([client.status, count(), ran.length]).toEqual(['connected', 1, which === 'down' ? 1 : 0])
    await kit.advance(29_000)
    const code = which === 'up' ? 'TIMEOUT' : expect.stringMatching(/TIMEOUT|CONNECTION_LOST/)
    expect(await kit.until(answer)).toEqual(code)
    // Both ends notice in the end, and the client is back.
    await kit.advance(180_000)
    expect([client.status, count(), await client.api.rpc.echo(2)]).toEqual(['connected', 1, 2])
  })

  test('half-closes towards the server: the client goes on believing', async () => {
    const { kit, client, faults, count } = await startWith()
    faults.halfClose('up')
    await kit.settle()
    expect([client.status, count()]).toEqual(['connected', 0])
    await kit.advance(120_000)
    expect([client.status, count()]).toEqual(['connected', 1])
  })

  test('takes over: the client is back while the server holds the old link', async () => {
    const { kit, client, faults, count } = await startWith()
    faults.takeOver()
    await kit.settle()
    expect([client.status, count()]).toEqual(['waiting', 1])
    await kit.advance(1_000)
    expect([client.status, count()]).toEqual(['connected', 2])
    await kit.advance(180_000)
    expect([client.status, count()]).toEqual(['connected', 1])
  })

  test('does the same at the end of the server', async () => {
    const faults = faultLink({ delay: 5 })
    const { kit, ran } = await start(faults)
    const client = await kit.connect()
    const answer = outcome(client.api.rpc.echo(1))
    await kit.advance(10)
    expect(await answer).toBe(1)
    faults.cut()
    await kit.advance(1_000)
    expect([client.status, kit.app.connections().length]).toEqual(['connected', 1])
    faults.halfClose('down')
    await kit.settle()
    expect([client.status, kit.app.connections().length]).toEqual(['waiting', 1])
    faults.blackHole()
    expect(ran).toEqual([1])
  })

  test('lets go of all links when it is closed', async () => {
    const { kit, client, faults, count } = await startWith()
    faults.takeOver()
    client.close()
    await kit.settle()
    expect([count(), faults.open]).toEqual([1, 1])
    faults.close()
    await kit.settle()
    expect([count(), faults.open]).toEqual([0, 0])
  })

  test('refuses options that are none', () => {
    expect(() => faultLink({ cut: 2 })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(() => faultLink({ delay: [5, 1] })).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
    expect(() => faultLink({ seeds: 1 } as never)).toThrow('there is no option `seeds`')
    expect(() => faultLink().delay(-1)).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }))
  })
})

/** Two clients that call and listen through faults, while the server publishes; what became of it. */
async function course(seed: number) {
  const faults = faultLink({ seed, delay: [0, 30], cut: 0.02, blackHole: 0.005, halfClose: 0.01 })
  const ran = new Map<string, number>()
  const kit = await testServer(
    transport =>
      new Server({ transport, env: 'test' })
        .service(
          'rpc',
          rpc({
            echo(_ctx, name: string) {
              ran.set(name, (ran.get(name) ?? 0) + 1)
              return name
            },
          }),
        )
        .service('chat', pubsub<{ said: [number] }>({ canSubscribe: () => true })),
    { seed },
  )
  const answers: string[] = []
  const heard: string[] = []
  let asked = 0
  try {
    const clients = [kit.client({ faults, timeout: 2_000 }), kit.client({ faults, timeout: 2_000 })]
    for (const [index, client] of clients.entries()) {
      let listening = false
      client.on('error', () => undefined)
      client.on('status', status => {
        heard.push(`${index} ${status}`)
        if (status !== 'connected' || listening) return
        listening = true
        client.api.chat.on('said', n => void heard.push(`${index} ${n}`))
        client.api.chat.subscribe('room').catch(() => undefined)
      })
      client.connect().catch(() => undefined)
    }
    for (let step = 0; step < 15; step++) {
      await kit.advance(100)
      kit.app.api.chat.publish.channel('room', 'said', step)
      for (const [index, client] of clients.entries()) {
        if (client.status !== 'connected') continue
        const name = `${index}.${step}`
        asked++
        client.api.rpc.echo(name).then(
          value => answers.push(`${name} ok ${value}`),
          (error: { code: string }) => answers.push(`${name} ${error.code}`),
        )
      }
    }
    await kit.advance(2_500)
    return { asked, answers, heard, ran, log: String(faults.log), events: faults.log.events }
  } finally {
    await kit.stop()
  }
}

describe('clients behind faults', () => {
  test('have the same course twice from one seed, and another from another', async () => {
    const first = await course(11)
    expect(first.log).not.toBe('')
    expect(await course(11)).toEqual(first)
    expect((await course(12)).log).not.toBe(first.log)
  })

  test('get each call answered or failed once, and publications in order, at 40 seeds', async () => {
    const kinds = new Set<string>()
    for (let seed = 1; seed <= 40; seed++) {
      const { asked, answers, heard, ran, log, events } = await course(seed)
      for (const { what } of events) kinds.add(what)
      const names = answers.map(answer => answer.split(' ')[0])
      const twice = [...ran].filter(([, times]) => times > 1)
      const disorder: string[] = []
      const last = new Map<string, number>()
      for (const [index = '', what = ''] of heard.map(line => line.split(' '))) {
        if (what === 'connected') last.delete(index)
        if (!/^\d/.test(what)) continue
        if (Number(what) <= (last.get(index) ?? -1)) disorder.push(`${index} ${what}`)
        last.set(index, Number(what))
      }
      const wrong = answers.filter(answer => !/^(\S+) (ok \1|TIMEOUT|CONNECTION_LOST)$/.test(answer))
      expect([names.length, new Set(names).size, twice, disorder, wrong], `seed ${seed}\n${log}`).toEqual([
        asked,
        asked,
        [],
        [],
        [],
      ])
    }
    expect([...kinds].sort()).toEqual(['black hole', 'cut', 'half close'])
  })
})
