/**
 * What single things take of Redis: publications, subscriptions, members of presence, histories, limits.
 *
 * By what Redis itself says of its CPU and memory, before and after many of each, done through the engine. The controls are
 * bare commands of node-redis in the same rounds.
 */
import { ratio, spread, whole } from '../report/statistics.js'
import { table } from '../report/table.js'
import { startRedis } from '../sessions/redis.js'
import { connect } from './sides.js'
import { taken } from './taken.js'
import { Bench, times } from './unit-bench.js'
import { PAYLOAD, units } from './unit-runs.js'

/** Milliseconds that Redis may take to notice who has come and gone, and messages to arrive. */
const PATIENCE = 10_000
/** What each server that hears a publication costs, from none to the most of them. */
const HEARING = { none: 'publication, 100 channels in a call', most: 'the same, 20 servers hear' }
const BARE_HEARING = { none: 'PUBLISH, 100 in a turn', most: 'PUBLISH, 100 in a turn, 20 hear' }

/**
 * @typedef {object} Line
 * @property {string} name
 * @property {'cpu' | 'memory'} of
 * @property {import('../report/statistics.js').Spread} each microseconds of CPU, or bytes
 * @property {string} [control]
 * @property {import('../report/statistics.js').Ratio} [ofControl]
 */

/** @param {boolean} quick @param {(line: string) => void} progress */
export async function measureUnits(quick, progress) {
  const rounds = quick ? 1 : 5
  // Buffers of connections come and go by some 50 kB: so many that this is little of each.
  const size = quick ? { alone: 50, many: 200, memory: 2000 } : { alone: 2000, many: 6000, memory: 5000 }
  const names = Object.keys(units)
  /** @type {Record<string, number[]>} */
  const figures = Object.fromEntries(names.map(name => [name, []]))
  const { port, stop } = await startRedis()
  const asker = await connect(port)
  try {
    // A Redis that has just started is slow at first.
    await measure(units[names[0]], size.alone, port, asker)
    for (let round = 1; round <= rounds; round++) {
      for (const name of names) {
        const { of, together } = units[name]
        const count = of === 'memory' ? size.memory : together === 1 ? size.alone : size.many
        const each = await measure(units[name], count, port, asker)
        figures[name].push(each)
        const text = `${each.toPrecision(4)} ${of === 'cpu' ? 'µs' : 'bytes'}`
        progress(`round ${round} of ${rounds}: units, ${name}: ${text}`)
      }
    }
  } finally {
    asker.destroy()
    stop()
  }
  return { units: { rounds, ...size, lines: linesOf(figures) } }
}

/**
 * What one takes, of many.
 *
 * @param {import('./unit-runs.js').Unit} unit @param {number} count @param {number} port
 * @param {import('./unit-runs.js').Client} asker
 */
async function measure({ of, together, hearers = 0, prepare }, count, port, asker) {
  // What is freed in the background, as Valkey does by default, would count for the next.
  await asker.sendCommand(['FLUSHALL', 'SYNC'])
  const bench = new Bench(port)
  try {
    const { one, heard = () => 0 } = await prepare(bench, count)
    await until(async () => (await taken(asker)).clients === 1 + bench.connections)
    const wanted = heard() + count * hearers
    const before = await taken(asker)
    await times(count, together, one)
    await until(() => heard() >= wanted)
    return ((await taken(asker))[of] - before[of]) / count
  } finally {
    await bench.end()
    // What Redis does about those who go must not count for the next.
    await until(async () => (await taken(asker)).clients === 1)
  }
}

/** @param {() => boolean | Promise<boolean>} isSo */
async function until(isSo) {
  const end = performance.now() + PATIENCE
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error('Redis does not come to rest')
    await new Promise(resolve => setTimeout(resolve, 1))
  }
}

/** @param {Record<string, number[]>} figures by unit, round by round @returns {Line[]} */
function linesOf(figures) {
  const lines = Object.entries(units).map(([name, { of, control }]) => {
    const against = control && { control, ofControl: ratio(figures[name], figures[control]) }
    return { name, of, each: spread(figures[name]), ...against }
  })
  const hearing = (/** @type {typeof HEARING} */ { none, most }) =>
    figures[most].map((cpu, round) => (cpu - figures[none][round]) / (units[most].hearers ?? 1))
  const [own, bare] = [hearing(HEARING), hearing(BARE_HEARING)]
  lines.splice(
    lines.findIndex(({ name }) => name === HEARING.most) + 1,
    0,
    { name: 'each client that hears, of 20', of: 'cpu', each: spread(bare) },
    {
      ...{ name: 'each server that hears, of 20', of: 'cpu', each: spread(own) },
      ...{ control: 'each client that hears, of 20', ofControl: ratio(own, bare) },
    },
  )
  return lines
}

/** @param {Awaited<ReturnType<typeof measureUnits>>} measured */
export function unitsReport({ units: { rounds, alone, many, memory, lines } }) {
  const part = (
    /** @type {'cpu' | 'memory'} */ of,
    /** @type {string} */ heading,
    /** @type {(value: number) => string} */ text,
  ) =>
    table(
      ['what', heading, 'min–max:', 'of control:', 'control'],
      lines
        .filter(line => line.of === of)
        .map(({ name, each, control = '', ofControl }) => [
          name,
          text(each.median),
          `${text(each.min)}–${text(each.max)}`,
          ofControl === undefined ? '' : compared(ofControl),
          control,
        ]),
    )
  return [
    `What single things take of the CPU of Redis: payloads of ${PAYLOAD} bytes, ${whole(alone)} one at a time, ${whole(many)} of the others, median of ${rounds} rounds:`,
    '',
    part('cpu', 'µs each:', value => value.toFixed(1)),
    '',
    `And of its memory, of ${whole(memory)} each:`,
    '',
    part('memory', 'bytes each:', whole),
  ].join('\n')
}

/** @param {import('../report/statistics.js').Ratio} of */
function compared({ median, min, max, noisy }) {
  return `${median.toFixed(2)} (${min.toFixed(2)}–${max.toFixed(2)})${noisy ? ', noisy' : ''}`
}
