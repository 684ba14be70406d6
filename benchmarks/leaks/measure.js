import { Child } from '../child.js'
import { Bench } from '../network/bench.js'
import { slope, whole } from '../report/statistics.js'

/** Milliseconds that one batch may take. */
const PATIENCE = 300_000
const ROW = { name: 'socketstream', label: 'ours', server: 'socketstream' }

/**
 * @typedef {object} Plan
 * @property {string} kind of leaks/process.js, or with `ws ` before it: over real WebSockets
 * @property {string} what
 * @property {number} warm units before the first look, so that bounded caches are full
 * @property {number} batch units between two looks
 * @property {number} batches
 * @property {number} limit bytes that the heap may grow by for each unit
 *
 * @typedef {Plan & { heaps: number[], bytesEach: number, flat: boolean }} Outcome
 */

/**
 * Works in batches, looks at the heap after each, and says whether it has grown.
 *
 * @param {Plan} plan
 * @param {(line: string) => void} progress
 * @returns {Promise<Outcome>}
 */
export async function measureLeak(plan, progress) {
  const { kind, warm, batch, batches, limit } = plan
  const { work, end } = kind.startsWith('ws ') ? await overSockets(kind.slice(3)) : await inMemory(kind)
  try {
    await work(warm)
    const heaps = []
    for (let i = 0; i < batches; i++) {
      heaps.push(await work(batch))
      progress(`${kind}, batch ${i + 1} of ${batches}: ${whole(heaps[i] / 1000)} kB`)
    }
    const bytesEach = slope(heaps) / batch
    return { ...plan, heaps, bytesEach, flat: bytesEach <= limit }
  } finally {
    end()
  }
}

/** @param {string} kind */
async function inMemory(kind) {
  const child = new Child(kind, new URL('process.js', import.meta.url), [kind], ['--expose-gc'])
  await child.next(PATIENCE)
  return {
    work: async (/** @type {number} */ count) => (await child.ask({ count }, PATIENCE)).heap,
    end: () => child.stop(),
  }
}

/** @param {string} kind */
async function overSockets(kind) {
  const bench = new Bench()
  await bench.start(ROW)
  if (kind === 'messages') await bench.connect(ROW, 50)
  return {
    async work(/** @type {number} */ count) {
      const order =
        kind === 'messages'
          ? { type: /** @type {const} */ ('call'), inFlight: 16, calls: count, size: 16 }
          : { type: /** @type {const} */ ('churn'), concurrency: 50, cycles: count }
      await bench.measure(ROW, order)
      return (await bench.memory(ROW)).heapUsed
    },
    end: () => bench.end(),
  }
}
