import { ActorSystem } from 'socketstream-server/actors'
import { whole } from '../report/statistics.js'
import { logicOf, Parent } from './bare.js'
import { perSecond } from './pace.js'

/** Starting children of one actor. */
export const spawning = scenario('spawn', { actors: 10_000 }, { actors: 1000 })

/** Starting many more, which takes longer for each if anything is looked through. */
export const spawningMany = scenario('spawn-many', { actors: 100_000 }, { actors: 5000 })

/**
 * @typedef {{ actors: number }} Size
 *
 * @param {string} name
 * @param {Size} full
 * @param {Size} quick
 * @returns {import('./scenarios.js').Scenario}
 */
function scenario(name, full, quick) {
  return {
    name,
    full,
    quick,
    lines: ({ actors }) => [{ label: `spawn ${whole(actors)} children`, value: 'rate', unit: '/s' }],
    ours: ({ actors }) => {
      const behaviour = { initial: () => ({ count: 0 }), receive() {} }
      return async () => {
        const system = new ActorSystem()
        const parent = system.spawn('parent', { receive() {} })
        const rate = await perSecond(actors, () => {
          for (let i = 0; i < actors; i++) parent.spawn(`child${i}`, behaviour)
        })
        system.stop()
        return { rate }
      }
    },
    bare: ({ actors }) => {
      const logic = logicOf(() => {})
      return async () => {
        const parent = new Parent()
        const rate = await perSecond(actors, () => {
          for (let i = 0; i < actors; i++) parent.spawn(`child${i}`, logic, { count: 0 })
        })
        parent.actor.stop()
        return { rate }
      }
    },
  }
}
