/**
 * What `network` measures: one axis at a time, from a base of 50 connections, 256 bytes and one call in flight.
 *
 * A workload has points along its axis and rows that are compared at each; a measurement gives figures by name, and
 * `metric` is the one that counts.
 */
import { growth, plural, scaled } from './growth.js'
import { FEATURES, OURS, ROWS } from './rows.js'

/**
 * @typedef {object} Point
 * @property {string} label
 * @property {string} [tag] what targets know it by, the same in a quick run
 * @property {string} [server] another one than the rows', in a workload whose rows are sizes
 * @property {number} [connections]
 * @property {number} [inFlight]
 * @property {number} [size]
 * @property {number} [perTick]
 * @property {string} [halfOf] the row whose rate is halved; its own without
 *
 * @typedef {object} Workload
 * @property {string} name
 * @property {string} title what the metric is
 * @property {string} axis
 * @property {'cpu' | 'p99' | 'rss' | 'perCpuSecond'} metric
 * @property {readonly import('./rows.js').Row[]} rows
 * @property {readonly Point[]} points
 * @property {'ours' | 'first'} ratio which row the others are compared with
 * @property {(bench: import('./bench.js').Bench, row: any, point: Point) => Promise<unknown>} [prepare] once per row
 *   and point, when the connections are there
 * @property {(bench: import('./bench.js').Bench, row: any, point: Point) => Promise<Record<string, number>>} measure
 * @property {number} [turns] how often each row is measured in a round, in turns with the others: its figures are the
 *   medians of these
 * @property {string} [note] how it differs from others in how it is measured
 * @property {(bench: import('./bench.js').Bench, row: any) => Promise<unknown>} [warm] once per row, besides the calls
 * @property {boolean} [bare] without connections
 * @property {boolean} [memory] measured by idle.js in processes that are fresh each time
 */

/** Where every axis begins. */
const BASE = { connections: 50, inFlight: 1, size: 256 }

/** Handshakes of a server before any is measured: its code for them is compiled by then. */
const HANDSHAKES = 5000
/** Measurements of a latency in a round. */
const TURNS = 5
/** The part of the calls that may be left out; past that it is measured again, so many times at most. */
const LEFT = 0.5
const TRIES = 3

/** The names, in the order they run. */
export const WORKLOADS = [
  ...['in-flight', 'size', 'connections', 'fan-out', 'connect', 'idle', 'features', 'latency'],
  ...['growth-connections', 'growth-channels', 'growth-services'],
]

/**
 * @param {{ quick: boolean, seconds: number }} options of one measurement
 * @returns {Record<string, Workload>}
 */
