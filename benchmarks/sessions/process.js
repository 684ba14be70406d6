/**
 * One side of one scenario of `sessions`, in a process of its own.
 *
 * Started by benchmarks/sessions.js it does a round for every message. By hand it does `ROUNDS` rounds, for a
 * profile: `node --expose-gc --cpu-prof benchmarks/sessions/process.js logins cookie '{"connections":10000}'`
 */
import { startEcho } from './echo.js'
import { startHeap } from './heap.js'
import { startLogins } from './logins.js'
import { startUncached } from './uncached.js'

const ROUNDS = 8

/**
 * Prepares one side, and gives a function that does one round.
 *
 * @type {Record<string, (side: string, size: any) => Promise<() => Promise<Record<string, number>>>>}
 */
const scenarios = { echo: startEcho, heap: startHeap, logins: startLogins, uncached: startUncached }

const [name = '', side = '', size = '{}'] = process.argv.slice(2)
const start = scenarios[name]
if (start === undefined || side === '' || globalThis.gc === undefined) {
  console.error(
    `node --expose-gc process.js NAME SIDE [SIZE], where NAME is one of: ${Object.keys(scenarios)}`,
  )
  process.exit(2)
}
const collect = globalThis.gc
const round = await start(side, JSON.parse(size))
if (process.send === undefined) {
  for (let i = 0; i < ROUNDS; i++) console.log(await once())
  process.exit()
}
process.on('disconnect', () => process.exit())
process.on('message', async () => process.send?.(await once()))
process.send({ ready: true })

function once() {
  // What one round leaves behind is not to be collected in the next.
  collect()
  return round()
}
