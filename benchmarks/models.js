/**
 * `models`: what one change costs that 1,000 connections watch, over the memory transport.
 *
 * The controls send a patch of the same size to as many: as a message to all, which the receiving end handles in
 * the same way, and to a topic. Server and connections are in
 * one process, so each delivery includes its decoding. Rounds are interleaved, and CPU time is what counts.
 */
import { startSide } from './model-runs.js'
import { presenceRows } from './presence.js'
import { barChart } from './report/chart.js'
import { spread, whole } from './report/statistics.js'
import { table } from './report/table.js'

const RECORDS = 1000
const SIDES = [
  {
    name: 'control: broadcast',
    records: 1,
    queries: 0,
    viewer: false,
    control: /** @type {const} */ ('broadcast'),
  },
  { name: 'control: topic', records: 1, queries: 0, viewer: false, control: /** @type {const} */ ('topic') },
  { name: 'one record', records: 1, queries: 0, viewer: false },
  { name: 'one record, one viewer', records: 1, queries: 0, viewer: true },
  { name: '100 queries', records: RECORDS, queries: 100, viewer: false },
  { name: '100 queries, one viewer', records: RECORDS, queries: 100, viewer: true },
  { name: 'the same, moving 50 places', records: RECORDS, queries: 100, viewer: true, moves: true },
]

/** @type {import('./run.js').Section['run']} */
export async function run({ quick, progress }) {
  const connections = quick ? 100 : 1000
  const updates = quick ? 3 : 20
  const rounds = quick ? 2 : 15
  const sides = []
  for (const side of SIDES) {
    progress(`start: ${side.name}`)
    const started = await startSide({ connections, ...side })
    sides.push({ name: side.name, side: started, times: /** @type {number[]} */ ([]), bytes: 0 })
  }
  for (let round = 0; round <= rounds; round++) {
    for (const entry of sides) {
      const before = process.cpuUsage()
      const bytes = entry.side.bytes
      for (let update = 0; update < updates; update++) await entry.side.update()
      const { user, system } = process.cpuUsage(before)
      // The first one is the warm-up.
      if (round === 0) continue
      entry.times.push((user + system) / (updates * connections))
      entry.bytes = (entry.side.bytes - bytes) / (updates * connections)
      progress(`round ${round} of ${rounds}: ${entry.name}: ${entry.times.at(-1)?.toFixed(2)} µs a delivery`)
    }
  }
  for (const { side } of sides) await side.stop()
  const presence = await presenceRows({ quick, progress })
  const { results, report, chart } = summary({
    connections,
    updates,
    rounds,
    sides: sides.map(({ name, side, times, bytes }) => {
      return { name, microseconds: spread(times), bytes, heapPerWatch: side.heapPerWatch }
    }),
  })
  return {
    results: { ...results, presence: presence.results },
    report: `${report}\n\n${presence.report}`,
    chart,
  }
}

/**
 * @param {{ connections: number, updates: number, rounds: number, sides: { name: string,
 *   microseconds: import('./report/statistics.js').Spread, bytes: number, heapPerWatch: number }[] }} results
 * @returns {import('./run.js').Outcome}
 */
function summary(results) {
  const { connections, updates, rounds, sides } = results
  const control = sides[0].microseconds.median
  const report = [
    `## models: CPU time of one change for each of ${whole(connections)} connections`,
    '',
    `${updates} updates a round, median of ${rounds} rounds. The queries have ${whole(RECORDS)} records each, of ` +
      'which a window shows 100, the changed one among them.',
    '',
    table(
      ['side', 'µs a delivery:', 'min–max:', 'of control:', 'bytes a delivery:', 'heap a watch, bytes:'],
      sides.map(({ name, microseconds: time, bytes, heapPerWatch }) => [
        name,
        time.median.toFixed(2),
        `${time.min.toFixed(2)}–${time.max.toFixed(2)}`,
        (time.median / control).toFixed(2),
        whole(bytes),
        whole(heapPerWatch),
      ]),
    ),
  ].join('\n')
  const chart = barChart({
    title: 'One change that many watch: CPU time of a delivery, in µs',
    subtitle: `Memory transport, ${whole(connections)} connections. Less is better.`,
    groups: [
      {
        label: 'side',
        columns: [
          sides.map(({ name, microseconds: time }, index) => ({
            label: name,
            value: time.median,
            min: time.min,
            max: time.max,
            text: time.median.toFixed(2),
            tone: index < 2 ? /** @type {const} */ ('other') : /** @type {const} */ ('main'),
          })),
        ],
      },
    ],
  })
  return { results, report, chart }
}
