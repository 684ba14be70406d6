/**
 * `leaks`: the heap stays where it is while clients come and go, and while messages pass.
 *
 * Work comes in batches. After each the heap is collected and looked at; the slope of all looks is what one unit of
 * work leaves behind.
 */
import { measureLeak } from './leaks/measure.js'
import { barChart } from './report/chart.js'
import { whole } from './report/statistics.js'
import { table } from './report/table.js'

/** @typedef {import('./leaks/measure.js').Plan} Plan */

const BATCHES = 20
/** Bytes for each unit; what is kept by mistake for a connection has hundreds, for a message dozens. */
const LIMITS = { connection: 16, message: 0.1 }
/** In a quick run a batch is so small that the heap's own unrest shows. */
const QUICK = { connection: 1000, message: 20 }

/**
 * What is measured. Caches of sessions hold up to 10,000 and are filled first.
 *
 * @param {boolean} quick
 * @returns {Plan[]}
 */
export function plans(quick) {
  const limits = quick ? QUICK : LIMITS
  const batches = quick ? 8 : BATCHES
  const scale = quick ? 50 : 1
  /** @param {string} kind @param {string} what @param {keyof typeof LIMITS} unit @param {number} warm @param {number} all */
  const plan = (kind, what, unit, warm, all) => ({
    ...{ kind, what, batches, limit: limits[unit] },
    warm: warm / scale,
    batch: all / (BATCHES * scale),
  })
  return [
    plan('connections', 'connections, each with a session of its own', 'connection', 20_000, 100_000),
    plan('returns', 'connections of clients that come back', 'connection', 20_000, 100_000),
    plan('messages', 'calls and answers', 'message', 500_000, 10_000_000),
    plan('ws connections', 'connections over WebSockets', 'connection', 20_000, 20_000),
    plan('ws messages', 'calls and answers over WebSockets', 'message', 200_000, 1_000_000),
  ]
}

/** @type {import('./run.js').Section['run']} */
export async function run({ quick, progress }) {
  const outcomes = []
  for (const plan of plans(quick)) outcomes.push(await measureLeak(plan, progress))
  const rows = outcomes.map(({ what, batch, batches, heaps, bytesEach, limit, flat }) => [
    what,
    whole(batch * batches),
    whole(heaps[0] / 1000),
    whole(/** @type {number} */ (heaps.at(-1)) / 1000),
    bytesEach.toFixed(3),
    `at most ${limit}: ${flat ? 'pass' : 'MISS'}`,
  ])
  const report = [
    '## leaks: what stays on the heap',
    '',
    `Heap after a collection, looked at ${outcomes[0].batches} times; growth is the slope of all looks.`,
    '',
    table(['work', 'units:', 'first, kB:', 'last, kB:', 'bytes a unit:', 'target'], rows),
  ].join('\n')
  const chart = barChart({
    title: 'Heap while clients come and go, and messages pass: kB after a collection',
    subtitle: 'After each fourth batch of equal work. Level is good.',
    ownScale: true,
    groups: outcomes.map(({ what, batch, heaps }) => ({
      label: what,
      columns: [
        heaps
          .map((heap, i) => ({
            label: `after ${whole(batch * (i + 1))}`,
            value: heap,
            text: whole(heap / 1000),
          }))
          .filter((_, i) => i % 4 === 3),
      ],
    })),
  })
  return { results: { outcomes }, report, chart, failed: outcomes.some(({ flat }) => !flat) }
}
