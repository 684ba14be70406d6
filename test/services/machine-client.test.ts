import { describe, expect, test } from 'vitest'
import { SocketStreamError } from '../../src/errors.js'
import { type MachineClient, machineClient } from '../../src/services/machine/client.js'
import type { Call, ServiceClient } from '../../src/services/service.js'

interface View {
  status: string
  value: unknown
  part?: object
}

/** What the client half is given, played by hand. */
class Service implements ServiceClient {
  readonly id = 1
  readonly name = 'order'
  readonly use = {}
  onmessage: ServiceClient['onmessage']
  readonly calls: { payload: unknown; resolve(value: unknown): void; reject(error: Error): void }[] = []
  readonly standing = new Set<string>()
  readonly log: string[] = []
  refusal: SocketStreamError | undefined
  readonly api = machineClient.client(this) as MachineClient<{ type: 'pay' }, View>

  send(): boolean {
    return true
  }
  debug(): void {}

  call(payload: unknown): Call {
    const answer = new Promise((resolve, reject) => this.calls.push({ payload, resolve, reject }))
    return Object.assign(answer, {
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new Error()) }),
    })
  }

  async subscribe(topic: string): Promise<void> {
    if (this.standing.has(topic)) return
    this.log.push(`subscribe ${topic}`)
    if (this.refusal !== undefined) throw this.refusal
    this.standing.add(topic)
  }

  unsubscribe(topic: string): void {
    this.standing.delete(topic)
    this.log.push(`unsubscribe ${topic}`)
  }

  push(...message: [key: string, from: number, to: number, data: unknown, done?: boolean]): void {
    this.onmessage?.(message)
  }
}

const cart: View = { status: 'active', value: 'cart', part: { a: 1 } }
function connect() {
  const service = new Service()
  const order = service.api.get('1')
  const seen: unknown[] = []
  const leave = order.subscribe(() => seen.push(order.getSnapshot()?.value))
  return { service, order, seen, leave }
}

