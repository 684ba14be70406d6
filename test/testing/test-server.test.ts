import { afterEach, describe, expect, test } from 'vitest'
import { Server } from '../../src/server.js'
import { pubsub } from '../../src/services/pubsub/index.js'
import { rpc } from '../../src/services/rpc/index.js'
import type { ServiceServer } from '../../src/services/service.js'
import { faultLink, testServer, testService, virtualTime } from '../../src/testing/index.js'
import type { MemoryTransport } from '../../src/transports/memory.js'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const never = new Promise<never>(() => {})
const makeApp = (transport: MemoryTransport) =>
  new Server({ transport, env: 'test' }).service(
    'rpc',
    rpc({ add: (_ctx, a: number, b: number) => a + b, hang: () => never, address: ctx => ctx.clientIp }),
  )

async function start() {
  const kit = await testServer(makeApp)
  cleanups.push(() => kit.stop())
  return kit
}

const codeOf = (answer: PromiseLike<unknown>) =>
  answer.then(
    () => 'ok',
    (error: { code: string }) => error.code,
  )

describe('a test server', () => {
  test('answers real clients', async () => {
    const kit = await start()
    const client = await kit.connect({ clientIp: '10.0.0.1' })
    expect(await client.api.rpc.add(1, 2)).toBe(3)
    expect(await client.api.rpc.address()).toBe('10.0.0.1')
  })

  test('lets a call time out after 30 s of no real time', async () => {
    const kit = await start()
    const { api } = await kit.connect()
    let code: string | undefined
    void codeOf(api.rpc.hang()).then(found => {
      code = found
    })
    await kit.advance(29_900)
    expect(code).toBeUndefined()
    await kit.advance(300)
    expect(code).toBe('TIMEOUT')
  })

  test('has clients come back minutes later', async () => {
    const kit = await start()
    const faults = faultLink()
    const reconnect = { minDelay: 120_000, maxDelay: 120_000 }
    const client = await kit.connect({ faults, reconnect, resume: false })
    const statuses: string[] = []
    client.on('status', status => statuses.push(status))
    for (const cut of [1, 2]) {
      faults.cut()
      await kit.advance(59_000)
      expect(client.status).toBe('waiting')
      await kit.advance(61_000)
      expect(client.status).toBe('connected')
      expect(statuses.filter(status => status === 'connected')).toHaveLength(cut)
    }
  })

  test('stops its clients, and gives the time back', async () => {
    const real = [setTimeout, setInterval, clearTimeout, setImmediate, Date, Math.random, performance.now]
    const kit = await start()
    const client = await kit.connect()
    expect(setTimeout).not.toBe(real[0])
    await kit.stop()
    await kit.stop()
    expect(client.status).toBe('closed')
    expect([setTimeout, setInterval, clearTimeout, setImmediate, Date, Math.random, performance.now]).toEqual(
      real,
    )
  })

  test('is one at a time, and leaves real time behind when it does not start', async () => {
    const kit = await start()
    expect(await codeOf(testServer(makeApp))).toBe('INVALID_STATE')
    await kit.stop()
    const real = setTimeout
    const failing = testServer(() => {
      throw new Error('no app')
    })
    await expect(failing).rejects.toThrow('no app')
    expect(setTimeout).toBe(real)
    expect(await codeOf(testServer(undefined as never))).toBe('INVALID_OPTION')
  })
})

describe('virtual time', () => {
  const install = () => {
    const time = virtualTime({ now: 5_000 })
    cleanups.push(() => time.restore())
    return time
  }

  test('runs timers in order, each with what follows from it', async () => {
    const time = install()
    const ran: unknown[] = []
    setTimeout(() => ran.push('b'), 20)
    setTimeout(
      async name => {
        ran.push(name)
        await new Promise(setImmediate)
        setTimeout(() => ran.push(`after ${name}`, Date.now()), 5)
      },
      10,
      'a',
    )
    const beat = setInterval(() => ran.push('beat'), 8)
    await time.advance(17)
    expect(ran).toEqual(['beat', 'a', 'after a', 5_015, 'beat'])
    clearInterval(beat)
    await time.advance(100)
    expect(ran.slice(5)).toEqual(['b'])
    expect([time.elapsed, time.timers, performance.now(), +new Date(Date.now())]).toEqual([
      117, 0, 117, 5_117,
    ])
  })

  test('draws the same numbers from the same seed', () => {
    const draw = (seed: number) => {
      const time = virtualTime({ seed })
      const numbers = [Math.random(), Math.random()]
      time.restore()
      return numbers
    }
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
  })

  test('waits for a promise as long as that takes, within a limit', async () => {
    const time = install()
    const later = (ms: number) => new Promise(resolve => setTimeout(resolve, ms, 'done'))
    expect(await time.until(later(90_000))).toBe('done')
    expect(time.elapsed).toBe(90_000)
    expect(await codeOf(time.until(never, 1_000))).toBe('TIMEOUT')
    expect(await codeOf(time.until(later(2_000), 1_000))).toBe('TIMEOUT')
    expect(await codeOf(time.advance(-1))).toBe('INVALID_OPTION')
  })

  test('has timers that are cleared, refreshed and unreferenced as those of Node', async () => {
    const time = install()
    const ran: string[] = []
    clearTimeout(setTimeout(() => ran.push('cleared'), 1))
    clearTimeout(+setTimeout(() => ran.push('cleared by number'), 1))
    const refreshed = setTimeout(() => ran.push('refreshed'), 10).unref()
    await time.advance(9)
    refreshed.refresh()
    await time.advance(9)
    expect([ran, refreshed.hasRef()]).toEqual([[], true])
    await time.advance(1)
    expect(ran).toEqual(['refreshed'])
  })
})

describe('a service under test', () => {
  test('is called, sends and publishes', async () => {
    const kit = await testService({
      server(server: ServiceServer) {
        server.onopen = connection => void server.send(connection.id, 'welcome')
        server.onmessage = message => server.broadcast({ heard: message })
        server.oncall = ({ message }, responder) => {
          if (message === 'bad') throw new Error('refused')
          if (message !== 'stream') return responder.reply([message])
          responder.item(1)
          responder.item(2)
          responder.end()
        }
        server.onsubscribe = () => undefined
        return { publish: (value: number) => server.topic('news').publish(value) }
      },
    })
    cleanups.push(() => kit.stop())
    const connection = await kit.connect()
    expect(await connection.call('x')).toEqual(['x'])
    expect(await connection.items('stream')).toEqual([1, 2])
    await expect(connection.call('bad')).rejects.toThrow('refused')
    await connection.subscribe('news')
    connection.send('hello')
    kit.api.publish(7)
    await kit.settle()
    expect(connection.messages).toEqual(['welcome', { heard: 'hello' }])
    expect(connection.publications).toEqual([{ topic: 'news', value: 7 }])
    expect(kit.app.connections().map(({ id }) => id)).toEqual([connection.id])
    connection.close()
    await kit.settle()
    expect(kit.app.connections()).toEqual([])
  })

  test('may be a built-in one', async () => {
    const kit = await testService(pubsub<{ said: [string] }>(), { name: 'chat' })
    cleanups.push(() => kit.stop())
    const connection = await kit.connect()
    kit.api.publish.all('said', 'hello')
    await kit.settle()
    expect(connection.messages).toEqual([['said', 'hello']])
  })
})
