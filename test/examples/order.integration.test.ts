import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { createClient } from '../../src/client/node.js'
import { machineClient } from '../../src/services/machine/client.js'
import type { MachineService } from '../../src/services/machine/index.js'

interface View {
  readonly status: string
  readonly value: string
  readonly items: readonly string[]
}
type Event = { type: 'add'; item: string } | { type: 'place' } | { type: 'pay' } | { type: 'cancel' }

interface OrderApp {
  readonly '~services': { readonly order: MachineService<Event, View> }
}

const root = fileURLToPath(new URL('../../', import.meta.url))
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A folder that goes with the test. */
function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'orders-'))
  cleanups.push(() => rmSync(path, { recursive: true, force: true }))
  return path
}

/** Starts a script of the example; gives it and a line that it prints, once it does. */
async function run(script: string, args: string[], env: Record<string, string>, line: RegExp) {
  const child = spawn(process.execPath, [join(root, 'examples/order', script), ...args], {
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  cleanups.push(() => kill(child))
  const lines = createInterface({ input: child.stdout })
  const first = await new Promise<string>((resolve, reject) => {
    lines.on('line', text => line.test(text) && resolve(text))
    child.once('exit', code => reject(new Error(`${script} ended with ${code}`)))
  })
  return { child, lines, first }
}

async function serve(data: string, port = 0, shipping = 1) {
  const env = { PORT: `${port}`, DATA: data, SHIPPING: `${shipping}` }
  const { child, first } = await run('server.js', [], env, /ws:\/\//)
  return { child, port: Number(/:(\d+)$/.exec(first)?.[1]) }
}

async function kill(child: ChildProcess) {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** A client that views an order. */
async function follow(port: number, key: string) {
  const client = createClient<OrderApp>({
    url: `ws://localhost:${port}`,
    services: { order: machineClient },
    reconnect: { minDelay: 20, maxDelay: 100 },
  })
  cleanups.push(() => client.close())
  await client.connect()
  const order = client.api.order.get(key)
  order.subscribe(() => {})
  await order.ready()
  const connected = () =>
    new Promise<void>(resolve => {
      const off = client.on('status', status => {
        if (status !== 'connected') return
        off()
        resolve()
      })
    })
  return { client, order, connected }
}

describe('the orders', () => {
  test('are the same for two clients, and outlive kill -9 of the server', async () => {
    const data = folder()
    const key = randomUUID()
    const first = await serve(data, 0, 500)
    const { port } = first
    const [ann, ben] = await Promise.all([follow(port, key), follow(port, key)])
    await ann.order.send({ type: 'add', item: 'tea' })
    await ben.order.send({ type: 'add', item: 'cups' })
    await ann.order.send({ type: 'place' })
    await reached(ben.order, 'placed')
    expect(ben.order.getSnapshot()).toEqual({ status: 'active', value: 'placed', items: ['tea', 'cups'] })

    const back = [ann.connected(), ben.connected()]
    await kill(first.child)
    const second = await serve(data, port, 500)
    await Promise.all(back)
    const newcomer = await follow(port, key)
    expect(newcomer.order.getSnapshot()).toEqual({
      status: 'active',
      value: 'placed',
      items: ['tea', 'cups'],
    })
    await ann.order.send({ type: 'pay' })

    // The order is on its way now: the delay goes on in the next process.
    const again = [ann.connected(), ben.connected()]
    await kill(second.child)
    await serve(data, port, 500)
    await Promise.all(again)
    for (const { order } of [ann, ben]) {
      expect(await order.done()).toEqual({ status: 'done', value: 'shipped', items: ['tea', 'cups'] })
    }
  }, 60_000)

  test('take what fits the state, and nothing else', async () => {
    const { port } = await serve(folder())
    const { order, client } = await follow(port, randomUUID())
    expect(await order.can({ type: 'place' })).toBe(false)
    expect(await order.can({ type: 'add', item: {} as string })).toBe(false)
    await order.send({ type: 'add', item: 'x'.repeat(101) })
    await order.send({ type: 'pay' })
    expect(order.getSnapshot()).toEqual({ status: 'active', value: 'cart', items: [] })
    await expect(client.api.order.get('1').ready()).rejects.toMatchObject({ code: 'INVALID_ARGUMENTS' })
  }, 30_000)

  test('can be followed in a terminal', async () => {
    const { port } = await serve(folder())
    const key = randomUUID()
    const terminal = await run('order.js', [key, '--url', `ws://localhost:${port}`], {}, /^Order /)
    const printed: string[] = []
    terminal.lines.on('line', line => printed.push(line))
    terminal.child.stdin.write('pay\nadd tea\n')
    const { order } = await follow(port, key)
    await reached(order, 'cart', () => order.getSnapshot()?.items.length === 1)
    terminal.child.stdin.write('place\n')
    await reached(order, 'placed')
    terminal.child.stdin.write('pay\n')
    const [code] = await once(terminal.child, 'close')
    expect(code).toBe(0)
    expect(printed).toContain('"pay" is not possible now')
    expect(printed).toContain('shipped: tea')
    expect(printed).toContain('The order is done')
  }, 30_000)
})

/** Resolves when an order is in a state. */
function reached(
  order: { subscribe(fn: () => void): () => void; matches(state: string): boolean },
  state: string,
  also = () => true,
) {
  return new Promise<void>(resolve => {
    const check = () => {
      if (!order.matches(state) || !also()) return
      leave()
      resolve()
    }
    const leave = order.subscribe(check)
    queueMicrotask(check)
  })
}
