/**
 * `seed`: messages through the whole stack and back, against the figures of 2013.
 *
 * The rounds are interleaved, 1, 2, 3, 4, 1, 2, …; before and after each run a yardstick tells how
 * fast the machine is just then, so that a ratio compares like with like.
 */
import { Packr } from 'msgpackr'
import { barChart } from './report/chart.js'
import { geometricMean, spread, whole } from './report/statistics.js'
import { table } from './report/table.js'
import { profiled } from './seed-profile.js'
import { startSeed, WINDOW } from './seed-runs.js'

/** Envelopes packed per second on the machine that the 2013 figures were taken on. */
const YARDSTICK_THEN = 1_300_000
const TARGET_EACH = 1
const TARGET_MEAN = 2

const packr = new Packr({ useRecords: false })
/**
 * The envelope that the yardstick packs. "Small" leaves open which: the README beside this file says how much
 * depends on it, and what a second yardstick says.
 */
const envelope = { s: 1, c: 2, p: 'hello world' }

/** @type {import('./run.js').Section['run']} */
export async function run({ quick, progress }) {
  const messages = quick ? 20_000 : 100_000
  const rounds = quick ? 3 : 9
  const { runs, stop } = await startSeed()
  const measured = runs.map(({ name, original }) => ({
    name,
    original,
    rates: /** @type {number[]} */ ([]),
    ratios: /** @type {number[]} */ ([]),
  }))
  const yardsticks = []
  for (const { name, send } of runs) {
    progress(`warm-up: ${name}`)
    await send(messages)
  }
  for (let round = 1; round <= rounds; round++) {
    let before = yardstick()
    for (const [index, { name, original, send }] of runs.entries()) {
      const start = process.hrtime.bigint()
      await send(messages)
      const rate = perSecond(messages, start)
      const after = yardstick()
      const speed = (before + after) / 2
      const ratio = rate / (original * (speed / YARDSTICK_THEN))
      measured[index].rates.push(rate)
      measured[index].ratios.push(ratio)
      yardsticks.push(speed)
      progress(`round ${round} of ${rounds}: ${name}: ${whole(rate)} messages/s, ratio ${ratio.toFixed(2)}`)
      before = after
    }
  }
  progress('profile')
  const steps = await profiled(async () => {
    for (const { send } of runs) await send(messages)
  })
  await stop()
  return summary({ messages, rounds, measured, yardsticks, steps })
}

/** How many small envelopes msgpackr packs in a second, right now. */
function yardstick() {
  const count = 200_000
  const start = process.hrtime.bigint()
  for (let i = 0; i < count; i++) packr.pack(envelope)
  return perSecond(count, start)
}

/**
 * @param {number} count
 * @param {bigint} start
 */
function perSecond(count, start) {
  return count / (Number(process.hrtime.bigint() - start) / 1e9)
}

/**
 * @param {{ messages: number, rounds: number, yardsticks: number[], steps: [step: string, share: number][],
 *   measured: { name: string, original: number, rates: number[], ratios: number[] }[] }} given
 * @returns {import('./run.js').Outcome}
 */
function summary({ messages, rounds, measured, yardsticks, steps }) {
  const pace = spread(yardsticks)
  const runs = measured.map(({ name, original, rates, ratios }) => ({
    name,
    messagesPerSecond: spread(rates),
    original,
    originalHere: original * (pace.median / YARDSTICK_THEN),
    ratio: spread(ratios),
  }))
  const mean = geometricMean(runs.map(({ ratio }) => ratio.median))
  const pass = mean >= TARGET_MEAN && runs.every(({ ratio }) => ratio.median >= TARGET_EACH)
  const report = [
    `## seed: messages per second, client to server and back`,
    '',
    `${whole(messages)} messages a run, ${WINDOW} in flight, median of ${rounds} rounds.`,
    `Yardstick: msgpackr packs ${whole(pace.median)} small envelopes a second here ` +
      `(${whole(pace.min)} to ${whole(pace.max)}), ${whole(YARDSTICK_THEN)} where the 2013 figures hold.`,
    '',
    table(
      ['run', 'messages/s:', 'min:', 'max:', '2013:', '2013, scaled:', 'ratio:', 'ratio min–max:'],
      runs.map(({ name, messagesPerSecond: rate, original, originalHere, ratio }) => [
        name,
        whole(rate.median),
        whole(rate.min),
        whole(rate.max),
        whole(original),
        whole(originalHere),
        ratio.median.toFixed(2),
        `${ratio.min.toFixed(2)}–${ratio.max.toFixed(2)}`,
      ]),
    ),
    '',
    `Geometric mean of the ratios: ${mean.toFixed(2)}. ` +
      `Target: at least ${TARGET_EACH} each and ${TARGET_MEAN} in the mean: ${pass ? 'pass' : 'MISS'}.`,
    '',
    'Where the time of all four goes, by a CPU profile of one more round; client and server are one process:',
    '',
    table(
      ['step', 'share:'],
      steps.map(([step, share]) => [step, `${(share * 100).toFixed(1)} %`]),
    ),
  ].join('\n')
  const chart = barChart({
    title: 'The whole stack: messages per second, there and back',
    subtitle: `Memory transport, ${WINDOW} in flight; more is better. 2013: its figure, scaled to this machine.`,
    groups: runs.map(({ name, messagesPerSecond: rate, originalHere, ratio }) => ({
      label: name,
      columns: [
        [
          {
            label: 'this version',
            value: rate.median,
            min: rate.min,
            max: rate.max,
            text: `${whole(rate.median)} (${ratio.median.toFixed(2)} x)`,
          },
          { label: '2013', value: originalHere, text: whole(originalHere), tone: 'other' },
        ],
      ],
    })),
  })
  const results = { messages, rounds, window: WINDOW, yardstick: pace, runs, mean, pass, steps }
  return { results, report, chart }
}
