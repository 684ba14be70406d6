/**
 * A part of `models`: what it costs that many join a channel and leave it, over the memory transport.
 *
 * Ten clients watch. Their bytes are counted: they must grow with the members, not with their square. The control
 * is the same number of calls that do nothing.
 */
import { Server } from 'socketstream-server'
import { presence } from 'socketstream-server/services/presence'
import { memory } from 'socketstream-server/transports/memory'
import { spread, whole } from './report/statistics.js'
import { table } from './report/table.js'

const WATCHERS = 10

/**
 * A part of `models`.
 *
 * @param {{ quick: boolean, progress(line: string): void }} context
 */
export async function presenceRows({ quick, progress }) {
  const sizes = quick ? [20, 50] : [100, 1000, 10_000]
  const rounds = quick ? 1 : 3
  const rows = []
  for (const size of sizes) {
    for (const maxListed of [size, 0]) {
      const figures = []
      for (let round = 1; round <= rounds; round++) figures.push(await storm(size, maxListed))
      const row = {
        members: size,
        listed: maxListed > 0,
        bytes: spread(figures.map(({ bytes }) => bytes)),
        joins: spread(figures.map(({ joins }) => joins)),
        leaves: spread(figures.map(({ leaves }) => leaves)),
        control: spread(figures.map(({ control }) => control)),
      }
      rows.push(row)
      progress(
        `presence: ${size} members, ${row.listed ? 'listed' : 'counted'}: ${whole(row.bytes.median)} bytes`,
      )
    }
  }
  return summary({ rounds, watchers: WATCHERS, rows })
}

/**
 * One storm: all join, then all leave.
 *
 * @param {number} size @param {number} maxListed
 */
async function storm(size, maxListed) {
  const transport = memory()
  const app = new Server({ transport, limits: { ping: 600_000 } }).service(
    'presence',
    presence({ maxListed, grace: 0, user: ({ id }) => id }),
  )
  await app.start()
  const watchers = await Promise.all(Array.from({ length: WATCHERS }, () => open(transport)))
  for (const watcher of watchers) await watcher.call(['watch', 'room'])
  const members = []
  for (let index = 0; index < size; index++) members.push(await open(transport))
  const cost = async (/** @type {unknown[]} */ payload) => {
    const before = process.cpuUsage()
    await Promise.all(members.map(member => member.call(payload)))
    const { user, system } = process.cpuUsage(before)
    return (user + system) / size
  }
  await cost(['count', 'elsewhere'])
  const control = await cost(['count', 'elsewhere'])
  const start = watchers.map(({ bytes }) => bytes())
  const joins = await cost(['join', 'room', null])
  await until(() => watchers.every(({ count }) => count() === size))
  const bytes = watchers.reduce((sum, watcher, at) => sum + watcher.bytes() - start[at], 0)
  const leaves = await cost(['leave', 'room'])
  await until(() => watchers.every(({ count }) => count() === 0))
  await app.stop({ drain: 0 })
  return { bytes, joins, leaves, control }
}

/** A bare client that speaks JSON. @param {import('socketstream-server/transports/memory').MemoryTransport} transport */
async function open(transport) {
  const link = await transport.connect()
  let bytes = 0
  let count = 0
  let id = -1
  /** @type {Map<number, () => void>} */
  const waiting = new Map()
  /** @type {() => void} */
  let welcomed = () => {}
  const ready = new Promise(resolve => {
    welcomed = () => resolve(undefined)
  })
  link.listen({
    frame(frame) {
      bytes += frame.length
      const message = JSON.parse(String(frame))
      if (message[0] === 17) welcomed()
      else if (message[0] === 2) {
        waiting.get(message[1])?.()
        waiting.delete(message[1])
      } else if (message[0] === 0 && message[2][0] > 0) {
        // The run alone: it is listed again, which happens here when nobody is left.
        count = message[2][2] ?? 0
      }
    },
  })
  link.send('[16,{"v":1}]')
  await ready
  return {
    bytes: () => bytes,
    count: () => count,
    /** @param {unknown[]} payload @returns {Promise<void>} */
    call(payload) {
      id += 2
      link.send(JSON.stringify([1, 1, id, payload]))
      return new Promise(resolve => waiting.set(id, resolve))
    },
  }
}

/** @param {() => boolean} done */
async function until(done) {
  while (!done()) await new Promise(resolve => setTimeout(resolve, 5))
}

/**
 * @param {{ rounds: number, watchers: number, rows: { members: number, listed: boolean, bytes: any, joins: any,
 *   leaves: any, control: any }[] }} results
 */
function summary(results) {
  const figure = (/** @type {{ median: number, min: number, max: number }} */ { median, min, max }) =>
    `${median.toFixed(1)} (${min.toFixed(1)}–${max.toFixed(1)})`
  const report = [
    `## presence: all join one channel, then leave it, while ${results.watchers} clients watch`,
    '',
    `Medians of ${results.rounds} rounds; CPU of both ends. The control is a call that only counts an empty channel.`,
    '',
    table(
      ['members:', 'told', 'bytes to watchers:', 'a member:', 'µs a join:', 'µs a leave:', 'µs control:'],
      results.rows.map(({ members, listed, bytes, joins, leaves, control }) => [
        whole(members),
        listed ? 'members' : 'count',
        whole(bytes.median),
        (bytes.median / members).toFixed(1),
        figure(joins),
        figure(leaves),
        figure(control),
      ]),
    ),
  ].join('\n')
  return { results, report }
}
