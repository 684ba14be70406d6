/**
 * `network`: the comparison over real WebSockets, beside bare `ws`, socket.io, engine.io and sockjs.
 *
 * Each server is a process of its own, the load another. The CPU time of a server is read when the load stands still,
 * before and after an exact number of calls; rounds are interleaved.
 */
import { Bench } from './network/bench.js'
import { compare } from './network/compare.js'
import { chart, tables, targetTable } from './network/report.js'
import { judge } from './network/targets.js'
import { WORKLOADS, workloads } from './network/workloads.js'

/** @type {import('./run.js').Section['run']} */
export async function run({ quick, progress, network = {} }) {
  const { rounds = quick ? 2 : 5, seconds = quick ? 0.1 : 0.6, rows, workloads: chosen = WORKLOADS } = network
  const known = workloads({ quick, seconds })
  /** @type {import('./network/compare.js').Line[]} */
  const lines = []
  const reports = []
  /** @type {string[]} */
  const failed = []
  /** @type {Record<string, string>} */
  const charts = {}
  for (const name of chosen) {
    const workload = { ...known[name] }
    // What has rows of its own is measured whole.
    const kept = workload.rows.filter(row => rows?.includes(row.name))
    if (workload.ratio === 'ours' && rows !== undefined) workload.rows = kept
    workload.points = workload.points.filter(({ halfOf }) => {
      return halfOf === undefined || workload.rows.some(row => row.name === halfOf)
    })
    if (workload.rows.length === 0) continue
    const bench = new Bench()
    try {
      const warm = quick ? 5000 : 100_000
      const measured = await compare(bench, workload, { rounds, warm, progress })
      lines.push(...measured)
      reports.push(tables(workload, measured))
      charts[`network-${name}`] = chart(workload, measured)
    } catch (error) {
      // Half an hour of other figures is not to be lost.
      const { message } = /** @type {Error} */ (error)
      progress(`${name} failed: ${message}`)
      reports.push(`### ${name}: failed\n\n${message}`)
      failed.push(name)
    } finally {
      bench.end()
    }
  }
  const targets = judge(lines)
  const report = [
    '## network: the comparison over real WebSockets',
    '',
    `Median of ${rounds} interleaved rounds of ${seconds} s, smallest and largest in brackets; 50 connections, 256 bytes and`,
    'one call in flight where nothing else is said.',
    ...(targets.length > 0 ? ['', '### Targets', '', targetTable(targets)] : []),
    ...reports.flatMap(text => ['', text]),
  ].join('\n')
  return { results: { rounds, seconds, targets, lines, failed }, report, charts, failed: failed.length > 0 }
}
