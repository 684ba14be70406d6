/**
 * @typedef {object} Spread
 * @property {number} median
 * @property {number} min
 * @property {number} max
 */

/**
 * The middle and the ends of some measurements.
 *
 * @param {readonly number[]} values at least one
 * @returns {Spread}
 */
export function spread(values) {
  const sorted = [...values].sort((a, b) => a - b)
  return { median: median(sorted), min: sorted[0], max: sorted[sorted.length - 1] }
}

/** @param {readonly number[]} sorted */
function median(sorted) {
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
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
