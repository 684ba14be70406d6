/**
 * `middleware`: what each middleware on the path costs, over the memory transport.
 *
 * Chains of 0, 1 and 5 that pass everything, synchronous and asynchronous; none is the control. Each has a
 * server and clients of its own. Many short rounds are interleaved, and CPU time is what counts, so that
 * others on the machine disturb little.
 */
import { startChain, WINDOW } from './middleware-runs.js'
import { barChart } from './report/chart.js'
import { spread, whole } from './report/statistics.js'
import { table } from './report/table.js'

const CHAINS = [
  { name: 'none', count: 0, waits: false },
  { name: '1 synchronous', count: 1, waits: false },
  { name: '5 synchronous', count: 5, waits: false },
  { name: '1 asynchronous', count: 1, waits: true },
  { name: '5 asynchronous', count: 5, waits: true },
]

/** @type {import('./run.js').Section['run']} */
export async function run({ quick, progress }) {
  const calls = quick ? 5000 : 10_000
  const rounds = quick ? 3 : 41
  const chains = []
  for (const chain of CHAINS) chains.push({ ...chain, ...(await startChain(chain)) })
  const measured = CHAINS.map(({ name, count }) => ({
    name,
    count,
    times: /** @type {number[]} */ ([]),
    ratios: /** @type {number[]} */ ([]),
    costs: /** @type {number[]} */ ([]),
  }))
  for (const { name, send } of chains) {
    progress(`warm-up: ${name}`)
    await send(calls * 5)
  }
  for (let round = 1; round <= rounds; round++) {
    const times = []
    for (const { name, send } of chains) {
      const before = process.cpuUsage()
      await send(calls)
      const { user, system } = process.cpuUsage(before)
      times.push(((user + system) * 1000) / calls)
      progress(`round ${round} of ${rounds}: ${name}: ${whole(times[times.length - 1])} ns a call`)
    }
    for (const [index, time] of times.entries()) {
      measured[index].times.push(time)
      measured[index].ratios.push(time / times[0])
      measured[index].costs.push((time - times[0]) / Math.max(measured[index].count, 1))
    }
  }
  for (const { stop } of chains) await stop()
  return summary({ calls, rounds, measured })
}

/**
 * @param {{ calls: number, rounds: number,
 *   measured: { name: string, count: number, times: number[], ratios: number[], costs: number[] }[] }} given
 * @returns {import('./run.js').Outcome}
 */
function summary({ calls, rounds, measured }) {
  const chains = measured.map(({ name, count, times, ratios, costs }) => ({
    name,
    count,
    nanoseconds: spread(times),
    ratio: spread(ratios),
    nanosecondsEach: spread(costs),
  }))
  const report = [
    '## middleware: CPU time of a call, client to server and back',
    '',
    `${whole(calls)} calls a run, ${WINDOW} in flight, median of ${rounds} rounds. ` +
      'Ratio: to the chain without any, round by round; each: what one middleware adds to a call.',
    '',
    table(
      ['chain', 'ns a call:', 'min:', 'max:', 'ratio:', 'ratio min–max:', 'each, ns:'],
      chains.map(({ name, count, nanoseconds: time, ratio, nanosecondsEach }) => [
        name,
        whole(time.median),
        whole(time.min),
        whole(time.max),
        ratio.median.toFixed(2),
        `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}`,
        count === 0 ? '' : whole(nanosecondsEach.median),
      ]),
    ),
  ].join('\n')
  const chart = barChart({
    title: 'Middleware on the path: CPU time of a call, in ns',
    subtitle: `Memory transport, ${WINDOW} in flight; each passes everything. Less is better.`,
    groups: [
      {
        label: 'chain',
        columns: [
          chains.map(({ name, count, nanoseconds: time, ratio }) => ({
            label: name,
            value: time.median,
            min: time.min,
            max: time.max,
            text: `${whole(time.median)} (${ratio.median.toFixed(2)} x)`,
            tone: count === 0 ? /** @type {const} */ ('other') : /** @type {const} */ ('main'),
          })),
        ],
      },
    ],
  })
  return { results: { calls, rounds, window: WINDOW, chains }, report, chart }
}
