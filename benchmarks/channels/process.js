/**
 * One side of one part of `channels`, in a process of its own: `node --expose-gc process.js PART SIDE SIZE`.
 *
 * It does a round for every message, and answers with what it has measured.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Server } from 'socketstream-server'
import { memory as memoryEngine } from 'socketstream-server/engines/memory'
import { pubsub } from 'socketstream-server/services/pubsub'
import { memory } from 'socketstream-server/transports/memory'
import { sides, TEXT } from './engines.js'
import { wireClient } from './wire-client.js'

/** Publications that wait for their acknowledgement at a time. */
const IN_FLIGHT = 100

/** @type {Record<string, (side: string, size: any) => Promise<() => Promise<Record<string, number>>>>} */
const parts = { acknowledged, recovery, heap }

/**
 * Acknowledged publications per second.
 *
 * @param {string} side
 * @param {{ seconds: number }} size
 */
async function acknowledged(side, { seconds }) {
  const { publish } = await sides[side]()
  return async () => {
    const start = performance.now()
    const end = start + seconds * 1000
    const before = process.cpuUsage()
    let count = 0
    const worker = async () => {
      while (performance.now() < end) {
        await publish()
        count++
      }
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
    const { user, system } = process.cpuUsage(before)
    return { rate: count / ((performance.now() - start) / 1000), cpu: (user + system) / count }
  }
}

/**
 * Clients that subscribe all at once to a channel in which something was published meanwhile: from where they were, and
 * beside it from now on.
 *
 * @param {string} _side
 * @param {{ clients: number, missed: number }} size
 */
async function recovery(_side, { clients, missed }) {
  const engine = memoryEngine()
  let reads = 0
  const { log } = engine
  const history = log.history.bind(log)
  log.history = (...args) => {
    reads++
    return history(...args)
  }
  const transport = memory()
  const app = new Server({ transport, engine, env: 'production' }).service(
    'chat',
    pubsub({ channels: { 'room:*': { history: { size: 1000 } } } }),
  )
  await app.start()
  const { publish } = /** @type {any} */ (app.api).chat
  let round = 0
  return async () => {
    const room = `room:${round++}`
    const { epoch, offset } = await publish.acknowledged(room, 'said', 'Ann', TEXT)
    for (let i = 0; i < missed; i++) await publish.acknowledged(room, 'said', 'Ann', TEXT)
    const begun = await storm(room, undefined, 0)
    const back = await storm(room, [epoch, offset], missed)
    return {
      ...back,
      cpuWithout: begun.cpu,
      millisecondsWithout: begun.milliseconds,
      readsWithout: begun.reads,
    }
  }

  /** @param {string} room @param {[string, number] | undefined} since @param {number} wanted entries of each */
  async function storm(room, since, wanted) {
    const all = []
    for (let i = 0; i < clients; i++) all.push(await wireClient(transport))
    reads = 0
    globalThis.gc?.()
    const before = process.cpuUsage()
    const start = performance.now()
    const answers = await Promise.all(all.map(client => client.subscribe(room, since)))
    const milliseconds = performance.now() - start
    const { user, system } = process.cpuUsage(before)
    for (const answer of answers) {
      const [, , [, , , recovered, , lines]] = JSON.parse(answer)
      if (lines.length !== wanted || (since && !recovered)) throw new Error(`Not recovered: ${answer}`)
    }
    for (const client of all) client.close()
    return { cpu: (user + system) / clients, milliseconds, reads }
  }
}

/**
 * Heap of a subscription: of connections to the same channels, and each to channels of its own; with a history, and
 * without.
 *
 * @param {string} _side
 * @param {{ connections: number, each: number }} size
 */
async function heap(_side, { connections, each }) {
  return async () => ({
    shared: await subscriptions(false, {}),
    own: await subscriptions(true, {}),
    sharedHistory: await subscriptions(false, { history: { size: 100 } }),
    ownHistory: await subscriptions(true, { history: { size: 100 } }),
  })

  /** @param {boolean} own @param {import('socketstream-server/services/pubsub').ChannelOptions} options */
  async function subscriptions(own, options) {
    const transport = memory()
    const app = new Server({ transport, engine: memoryEngine(), env: 'production' }).service(
      'chat',
      pubsub({ channels: { 'room:*': options } }),
    )
    await app.start()
    const all = []
    for (let i = 0; i < connections; i++) all.push(await wireClient(transport))
    const before = await heapUsed()
    for (const [index, client] of all.entries()) {
      const from = own ? index * each : 0
      for (let i = 0; i < each; i++) await client.subscribe(`room:${from + i}`)
    }
    const bytes = (await heapUsed()) - before
    await app.stop({ drain: 0 })
    return bytes / (connections * each)
  }
}

async function heapUsed() {
  for (let i = 0; i < 3; i++) {
    await nextTurn()
    globalThis.gc?.()
  }
  return process.memoryUsage().heapUsed
}

const [name = '', side = '', size = '{}'] = process.argv.slice(2)
const start = parts[name]
if (start === undefined || process.send === undefined || globalThis.gc === undefined) {
  console.error(`Started by benchmarks/channels.js, with one of ${Object.keys(parts).join(', ')}`)
  process.exit(2)
}
const once = await start(side, JSON.parse(size))
process.on('disconnect', () => process.exit())
process.on('message', async () => process.send?.(await once()))
process.send({ ready: true })
