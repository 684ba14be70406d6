/**
 * `channels`: what a server pays for each delivery to many connections over real WebSockets; how many publications
 * engines acknowledge; what a recovery costs, and channels and subscriptions.
 *
 * The controls of fan-out are bare `ws` and a room of socket.io, each in a process of its own. Rounds are interleaved,
 * and the CPU time of the server is what counts.
 */
import { fanOut } from './channels/fan-out.js'
import { acknowledgedPart, heapPart, recoveryPart } from './channels/parts.js'
import { barChart } from './report/chart.js'
import { whole } from './report/statistics.js'
import { table } from './report/table.js'

const PER_TICK = [1, 10]
/** At most so much of socket.io's CPU time, by publications per tick. */
const TARGETS = [0.8, 0.15]

/** @type {import('./run.js').Section['run']} */
export async function run({ quick, progress }) {
  const connections = quick ? 50 : 1000
  const ticks = quick ? 3 : 10
  const rounds = quick ? 1 : 7
  const lines = await fanOut({ connections, ticks, rounds, perTick: PER_TICK, progress })
  const { results, report, chart } = summary({ connections, ticks, rounds, lines })
  const parts = []
  for (const part of [acknowledgedPart, recoveryPart, heapPart]) parts.push(await part({ quick, progress }))
  const [acknowledged, recovery, heap] = parts.map(({ results }) => results)
  return {
    results: { ...results, acknowledged, recovery, heap },
    report: [report, ...parts.map(({ report }) => report)].join('\n\n'),
    chart,
  }
}

/**
 * @param {{ connections: number, ticks: number, rounds: number, lines: { name: string, perTick: number,
 *   microseconds: import('./report/statistics.js').Spread }[] }} results
 * @returns {import('./run.js').Outcome}
 */
function summary(results) {
  const { connections, ticks, rounds, lines } = results
  const of = (/** @type {string} */ name, /** @type {number} */ perTick) =>
    /** @type {typeof lines[0]} */ (lines.find(line => line.name === name && line.perTick === perTick))
      .microseconds.median
  const rows = lines.map(({ name, perTick, microseconds: time }) => {
    const ratio = time.median / of('socket.io', perTick)
    const target = TARGETS[PER_TICK.indexOf(perTick)] ?? 1
    const judged = name === 'socketstream' ? `, at most ${target}: ${ratio <= target ? 'pass' : 'MISS'}` : ''
    return [
      name,
      `${perTick}`,
      time.median.toFixed(2),
      `${time.min.toFixed(2)}–${time.max.toFixed(2)}`,
      (time.median / of('ws', perTick)).toFixed(2),
      `${ratio.toFixed(2)}${judged}`,
    ]
  })
  const report = [
    `## channels: CPU time of the server for each of ${whole(connections)} deliveries`,
    '',
    `${ticks} ticks a round, median of ${rounds} rounds. \`history\` is a channel with one, in memory.`,
    '',
    table(['side', 'a tick:', 'µs a delivery:', 'min–max:', 'of ws:', 'of socket.io:'], rows),
  ].join('\n')
  const chart = barChart({
    title: 'One publication to many: CPU time of a delivery, in µs',
    subtitle: `WebSockets, ${whole(connections)} connections. Less is better.`,
    groups: PER_TICK.map(perTick => ({
      label: `${perTick} a tick`,
      columns: [
        lines
          .filter(line => line.perTick === perTick)
          .map(({ name, microseconds: time }) => ({
            label: name,
            value: time.median,
            min: time.min,
            max: time.max,
            text: time.median.toFixed(2),
            tone: /** @type {'main' | 'other'} */ (['ws', 'socket.io'].includes(name) ? 'other' : 'main'),
          })),
      ],
    })),
  })
  return { results, report, chart }
}
