/**
 * All clients come at once, as after a restart: ten connections of each session.
 *
 * Those without a cookie are the control. Browsers tell an origin, for which a session is looked for before the
 * connection is there.
 */
import { Child } from '../child.js'
import { inRounds } from './rounds.js'
import { Site } from './site.js'
import { CountingStore, cookieOf } from './stored.js'

const TABS = 10
/** Milliseconds that the store takes to read a session. */
const DELAY = 10
/** Milliseconds that a child may take to start, and to do one round. */
const PATIENCE = 60_000
const ORIGIN = 'http://127.0.0.1'
const SIDES = [
  { name: 'none', label: 'no cookie' },
  { name: 'cookie', label: 'cookie' },
  { name: 'browser', label: 'cookie, browser' },
]

/** @typedef {Record<string, Record<string, number>>[]} Rounds */

/** @type {import('../sessions.js').Part} */
export async function logins({ quick, progress }) {
  const size = { connections: quick ? 1000 : 10_000 }
  const sides = SIDES.map(({ name }) => name)
  const rounds = await inRounds({ name: 'logins', sides, rounds: quick ? 1 : 5, size }, progress)
  return comparisons('memory', size.connections, rounds)
}

/** The same over WebSockets. @type {import('../sessions.js').Part} */
export async function socketLogins({ quick, progress }) {
  const connections = quick ? 100 : 1000
  const last = quick ? 1 : 5
  const server = new Child('server', new URL('server.js', import.meta.url), ['none', 'slow'])
  const load = new Child('load', new URL('../network/load.js', import.meta.url))
  try {
    const { port } = await server.next(PATIENCE)
    const order = { type: 'connect', server: 'logins', protocol: 'socketstream', port, connections }
    /** @type {Rounds} */
    const rounds = []
    for (let round = 0; round <= last; round++) {
      /** @type {Rounds[number]} */
      const values = {}
      for (const { name } of SIDES) {
        const { cookies } = await server.ask({ sessions: connections / TABS }, PATIENCE)
        const headers = headersOf(name, cookies)
        const { latencies } = await load.ask({ ...order, headers }, PATIENCE)
        const { reads } = await server.ask({}, PATIENCE)
        await load.ask({ type: 'close', server: 'logins' }, PATIENCE)
        values[name] = { ...percentiles(latencies), reads }
        const words = `p99 ${values[name].p99.toFixed(1)} ms, reads ${reads}`
        progress(`${round === 0 ? 'warm-up' : `round ${round} of ${last}`}: logins, ws, ${name}: ${words}`)
      }
      if (round > 0) rounds.push(values)
    }
    return comparisons('WebSockets', connections, rounds)
  } finally {
    server.stop()
    load.stop()
  }
}

/**
 * @param {string} side
 * @param {{ connections: number }} size
 */
export async function startLogins(side, { connections }) {
  const store = new CountingStore(DELAY)
  const site = new Site(store)
  await site.app.start()
  return async () => {
    const some = headersOf(side, store.fill(connections / TABS).map(cookieOf))
    store.reads = 0
    const latencies = await site.connect(Array.from({ length: connections }, (_, i) => some[i % some.length]))
    const { reads } = store
    await site.leave()
    return { ...percentiles(latencies), reads }
  }
}

/**
 * @param {string} side
 * @param {readonly string[]} cookies
 * @returns {Record<string, string>[]}
 */
function headersOf(side, cookies) {
  if (side === 'none') return [{}]
  return cookies.map(cookie => ({ cookie, ...(side === 'browser' && { origin: ORIGIN }) }))
}

/** @param {readonly number[]} latencies */
function percentiles(latencies) {
  const sorted = [...latencies].sort((a, b) => a - b)
  const at = (/** @type {number} */ part) => sorted[Math.ceil(part * sorted.length) - 1]
  return { p50: at(0.5), p99: at(0.99) }
}

/**
 * @param {string} way
 * @param {number} connections
 * @param {Rounds} rounds
 * @returns {import('../sessions.js').Comparison[]}
 */
function comparisons(way, connections, rounds) {
  const what = `${connections.toLocaleString('en-US')} log in, ${way}`
  const sessions = connections / TABS
  /** @param {string} value */
  const sides = value =>
    SIDES.map(({ name, label }) => ({ label, values: rounds.map(round => round[name][value]) }))
  return [
    { label: `${what}: p50`, unit: 'ms', sides: sides('p50') },
    { label: `${what}: p99`, unit: 'ms', sides: sides('p99') },
    {
      label: `${what}: store reads`,
      unit: '',
      control: false,
      sides: sides('reads')
        .slice(1)
        .map(side => ({ ...side, target: { of: 'value', at: 'most', limit: sessions } })),
    },
  ]
}
