/**
 * The guard: a few ratios of our server to controls in the same run, against stored bounds.
 *
 * Ratios only, as wall time says more about the machine. What is over its bound is measured again, twice, before it
 * counts: noise passes, a regression stays.
 */
import { Bench } from './network/bench.js'
import { OURS, ROWS } from './network/rows.js'
import { spread } from './report/statistics.js'
import { table } from './report/table.js'

/**
 * A bound for one ratio, as bounds.json has it.
 *
 * @typedef {object} Bound
 * @property {string} name
 * @property {string} measure one of `MEASURES`
 * @property {string} of the control
 * @property {number} typical what was measured when the bound was set
 * @property {number} most
 *
 * @typedef {Bound & { ratios: number[], ratio: number, passed: boolean }} Checked
 */

const CALL = { type: /** @type {const} */ ('call'), size: 256 }
const CONNECTIONS = 50
const AUDIENCE = 200
/** What each server does before it is measured, so that its code is compiled. */
const WARM = { calls: 50_000, connections: 1500 }
/** How often a ratio that is over its bound is measured again. */
const AGAIN = 2

/**
 * What can be measured: CPU time of a server for one unit of work.
 *
 * @type {Record<string, { connections: number, prepare?: (bench: Bench, row: any) => Promise<unknown>,
 *   measure(bench: Bench, row: any, seconds: number): Promise<{ cpu: number }> }>}
 */
const MEASURES = {
  'rpc-1': {
    connections: CONNECTIONS,
    measure: (bench, row, seconds) => bench.measure(row, { ...CALL, inFlight: 1, seconds }),
  },
  'rpc-16': {
    connections: CONNECTIONS,
    measure: (bench, row, seconds) => bench.measure(row, { ...CALL, inFlight: 16, seconds }),
  },
  'fan-out-10': {
    connections: AUDIENCE,
    prepare: (bench, row) => bench.subscribe(row, [['room']]),
    measure: (bench, row, seconds) =>
      bench.publish(row, { connections: AUDIENCE, perTick: 10, size: CALL.size, seconds }),
  },
  connect: {
    connections: 0,
    prepare: (bench, row) => bench.measure(row, { type: 'churn', concurrency: 20, cycles: WARM.connections }),
    measure: (bench, row, seconds) => bench.measure(row, { type: 'churn', concurrency: 20, seconds }),
  },
}

/**
 * Measures what the bounds are for.
 *
 * @param {readonly Bound[]} bounds
 * @param {{ quick: boolean, progress(line: string): void }} options
 */
export async function check(bounds, { quick, progress }) {
  const [rounds, seconds] = quick ? [5, 0.25] : [9, 0.8]
  const rows = ROWS.filter(({ name }) => name === OURS || bounds.some(({ of }) => of === name))
  const bench = new Bench()
  try {
    for (const row of rows) await bench.startWarm(row, WARM.calls)
    return await judged(bounds, async (measure, names) => {
      const chosen = rows.filter(({ name }) => names.has(name))
      return ratios({ bench, rows: chosen, measure, rounds, seconds, progress })
    })
  } finally {
    bench.end()
  }
}

/**
 * Holds bounds against ratios, and asks again for those that are over theirs.
 *
 * @param {readonly Bound[]} bounds
 * @param {(measure: string, rows: Set<string>) => Promise<Record<string, number[]>>} measured gives the ratios of
 *   our CPU time to that of each control, round by round
 */
export async function judged(bounds, measured) {
  /** @type {Checked[]} */
  const results = bounds.map(bound => ({ ...bound, ratios: [], ratio: Number.NaN, passed: false }))
  for (let attempt = 0; attempt <= AGAIN; attempt++) {
    const open = results.filter(({ passed }) => !passed)
    for (const measure of new Set(open.map(({ measure }) => measure))) {
      const wanted = open.filter(result => result.measure === measure)
      const values = await measured(measure, new Set([OURS, ...wanted.map(({ of }) => of)]))
      for (const result of wanted) {
        result.ratios.push(...(values[result.of] ?? []))
        result.ratio = spread(result.ratios).median
        result.passed = result.ratio <= result.most
      }
    }
  }
  const passed = results.every(result => result.passed)
  return { passed, results, report: report(results) }
}

/**
 * @param {{ bench: Bench, rows: readonly any[], measure: string, rounds: number, seconds: number,
 *   progress(line: string): void }} options
 */
async function ratios({ bench, rows, measure, rounds, seconds, progress }) {
  const { connections, prepare, measure: once } = MEASURES[measure]
  /** @type {Record<string, number[]>} */
  const values = {}
  for (const row of rows) {
    if (connections > 0) await bench.connect(row, connections)
    await prepare?.(bench, row)
  }
  for (let round = 0; round <= rounds; round++) {
    /** @type {Record<string, number>} */
    const used = {}
    for (const row of rows) used[row.name] = (await once(bench, row, round === 0 ? seconds / 2 : seconds)).cpu
    progress(`${measure}, ${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}: ${words(used)}`)
    if (round === 0) continue
    for (const [name, time] of Object.entries(used)) {
      values[name] ??= []
      values[name].push(used[OURS] / time)
    }
  }
  if (connections > 0) for (const row of rows) await bench.disconnect(row)
  return values
}

/** @param {Record<string, number>} used */
function words(used) {
  return Object.entries(used)
    .map(([name, time]) => `${name} ${time.toFixed(2)} µs`)
    .join(', ')
}

/** @param {readonly Checked[]} results */
function report(results) {
  const rows = results.map(({ name, of, ratio, most, typical, ratios, passed }) => [
    name,
    of,
    ratio.toFixed(2),
    `${most}`,
    `${typical}`,
    `${ratios.length}`,
    passed ? 'pass' : 'WORSE',
  ])
  const worse = results.filter(({ passed }) => !passed)
  const lines = worse.map(({ name, of, ratio, most, typical }) => {
    return `${name} costs ${ratio.toFixed(2)} of ${of}, at most ${most} allowed, ${typical} when the bound was set`
  })
  return [
    '## check: our CPU time, divided by that of a control',
    '',
    table(['what', 'control', 'ratio:', 'at most:', 'typical:', 'rounds:', ''], rows),
    ...(lines.length > 0 ? ['', ...lines] : []),
  ].join('\n')
}
