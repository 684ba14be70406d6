import { ratio, spread } from '../report/statistics.js'

/**
 * A target: our figure beside another's, or a figure by itself.
 *
 * @typedef {object} Target
 * @property {string} what
 * @property {string} words
 * @property {string} workload
 * @property {string} tag of the point; empty for its only one
 * @property {string} figure
 * @property {string} [of] the row that ours is divided by; without one, ours itself is judged
 * @property {number} [most]
 * @property {number} [least]
 */

/** @type {readonly Target[]} */
const TARGETS = [
  ...atMost('RPC, 1 in flight, CPU per call', 'in-flight', '1', 'cpu', { 'socket.io': 0.5, ws: 1.25 }),
  ...atMost('RPC, 16 in flight, CPU per call', 'in-flight', '16', 'cpu', { 'socket.io': 0.2, ws: 0.4 }),
  ...atMost('fan-out to 1,000, 10 a tick, CPU per delivery', 'fan-out', '1000 x 10', 'cpu', {
    'socket.io': 0.1,
  }),
  ...atMost('fan-out to 1,000, 1 a tick, CPU per delivery', 'fan-out', '1000 x 1', 'cpu', {
    'socket.io': 0.75,
  }),
  {
    what: 'RSS per idle connection, of 10,000, in kB',
    words: 'at most 20',
    workload: 'idle',
    tag: '10000',
    figure: 'rss',
    most: 20,
  },
  ...atMost('RSS per idle connection, of 10,000', 'idle', '10000', 'rss', { 'socket.io': 0.65 }),
  {
    what: 'connections accepted per CPU second',
    words: 'at least 1.3 of socket.io',
    workload: 'connect',
    tag: '',
    figure: 'perCpuSecond',
    of: 'socket.io',
    least: 1.3,
  },
  ...atMost("99th percentile, at half of socket.io's rate", 'latency', 'socket.io', 'p99', {
    'socket.io': 1,
  }),
  ...atMost('99th percentile, each at half of its own rate', 'latency', 'own', 'p99', { 'socket.io': 1 }),
]
/** Cost as work grows: the last row may differ from the first by so much. */
const FLAT = 0.15
const GROWTH = [
  { workload: 'growth-connections', what: 'CPU per call, 10,000 connections and 100' },
  { workload: 'growth-channels', what: 'CPU per delivery, 1,000 channels and 10' },
  { workload: 'growth-services', what: 'CPU per call, 50 services and 1' },
]

/**
 * @param {string} what
 * @param {string} workload
 * @param {string} tag
 * @param {string} figure
 * @param {Record<string, number>} limits by row
 * @returns {Target[]}
 */
function atMost(what, workload, tag, figure, limits) {
  return Object.entries(limits).map(([of, most]) => ({
    ...{ what, workload, tag, figure, of, most },
    words: `at most ${most} of ${of}`,
  }))
}

/**
 * @typedef {object} Verdict
 * @property {string} what
 * @property {string} target
 * @property {string} value empty where there is none
 * @property {'pass' | 'MISS' | 'too noisy' | 'not measured'} verdict
 */

/**
 * Holds the targets against what was measured.
 *
 * @param {readonly import('./compare.js').Line[]} lines
 * @returns {Verdict[]} of the workloads that were measured
 */
export function judge(lines) {
  const measured = new Set(lines.map(({ workload }) => workload))
  const verdicts = TARGETS.filter(({ workload }) => measured.has(workload)).map(target => {
    const { workload, tag, figure, of, most = Infinity, least = 0 } = target
    const at = (/** @type {string} */ row) =>
      lines.find(line => line.workload === workload && (line.tag ?? '') === tag && line.row === row)?.figures[
        figure
      ]
    const own = at('socketstream')
    const other = of === undefined ? [] : at(of)
    return verdict(target.what, target.words, own, other, value => value <= most && value >= least)
  })
  const growths = GROWTH.filter(({ workload }) => measured.has(workload)).map(({ workload, what }) => {
    const sizes = lines.filter(line => line.workload === workload && line.point === 'ours')
    const words = `1 ± ${FLAT}`
    const [first, last] = [sizes[0]?.figures.cpu, sizes.at(-1)?.figures.cpu]
    return verdict(what, words, last, first, value => Math.abs(value - 1) <= FLAT)
  })
  return [...verdicts, ...growths]
}

/**
 * @param {string} what
 * @param {string} target
 * @param {readonly number[] | undefined} own
 * @param {readonly number[] | undefined} other none: no ratio
 * @param {(value: number) => boolean} good
 * @returns {Verdict}
 */
function verdict(what, target, own, other, good) {
  if (own === undefined || other === undefined) return { what, target, value: '', verdict: 'not measured' }
  if (other.length === 0) {
    const { median } = spread(own)
    return { what, target, value: median.toFixed(1), verdict: good(median) ? 'pass' : 'MISS' }
  }
  const { median, noisy } = ratio(own, other)
  if (noisy) return { what, target, value: '', verdict: 'too noisy' }
  return { what, target, value: median.toFixed(2), verdict: good(median) ? 'pass' : 'MISS' }
}
