import { barChart } from '../report/chart.js'
import { ratio, spread, whole } from '../report/statistics.js'
import { table } from '../report/table.js'
import { OURS } from './rows.js'

/** @typedef {import('./compare.js').Line} Line */

/**
 * Tables of one workload: rows down, points across.
 *
 * @param {import('./workloads.js').Workload} workload
 * @param {readonly Line[]} lines its own
 * @returns {string} Markdown
 */
export function tables(workload, lines) {
  const { name, title, axis, metric, note } = workload
  const parts = [
    `### ${name}: ${title}`,
    '',
    `Across: ${axis}${note === undefined ? '' : `; ${note}`}.`,
    '',
    matrix(lines, line => figure(line, metric)),
  ]
  parts.push('', ...comparison(workload, lines))
  if (metric === 'cpu' && lines.some(({ figures }) => figures.p99 !== undefined)) {
    parts.push(
      '',
      'Latency under this load, 50th and 99th percentile in µs; the longest stall of the event loop, in ms:',
    )
    parts.push('', matrix(lines, latency))
  }
  if (metric === 'rss') {
    const collected = lines.filter(({ figures }) => figures.heap !== undefined)
    const memory = (/** @type {Line} */ line) => `${figure(line, 'collected')}, ${figure(line, 'heap')}`
    parts.push('', 'After a collection, and of it heap, in kB:', '', matrix(collected, memory))
  }
  if (metric === 'p99') {
    const words =
      '50th and 99.9th percentile, in µs; calls per second; calls that are left out, as the load itself stood still:'
    parts.push('', words, '', matrix(lines, tail))
  }
  const skipped = lines.filter(line => line.skipped !== undefined)
  for (const { label, point, skipped: why } of skipped) parts.push('', `${label}, ${point}: skipped, ${why}.`)
  return parts.join('\n')
}

/**
 * @param {import('./workloads.js').Workload} workload
 * @param {readonly Line[]} lines
 */
function comparison({ metric, ratio: kind }, lines) {
  const base = (/** @type {Line} */ line) =>
    lines.find(({ point, row }) => point === line.point && (kind === 'first' || row === OURS))
  const others =
    kind === 'first' ? lines.filter(line => line !== base(line)) : lines.filter(({ row }) => row !== OURS)
  if (others.length === 0 || lines.every(line => base(line) === undefined)) return []
  const words =
    kind === 'first'
      ? 'Each divided by the first, round by round:'
      : 'Ours (msgpack) divided by it, round by round:'
  const cell = (/** @type {Line} */ line) => {
    const [own, other] = [line.figures[metric], base(line)?.figures[metric]]
    if (own === undefined || other === undefined) return ''
    const { median, min, max, noisy } = kind === 'first' ? ratio(own, other) : ratio(other, own)
    return noisy ? 'too noisy' : `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})`
  }
  return [words, '', matrix(others, cell)]
}

/**
 * @param {readonly Line[]} lines
 * @param {(line: Line) => string} cell
 */
function matrix(lines, cell) {
  const points = [...new Set(lines.map(({ point }) => point))]
  const labels = [...new Set(lines.map(({ label }) => label))]
  const rows = labels.map(label => [
    label,
    ...points.map(point => {
      const line = lines.find(line => line.label === label && line.point === point)
      return line === undefined ? '' : cell(line)
    }),
  ])
  return table(['server', ...points.map(point => `${point}:`)], rows)
}

/** @param {Line} line @param {string} name */
function figure({ figures }, name) {
  const values = figures[name]
  if (values === undefined) return ''
  const { median, min, max } = spread(values)
  return `${number(median)} (${number(min)}–${number(max)})`
}

/** @param {Line} line */
function latency({ figures: { p50, p99, late } }) {
  if (p50 === undefined) return ''
  return `${whole(spread(p50).median)}, ${whole(spread(p99).median)}; ${spread(late).median.toFixed(1)}`
}

/** @param {Line} line */
function tail({ figures: { p50, p999, rate, left } }) {
  if (p50 === undefined) return ''
  const out = `${(spread(left).median * 100).toFixed(1)} %`
  return `${whole(spread(p50).median)}, ${whole(spread(p999).median)}; ${whole(spread(rate).median)}; ${out}`
}

/** @param {number} value */
function number(value) {
  return value >= 100 ? whole(value) : value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/**
 * @param {import('./workloads.js').Workload} workload
 * @param {readonly Line[]} lines
 * @returns {string} SVG
 */
export function chart({ name, title, axis, metric, ratio: kind, points }, lines) {
  const drawn = lines.filter(({ figures }) => figures[metric] !== undefined)
  return barChart({
    title: `${name}: ${title}`,
    subtitle: `${metric === 'perCpuSecond' ? 'More' : 'Less'} is better. ${axis}; lines span the rounds.`,
    ownScale: true,
    groups: points
      .map(({ label }) => ({
        label,
        columns: [
          drawn
            .filter(({ point }) => point === label)
            .map(line => {
              const { median, min, max } = spread(line.figures[metric])
              const main = kind === 'first' ? !line.row.endsWith(', ws') : line.row.startsWith(OURS)
              const tone = main ? /** @type {const} */ ('main') : /** @type {const} */ ('other')
              return { label: line.label, value: median, min, max, text: number(median), tone }
            }),
        ],
      }))
      .filter(({ columns: [bars] }) => bars.length > 0),
  })
}

/** @param {readonly import('./targets.js').Verdict[]} verdicts */
export function targetTable(verdicts) {
  return table(
    ['what', 'target', 'value:', 'verdict'],
    verdicts.map(({ what, target, value, verdict }) => [what, target, value, verdict]),
  )
}
