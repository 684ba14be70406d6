/**
 * `inspector`: what it costs to be looked at, over the memory transport.
 *
 * The echo of `seed`, in a process for each side: without an inspector, with one that nobody looks at, and with a viewer
 * on each of three panels. Rounds are interleaved, and CPU time is what counts.
 */
import { Child } from './child.js'
import { barChart } from './report/chart.js'
import { ratio, spread, whole } from './report/statistics.js'
import { table } from './report/table.js'

const SERVER = new URL('./inspector/server.js', import.meta.url)
const VIEWER = new URL('./inspector/viewer.js', import.meta.url)
const PATIENCE = 60_000
/** Where the middle half of the rounds spans more than this, a bound of two per cent cannot be held against them. */
const NOISE = 0.1

/**
 * @typedef {object} Side
 * @property {string} name
 * @property {boolean} mounted
 * @property {string} [panel] what a viewer has open
 * @property {number} [least] of what it does in the same CPU time as the first side
 *
 * @typedef {Side & { server: Child, viewer: Child | undefined, costs: number[] }} Started
 */

/** @type {readonly Side[]} */
const SIDES = [
  { name: 'no inspector', mounted: false },
  { name: 'mounted, nobody looks', mounted: true, least: 0.98 },
  { name: 'overview open', mounted: true, panel: 'overview', least: 0.85 },
  { name: 'services open', mounted: true, panel: 'services', least: 0.85 },
  { name: 'the busy connection open', mounted: true, panel: 'actor', least: 0.85 },
]

/** @type {import('./run.js').Section['run']} */
export async function run({ quick, progress }) {
  const messages = quick ? 50_000 : 500_000
  const rounds = quick ? 3 : 25
  const sides = []
  try {
    for (const side of SIDES) {
      progress(`warm-up: ${side.name}`)
      sides.push(await start(side, messages))
    }
    for (let round = 1; round <= rounds; round++) {
      for (const side of sides) side.costs.push(await measure(side, messages))
      const costs = sides.map(({ name, costs }) => `${name} ${whole(costs[round - 1])}`)
      progress(`round ${round} of ${rounds}, ns a message: ${costs.join(', ')}`)
    }
    for (const { name, viewer } of sides) {
      const { samples } = (await viewer?.ask({}, PATIENCE)) ?? { samples: 1 }
      if (samples === 0) throw new Error(`Nothing was seen while this was measured: ${name}`)
    }
  } finally {
    for (const { server, viewer } of sides) {
      viewer?.stop()
      server.stop()
    }
  }
  return summary({ messages, rounds, sides })
}

/**
 * @param {Side} side
 * @param {number} messages
 * @returns {Promise<Started>}
 */
async function start(side, messages) {
  const { name, mounted, panel } = side
  const server = new Child(name, SERVER, mounted ? ['mounted'] : [])
  const { port, connection } = await server.next(PATIENCE)
  const viewer =
    panel === undefined ? undefined : new Child(`viewer, ${name}`, VIEWER, [`${port}`, panel, connection])
  await viewer?.next(PATIENCE)
  const started = { ...side, server, viewer, costs: [] }
  for (let n = 0; n < 3; n++) await measure(started, messages)
  return started
}

/**
 * @param {Pick<Started, 'server'>} side
 * @param {number} messages
 * @returns {Promise<number>} nanoseconds of CPU time for one message
 */
async function measure({ server }, messages) {
  const { cpu } = await server.ask({ messages }, PATIENCE)
  return (cpu * 1000) / messages
}

/**
 * @param {{ messages: number, rounds: number, sides: readonly Started[] }} given
 * @returns {import('./run.js').Outcome}
 */
function summary({ messages, rounds, sides }) {
  const [control] = sides
  const lines = sides.map(({ name, costs, least }) => {
    // What is done in the same CPU time: the control's cost over its own.
    const share = costs === control.costs ? undefined : ratio(control.costs, costs, NOISE)
    const verdict =
      least === undefined || share === undefined
        ? undefined
        : share.noisy
          ? 'too noisy'
          : share.median >= least
            ? 'pass'
            : 'MISS'
    return { name, nanoseconds: spread(costs), share, least, verdict }
  })
  const report = [
    '## inspector: CPU time of a message, client to server and back',
    '',
    `${whole(messages)} messages a run, median of ${rounds} interleaved rounds, each side in a process of its own. ` +
      'Share: of the messages without an inspector, those done in the same CPU time; more is better.',
    '',
    table(
      ['side', 'ns a message:', 'min:', 'max:', 'share:', 'share min–max:', 'target:', ''],
      lines.map(({ name, nanoseconds: time, share, least, verdict }) => [
        name,
        whole(time.median),
        whole(time.min),
        whole(time.max),
        share === undefined ? '' : share.noisy ? 'too noisy' : share.median.toFixed(3),
        share === undefined ? '' : `${share.min.toFixed(3)}–${share.max.toFixed(3)}`,
        least === undefined ? '' : least.toFixed(2),
        verdict ?? '',
      ]),
    ),
  ].join('\n')
  const chart = barChart({
    title: 'Being looked at: CPU time of an echo, in ns',
    subtitle: 'Memory transport, client and server together. Less is better.',
    groups: [
      {
        label: 'side',
        columns: [
          lines.map(({ name, nanoseconds: time, share }) => ({
            label: name,
            value: time.median,
            min: time.min,
            max: time.max,
            text: `${whole(time.median)}${share === undefined || share.noisy ? '' : ` (${share.median.toFixed(2)} x)`}`,
            tone: share === undefined ? /** @type {const} */ ('other') : /** @type {const} */ ('main'),
          })),
        ],
      },
    ],
  })
  return { results: { messages, rounds, lines }, report, chart }
}
