/** Which step of the way takes which share of the time, by V8's own profiler. */
import { Session } from 'node:inspector/promises'
import { shares } from './profile.js'

/** Microseconds between two samples. */
const INTERVAL = 200
/** Where code is, and which step of a message's way that is; the first that fits counts. */
const STEPS = [
  ['dist/client/', 'client'],
  ['dist/codec/', 'codec: headers and payloads'],
  ['msgpackr', 'codec: headers and payloads'],
  ['dist/protocol/', 'codec: headers and payloads'],
  ['dist/transports/', 'memory transport'],
  ['dist/testing/', 'memory transport'],
  ['dist/actors/runtime/', 'actor kit: mailboxes and turns'],
  ['xstate', 'actor kit: mailboxes and turns'],
  ['dist/actors/', 'connection, router, service, session'],
  ['dist/sessions/', 'connection, router, service, session'],
  ['dist/', 'services and the rest of the server'],
  ['benchmarks/', 'the benchmark: sends and handlers'],
  ['(garbage collector)', 'garbage collector'],
  ['node:', 'Node, V8'],
  ['native', 'Node, V8'],
  ['(', 'Node, V8'],
]

/**
 * Does some work under the profiler.
 *
 * @param {() => Promise<void>} work
 * @returns {Promise<[step: string, share: number][]>} largest first; shares of the time in which something ran
 */
export async function profiled(work) {
  const session = new Session()
  session.connect()
  try {
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: INTERVAL })
    await session.post('Profiler.start')
    await work()
    const { profile } = await session.post('Profiler.stop')
    return bySteps(shares([/** @type {any} */ (profile)]).parts)
  } finally {
    session.disconnect()
  }
}

/** @param {readonly [name: string, share: number][]} parts */
function bySteps(parts) {
  /** @type {Map<string, number>} */
  const sums = new Map()
  for (const [name, share] of parts) {
    const step = STEPS.find(([beginning]) => name.startsWith(beginning))?.[1] ?? 'other packages'
    sums.set(step, (sums.get(step) ?? 0) + share)
  }
  return [...sums].sort(([, a], [, b]) => b - a)
}
