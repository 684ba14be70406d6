/** The parts of `channels` besides fan-out: each compares sides in interleaved rounds. */

import { ratio, spread, whole } from '../report/statistics.js'
import { table } from '../report/table.js'
import { inRounds } from '../sessions/rounds.js'
import { missing, sides } from './engines.js'

const script = new URL('process.js', import.meta.url)

/**
 * @typedef {{ quick: boolean, progress(line: string): void }} Context
 */

/** Acknowledged publications per second by engine. @param {Context} context */
export async function acknowledgedPart({ quick, progress }) {
  const names = Object.keys(sides).filter(name => missing(name) === undefined)
  const skipped = Object.keys(sides).flatMap(name => {
    const why = missing(name)
    return why === undefined ? [] : [`${name}: skipped, ${why}.`]
  })
  const size = { seconds: quick ? 0.1 : 1 }
  const rounds = await inRounds(
    { name: 'acknowledged', sides: names, rounds: quick ? 1 : 5, size, script },
    progress,
  )
  const of = (/** @type {string} */ name, /** @type {string} */ figure) =>
    rounds.map(round => round[name][figure])
  const control = of('bare LMDB', 'rate')
  const lines = names.map(name => ({
    name,
    rate: spread(of(name, 'rate')),
    cpu: spread(of(name, 'cpu')),
    ratio: ratio(of(name, 'rate'), control),
  }))
  const report = [
    '### Acknowledged publications, 100 waiting at a time',
    '',
    'CPU time is that of the process that publishes. Bare LMDB puts as many bytes and waits for the commit.',
    '',
    table(
      ['engine', 'a second:', 'min–max:', 'µs CPU each:', 'of bare LMDB:'],
      lines.map(({ name, rate, cpu, ratio }) => [
        name,
        whole(rate.median),
        `${whole(rate.min)}–${whole(rate.max)}`,
        cpu.median.toFixed(1),
        ratio.noisy ? 'too noisy' : ratio.median.toFixed(2),
      ]),
    ),
    ...skipped.flatMap(line => ['', line]),
  ].join('\n')
  return { results: { lines, skipped }, report }
}

/** A recovery of many clients at once. @param {Context} context */
export async function recoveryPart({ quick, progress }) {
  const size = { clients: quick ? 50 : 1000, missed: quick ? 10 : 100 }
  const rounds = await inRounds(
    { name: 'recovery', sides: ['both'], rounds: quick ? 1 : 5, size, script },
    progress,
  )
  const lines = ['', 'Without'].map(kind => {
    const of = (/** @type {string} */ figure) => spread(rounds.map(({ both }) => both[`${figure}${kind}`]))
    return { recover: kind === '', cpu: of('cpu'), milliseconds: of('milliseconds'), reads: of('reads') }
  })
  const [recovered] = lines
  const report = [
    `### ${whole(size.clients)} clients come back at once`,
    '',
    `Each has missed ${size.missed} entries. Memory transport and engine; CPU of server and bare clients in one process.`,
    '',
    table(
      ['clients', 'µs CPU each:', 'min–max:', 'ms until the last:', 'reads of the history:'],
      lines.map(({ recover, cpu, milliseconds, reads }) => [
        recover ? 'from where they were' : 'from now on',
        whole(cpu.median),
        `${whole(cpu.min)}–${whole(cpu.max)}`,
        whole(milliseconds.median),
        whole(reads.median),
      ]),
    ),
    '',
    `Target: reads are shared, at most 2 for all: ${recovered.reads.max <= 2 ? 'pass' : 'MISS'}.`,
  ].join('\n')
  return { results: { ...size, lines }, report }
}

/** Heap of channels and subscriptions. @param {Context} context */
export async function heapPart({ quick, progress }) {
  const size = { connections: quick ? 10 : 100, each: 100 }
  const rounds = await inRounds(
    { name: 'heap', sides: ['all'], rounds: quick ? 1 : 3, size, script },
    progress,
  )
  // Where each has its own, there is a channel more for every subscription, but for those that are shared.
  const share = 1 - 1 / size.connections
  const lines = ['', 'History'].map(kind => {
    const shared = rounds.map(({ all }) => all[`shared${kind}`])
    const own = rounds.map(({ all }) => all[`own${kind}`])
    return {
      name: kind === '' ? 'without a history' : 'with a history, empty',
      subscription: spread(shared),
      channel: spread(own.map((value, round) => (value - shared[round]) / share)),
    }
  })
  const report = [
    '### Heap, in bytes',
    '',
    `${whole(size.connections * size.each)} subscriptions, to ${size.each} channels, and to as many channels.`,
    '',
    table(
      ['channels', 'a subscription:', 'min–max:', 'a channel:', 'min–max:'],
      lines.map(({ name, subscription, channel }) => [
        name,
        whole(subscription.median),
        `${whole(subscription.min)}–${whole(subscription.max)}`,
        whole(channel.median),
        `${whole(channel.min)}–${whole(channel.max)}`,
      ]),
    ),
  ].join('\n')
  return { results: { ...size, lines }, report }
}
