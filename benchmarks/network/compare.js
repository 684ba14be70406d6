/** Runs a workload: all rows at each point in interleaved rounds, A B C A B C, after one to warm up. */
import { spread } from '../report/statistics.js'
import { idle } from './idle.js'

/** Files that a process needs besides its connections. */
const OTHER_FILES = 500

/**
 * Figures of one row at one point, one value per round.
 *
 * @typedef {object} Line
 * @property {string} workload
 * @property {string} point
 * @property {string} [tag]
 * @property {string} row
 * @property {string} label
 * @property {Record<string, number[]>} figures
 * @property {string} [skipped] why there are none
 */

/**
 * @param {import('./bench.js').Bench} bench
 * @param {import('./workloads.js').Workload} workload
 * @param {{ rounds: number, warm: number, progress(line: string): void }} options
 * @returns {Promise<Line[]>}
 */
export async function compare(bench, workload, options) {
  if (workload.memory) return idle(bench, workload, options)
  const lines = []
  for (const point of workload.points) {
    const measured = workload.rows.map(row => {
      const changed = {
        ...row,
        name: `${row.name}, ${point.server}`,
        server: point.server,
        protocol: point.server,
      }
      return begin(workload, point, point.server === undefined ? row : changed)
    })
    lines.push(...measured.map(({ line }) => line))
    await interleave(bench, workload, point, measured, options)
  }
  return lines
}

/**
 * @param {import('./workloads.js').Workload} workload
 * @param {import('./workloads.js').Point} point
 * @param {any} row
 * @returns {{ row: any, line: Line }}
 */
export function begin({ name }, { label, tag }, row) {
  return {
    row,
    line: {
      workload: name,
      point: label,
      ...(tag ? { tag } : {}),
      row: row.name,
      label: row.label,
      figures: {},
    },
  }
}

/**
 * @param {import('./bench.js').Bench} bench
 * @param {import('./workloads.js').Workload} workload
 * @param {import('./workloads.js').Point} point
 * @param {{ row: any, line: Line }[]} measured
 * @param {{ rounds: number, warm: number, progress(line: string): void }} options
 */
async function interleave(bench, workload, point, measured, { rounds, warm, progress }) {
  const count = (/** @type {any} */ row) => (workload.bare ? 0 : (row.connections ?? point.connections ?? 0))
  const running = []
  for (const { row, line } of measured) {
    const skipped = tooMany(count(row)) ?? (await bench.startWarm(row, warm))
    if (skipped === undefined) running.push({ row, line })
    else {
      line.skipped = skipped
      progress(`${workload.name}, ${point.label}: ${row.label} skipped: ${skipped}`)
    }
  }
  const connected = running.filter(({ row }) => count(row) > 0)
  for (const { row } of connected) await bench.connect(row, count(row))
  for (const { row } of running) await workload.warm?.(bench, row)
  for (const { row } of running) await workload.prepare?.(bench, row, point)
  for (let round = 0; round <= rounds; round++) {
    const turns = running.map(() => /** @type {Record<string, number>[]} */ ([]))
    for (let turn = 0; turn < (round === 0 ? 1 : (workload.turns ?? 1)); turn++) {
      for (const [i, { row }] of running.entries()) turns[i].push(await workload.measure(bench, row, point))
    }
    for (const [i, { row, line }] of running.entries()) {
      const figures = medians(turns[i])
      const words = `${point.label}: ${row.label}: ${figures[workload.metric].toPrecision(4)}`
      progress(`${workload.name}, ${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}, ${words}`)
      if (round > 0) keep(line, figures)
    }
  }
  for (const { row } of connected) await bench.disconnect(row)
}

/**
 * The median of each figure.
 *
 * @param {readonly Record<string, number>[]} turns
 */
export function medians(turns) {
  const names = Object.keys(turns[0])
  return Object.fromEntries(names.map(name => [name, spread(turns.map(figures => figures[name])).median]))
}

/**
 * Adds the figures of a round.
 *
 * @param {Line} line
 * @param {Record<string, number>} figures
 */
export function keep({ figures: kept }, figures) {
  for (const [name, value] of Object.entries(figures)) {
    kept[name] ??= []
    kept[name].push(value)
  }
}

/**
 * Why so many connections cannot be had.
 *
 * @param {number} connections
 */
export function tooMany(connections) {
  const files = openFiles()
  return connections + OTHER_FILES > files ? `a process may open ${files} files here (ulimit -n)` : undefined
}

/** How many files a process may open; Node raises its limit to the hard one. */
function openFiles() {
  const { userLimits } = /** @type {any} */ (process.report.getReport())
  const { soft } = userLimits?.open_files ?? {}
  return typeof soft === 'number' ? soft : Number.POSITIVE_INFINITY
}
