import { ActorSystem } from 'socketstream-server/actors'
import { whole } from '../report/statistics.js'
import { logicOf, Parent, Trampoline } from './bare.js'
import { perSecond } from './pace.js'

/**
 * A message that goes round 10,000 actors. In XState alone such a chain overflows the stack, so that there
 * it goes through a trampoline.
 *
 * @type {import('./scenarios.js').Scenario}
 */
export const ring = {
  name: 'ring',
  full: { actors: 10_000, hops: 1_000_000 },
  quick: { actors: 10_000, hops: 20_000 },
  lines: ({ actors }) => [{ label: `ring of ${whole(actors)} actors`, value: 'rate', unit: '/s' }],
  ours({ actors, hops }) {
    const system = new ActorSystem()
    const nodes = Array.from({ length: actors }, () => ({ next: /** @type {any} */ (undefined) }))
    /** @param {{ next: any }} node @param {Token} token */
    const receive = (node, token) => {
      if (--token.left > 0) node.next.tell(token)
      else token.done()
    }
    const refs = nodes.map((node, i) => system.spawn(`node${i}`, { initial: () => node, receive }))
    link(nodes, refs)
    return () => measure(hops, token => refs[0]?.tell(token))
  },
  bare({ actors, hops }) {
    const parent = new Parent()
    const trampoline = new Trampoline()
    const nodes = Array.from({ length: actors }, () => ({ next: /** @type {any} */ (undefined) }))
    const logic = logicOf((node, token) => {
      if (--token.left > 0) trampoline.send(node.next, token)
      else token.done()
    })
    const refs = nodes.map((node, i) => parent.spawn(`node${i}`, logic, node))
    link(nodes, refs)
    return () => measure(hops, token => trampoline.send(refs[0], token))
  },
}

/** @typedef {{ type: 'token', left: number, done(): void }} Token */

/** @param {{ next: unknown }[]} nodes @param {unknown[]} refs */
function link(nodes, refs) {
  nodes.forEach((node, i) => {
    node.next = refs[(i + 1) % refs.length]
  })
}

/** @param {number} hops @param {(token: Token) => void} send */
async function measure(hops, send) {
  const rate = await perSecond(hops, () => {
    return new Promise(resolve => send({ type: 'token', left: hops, done: () => resolve(undefined) }))
  })
  return { rate }
}
