import { ActorSystem } from 'socketstream-server/actors'
import { createActor } from 'xstate'
import { whole } from '../report/statistics.js'
import { logicOf, Parent } from './bare.js'
import { perSecond } from './pace.js'

const WIDTH = 10

/**
 * A tree of actors, ten below each, whose leaves report their numbers; every other actor reports the sum of
 * what it was told. Who has reported stops. From https://github.com/atemerev/skynet.
 *
 * In the kit the tree grows breadth first, with nearly all actors alive at once; in XState alone depth first,
 * in one stack.
 *
 * @type {import('./scenarios.js').Scenario}
 */
export const skynet = {
  name: 'skynet',
  full: { leaves: 100_000 },
  quick: { leaves: 1000 },
  lines: ({ leaves }) => [{ label: `skynet, ${whole(leaves)} leaves`, value: 'rate', unit: '/s' }],
  ours: size => () =>
    measure(size, (leaves, done) => {
      ourNode(new ActorSystem().root, '0', 0, leaves, done)
    }),
  bare: size => () =>
    measure(size, (leaves, done) => {
      const { actor } = new Parent()
      const root = bareNode(actor, '0', 0, leaves)
      root.subscribe(({ status, output }) => {
        if (status === 'done') done(output)
      })
      root.send({ type: 'go' })
    }),
}

/**
 * Starts a node of ours, which starts those below it.
 *
 * @param {import('socketstream-server/actors').ActorRef<any>} parent
 * @param {string} name
 * @param {number} first the number of its first leaf
 * @param {number} leaves
 * @param {(sum: number) => void} report
 */
function ourNode(parent, name, first, leaves, report) {
  const node = parent.spawn(name, {
    initial: () => ({ first, leaves, sum: 0, waiting: WIDTH, report }),
    receive,
  })
  node.tell({ type: 'go' })
}

/**
 * @param {{ first: number, leaves: number, sum: number, waiting: number, report(sum: number): void }} state
 * @param {{ type: 'go' } | { type: 'sum', sum: number }} message
 * @param {import('socketstream-server/actors').ActorRef<any>} self
 */
function receive(state, message, self) {
  if (message.type === 'sum') {
    state.sum += message.sum
    if (--state.waiting > 0) return
    state.report(state.sum)
    self.stop()
  } else if (state.leaves === 1) {
    state.report(state.first)
    self.stop()
  } else {
    const each = state.leaves / WIDTH
    /** @param {number} sum */
    const report = sum => {
      self.tell({ type: 'sum', sum })
    }
    for (let i = 0; i < WIDTH; i++) ourNode(self, String(i), state.first + i * each, each, report)
  }
}

const bareLogic = logicOf((state, event, { self }) => {
  if (event.type === 'go') {
    if (state.leaves === 1) return state.first
    const each = state.leaves / WIDTH
    for (let i = 0; i < WIDTH; i++) {
      bareNode(self, String(i), state.first + i * each, each).send({ type: 'go' })
    }
  } else if (event.type.startsWith('xstate.done.actor.')) {
    state.sum += event.output
    if (--state.waiting === 0) return state.sum
  }
  return undefined
})

/**
 * Starts a node of XState's, which tells its parent when it is done.
 *
 * @param {any} parent
 * @param {string} id
 * @param {number} first
 * @param {number} leaves
 */
function bareNode(parent, id, first, leaves) {
  return createActor(/** @type {any} */ (bareLogic), {
    parent,
    id,
    input: { first, leaves, sum: 0, waiting: WIDTH },
  }).start()
}

/**
 * @param {{ leaves: number }} size
 * @param {(leaves: number, done: (sum: number) => void) => void} start
 */
async function measure({ leaves }, start) {
  let actors = 0
  for (let level = leaves; level >= 1; level /= WIDTH) actors += level
  const rate = await perSecond(actors, async () => {
    const sum = await new Promise(resolve => start(leaves, resolve))
    if (sum !== (leaves * (leaves - 1)) / 2) throw new Error(`The sum is ${sum}`)
  })
  return { rate }
}
