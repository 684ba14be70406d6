/**
 * @typedef {object} Spread
 * @property {number} median
 * @property {number} min
 * @property {number} max
 *
 * @typedef {Spread & { noisy: boolean }} Ratio
 */

/** A ratio says nothing when the middle half of its rounds spans more than this part of the median. */
const NOISE = 0.25

/**
 * The middle and the ends of some measurements.
 *
 * @param {readonly number[]} values at least one
 * @returns {Spread}
 */
export function spread(values) {
  const sorted = sort(values)
  return { median: quantile(sorted, 0.5), min: sorted[0], max: sorted[sorted.length - 1] }
}

/**
 * What one side is of another, round by round: neighbours in time had the same machine.
 *
 * @param {readonly number[]} own
 * @param {readonly number[]} others as many
 * @param {number} [noise] past which it is noisy
 * @returns {Ratio}
 */
export function ratio(own, others, noise = NOISE) {
  const ratios = sort(own.map((value, round) => value / others[round]))
  const width = quantile(ratios, 0.75) - quantile(ratios, 0.25)
  const all = spread(ratios)
  return { ...all, noisy: !(width <= noise * all.median) }
}

/** @param {readonly number[]} values */
function sort(values) {
  return [...values].sort((a, b) => a - b)
}

/**
 * @param {readonly number[]} sorted
 * @param {number} part
 */
function quantile(sorted, part) {
  const at = (sorted.length - 1) * part
  const below = sorted[Math.floor(at)]
  return below + (sorted[Math.ceil(at)] - below) * (at - Math.floor(at))
}

/**
 * The slope of a line through points at equal distances: the median of the slopes of all pairs (Theil and Sen), which
 * single steps do not move.
 *
 * @param {readonly number[]} values at least two
 * @returns {number} by how much a value is more than the one before
 */
export function slope(values) {
  const slopes = []
  for (let to = 1; to < values.length; to++) {
    for (let from = 0; from < to; from++) slopes.push((values[to] - values[from]) / (to - from))
  }
  return spread(slopes).median
}

/**
 * The geometric mean: the one mean that makes sense of ratios.
 *
 * @param {readonly number[]} values
 */
export function geometricMean(values) {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
}

/**
 * A whole number with separators: `1,234,567`.
 *
 * @param {number} value
 */
export function whole(value) {
  return Math.round(value).toLocaleString('en-US')
}

/**
 * A number in three digits and a unit: `1.23 M`, `456 k`, `7.8`.
 *
 * @param {number} value
 */
export function brief(value) {
  if (value >= 1e6) return `${threeDigits(value / 1e6)} M`
  if (value >= 1e3) return `${threeDigits(value / 1e3)} k`
  return threeDigits(value)
}

/** @param {number} value */
function threeDigits(value) {
  return value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2)
}
