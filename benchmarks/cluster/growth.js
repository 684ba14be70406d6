/** What a message costs each of its parties as the servers that hear it grow in number, and what workers are worth. */
import { spread, whole } from '../report/statistics.js'
import { table } from '../report/table.js'
import { startRedis } from '../sessions/redis.js'
import { inRounds } from '../sessions/rounds.js'

const NODES = ['1', '2', '3', '4']
const WORKERS = ['1', '2']

/** @param {boolean} quick @param {(line: string) => void} progress */
export async function measureGrowth(quick, progress) {
  const rounds = quick ? 1 : 3
  // One for each: whoever hears one channel would hear what the others are sent, too.
  const servers = await Promise.all(NODES.map(() => startRedis()))
  const ports = Object.fromEntries(NODES.map((nodes, at) => [nodes, servers[at]?.port]))
  const size = { messages: quick ? 500 : 20_000, ports }
  const script = new URL('./growth-process.js', import.meta.url)
  const nodes = await inRounds({ name: 'growth', sides: NODES, rounds, size, script }, progress).finally(
    () => {
      for (const { stop } of servers) stop()
    },
  )
  const calls = quick ? 100 : 1500
  const file = new URL('./workers-process.js', import.meta.url)
  const scenario = { name: 'workers', sides: WORKERS, rounds, size: { calls }, script: file }
  const workers = await inRounds(scenario, progress)
  return {
    growth: NODES.map(side => ({
      nodes: Number(side),
      publisher: spread(nodes.map(round => round[side]?.publisher ?? 0)),
      redis: spread(nodes.map(round => round[side]?.redis ?? 0)),
      receiver: spread(nodes.map(round => round[side]?.receiver ?? 0)),
    })),
    workers: WORKERS.map(side => ({
      workers: Number(side),
      rate: spread(workers.map(round => round[side]?.rate ?? 0)),
      load: spread(workers.map(round => round[side]?.load ?? 0)),
    })),
  }
}

/** @param {Awaited<ReturnType<typeof measureGrowth>>} measured */
export function growthReport({ growth, workers }) {
  const one = workers[0]?.rate.median ?? 1
  return [
    'CPU of a message of a channel with a history that every server hears, in µs, as servers grow in number:',
    '',
    table(
      ['servers that hear', 'publisher:', 'Redis:', 'each that hears:'],
      growth.map(({ nodes, publisher, redis, receiver }) => [
        `${nodes}`,
        ...[publisher, redis, receiver].map(
          ({ median, min, max }) => `${median.toFixed(1)} (${min.toFixed(1)}–${max.toFixed(1)})`,
        ),
      ]),
    ),
    '',
    'Calls that take some half a millisecond of CPU, by workers on one machine. What makes the load is one process on the same cores.',
    '',
    table(
      ['workers', 'calls/s:', 'min–max:', 'of one worker:', 'cores taken by the load:'],
      workers.map(({ workers, rate, load }) => [
        `${workers}`,
        whole(rate.median),
        `${whole(rate.min)}–${whole(rate.max)}`,
        (rate.median / one).toFixed(2),
        load.median.toFixed(2),
      ]),
    ),
  ].join('\n')
}
