import { ActorSystem } from 'socketstream-server/actors'
import { whole } from '../report/statistics.js'
import { logicOf, Parent } from './bare.js'
import { perSecond } from './pace.js'

const message = { type: 'work' }
const full = { actors: 1000, messages: 1000 }
const quick = { actors: 1000, messages: 20 }

/** @typedef {{ left: number, done(): void }} Total of all actors */

/**
 * Each of 1,000 actors gets 1,000 messages from outside, round about, as in Savina's suite.
 *
 * @type {import('./scenarios.js').Scenario}
 */
export const forkJoin = {
  name: 'fork-join',
  full,
  quick,
  lines: ({ actors, messages }) => [
    { label: `fork-join, ${whole(actors)} × ${whole(messages)}`, value: 'rate', unit: '/s' },
  ],
  ours(size) {
    const { total, refs } = ourActors(size)
    return () => measure(total, size, () => tellAll(refs, size))
  },
  bare(size) {
    const { total, actors } = bareActors(size)
    return () => measure(total, size, () => sendAll(actors, size))
  },
}

/**
 * The same from the handler of another actor. In the kit all million messages wait in mailboxes; XState
 * delivers them in the sender's stack.
 *
 * @type {import('./scenarios.js').Scenario}
 */
export const forkJoinInside = {
  name: 'fork-join-inside',
  full,
  quick,
  lines: () => [{ label: 'the same, told by an actor', value: 'rate', unit: '/s' }],
  ours(size) {
    const { system, total, refs } = ourActors(size)
    const master = system.spawn('master', { receive: () => tellAll(refs, size) })
    return () => measure(total, size, () => master.tell({ type: 'go' }))
  },
  bare(size) {
    const { parent, total, actors } = bareActors(size)
    const master = parent.spawn(
      'master',
      logicOf(() => sendAll(actors, size)),
    )
    return () => measure(total, size, () => master.send({ type: 'go' }))
  },
}

/** @param {Total} total */
function receive(total) {
  if (--total.left === 0) total.done()
}

/** @param {typeof full} size */
function ourActors({ actors }) {
  const system = new ActorSystem()
  const total = { left: 0, done() {} }
  const behaviour = { initial: () => total, receive }
  return {
    system,
    total,
    refs: Array.from({ length: actors }, (_, i) => system.spawn(`worker${i}`, behaviour)),
  }
}

/** @param {typeof full} size */
function bareActors({ actors }) {
  const parent = new Parent()
  const total = { left: 0, done() {} }
  const logic = logicOf(receive)
  return {
    parent,
    total,
    actors: Array.from({ length: actors }, (_, i) => parent.spawn(`worker${i}`, logic, total)),
  }
}

/** @param {{ tell(message: object): boolean }[]} refs @param {typeof full} size */
function tellAll(refs, { messages }) {
  for (let i = 0; i < messages; i++) for (const ref of refs) ref.tell(message)
}

/** @param {any[]} actors @param {typeof full} size */
function sendAll(actors, { messages }) {
  for (let i = 0; i < messages; i++) for (const actor of actors) actor.send(message)
}

/** @param {Total} total @param {typeof full} size @param {() => unknown} start */
async function measure(total, { actors, messages }, start) {
  const count = actors * messages
  total.left = count
  const rate = await perSecond(count, () => {
    return new Promise(resolve => {
      total.done = () => resolve(undefined)
      start()
    })
  })
  return { rate }
}
