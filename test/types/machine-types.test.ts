/** What is inferred from the logic of a machine service. Nothing here runs: `tsc` checks it. */
import { describe, expectTypeOf, it } from 'vitest'
import { createMachine, fromPromise, setup } from 'xstate'
import { createClient } from '../../src/client/node.js'
import type { Server } from '../../src/server.js'
import { machineClient } from '../../src/services/machine/client.js'
import { type MachineContext, machine, type RemoteActor } from '../../src/services/machine/index.js'

const order = setup({
  types: {} as {
    context: { items: string[] }
    input: { id: string }
    events: { type: 'add'; item: string } | { type: 'pay' } | { type: 'settled'; by: number }
  },
}).createMachine({
  context: { items: [] },
  initial: 'cart',
  states: { cart: { on: { pay: 'paid' } }, paid: {} },
})

function makeApp(server: Server) {
  return server
    .service(
      'order',
      machine(order, {
        events: ['add', 'pay'],
        authorize(ctx, key, what) {
          expectTypeOf(ctx).toEqualTypeOf<MachineContext>()
          expectTypeOf(key).toEqualTypeOf<string>()
          expectTypeOf(what).toEqualTypeOf<'read' | { type: 'add'; item: string } | { type: 'pay' }>()
          return true
        },
        input: key => ({ id: key }),
        project({ context, status }) {
          expectTypeOf(context).toEqualTypeOf<{ items: string[] }>()
          return { status, count: context.items.length }
        },
      }),
    )
    .service('plain', machine(order, { events: ['pay'], authorize: async () => true }))
    .service(
      'job',
      machine(
        fromPromise(async () => 7),
        {
          events: [],
          authorize: () => true,
          project: ({ output }) => output,
        },
      ),
    )
    .service('loose', machine(createMachine({}), { events: ['any'], authorize: () => true }))
}

function makeClient() {
  return createClient<ReturnType<typeof makeApp>>({ url: '', services: { order: machineClient } })
}
type Api = ReturnType<typeof makeClient>['api']
type Order = ReturnType<Api['order']['get']>
type Plain = ReturnType<Api['plain']['get']>
type Job = ReturnType<Api['job']['get']>

describe('the client of a machine service', () => {
  it('may send the listed events', () => {
    expectTypeOf<Parameters<Order['send']>[0]>().toEqualTypeOf<
      { type: 'add'; item: string } | { type: 'pay' }
    >()
    expectTypeOf<Parameters<Plain['can']>[0]>().toEqualTypeOf<{ type: 'pay' }>()
    expectTypeOf<Parameters<Job['send']>[0]>().toEqualTypeOf<never>()
    const send = (order: Order): void => {
      // @ts-expect-error an event that is not listed
      order.send({ type: 'settled', by: 1 })
      // @ts-expect-error an event that lacks something
      order.send({ type: 'add' })
    }
    expectTypeOf(send).toBeFunction()
  })

  it('sees what the projection gives', () => {
    type Status = 'active' | 'done' | 'error' | 'stopped'
    expectTypeOf<ReturnType<Order['getSnapshot']>>().toEqualTypeOf<
      { status: Status; count: number } | undefined
    >()
    expectTypeOf<ReturnType<Job['done']>>().toEqualTypeOf<Promise<number | undefined>>()
    expectTypeOf<Awaited<ReturnType<Plain['ready']>>['value']>().toEqualTypeOf<'cart' | 'paid'>()
    expectTypeOf<Awaited<ReturnType<Plain['ready']>>['status']>().toEqualTypeOf<Status>()
    expectTypeOf<Order>().toExtend<RemoteActor<never>>()
  })

  it('needs events of the logic and a verdict', () => {
    const wrong = (): unknown[] => [
      // @ts-expect-error there is no authorize
      machine(order, { events: ['pay'] }),
      // @ts-expect-error a verdict is a boolean
      machine(order, { events: ['pay'], authorize: () => 'yes' }),
      // @ts-expect-error the machine knows no such event
      machine(order, { events: ['payy'], authorize: () => true }),
      // @ts-expect-error an input of another shape
      machine(order, { events: ['pay'], authorize: () => true, input: () => ({ id: 1 }) }),
      // @ts-expect-error all actors would have one key
      machine(order, { events: ['pay'], authorize: () => true, persist: { key: 'x' } }),
    ]
    expectTypeOf(wrong).toBeFunction()
  })
})
