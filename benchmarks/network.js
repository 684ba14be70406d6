/**
 * `network`: server CPU per call over real WebSockets, beside bare `ws` and socket.io.
 *
 * Each server is a process of its own, the load another. The CPU time of a server is read when the
 * load stands still, before and after an exact number of calls; the rounds are interleaved.
 */
import { Child } from './child.js'
import { barChart } from './report/chart.js'
import { spread, whole } from './report/statistics.js'
import { table } from './report/table.js'

const CONNECTIONS = 50
const SERVERS = [
  { name: 'socketstream', label: 'socketstream-server, RPC' },
  { name: 'ws', label: 'ws, bare echo' },
  { name: 'socket.io', label: 'socket.io, with ack' },
]
/** @type {{ inFlight: number, limits: Record<string, { limit: number, words: string }> }[]} */
const LOADS = [
  { inFlight: 1, limits: { 'socket.io': { limit: 0.65, words: 'at most 0.65' } } },
  {
    inFlight: 16,
    limits: {
      'socket.io': { limit: 0.35, words: 'at most 0.35' },
      ws: { limit: 1, words: 'below 1' },
    },
  },
]
/** Milliseconds that a child may take to start, and to do one round. */
const PATIENCE = 60_000

/** @typedef {import('./report/statistics.js').Spread} Spread */

/** @type {import('./run.js').Section['run']} */
export async function run({ quick, progress }) {
  const calls = quick ? 10_000 : 100_000
  const rounds = quick ? 2 : 7
  const children = new Map(
    SERVERS.map(({ name }) => [name, new Child(name, new URL('network/server.js', import.meta.url), [name])]),
  )
  const load = new Child('load', new URL('network/load.js', import.meta.url))
  try {
    for (const [name, child] of children) {
      const { port } = await child.next(PATIENCE)
      await load.ask({ type: 'connect', server: name, port, connections: CONNECTIONS }, PATIENCE)
    }
    const measured = LOADS.map(() => new Map(SERVERS.map(({ name }) => [name, /** @type {Sample[]} */ ([])])))
    for (let round = 0; round <= rounds; round++) {
      for (const [index, { inFlight }] of LOADS.entries()) {
        for (const [name, child] of children) {
          const sample = await measure(child, load, { type: 'call', server: name, inFlight, calls })
          const words = `${name}, ${inFlight} in flight: ${sample.cpu.toFixed(2)} µs per call`
          // The first round warms up.
          progress(`${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}: ${words}`)
          if (round > 0) measured[index].get(name)?.push(sample)
        }
      }
    }
    return summary({ calls, rounds, measured })
  } finally {
    for (const child of [load, ...children.values()]) child.stop()
  }
}

/**
 * @typedef {object} Sample
 * @property {number} cpu microseconds per call, in the server
 * @property {number} rate calls per second, as far as the load could go
 */

/**
 * @param {Child} server
 * @param {Child} load
 * @param {{ type: 'call', server: string, inFlight: number, calls: number }} order
 * @returns {Promise<Sample>}
 */
async function measure(server, load, order) {
  const before = await server.ask({}, PATIENCE)
  const { seconds } = await load.ask(order, PATIENCE)
  const after = await server.ask({}, PATIENCE)
  const used = after.user + after.system - before.user - before.system
  return { cpu: used / order.calls, rate: order.calls / seconds }
}

/**
 * @param {{ calls: number, rounds: number, measured: Map<string, Sample[]>[] }} given
 * @returns {import('./run.js').Outcome}
 */
function summary({ calls, rounds, measured }) {
  const loads = LOADS.map(({ inFlight, limits }, index) => {
    const own = measured[index].get('socketstream') ?? []
    const servers = SERVERS.map(({ name, label }) => {
      const samples = measured[index].get(name) ?? []
      // Round by round: neighbours in time had the same machine.
      const ratio = spread(own.map(({ cpu }, round) => cpu / samples[round].cpu))
      const { limit, words } = limits[name] ?? {}
      const pass =
        limit === undefined ? undefined : name === 'ws' ? ratio.median < limit : ratio.median <= limit
      return {
        name,
        label,
        cpu: spread(samples.map(({ cpu }) => cpu)),
        rate: spread(samples.map(({ rate }) => rate)),
        ratio,
        target: words,
        pass,
      }
    })
    return { inFlight, servers }
  })
  const rows = loads.flatMap(({ inFlight, servers }) =>
    servers.map(({ label, cpu, rate, ratio, target, pass, name }) => [
      String(inFlight),
      label,
      cpu.median.toFixed(2),
      `${cpu.min.toFixed(2)}–${cpu.max.toFixed(2)}`,
      whole(rate.median),
      name === 'socketstream' ? '' : ratio.median.toFixed(2),
      name === 'socketstream' ? '' : `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}`,
      target === undefined ? '' : `${target}: ${pass ? 'pass' : 'MISS'}`,
    ]),
  )
  const report = [
    '## network: server CPU per call, in microseconds',
    '',
    `${CONNECTIONS} WebSockets on loopback, ${whole(calls)} calls a round, median of ${rounds} interleaved rounds.`,
    "“ours to it” is our CPU per call divided by that server's.",
    '',
    table(
      ['in flight:', 'server', 'µs per call:', 'min–max:', 'calls/s:', 'ours to it:', 'min–max:', 'target'],
      rows,
    ),
  ].join('\n')
  const chart = barChart({
    title: 'Over real WebSockets: server CPU per call',
    subtitle: `Microseconds, user and system; less is better. ${CONNECTIONS} connections on loopback; lines span the rounds.`,
    groups: loads.map(({ inFlight, servers }) => ({
      label: `${inFlight} in flight per connection`,
      columns: [
        servers.map(({ label, cpu, name }) => ({
          label,
          value: cpu.median,
          min: cpu.min,
          max: cpu.max,
          text: `${cpu.median.toFixed(1)} µs`,
          tone: name === 'socketstream' ? 'main' : 'other',
        })),
      ],
    })),
  })
  return { results: { calls, rounds, connections: CONNECTIONS, loads }, report, chart }
}
