/**
 * `delivery`: what it costs to lose nothing.
 *
 * The bookkeeping of resume on calls, with a server that keeps nothing as the control; a storm of clients that come back
 * at once; the memory of a server that broadcasts to clients that do not read.
 */
import { Child } from './child.js'
import { barChart } from './report/chart.js'
import { spread, whole } from './report/statistics.js'
import { table } from './report/table.js'

/** Milliseconds that a child may take for one order. */
const PATIENCE = 120_000
const CONNECTIONS = 50
const IN_FLIGHT = [1, 16]
/** The server's CPU time for a call may be so much of what it is without resume. */
const LIMIT = 1.1
const SERVER = new URL('delivery/server.js', import.meta.url)
const CLIENTS = new URL('delivery/clients.js', import.meta.url)

/** @typedef {import('./report/statistics.js').Spread} Spread */

/** @type {import('./run.js').Section['run']} */
export async function run({ quick, progress }) {
  const calls = quick ? 5000 : 60_000
  const rounds = quick ? 1 : 11
  const bookkeeping = await compare({ calls, rounds, progress })
  const storm = await stormOf({ connections: quick ? 100 : 5000, progress })
  const unread = await unreadBy({ connections: quick ? 20 : 1000, seconds: quick ? 1 : 10, progress })
  return summary({ calls, rounds, bookkeeping, storm, unread })
}

/** @param {{ calls: number, rounds: number, progress(line: string): void }} options */
async function compare({ calls, rounds, progress }) {
  const sides = await Promise.all(['on', 'off'].map(name => side(name, CONNECTIONS)))
  try {
    /** @type {{ inFlight: number, on: number[], off: number[] }[]} */
    const lines = IN_FLIGHT.map(inFlight => ({ inFlight, on: [], off: [] }))
    for (let round = 0; round <= rounds; round++) {
      for (const line of lines) {
        // Who goes first changes, as the second one finds a warmer machine.
        for (const one of round % 2 === 0 ? sides : sides.toReversed()) {
          const before = await one.server.ask({}, PATIENCE)
          const done = await one.clients.ask({ type: 'call', calls, inFlight: line.inFlight }, PATIENCE)
          const after = await one.server.ask({}, PATIENCE)
          const cpu = (after.user + after.system - before.user - before.system) / done.calls
          progress(
            `round ${round} of ${rounds}, resume ${one.name}, ${line.inFlight} in flight: ${cpu.toFixed(2)} µs`,
          )
          if (round > 0) line[/** @type {'on' | 'off'} */ (one.name)].push(cpu)
        }
      }
    }
    return lines.map(({ inFlight, on, off }) => ({
      inFlight,
      on: spread(on),
      off: spread(off),
      ratio: spread(on.map((cpu, round) => cpu / off[round])),
    }))
  } finally {
    for (const one of sides) one.stop()
  }
}

/** @param {{ connections: number, progress(line: string): void }} options */
async function stormOf({ connections, progress }) {
  const one = await side('on', connections)
  try {
    progress(`storm: ${connections} connections are open`)
    const perSecond = 10
    await one.server.ask({ type: 'broadcast', perSecond, size: 100 }, PATIENCE)
    await new Promise(resolve => setTimeout(resolve, 1000))
    const before = await one.server.ask({}, PATIENCE)
    const recovery = one.clients.ask({ type: 'recover' }, PATIENCE)
    await one.server.ask({ type: 'cut' }, PATIENCE)
    const { median, all } = await recovery
    const after = await one.server.ask({ type: 'broadcast', perSecond: 0 }, PATIENCE)
    await new Promise(resolve => setTimeout(resolve, 1000))
    const { least, wrong } = await one.clients.ask({ type: 'told' }, PATIENCE)
    const bytes = after.bytes - before.bytes
    const replayed = after.replayed - before.replayed
    const cpu = (after.user + after.system - before.user - before.system) / 1000
    progress(`storm: all were back after ${all.toFixed(0)} ms`)
    return {
      connections,
      perSecond,
      median,
      all,
      bytes,
      replayed,
      cpu,
      published: after.published - before.published,
      lost: after.published - least,
      wrong,
    }
  } finally {
    one.stop()
  }
}

