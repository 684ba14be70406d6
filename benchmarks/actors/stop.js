import { ActorSystem } from 'socketstream-server/actors'
import { createMachine } from 'xstate'
import { whole } from '../report/statistics.js'
import { logicOf, Parent } from './bare.js'

const AN_HOUR = 3_600_000

/**
 * Stopping an actor with many children while 10,000 timers of other actors are pending, then one with twice as
 * many.
 *
 * At each stop XState looks through all timers of the system, so that without the kit it is done with a
 * hundredth of the actors, and the same timers.
 *
 * @type {import('./scenarios.js').Scenario}
 */
export const stopping = {
  name: 'stop',
  full: { actors: 50_000, bareActors: 500, timers: 10_000 },
  quick: { actors: 2500, bareActors: 25, timers: 1000 },
  lines: ({ actors, bareActors }) => [
    { label: `stop ${whole(actors)} (bare ${whole(bareActors)})`, value: 'each', unit: 'µs each' },
    {
      label: `stop ${whole(2 * actors)} (bare ${whole(2 * bareActors)})`,
      value: 'eachOfTwice',
      unit: 'µs each',
    },
    {
      label: 'stop twice as many',
      value: 'growth',
      unit: 'times',
      target: { of: 'ours', at: 'most', limit: 2.3 },
    },
  ],
  ours({ actors, timers }) {
    const system = new ActorSystem()
    const waiter = {
      /** @param {import('socketstream-server/actors').ActorRef<{ type: string }>} self */
      initial: self => void self.schedule(AN_HOUR, { type: 'late' }),
      receive() {},
    }
    for (let i = 0; i < timers; i++) system.spawn(`waiter${i}`, waiter)
    const behaviour = { initial: () => ({ count: 0 }), receive() {} }
    return () =>
      measure(actors, count => {
        const parent = system.spawn('parent', { receive() {} })
        for (let i = 0; i < count; i++) parent.spawn(`child${i}`, behaviour)
        return () => parent.stop()
      })
  },
  bare({ bareActors, timers }) {
    const root = new Parent()
    const waiter = createMachine({
      initial: 'waiting',
      states: { waiting: { after: { [AN_HOUR]: 'late' } }, late: {} },
    })
    for (let i = 0; i < timers; i++) root.spawn(`waiter${i}`, waiter)
    const logic = logicOf(() => {})
    return () =>
      measure(bareActors, count => {
        const parent = new Parent({ parent: root.actor, id: 'parent' })
        for (let i = 0; i < count; i++) parent.spawn(`child${i}`, logic, { count: 0 })
        return () => root.stopChild(parent.actor)
      })
  },
}

/**
 * @param {number} actors
 * @param {(count: number) => () => void} prepare gives what stops them
 */
function measure(actors, prepare) {
  const [once, twice] = [actors, 2 * actors].map(count => {
    const stop = prepare(count)
    globalThis.gc?.()
    const start = performance.now()
    stop()
    return (performance.now() - start) * 1000
  })
  return { each: once / actors, eachOfTwice: twice / (2 * actors), growth: twice / once }
}
