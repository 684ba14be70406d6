/**
 * `cluster`: how many messages one server hears of another one over Redis, how long they take, and how many
 * publications with a history are acknowledged.
 *
 * The controls are bare node-redis with the engine's settings: a plain publish, and a script that numbers, keeps and
 * publishes; of calls, a message each way. Then what a message costs as servers grow from one to four, and what two
 * workers do of one, and what single things take of Redis. Two processes and a Redis for each side; rounds are interleaved.
 */

import { growthReport, measureGrowth } from './cluster/growth.js'
import { CONTROLS, sides } from './cluster/sides.js'
import { measureUnits, unitsReport } from './cluster/units.js'
import { barChart } from './report/chart.js'
import { ratio, spread, whole } from './report/statistics.js'
import { table } from './report/table.js'
import { noRedis, startRedis } from './sessions/redis.js'
import { inRounds } from './sessions/rounds.js'

/** At least so much of what bare node-redis does. */
const TARGET = 0.7
const NAMES = Object.keys(sides)

/** @type {import('./run.js').Section['run']} */
export async function run({ quick, progress }) {
  const why = noRedis()
  if (why !== undefined) return { results: { skipped: why }, report: `## cluster: skipped: ${why}` }
  const rounds = quick ? 1 : 7
  const size = quick
    ? { messages: 1000, paced: 250, acknowledged: 500 }
    : { messages: 30_000, paced: 2000, acknowledged: 20_000 }
  const script = new URL('./cluster/process.js', import.meta.url)
  // Here, as the processes are ended without a word.
  const servers = await Promise.all(NAMES.map(() => startRedis()))
  const ports = Object.fromEntries(NAMES.map((name, at) => [name, servers[at]?.port]))
  const scenario = { name: 'cluster', sides: NAMES, rounds, size: { ...size, ports }, script }
  const measured = await inRounds(scenario, progress).finally(() => {
    for (const { stop } of servers) stop()
  })
  /** @param {string} side @param {string} what */
  const of = (side, what) => measured.map(round => round[side]?.[what] ?? 0)
  const lines = NAMES.map(name => {
    const spreads = ['rate', 'cpu', 'p50', 'p99', 'acked', 'rpc', 'rpc50', 'rpc99', 'rpcAny'].map(what =>
      spread(of(name, what)),
    )
    const [rate, cpu, p50, p99, acked, rpc, rpc50, rpc99, rpcAny] = spreads
    const control = CONTROLS[name]
    const against = (/** @type {string} */ what) => control && ratio(of(name, what), of(control, what))
    const ratios = {
      ofControl: against('rate'),
      ackedOfControl: against('acked'),
      rpcOfControl: against('rpc'),
      anyOfControl: control && ratio(of(name, 'rpcAny'), of(control, 'rpc')),
    }
    return { name, rate, cpu, p50, p99, acked, rpc, rpc50, rpc99, rpcAny, ...ratios }
  })
  const growth = await measureGrowth(quick, progress)
  const units = await measureUnits(quick, progress)
  const report = [reportOf(lines, rounds, size), growthReport(growth), unitsReport(units)].join('\n\n')
  return { results: { rounds, ...size, lines, ...growth, ...units }, report, chart: chartOf(lines) }
}

/** @param {any[]} lines @param {number} rounds @param {{ messages: number, paced: number, acknowledged: number }} size */
function reportOf(lines, rounds, size) {
  const across = lines.map(({ name, rate, cpu, p50, p99, ofControl }) => [
    name,
    whole(rate.median),
    `${whole(rate.min)}–${whole(rate.max)}`,
    judged(ofControl),
    cpu.median.toFixed(1),
    p50.median.toFixed(2),
    `${p99.median.toFixed(2)} (${p99.min.toFixed(2)}–${p99.max.toFixed(2)})`,
  ])
  const acked = lines
    .filter(({ acked }) => acked.median > 0)
    .map(({ name, acked, ackedOfControl }) => [
      name,
      whole(acked.median),
      `${whole(acked.min)}–${whole(acked.max)}`,
      judged(ackedOfControl),
    ])
  const calls = lines
    .filter(({ rpc }) => rpc.median > 0)
    .map(({ name, rpc, rpc50, rpc99, rpcOfControl }) => [
      name,
      whole(rpc.median),
      `${whole(rpc.min)}–${whole(rpc.max)}`,
      rpcOfControl ? judged(rpcOfControl) : '',
      rpc50.median.toFixed(2),
      `${rpc99.median.toFixed(2)} (${rpc99.min.toFixed(2)}–${rpc99.max.toFixed(2)})`,
    ])
  for (const { name, rpcAny, anyOfControl } of lines) {
    if (rpcAny.median === 0) continue
    const range = `${whole(rpcAny.min)}–${whole(rpcAny.max)}`
    calls.push([`${name}, of whoever answers`, whole(rpcAny.median), range, judged(anyOfControl), '', ''])
  }
  return [
    '## cluster: from one server to another, over Redis',
    '',
    `${whole(size.messages)} messages a round, 2,000 under way; times at 1,000 a second. Median of ${rounds} rounds. \`cluster\` is what is`,
    'sent on without being kept, `log` a channel with a history.',
    '',
    table(
      ['side', 'messages/s:', 'min–max:', 'of control:', 'µs CPU a publish:', 'p50 ms:', 'p99 ms:'],
      across,
    ),
    '',
    `Acknowledged publications with a history, 256 in flight over 100 channels, ${whole(size.acknowledged)} a round:`,
    '',
    table(['side', 'a second:', 'min–max:', 'of control:'], acked),
    '',
    `Calls that the other server answers, 256 in flight, ${whole(size.acknowledged)} a round; times one after the other:`,
    '',
    table(['side', 'calls/s:', 'min–max:', 'of control:', 'p50 ms:', 'p99 ms:'], calls),
  ].join('\n')
}

/** @param {import('./report/statistics.js').Ratio | undefined} of */
function judged(of) {
  if (of === undefined) return ''
  const verdict = of.noisy ? 'too noisy to say' : of.median >= TARGET ? 'pass' : 'MISS'
  return `${of.median.toFixed(2)} (${of.min.toFixed(2)}–${of.max.toFixed(2)}), at least ${TARGET}: ${verdict}`
}

/** @param {any[]} lines */
function chartOf(lines) {
  return barChart({
    title: 'From one server to another over Redis: messages a second',
    subtitle: 'Two processes and a Redis on one machine. More is better.',
    groups: [
      {
        label: 'messages/s',
        columns: [
          lines.map(({ name, rate }) => ({
            label: name,
            value: rate.median,
            min: rate.min,
            max: rate.max,
            text: whole(rate.median),
            tone: /** @type {'main' | 'other'} */ (name in CONTROLS ? 'main' : 'other'),
          })),
        ],
      },
    ],
  })
}
