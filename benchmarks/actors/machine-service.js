import { createActor, createMachine } from 'xstate'
import { expectCount, perSecond } from './pace.js'

/** Calls in flight; a connection may have 1,024. */
const WINDOW = 500

/**
 * Transitions of one machine: as a service, from a client through the whole stack and back over the memory
 * transport, and bare in XState, without anything around it.
 *
 * @type {import('./scenarios.js').Scenario}
 */
export const machineService = {
  name: 'machine-service',
  full: { transitions: 20_000 },
  quick: { transitions: 1000 },
  lines: () => [{ label: 'machine service, transitions', value: 'rate', unit: '/s' }],
  async ours({ transitions }) {
    // Not above, so that no other scenario loads a server.
    const { Server } = await import('socketstream-server')
    const { createClient } = await import('socketstream-server/client')
    const { memoryClient } = await import('socketstream-server/testing')
    const { memory } = await import('socketstream-server/transports/memory')
    const { machine } = await import('socketstream-server/services/machine')
    const { machineClient } = await import('socketstream-server/services/machine/client')
    const seen = { count: 0 }
    const transport = memory()
    const app = new Server({ transport, env: 'production' }).service(
      'order',
      machine(toggle(seen), { events: ['next'], authorize: () => true }),
    )
    await app.start()
    const client = createClient({
      url: 'memory:',
      transport: memoryClient(transport),
      reconnect: false,
      services: { order: machineClient },
    })
    await client.connect()
    const order = client.api.order.get('k')
    return () =>
      measure(seen, transitions, async () => {
        for (let left = transitions; left > 0; left -= WINDOW) {
          await Promise.all(
            Array.from({ length: Math.min(WINDOW, left) }, () => order.send({ type: 'next' })),
          )
        }
      })
  },
  bare({ transitions }) {
    const seen = { count: 0 }
    const actor = createActor(toggle(seen)).start()
    return () =>
      measure(seen, transitions, () => {
        for (let i = 0; i < transitions; i++) actor.send({ type: 'next' })
      })
  },
}

/** @param {{ count: number }} seen counts transitions */
function toggle(seen) {
  const actions = () => {
    seen.count++
  }
  return createMachine({
    id: 'order',
    initial: 'open',
    states: {
      open: { on: { next: { target: 'closed', actions } } },
      closed: { on: { next: { target: 'open', actions } } },
    },
  })
}

/** @param {{ count: number }} seen @param {number} transitions @param {() => unknown} send */
async function measure(seen, transitions, send) {
  seen.count = 0
  const rate = await perSecond(transitions, send)
  expectCount(seen.count, transitions)
  return { rate }
}
