/**
 * One server of the `network` benchmark, in a process of its own: `node server.js NAME OPTIONS`.
 *
 * Tells its port when it listens, or why it cannot be had here. Every message from the parent is answered with the
 * CPU time used so far and the longest that the event loop was late since the last answer; `{ memory: true }` also
 * with its memory.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises'
import { message } from './protocols.js'
import { socketstream, Unavailable } from './server-ours.js'
import { peers } from './server-peers.js'

/**
 * What a server is to its benchmark.
 *
 * @typedef {object} Subject
 * @property {number} port
 * @property {(text: object) => void} [publish] to everybody
 * @property {(channel: string, text: object) => void} [publishTo] to the subscribers of a channel
 * @property {(count: number) => string[]} [sessions] stores sessions, gives their cookies
 */

/** Milliseconds between two looks at the event loop. */
const RESOLUTION = 10

const [name = '', options = '{}'] = process.argv.slice(2)
/** @type {Record<string, (options: any) => Promise<Subject>>} */
const starters = { socketstream, ...peers }
const start = starters[name]
if (start === undefined || process.send === undefined) {
  console.error(`Started by benchmarks/network.js, with one of ${Object.keys(starters).join(', ')}`)
  process.exit(2)
}
process.on('disconnect', () => process.exit())
const lag = monitorEventLoopDelay({ resolution: RESOLUTION })
lag.enable()
/** @type {Subject} */
let subject
try {
  subject = await start(JSON.parse(options))
  process.on('message', async order => process.send?.({ ...(await obey(order)), ...used() }))
  process.send({ port: subject.port })
} catch (error) {
  if (!(error instanceof Unavailable)) throw error
  process.send({ unavailable: error.message })
}

/** @param {any} order */
async function obey({ memory, collect, publish, sessions }) {
  if (memory) return measureMemory(collect)
  if (sessions) return { cookies: subject.sessions?.(sessions) }
  if (publish) await publications(publish)
  return {}
}

/**
 * Publishes in turns of the event loop, one after the other.
 *
 * @param {{ ticks: number, perTick: number, size: number, channels?: string[][] }} order with channels, each tick has
 *   `perTick` for each list of them, going round
 */
async function publications({ ticks, perTick, size, channels }) {
  const text = message(size)
  let next = 0
  for (let tick = 0; tick < ticks; tick++) {
    for (let i = 0; i < perTick; i++, next++) {
      if (channels === undefined) subject.publish?.(text)
      else for (const list of channels) subject.publishTo?.(list[next % list.length], text)
    }
    await nextTurn()
  }
}

/**
 * RSS as it is, and what is on the heap after a collection, if there is to be one.
 *
 * @param {boolean} collect twice, with time for what is freed in turns of its own
 */
async function measureMemory(collect) {
  const rss = process.memoryUsage.rss()
  for (let i = 0; collect && i < 2; i++) {
    globalThis.gc?.()
    await delay(50)
  }
  const { rss: collected, heapUsed } = process.memoryUsage()
  return { rss, collected, heapUsed }
}

function used() {
  const late = Math.max(0, lag.max / 1e6 - RESOLUTION)
  lag.reset()
  return { ...process.cpuUsage(), late }
}
