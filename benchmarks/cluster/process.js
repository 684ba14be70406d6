/** The process that publishes, with one that hears: measures one round when it is asked. */
import { fork } from 'node:child_process'
import { CHANNELS, CONTROLS, now, sides, VALUE } from './sides.js'

/** Messages under way at most, and acknowledged publications. */
const AHEAD = 2000
const IN_FLIGHT = 256

const [, side = '', size = '{}'] = process.argv.slice(2)
const { messages, paced, acknowledged, ports } = JSON.parse(size)
const port = ports[side]
const receiver = fork(new URL('receiver.js', import.meta.url), [side, `${port}`], { execArgv: [] })
let heard = 0
/** @type {(() => void) | undefined} */
let wake
/** @type {((message: { p50: number, p99: number }) => void) | undefined} */
let answered
const ready = new Promise(resolve => {
  receiver.on('message', (/** @type {any} */ message) => {
    if (message.ready) return resolve(undefined)
    if (message.count === undefined) return answered?.(message)
    heard = message.count
    wake?.()
  })
})
await ready
const { publish, call, callAny } = await sides[side](port)
let sent = 0

/** Publishes one; rejects nothing, as a lost one is missed at the other end. */
function send() {
  sent++
  publish('room')?.catch(error => console.error(error))
}

/** @param {number} most messages that may not have been heard yet */
async function caughtUp(most) {
  while (sent - heard > most) {
    await new Promise(resolve => {
      wake = () => resolve(undefined)
    })
  }
}

/** @returns {Promise<{ p50: number, p99: number }>} */
function latencies() {
  return new Promise(resolve => {
    answered = resolve
    receiver.send({})
  })
}

async function throughput() {
  const cpu = process.cpuUsage()
  const start = performance.now()
  for (let i = 0; i < messages; i++) {
    send()
    if (i % 250 !== 249) continue
    await caughtUp(AHEAD)
    await new Promise(resolve => setImmediate(resolve))
  }
  await caughtUp(0)
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  await latencies()
  return { rate: messages / seconds, cpu: (user + system) / messages }
}

/** A thousand a second, as evenly as timers are. */
async function pace() {
  const start = performance.now()
  for (let i = 0; i < paced; ) {
    while (i < paced && i <= performance.now() - start) {
      send()
      i++
    }
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  await caughtUp(0)
  return latencies()
}

async function acked() {
  if (CONTROLS[side] === undefined ? !side.includes('script') : side !== 'log') return 0
  const start = performance.now()
  let next = 0
  const one = async () => {
    while (next < acknowledged) await publish(`acked ${next++ % CHANNELS}`)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, one))
  return acknowledged / ((performance.now() - start) / 1000)
}

/** Calls of the other server: how many a second with many in flight, and the times of one after the other. */
async function calls() {
  if (call === undefined) return { rpc: 0, rpcAny: 0, rpc50: 0, rpc99: 0 }
  const rpc = await inFlight(call)
  const rpcAny = callAny === undefined ? 0 : await inFlight(callAny)
  const times = new Float64Array(paced)
  for (let i = 0; i < paced; i++) {
    const asked = now()
    await call(VALUE)
    times[i] = now() - asked
  }
  times.sort()
  const at = (/** @type {number} */ part) => times[Math.floor((paced - 1) * part)] ?? 0
  return { rpc, rpcAny, rpc50: at(0.5), rpc99: at(0.99) }
}

/** How many calls a second. @param {(value: unknown) => Promise<unknown>} call */
async function inFlight(call) {
  const start = performance.now()
  let next = 0
  const many = async () => {
    while (next++ < acknowledged) await call(VALUE)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, many))
  return acknowledged / ((performance.now() - start) / 1000)
}

process.on('message', async () => {
  const { rate, cpu } = await throughput()
  const { p50, p99 } = await pace()
  process.send?.({ rate, cpu, p50, p99, acked: await acked(), ...(await calls()) })
})
process.on('disconnect', () => process.exit())
process.once('exit', () => receiver.kill('SIGKILL'))
// The cluster must have heard of the other server.
await new Promise(resolve => setTimeout(resolve, 500))
process.send?.({ ready: true })
