import { ActorSystem } from 'socketstream-server/actors'
import { createActor } from 'xstate'
import { logicOf } from './bare.js'
import { expectCount, perSecond } from './pace.js'

// One message for all, so that nothing counts but its delivery.
const message = { type: 'add' }

/** Messages from outside to one actor. @type {import('./scenarios.js').Scenario} */
export const tell = {
  name: 'tell',
  full: { messages: 5_000_000 },
  quick: { messages: 100_000 },
  lines: () => [
    {
      label: 'tell from outside',
      value: 'rate',
      unit: '/s',
      target: { of: 'ratio', at: 'least', limit: 0.5 },
    },
  ],
  ours({ messages }) {
    const state = { count: 0 }
    const ref = new ActorSystem().spawn('counter', {
      initial: () => state,
      receive(state) {
        state.count++
      },
    })
    return () => measure(state, messages, () => ref.tell(message))
  },
  bare({ messages }) {
    const state = { count: 0 }
    const logic = logicOf(state => {
      state.count++
    })
    const actor = createActor(/** @type {any} */ (logic), { input: state }).start()
    return () => measure(state, messages, () => actor.send(message))
  },
}

/**
 * @param {{ count: number }} state of the actor
 * @param {number} messages
 * @param {() => unknown} send
 */
async function measure(state, messages, send) {
  state.count = 0
  const rate = await perSecond(messages, () => {
    for (let i = 0; i < messages; i++) send()
  })
  expectCount(state.count, messages)
  return { rate }
}
