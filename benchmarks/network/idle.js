/** Memory of idle connections: each round has a server process of its own, because RSS never comes back down. */
import { begin, keep, tooMany } from './compare.js'

/** Calls before: enough to have code compiled, not so many that the process is large from them. */
const WARM = 5000

/**
 * @param {import('./bench.js').Bench} bench
 * @param {import('./workloads.js').Workload} workload
 * @param {{ rounds: number, warm: number, progress(line: string): void }} options
 */
export async function idle(bench, workload, { rounds, warm, progress }) {
  const lines = workload.rows.map(row => ({
    row: { ...row, name: `${row.name}, idle`, protocol: row.protocol ?? row.name },
    points: workload.points.map(point => ({ point, line: begin(workload, point, row).line })),
  }))
  // Memory differs little from round to round.
  const times = Math.min(rounds, 3)
  for (let round = 1; round <= times; round++) {
    for (const { row, points } of lines) {
      await bench.startWarm(row, Math.min(warm, WARM))
      const before = await bench.memory(row)
      for (const { point, line } of points) {
        const { connections = 0 } = point
        line.skipped = tooMany(connections)
        if (line.skipped !== undefined) continue
        await bench.connect(row, connections)
        // Garbage is part of what a server takes up, so it is collected at the end only.
        const last = point === points.at(-1)?.point
        const { rss, collected, heapUsed } = await bench.memory(row, last)
        const each = (/** @type {number} */ bytes, /** @type {number} */ first) =>
          (bytes - first) / connections / 1000
        const figures = { rss: each(rss, before.collected) }
        if (last) {
          Object.assign(figures, {
            collected: each(collected, before.collected),
            heap: each(heapUsed, before.heapUsed),
          })
        }
        progress(
          `idle, round ${round} of ${times}, ${point.label}: ${row.label}: ${figures.rss.toFixed(1)} kB`,
        )
        keep(line, figures)
      }
      await bench.disconnect(row)
      bench.stop(row)
    }
  }
  return lines.flatMap(({ points }) => points.map(({ line }) => line))
}
