/** What `network` measures of ours as work grows: the cost of one message should stay what it is. */
import { feature } from './rows.js'

const SIZE = 256

/**
 * So many connections, or a fiftieth in a quick run.
 *
 * @param {number} count
 * @param {boolean} quick
 */
export function scaled(count, quick) {
  return quick ? Math.max(10, count / 50) : count
}

/** @param {number} count */
export function plural(count) {
  return `${count.toLocaleString('en-US')} connections`
}

/**
 * @param {{ quick: boolean, seconds: number }} options
 * @returns {import('./workloads.js').Workload[]}
 */
export function growth({ quick, seconds }) {
  return [
    {
      name: 'growth-connections',
      title: 'server CPU per call, in µs',
      axis: 'connections; 100 calls in flight in all, going round them',
      metric: 'cpu',
      ratio: 'first',
      rows: [100, 1000, 10_000].map(count => ({
        ...feature(`grown-${count}`, plural(scaled(count, quick)), {}),
        connections: scaled(count, quick),
      })),
      points: [{ label: 'ours' }, { label: 'ws, bare', server: 'ws' }],
      measure: (bench, row) =>
        bench.measure(row, { type: 'roam', inFlight: Math.min(100, row.connections), size: SIZE, seconds }),
    },
    {
      name: 'growth-channels',
      title: 'server CPU per delivery, in µs',
      axis: 'channels with 10 subscribers each, of 100 connections; each gets 10 messages a tick',
      metric: 'cpu',
      ratio: 'first',
      rows: [10, 100, 1000].map(count => ({
        ...feature(`channels-${count}`, `${count.toLocaleString('en-US')} channels`, {}),
        channels: groups(count),
      })),
      points: [{ label: 'ours', connections: 100, perTick: 10, size: SIZE }],
      prepare: (bench, row) => bench.subscribe(row, row.channels),
      measure: (bench, row, point) =>
        bench.publish(row, /** @type {any} */ ({ ...point, channels: row.channels, seconds })),
    },
    {
      name: 'growth-services',
      title: 'server CPU per call, in µs',
      axis: 'services, called in turn; 16 calls in flight on each of 50 connections',
      metric: 'cpu',
      ratio: 'first',
      rows: [1, 10, 50].map(services => ({
        ...feature(`services-${services}`, `${services} services`, { services }),
        services,
      })),
      points: [{ label: 'ours', connections: 50, inFlight: 16, size: SIZE }],
      measure: (bench, row, { inFlight, size }) =>
        bench.measure(row, { type: 'call', inFlight, size, seconds, services: row.services }),
    },
  ]
}

/**
 * Ten groups of connections; each subscribes to its share of the channels.
 *
 * So whatever their number, a connection gets the same in a turn, from one channel or from ten.
 *
 * @param {number} count
 */
function groups(count) {
  return Array.from({ length: 10 }, (_, group) =>
    Array.from({ length: count / 10 }, (_, i) => `channel:${group}:${i}`),
  )
}