export function workloads({ quick, seconds }) {
  const many = (/** @type {number} */ count) => scaled(count, quick)
  const some = (/** @type {readonly number[]} */ values) =>
    quick ? [values[0], values[2] ?? values[1]] : values
  const only = (/** @type {string[]} */ ...names) => ROWS.filter(({ name }) => names.includes(name))

  /** @param {readonly Point[]} points */
  const calls = points => ({
    metric: /** @type {const} */ ('cpu'),
    ratio: /** @type {const} */ ('ours'),
    rows: ROWS,
    points: points.map(point => ({ ...BASE, ...point })),
    /** @type {Workload['measure']} */
    measure: (bench, row, { inFlight, size }) =>
      bench.measure(row, { type: 'call', inFlight, size, seconds }),
  })

  /** @type {Map<string, number>} */
  const capacity = new Map()

  /** @type {Workload[]} */
  const all = [
    {
      name: 'in-flight',
      title: 'server CPU per call, in µs',
      axis: 'calls in flight on each connection',
      ...calls(
        some([1, 4, 16, 64]).map(inFlight => ({
          label: `${inFlight} in flight`,
          tag: `${inFlight}`,
          inFlight,
        })),
      ),
    },
    {
      name: 'size',
      title: 'server CPU per call, in µs',
      axis: 'bytes of text in a call',
      ...calls(
        some([16, 256, 4096, 65_536]).map(size => ({ label: `${size.toLocaleString('en-US')} B`, size })),
      ),
    },
    {
      name: 'connections',
      title: 'server CPU per call, in µs',
      axis: 'connections, one call in flight on each',
      ...calls([100, 1000, 5000].map(count => ({ label: plural(many(count)), connections: many(count) }))),
    },
    {
      name: 'fan-out',
      title: 'server CPU per delivery, in µs',
      axis: 'connections that hear everything, publications per turn of the event loop',
      metric: 'cpu',
      ratio: 'ours',
      rows: ROWS,
      points: (quick ? [1000] : [10, 100, 1000, 5000]).flatMap(count =>
        [1, 10].map(perTick => ({
          tag: `${count} x ${perTick}`,
          label: `${many(count).toLocaleString('en-US')} × ${perTick} a tick`,
          connections: many(count),
          perTick,
          size: BASE.size,
        })),
      ),
      prepare: (bench, row) => bench.subscribe(row, [['room']]),
      measure: (bench, row, point) => bench.publish(row, /** @type {any} */ ({ ...point, seconds })),
    },
    {
      name: 'connect',
      title: 'connections accepted per CPU second',
      axis: 'each is opened, made ready, and closed by the client; 50 at a time',
      metric: 'perCpuSecond',
      ratio: 'ours',
      rows: ROWS,
      points: [{ label: 'connections' }],
      bare: true,
      note: `${HANDSHAKES.toLocaleString('en-US')} before any is measured`,
      warm: (bench, row) =>
        bench.measure(row, { type: 'churn', concurrency: 50, cycles: quick ? HANDSHAKES / 50 : HANDSHAKES }),
      async measure(bench, row) {
        const { cpu, ...rest } = await bench.measure(row, { type: 'churn', concurrency: 50, seconds })
        return { perCpuSecond: 1e6 / cpu, ...rest }
      },
    },
    {
      name: 'idle',
      title: 'RSS per idle connection, in kB',
      axis: 'connections that do nothing',
      metric: 'rss',
      ratio: 'ours',
      rows: ROWS,
      points: [1000, 5000, 10_000].map(count => ({
        tag: `${count}`,
        label: plural(many(count)),
        connections: many(count),
      })),
      memory: true,
      note: 'in a process of its own each time, of three rounds, after 5,000 calls',
      measure: () => Promise.reject(new Error('See idle.js')),
    },
    {
      name: 'features',
      title: 'server CPU per call, in µs',
      axis: 'what is switched on in ours',
      ...calls([1, 16].map(inFlight => ({ label: `${inFlight} in flight`, inFlight }))),
      rows: FEATURES,
      ratio: 'first',
    },
    {
      name: 'latency',
      title: '99th percentile of the latency, in µs',
      axis: 'calls at a fixed rate, half of what a server can do with one in flight on each of 50 connections',
      metric: 'p99',
      ratio: 'ours',
      rows: only(OURS, 'socketstream-json', 'ws', 'socket.io', 'socket.io-msgpack', 'engine.io'),
      points: [
        { tag: 'socket.io', label: "half of socket.io's rate", halfOf: 'socket.io', ...BASE },
        { tag: 'own', label: 'half of its own', ...BASE },
      ],
      turns: quick ? 1 : TURNS,
      note: `a round is the median of ${TURNS} measurements of ${(seconds / 2).toFixed(1)} s, in turns with the others`,
      async prepare(bench, row) {
        if (capacity.has(row.name)) return
        // The first time warms up.
        for (let i = 0; i < 2; i++) {
          const { rate } = await bench.measure(row, { type: 'call', ...BASE, seconds })
          capacity.set(row.name, rate)
        }
      },
      async measure(bench, row, { halfOf = row.name, size }) {
        const rate = /** @type {number} */ (capacity.get(halfOf)) / 2
        const order = { type: /** @type {const} */ ('pace'), rate, size, seconds: seconds / 2 }
        let best = await bench.measure(row, order)
        for (let tries = 1; tries < TRIES && best.left > LEFT; tries++) {
          const again = await bench.measure(row, order)
          if (again.left < best.left) best = again
        }
        return best
      },
    },
    ...growth({ quick, seconds }),
  ]
  return Object.fromEntries(all.map(workload => [workload.name, workload]))
}
