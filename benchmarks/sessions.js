/**
 * `sessions`: what sessions cost, beside the same without them.
 *
 * All is measured in processes of their own, in interleaved rounds.
 */
import { barChart } from './report/chart.js'
import { spread, whole } from './report/statistics.js'
import { table } from './report/table.js'
import { calls } from './sessions/calls.js'
import { echo } from './sessions/echo.js'
import { heap } from './sessions/heap.js'
import { logins, socketLogins } from './sessions/logins.js'
import { uncached } from './sessions/uncached.js'

/**
 * @typedef {(context: { quick: boolean, progress(line: string): void }) => Promise<Comparison[]>} Part
 *
 * @typedef {object} Comparison things measured side by side
 * @property {string} label
 * @property {'µs' | 'ms' | '/s' | 'bytes' | ''} unit
 * @property {readonly Side[]} sides
 * @property {boolean} [control] whether the others are divided by the first; true unless told
 * @property {string} [skipped] why it was not measured
 *
 * @typedef {object} Side
 * @property {string} label
 * @property {readonly number[]} values round by round
 * @property {Target} [target]
 *
 * @typedef {object} Target
 * @property {string} of `value` or `ratio`: of its median
 * @property {string} at `least` or `most`
 * @property {number} limit
 *
 * @typedef {ReturnType<typeof summary>} Summary
 */

/** @type {readonly Part[]} */
const parts = [calls, echo, uncached, heap, logins, socketLogins]

/** @type {import('./run.js').Section['run']} */
export async function run(context) {
  const lines = []
  for (const part of parts) lines.push(...(await part(context)).map(summary))
  return { results: { lines }, report: report(lines), chart: chart(lines) }
}

/** @param {Comparison} comparison */
function summary({ label, unit, sides, control = true, skipped }) {
  const [first] = sides
  return {
    label,
    unit,
    ...(skipped !== undefined && { skipped }),
    sides: sides.map(({ label, values, target }) => {
      // Round by round: neighbours in time had the same machine.
      const ratios = values.map((value, round) => value / first.values[round])
      const ratio = control && values !== first.values ? spread(ratios) : undefined
      const side = { label, value: spread(values), ratio }
      if (target === undefined) return side
      const { of, at, limit } = target
      const { median } = of === 'ratio' && ratio !== undefined ? ratio : side.value
      const words = `${of} at ${at} ${of === 'ratio' ? limit.toFixed(2) : written(limit, unit)}`
      return { ...side, target: words, pass: at === 'least' ? median >= limit : median <= limit }
    }),
  }
}

/**
 * @param {number} value
 * @param {Comparison['unit']} unit
 */
function written(value, unit) {
  if (unit === 'µs') return `${value.toFixed(2)} µs`
  if (unit === 'ms') return `${value.toFixed(1)} ms`
  return unit === 'bytes' ? `${whole(value)} B` : `${whole(value)}${unit}`
}

/** @param {Summary[]} lines */
function report(lines) {
  const rows = lines.flatMap(({ label, unit, sides, skipped }) =>
    skipped === undefined
      ? sides.map(({ label: side, value, ratio, target, pass }) => [
          label,
          side,
          written(value.median, unit),
          `${written(value.min, unit)} – ${written(value.max, unit)}`,
          ratio === undefined ? '' : ratio.median.toFixed(2),
          ratio === undefined ? '' : `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}`,
          target === undefined ? '' : `${target}: ${pass ? 'pass' : 'MISS'}`,
        ])
      : [[label, `skipped: ${skipped}`]],
  )
  return [
    '## sessions: what they cost',
    '',
    'Medians of interleaved rounds; each side in a process of its own.',
    '“ratio” is a side divided by the first of its group, round by round: of rates more is better, of the rest less.',
    '',
    table(['measured', 'side', 'median:', 'min–max:', 'ratio:', 'min–max:', 'target'], rows),
  ].join('\n')
}

/** @param {Summary[]} lines */
function chart(lines) {
  return barChart({
    title: 'What sessions cost',
    subtitle: 'Of rates (/s) more is better, of the rest less; each group has a scale of its own.',
    ownScale: true,
    groups: lines
      .filter(({ sides }) => sides.length > 0)
      .map(({ label, unit, sides }) => ({
        label,
        columns: [
          sides.map(({ label, value, ratio }) => ({
            label,
            value: value.median,
            min: value.min,
            max: value.max,
            text: `${written(value.median, unit)}${ratio === undefined ? '' : ` (${ratio.median.toFixed(2)} x)`}`,
            tone: /** @type {const} */ (
              ratio === undefined && sides.some(side => side.ratio) ? 'other' : 'main'
            ),
          })),
        ],
      })),
  })
}
