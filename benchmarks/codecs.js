/**
 * `codecs`: envelopes per second, encoded and decoded, by benchmark.js.
 */
import { isDeepStrictEqual } from 'node:util'
import Benchmark from 'benchmark'
import { candidates, samples } from './codec-samples.js'
import { barChart } from './report/chart.js'
import { brief, whole } from './report/statistics.js'
import { table } from './report/table.js'

/**
 * @typedef {object} Rate
 * @property {number} perSecond
 * @property {number} margin relative, in percent
 *
 * @typedef {object} Line
 * @property {string} payload
 * @property {string} codec
 * @property {boolean} ours
 * @property {number} bytes
 * @property {Rate} encode
 * @property {Rate} decode
 */

/** @type {import('./run.js').Section['run']} */
export async function run({ quick, progress }) {
  const options = quick
    ? { warmUp: 10, minTime: 0.005, maxTime: 0.02, minSamples: 3 }
    : { warmUp: 100, maxTime: 1 }
  /** @type {Line[]} */
  const lines = []
  for (const sample of samples) {
    for (const candidate of candidates) {
      const { name: codec, ours, encode, decode, noBinary = false } = candidate
      if (sample.binary && noBinary) continue
      const frame = encode(sample)
      if (!isDeepStrictEqual(plain(decode(frame)), plain(sample.payload))) {
        throw new Error(`${codec} does not bring back the ${sample.name}`)
      }
      const line = {
        payload: sample.name,
        codec,
        ours,
        bytes: Buffer.byteLength(frame),
        encode: rate(() => encode(sample), options),
        decode: rate(() => decode(frame), options),
      }
      lines.push(line)
      progress(
        `${sample.name}, ${codec}: encode ${brief(line.encode.perSecond)}/s, ` +
          `decode ${brief(line.decode.perSecond)}/s, ${line.bytes} bytes`,
      )
    }
  }
  return { results: { lines }, report: report(lines), chart: chart(lines) }
}

/**
 * Measures one function.
 *
 * @param {() => unknown} fn
 * @param {{ warmUp: number }} options milliseconds; the others are benchmark.js's
 * @returns {Rate}
 */
function rate(fn, { warmUp, ...options }) {
  // benchmark.js counts its first samples too: without this they are those of code not yet compiled.
  const warm = performance.now() + warmUp
  while (performance.now() < warm) fn()
  const { error, hz, stats } = new Benchmark({ ...options, fn }).run()
  if (error) throw error
  return { perSecond: hz, margin: stats.rme }
}

/** Bytes come back as a Buffer from some: what counts is what is in them. @param {unknown} value */
function plain(value) {
  return value instanceof Uint8Array ? [...value] : value
}

/** @param {Line[]} lines */
function report(lines) {
  const rows = lines.map(({ payload, codec, ours, bytes, encode, decode }) => [
    payload,
    ours ? codec : `(${codec})`,
    whole(bytes),
    whole(encode.perSecond),
    `±${encode.margin.toFixed(1)} %`,
    whole(decode.perSecond),
    `±${decode.margin.toFixed(1)} %`,
  ])
  return [
    '## codecs: envelopes per second',
    '',
    'Decoding includes the payload. In brackets: libraries on their own, for comparison.',
    '',
    table(['payload', 'codec', 'bytes:', 'encode/s:', 'margin:', 'decode/s:', 'margin:'], rows),
  ].join('\n')
}

/** @param {Line[]} lines */
function chart(lines) {
  /** @param {Line[]} own @param {'encode' | 'decode'} what */
  const bars = (own, what) =>
    own.map(({ codec, ours, [what]: { perSecond } }) => ({
      label: codec,
      value: perSecond,
      text: brief(perSecond),
      tone: /** @type {'main' | 'other'} */ (ours ? 'main' : 'other'),
    }))
  return barChart({
    title: 'Codecs: envelopes per second',
    subtitle:
      'More is better; each payload has a scale of its own. Grey: libraries on their own, for comparison.',
    columns: ['encode', 'decode'],
    ownScale: true,
    groups: samples.map(({ name }) => {
      const own = lines.filter(({ payload }) => payload === name)
      const sizes = [...new Set(own.map(({ bytes }) => bytes))].sort((a, b) => a - b)
      return {
        label: `${name}: ${whole(sizes[0])} to ${whole(sizes[sizes.length - 1])} bytes`,
        columns: [bars(own, 'encode'), bars(own, 'decode')],
      }
    }),
  })
}
