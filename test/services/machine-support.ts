/** Orders on a real server over the memory transport, whose actors go by a clock of their own. */
import { afterEach } from 'vitest'
import { assign, createMachine } from 'xstate'
import { ActorSystem } from '../../src/actors/runtime/index.js'
import { createClient } from '../../src/client/node.js'
import { memory } from '../../src/engines/memory.js'
import { machineClient } from '../../src/services/machine/client.js'
import { type MachineOptions, machine } from '../../src/services/machine/index.js'
import { manualClock } from '../../src/testing/index.js'
import { memoryClient } from '../../src/testing/memory-client.js'
import type { MemoryClientLink } from '../../src/transports/memory.js'
import { testServer } from '../support/wire.js'

type OrderEvent =
  | { type: 'place' }
  | { type: 'pay'; amount: number }
  | { type: 'cancel' }
  | { type: 'break' }
  | { type: 'spoil' }
  | { type: 'hidden' }

/** cart → placed → paid → shipped, with ways to go wrong. */
export const order = createMachine({
  types: {} as { context: { paid: unknown; id: string }; events: OrderEvent; input: { id: string } },
  context: ({ input }) => ({ paid: 0, id: input.id }),
  initial: 'cart',
  states: {
    cart: { on: { place: 'placed', cancel: 'cancelled' } },
    placed: {
      on: {
        pay: { target: 'paid', actions: assign({ paid: ({ event }) => event.amount }) },
        cancel: 'cancelled',
      },
    },
    paid: { after: { 5000: 'shipped' } },
    shipped: { type: 'final' },
    cancelled: { type: 'final' },
  },
  on: {
    break: {
      actions: () => {
        throw new Error('broken')
      },
    },
    spoil: { actions: assign({ paid: () => () => 'no plain data' }) },
    hidden: '.cancelled',
  },
})

/** What clients may send. */
export const EVENTS = ['place', 'pay', 'cancel', 'break', 'spoil'] as const
type Options<View> = MachineOptions<typeof order, (typeof EVENTS)[number], View>

/** Called after each test, last first. */
export const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const whole = (snapshot: { status: string; value: unknown; context: { paid: unknown } }) => ({
  status: snapshot.status,
  value: snapshot.value as string,
  paid: snapshot.context.paid,
})
type Whole = ReturnType<typeof whole>

/** A server with orders, whose actors go by a clock of their own. */
export async function start<View = Whole>(options: Partial<Options<View>> = {}, store = memory().kv!) {
  const clock = manualClock()
  const system = new ActorSystem({ clock, store, random: () => 0 })
  const made = testServer()
  const definition = machine(order, {
    events: EVENTS,
    authorize: () => true,
    input: id => ({ id }),
    project: whole as unknown as NonNullable<Options<View>['project']>,
    ...options,
  })
  const app = made.app.service('order', {
    ...definition,
    server(server) {
      Object.defineProperty(server, 'spawn', { value: system.root.spawn.bind(system.root) })
      return definition.server(server)
    },
  })
  await app.start()
  cleanups.push(() => app.stop())
  const keys = () => [...(system.find('/machines')?.children.keys() ?? [])]
  const connect = async () => {
    const links: MemoryClientLink[] = []
    const transport = memoryClient({
      connect: async options => {
        const link = await made.transport.connect(options)
        links.push(link)
        return link
      },
    })
    const client = createClient<typeof app>({
      url: 'memory:',
      transport,
      services: { order: machineClient },
      reconnect: { minDelay: 1, maxDelay: 1 },
    })
    cleanups.push(() => client.close())
    await client.connect()
    const { api } = client
    return { client, orders: api.order, get: (key: string) => api.order.get(key), links }
  }
  return { ...made, app, clock, system, store, keys, connect }
}

/** Resolves when a remote actor is in a state. */
export function reached(
  actor: { subscribe(fn: () => void): () => void; matches(state: string): boolean },
  state: string,
) {
  return new Promise<void>(resolve => {
    const check = () => {
      if (!actor.matches(state)) return
      leave()
      resolve()
    }
    const leave = actor.subscribe(check)
    queueMicrotask(check)
  })
}

/** A call as another client could make it. */
export async function raw(made: Awaited<ReturnType<typeof start>>, ...payload: unknown[]) {
  const { app, transport } = made
  const client = createClient<typeof app>({
    url: 'memory:',
    transport: memoryClient(transport),
    services: { order: { client: service => ({ call: (payload: unknown) => service.call(payload) }) } },
  })
  cleanups.push(() => client.close())
  await client.connect()
  return (client.api.order as unknown as { call(payload: unknown): Promise<unknown> }).call(
    payload.length === 1 ? payload[0] : payload,
  )
}

/** Lets what is under way come in until something holds. */
export async function until(holds: () => boolean) {
  for (let turn = 0; turn < 1000; turn++) {
    if (holds()) return
    await new Promise(setImmediate)
  }
  throw new Error('It does not come to hold')
}
