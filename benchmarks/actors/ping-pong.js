import { ActorSystem } from 'socketstream-server/actors'
import { logicOf, Parent } from './bare.js'
import { perSecond } from './pace.js'

const message = { type: 'ball' }

/**
 * @typedef {object} Player
 * @property {number} left messages until it is done
 * @property {() => void} hit sends the ball to the other
 * @property {() => void} done
 */

/**
 * Two actors that send each other a message. Bare XState does it without a queue: an actor that is running
 * puts what it gets in its own mailbox, so that the stack does not grow.
 *
 * @type {import('./scenarios.js').Scenario}
 */
export const pingPong = {
  name: 'ping-pong',
  full: { messages: 1_000_000 },
  quick: { messages: 50_000 },
  lines: () => [{ label: 'ping-pong', value: 'rate', unit: '/s' }],
  ours({ messages }) {
    const system = new ActorSystem()
    const [a, b] = [player(), player()]
    const ping = system.spawn('ping', { initial: () => a, receive })
    const pong = system.spawn('pong', { initial: () => b, receive })
    a.hit = () => pong.tell(message)
    b.hit = () => ping.tell(message)
    return () => measure(a, b, messages)
  },
  bare({ messages }) {
    const parent = new Parent()
    const logic = logicOf(receive)
    const [a, b] = [player(), player()]
    const ping = parent.spawn('ping', logic, a)
    const pong = parent.spawn('pong', logic, b)
    a.hit = () => pong.send(message)
    b.hit = () => ping.send(message)
    return () => measure(a, b, messages)
  },
}

/** @returns {Player} */
function player() {
  return { left: 0, hit() {}, done() {} }
}

/** @param {Player} player */
function receive(player) {
  if (--player.left > 0) player.hit()
  else player.done()
}

/** @param {Player} a @param {Player} b @param {number} messages */
async function measure(a, b, messages) {
  a.left = messages / 2
  b.left = messages / 2 + 1
  const rate = await perSecond(messages, () => {
    return new Promise(resolve => {
      // The first hit is from outside; a is hit last.
      a.done = () => resolve(undefined)
      a.hit()
    })
  })
  return { rate }
}
