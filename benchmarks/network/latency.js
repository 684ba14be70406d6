import { createHistogram } from 'node:perf_hooks'

/**
 * Latencies in an HDR histogram, Node's own: three digits kept, from a nanosecond on.
 */
export class Latencies {
  #histogram = createHistogram()

  /**
   * @param {number} milliseconds
   * @param {number} [count] how many took so long
   */
  record(milliseconds, count = 1) {
    const nanoseconds = Math.max(1, Math.round(milliseconds * 1e6))
    for (let i = 0; i < count; i++) this.#histogram.record(nanoseconds)
  }

  /** Percentiles, in microseconds. */
  summary() {
    const { count, max, mean } = this.#histogram
    const at = (/** @type {number} */ percentile) => this.#histogram.percentile(percentile) / 1000
    return {
      count,
      mean: mean / 1000,
      p50: at(50),
      p90: at(90),
      p99: at(99),
      p999: at(99.9),
      max: max / 1000,
    }
  }
}