describe('a remote actor', () => {
  test('is the same object for the same key', () => {
    const { service, order } = connect()
    expect(service.api.get('1')).toBe(order)
    expect(service.api.get('__proto__')).not.toBe(order)
    expect(service.api.get('__proto__')).toBe(service.api.get('__proto__'))
  })

  test('subscribes with its first listener and leaves with its last', () => {
    const { service, order, leave } = connect()
    const another = order.subscribe(() => {})
    leave()
    leave()
    expect(service.log).toEqual(['subscribe 1'])
    another()
    expect(service.log).toEqual(['subscribe 1', 'unsubscribe 1'])
    order.subscribe(() => {})
    expect(service.log).toEqual(['subscribe 1', 'unsubscribe 1', 'subscribe 1'])
  })

  test('keeps to the contract of useSyncExternalStore', () => {
    const service = new Service()
    const { subscribe, getSnapshot } = service.api.get('1')
    const calls: unknown[][] = []
    expect(getSnapshot()).toBeUndefined()
    const leave = subscribe((...args: unknown[]) => calls.push(args))
    service.push('1', 0, 1, cart)
    const first = getSnapshot()
    expect(getSnapshot()).toBe(first)
    service.push('1', 0, 1, structuredClone(cart))
    expect(getSnapshot()).toBe(first)
    expect(calls).toEqual([[]])
    service.push('1', 1, 2, [[['value'], 'paid']])
    expect(getSnapshot()).not.toBe(first)
    expect(getSnapshot()?.part).toBe(first?.part)
    expect(first?.value).toBe('cart')
    expect(calls).toEqual([[], []])
    leave()
    service.push('1', 2, 3, [[['value'], 'late']])
    expect(getSnapshot()?.value).toBe('paid')
  })

  test('keeps what a new subscription finds unchanged', () => {
    const { service, order, leave } = connect()
    service.push('1', 0, 7, cart)
    const before = order.getSnapshot()
    leave()
    order.subscribe(() => {})
    service.push('1', 7, 8, [[['value'], 'for the subscription before']])
    service.push('1', 0, 1, { ...structuredClone(cart), value: 'paid' })
    expect(service.calls).toEqual([])
    expect(order.getSnapshot()).toEqual({ ...cart, value: 'paid' })
    expect(order.getSnapshot()?.part).toBe(before?.part)
  })

  test('notices a gap, asks for the whole view and goes on from there', async () => {
    const { service, order, seen } = connect()
    service.push('1', 0, 1, cart)
    service.push('1', 2, 3, [[['value'], 'lost one']])
    service.push('1', 3, 4, [[['value'], 'placed']])
    service.push('1', 4, 5, [[['value'], 'paid']])
    expect(service.calls.map(call => call.payload)).toEqual([['get', '1']])
    service.calls[0]?.resolve([4, { status: 'active', value: 'placed' }, false])
    await new Promise(setImmediate)
    expect(seen).toEqual(['cart', 'placed', 'paid'])
    expect(service.calls).toHaveLength(1)
    service.push('1', 5, 6, [[['value'], 'shipped']])
    expect(order.getSnapshot()).toEqual({ status: 'active', value: 'shipped' })
  })

  test('mends a patch that does not fit', async () => {
    const { service, order } = connect()
    service.push('1', 0, 1, cart)
    service.push('1', 1, 2, [[['value', 'deep', 'down'], 1]])
    service.calls[0]?.resolve([2, { status: 'done', value: 'end' }, true])
    await expect(order.done()).resolves.toEqual({ status: 'done', value: 'end' })
  })

  test('takes a whole view for one that it asks for, and asks again when that failed', async () => {
    const { service, order } = connect()
    service.push('1', 0, 1, cart)
    service.push('1', 5, 6, [])
    service.push('1', 0, 1, { status: 'active', value: 'after reconnect' })
    service.calls[0]?.resolve([6, { status: 'active', value: 'stale' }, false])
    await new Promise(setImmediate)
    expect(order.getSnapshot()?.value).toBe('after reconnect')
    service.push('1', 5, 6, [])
    service.calls[1]?.reject(new SocketStreamError('CONNECTION_LOST', 'gone'))
    await new Promise(setImmediate)
    service.push('1', 6, 7, [])
    expect(service.calls).toHaveLength(3)
  })

  test('tells of being ready and done, and subscribes only meanwhile', async () => {
    const service = new Service()
    const order = service.api.get('1')
    const ready = order.ready()
    const done = order.done()
    service.push('1', 0, 1, cart)
    expect(await ready).toEqual(cart)
    expect(service.standing.size).toBe(1)
    service.push('1', 1, 2, [[['status'], 'done']], true)
    expect(await done).toMatchObject({ status: 'done' })
    expect(service.standing.size).toBe(0)
  })

  test('passes a refusal to who waits, and to nobody else', async () => {
    const service = new Service()
    service.refusal = new SocketStreamError('FORBIDDEN', 'no')
    const order = service.api.get('1')
    const leave = order.subscribe(() => {})
    order.ready()
    await expect(order.ready()).rejects.toMatchObject({ code: 'FORBIDDEN' })
    await expect(order.done()).rejects.toMatchObject({ code: 'FORBIDDEN' })
    leave()
    service.refusal = undefined
    const ready = order.ready()
    service.push('1', 0, 1, cart)
    expect(await ready).toEqual(cart)
  })

  test('goes on waiting when the connection is lost', async () => {
    const service = new Service()
    service.refusal = new SocketStreamError('CONNECTION_LOST', 'gone')
    const ready = service.api.get('1').ready()
    await new Promise(setImmediate)
    service.push('1', 0, 1, cart)
    expect(await ready).toEqual(cart)
  })

  test('calls all listeners, also when one throws', () => {
    const { service, order, seen } = connect()
    const thrown: unknown[] = []
    const report = globalThis.queueMicrotask
    globalThis.queueMicrotask = callback => {
      try {
        callback()
      } catch (error) {
        thrown.push(error)
      }
    }
    order.subscribe(() => {
      throw new Error('mine')
    })
    order.subscribe(() => seen.push('last'))
    service.push('1', 0, 1, cart)
    globalThis.queueMicrotask = report
    expect(seen).toEqual(['cart', 'last'])
    expect(thrown).toEqual([new Error('mine')])
  })

  test.each<[value: unknown, state: string | object, matches: boolean]>([
    ['paid', 'paid', true],
    ['paid', 'pai', false],
    ['paid', 'paid.in', false],
    [{ cart: 'empty' }, 'cart', true],
    [{ cart: 'empty' }, 'cart.empty', true],
    [{ cart: 'empty' }, { cart: 'empty' }, true],
    [{ cart: 'empty' }, { cart: 'full' }, false],
    [{ cart: { a: 'b' }, pay: 'due' }, { pay: 'due', cart: 'a.b' }, true],
    [{ cart: { a: 'b' }, pay: 'due' }, { pay: 'due', ship: 'on' }, false],
    [{ cart: 'empty' }, 'constructor', false],
    ['paid', { paid: 'in' }, false],
  ])('in %j matches %j: %j', (value, state, matches) => {
    const { service, order } = connect()
    expect(order.matches(state)).toBe(false)
    service.push('1', 0, 1, { status: 'active', value })
    expect(order.matches(state)).toBe(matches)
  })

  test('sends events, and asks whether it may', async () => {
    const { service, order } = connect()
    const sent = order.send({ type: 'pay' })
    const can = order.can({ type: 'pay' })
    expect(service.calls.map(call => call.payload)).toEqual([
      ['send', '1', { type: 'pay' }],
      ['can', '1', { type: 'pay' }],
    ])
    service.calls[0]?.resolve(null)
    service.calls[1]?.resolve(true)
    expect([await sent, await can]).toEqual([undefined, true])
  })

  test('takes no notice of messages that are none of its own', () => {
    const { service, seen } = connect()
    service.push('2', 0, 1, cart)
    service.onmessage?.('text')
    service.onmessage?.({ 0: '1' })
    expect(seen).toEqual([])
  })
})
