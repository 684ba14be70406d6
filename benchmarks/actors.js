/**
 * `actors`: the actor kit beside XState without it.
 *
 * Each side of each scenario is a process of its own, so that what the compiler learnt from one does not
 * show in the other. The rounds are interleaved: ours, bare, ours, bare, …
 */
import { scenarios } from './actors/scenarios.js'
import { Child } from './child.js'
import { barChart } from './report/chart.js'
import { brief, spread, whole } from './report/statistics.js'
import { table } from './report/table.js'

/** Milliseconds that a child may take to start, and to do one round. */
const PATIENCE = 60_000

/**
 * @typedef {import('./actors/scenarios.js').Scenario} Scenario
 * @typedef {import('./actors/scenarios.js').Line} Line
 * @typedef {import('./actors/scenarios.js').Unit} Unit
 * @typedef {import('./actors/scenarios.js').Values} Values
 * @typedef {import('./report/statistics.js').Spread} Spread
 *
 * @typedef {object} Round
 * @property {Values} ours
 * @property {Values} bare
 *
 * @typedef {object} Result
 * @property {string} name of the scenario
 * @property {string} label
 * @property {Unit} unit
 * @property {Spread} ours
 * @property {Spread} bare
 * @property {Spread} ratio ours divided by bare, within each round
 * @property {string} [target]
 * @property {boolean} [pass]
 */

/** @type {import('./run.js').Section['run']} */
export async function run({ quick, progress }) {
  const rounds = quick ? 1 : 7
  const results = []
  for (const scenario of scenarios) {
    const lines = scenario.lines(quick ? scenario.quick : scenario.full)
    const measured = await measure(scenario.name, lines, { quick, rounds, progress })
    results.push(...lines.map(line => summary(scenario, line, measured)))
  }
  return { results: { rounds, lines: results }, report: report(results, rounds), chart: chart(results) }
}

/**
 * Does the rounds of one scenario.
 *
 * @param {string} name
 * @param {readonly Line[]} lines
 * @param {{ quick: boolean, rounds: number, progress(line: string): void }} context
 * @returns {Promise<Round[]>}
 */
async function measure(name, lines, { quick, rounds, progress }) {
  const script = new URL('actors/process.js', import.meta.url)
  const [ours, bare] = ['ours', 'bare'].map(
    side => new Child(`${name}, ${side}`, script, [name, side, quick ? 'quick' : 'full'], ['--expose-gc']),
  )
  try {
    await Promise.all([ours.next(PATIENCE), bare.next(PATIENCE)])
    const measured = []
    for (let round = 0; round <= rounds; round++) {
      const values = { ours: await ours.ask({}, PATIENCE), bare: await bare.ask({}, PATIENCE) }
      const words = lines.map(({ label, value, unit }) => {
        return `${label}: ${written(values.ours[value], unit)}, bare ${written(values.bare[value], unit)}`
      })
      // The first round warms up.
      progress(`${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}: ${words.join('; ')}`)
      if (round > 0) measured.push(values)
    }
    return measured
  } finally {
    ours.stop()
    bare.stop()
  }
}

/**
 * @param {Scenario} scenario
 * @param {Line} line
 * @param {Round[]} rounds
 * @returns {Result}
 */
function summary({ name }, { label, value, unit, target }, rounds) {
  const ours = spread(rounds.map(({ ours }) => ours[value]))
  const bare = spread(rounds.map(({ bare }) => bare[value]))
  // Round by round: neighbours in time had the same machine.
  const ratio = spread(rounds.map(({ ours, bare }) => ours[value] / bare[value]))
  const result = { name, label, unit, ours, bare, ratio }
  if (target === undefined) return result
  const { of, at, limit } = target
  const { median } = of === 'ours' ? ours : ratio
  const words = `${of} at ${at} ${of === 'ours' ? written(limit, unit) : limit}`
  return { ...result, target: words, pass: at === 'least' ? median >= limit : median <= limit }
}

/** @param {number} value @param {Unit} unit */
function written(value, unit) {
  if (unit === '/s') return `${brief(value)}/s`
  if (unit === 'bytes') return `${whole(value)} B`
  if (unit === 'times') return `× ${value.toFixed(2)}`
  return `${value < 1000 ? brief(value) : whole(value)} ${unit}`
}

/** @param {Result[]} results @param {number} rounds */
function report(results, rounds) {
  /** @param {Spread} spread @param {Unit} unit */
  const ends = ({ min, max }, unit) => `${written(min, unit)} – ${written(max, unit)}`
  const rows = results.map(({ label, unit, ours, bare, ratio, target, pass }) => [
    label,
    written(ours.median, unit),
    ends(ours, unit),
    written(bare.median, unit),
    ends(bare, unit),
    digits(ratio.median),
    `${digits(ratio.min)}–${digits(ratio.max)}`,
    target === undefined ? '' : `${target}: ${pass ? 'pass' : 'MISS'}`,
  ])
  return [
    '## actors: the kit beside bare XState',
    '',
    `Median of ${rounds} interleaved ${rounds === 1 ? 'round' : 'rounds'}; each side in a process of its own.`,
    "“ours to it” is our figure divided by bare XState's: of rates more is better, of the others less.",
    '',
    table(
      ['scenario', 'ours:', 'min–max:', 'bare XState:', 'min–max:', 'ours to it:', 'min–max:', 'target'],
      rows,
    ),
  ].join('\n')
}

/** A ratio, which may be very small. @param {number} ratio */
function digits(ratio) {
  return ratio >= 0.1 ? ratio.toFixed(2) : ratio.toPrecision(2)
}

/** @param {Result[]} results */
function chart(results) {
  return barChart({
    title: 'Actors: the kit beside bare XState',
    subtitle: 'Of rates (/s) more is better, of times and bytes less; each group has a scale of its own.',
    ownScale: true,
    groups: results.map(({ label, unit, ours, bare, ratio }) => ({
      label,
      columns: [
        [
          {
            label: 'this version',
            value: ours.median,
            min: ours.min,
            max: ours.max,
            text: `${written(ours.median, unit)} (${digits(ratio.median)} x)`,
          },
          {
            label: 'bare XState',
            value: bare.median,
            min: bare.min,
            max: bare.max,
            text: written(bare.median, unit),
            tone: 'other',
          },
        ],
      ],
    })),
  })
}