/** @param {{ connections: number, seconds: number, progress(line: string): void }} options */
async function unreadBy({ connections, seconds, progress }) {
  const server = new Child('server', SERVER, ['on'])
  try {
    const { port } = await server.next(PATIENCE)
    const attacks = new URL('../scripts/soak/attacks.js', import.meta.url)
    const readers = new Child('readers', attacks, [String(port)])
    try {
      await readers.next(PATIENCE)
      const { rss: before } = await server.ask({}, PATIENCE)
      await readers.ask({ attack: 'never reads', count: connections }, PATIENCE)
      await new Promise(resolve => setTimeout(resolve, 2000))
      const perSecond = 10_000
      const start = await server.ask({ type: 'broadcast', perSecond, size: 100 }, PATIENCE)
      let most = 0
      const end = performance.now() + seconds * 1000
      while (performance.now() < end) {
        const seen = await server.ask({}, PATIENCE)
        most = Math.max(most, seen.rss)
        await new Promise(resolve => setTimeout(resolve, 100))
      }
      const last = await server.ask({ type: 'broadcast', perSecond: 0 }, PATIENCE)
      progress(`not read: ${(most / 2 ** 20).toFixed(0)} MiB at the most`)
      return {
        connections,
        asked: perSecond,
        rate: (last.published - start.published) / seconds,
        before,
        open: start.rss,
        most,
      }
    } finally {
      readers.stop()
    }
  } finally {
    server.stop()
  }
}

/**
 * A server and its clients, a process each.
 *
 * @param {string} name `on` or `off`, for resume
 * @param {number} connections
 */
async function side(name, connections) {
  const server = new Child(`server, resume ${name}`, SERVER, [name])
  const clients = new Child(`clients, resume ${name}`, CLIENTS)
  const stop = () => {
    clients.stop()
    server.stop()
  }
  try {
    const { port } = await server.next(PATIENCE)
    await clients.next(PATIENCE)
    await clients.ask({ type: 'connect', port, connections }, PATIENCE)
    return { name, server, clients, stop }
  } catch (error) {
    stop()
    throw error
  }
}

/**
 * @param {{ calls: number, rounds: number, bookkeeping: { inFlight: number, on: Spread, off: Spread, ratio: Spread }[],
 *   storm: Awaited<ReturnType<typeof stormOf>>, unread: Awaited<ReturnType<typeof unreadBy>> }} results
 * @returns {import('./run.js').Outcome}
 */
function summary(results) {
  const { calls, rounds, bookkeeping, storm, unread } = results
  const range = (/** @type {Spread} */ { min, max }) => `${min.toFixed(2)}–${max.toFixed(2)}`
  const rows = bookkeeping.map(({ inFlight, on, off, ratio }) => [
    `${inFlight}`,
    `${on.median.toFixed(2)} (${range(on)})`,
    `${off.median.toFixed(2)} (${range(off)})`,
    `${ratio.median.toFixed(2)} (${range(ratio)})`,
    `at most ${LIMIT.toFixed(2)}: ${ratio.median <= LIMIT ? 'pass' : 'MISS'}`,
  ])
  const mib = (/** @type {number} */ bytes) => `${(bytes / 2 ** 20).toFixed(0)} MiB`
  const report = [
    '## delivery: what it costs to lose nothing',
    '',
    `CPU time of the server, µs a call; ${CONNECTIONS} connections, ${whole(calls)} calls a round, median of ${rounds} rounds.`,
    '',
    table(['in flight', 'resume on:', 'off, the control:', 'ratio:', 'target'], rows),
    '',
    `${whole(storm.connections)} clients cut off at once, ${storm.perSecond} broadcasts a second of 100 bytes meanwhile: half were back`,
    `after ${storm.median.toFixed(0)} ms, all after ${storm.all.toFixed(0)} ms, of which the server's CPU ${storm.cpu.toFixed(0)} ms; it wrote ${whole(storm.bytes)} bytes,`,
    `handshakes and ${storm.published} broadcasts included, of which ${whole(storm.replayed)} were for who came back. ${storm.lost} lost, ${storm.wrong} out of order or doubled.`,
    '',
    `${whole(unread.connections)} clients that do not read, ${whole(unread.asked)} broadcasts a second asked for, ${whole(unread.rate)} made,`,
    `as each one is for all of them: RSS ${mib(unread.before)}`,
    `at rest, ${mib(unread.open)} with them connected, ${mib(unread.most)} at the most.`,
  ].join('\n')
  const chart = barChart({
    title: 'Calls, with resume and without: CPU time of the server, in µs',
    subtitle: `WebSockets, ${CONNECTIONS} connections. Less is better.`,
    groups: bookkeeping.map(({ inFlight, on, off }) => ({
      label: `${inFlight} in flight`,
      columns: [
        [
          { label: 'resume on', value: on.median, min: on.min, max: on.max, text: on.median.toFixed(2) },
          {
            label: 'off',
            value: off.median,
            min: off.min,
            max: off.max,
            text: off.median.toFixed(2),
            tone: /** @type {'other'} */ ('other'),
          },
        ],
      ],
    })),
  })
  return { results, report, chart }
}
