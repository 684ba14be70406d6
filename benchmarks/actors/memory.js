import { setImmediate as nextTurn } from 'node:timers/promises'
import { ActorSystem } from 'socketstream-server/actors'
import { logicOf, Parent } from './bare.js'

/**
 * Heap of an idle actor with its address or id, its place among its siblings, a small state, and a mailbox in
 * which one message has waited.
 *
 * @type {import('./scenarios.js').Scenario}
 */
export const memory = {
  name: 'memory',
  full: { actors: 20_000 },
  quick: { actors: 5000 },
  lines: () => [
    {
      label: 'heap of an idle actor',
      value: 'bytes',
      unit: 'bytes',
      target: { of: 'ours', at: 'most', limit: 2200 },
    },
  ],
  ours({ actors }) {
    let handled = 0
    const behaviour = {
      initial: () => ({ count: 0 }),
      /** @param {{ count: number }} state */
      receive(state) {
        state.count++
        handled++
      },
    }
    return () =>
      measure(actors, async () => {
        const system = new ActorSystem()
        const parent = system.spawn('parent', { receive: tellChildren })
        for (let i = 0; i < actors; i++) parent.spawn(`child${i}`, behaviour)
        handled = 0
        parent.tell({ type: 'go' })
        while (handled < actors) await nextTurn()
        return () => system.stop()
      })
  },
  bare({ actors }) {
    const logic = logicOf(state => {
      state.count++
    })
    return () =>
      measure(actors, async () => {
        const parent = new Parent()
        for (let i = 0; i < actors; i++) parent.spawn(`child${i}`, logic, { count: 0 }).send({ type: 'add' })
        return () => parent.actor.stop()
      })
  },
}

/**
 * Handles `go`. What a handler tells has to wait, all but a single message, which is sent to itself here.
 *
 * @param {unknown} _state
 * @param {{ type: string }} message
 * @param {import('socketstream-server/actors').ActorRef<{ type: string }>} self
 */
function tellChildren(_state, { type }, self) {
  if (type !== 'go') return
  self.tell({ type: 'alone' })
  for (const child of self.children.values()) {
    child.tell(/** @type {never} */ ({ type: 'add' }))
    if (child.depth !== 1) throw new Error('The message does not wait')
  }
}

/**
 * @param {number} actors
 * @param {() => Promise<() => void>} start gives what stops them
 */
async function measure(actors, start) {
  const before = heapUsed()
  const stop = await start()
  const bytes = (heapUsed() - before) / actors
  stop()
  return { bytes }
}

function heapUsed() {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}
