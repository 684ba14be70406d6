/** The process that hears: says how many messages have come, and at the end how long they took. */
import { now, sides } from './sides.js'

/** Messages after which it says so: the publisher waits for it when it is too far ahead. */
const EVERY = 250

const [side = '', port] = process.argv.slice(2)
const { hear, answer } = await sides[side](Number(port))
let count = 0
/** @type {number[]} */
let times = []
await hear(time => {
  times.push(now() - time)
  if (++count % EVERY === 0) process.send?.({ count })
})
await answer?.()
let cpu = process.cpuUsage()
process.on('message', () => {
  const sorted = Float64Array.from(times).sort()
  const at = (/** @type {number} */ part) => sorted[Math.floor((sorted.length - 1) * part)] ?? 0
  times = []
  const { user, system } = process.cpuUsage(cpu)
  cpu = process.cpuUsage()
  process.send?.({ p50: at(0.5), p99: at(0.99), cpu: user + system })
})
process.on('disconnect', () => process.exit())
process.send?.({ ready: true })
