/**
 * One side of one scenario of `actors`, in a process of its own.
 *
 * Started by benchmarks/actors.js it does a round for every message. By hand it does `ROUNDS` rounds, for a
 * profile: `node --expose-gc --cpu-prof benchmarks/actors/process.js tell ours`
 */
import { scenarios } from './scenarios.js'

const ROUNDS = 8

const [name, side, size = 'full'] = process.argv.slice(2)
const scenario = scenarios.find(scenario => scenario.name === name)
if (
  scenario === undefined ||
  (side !== 'ours' && side !== 'bare') ||
  (size !== 'full' && size !== 'quick') ||
  globalThis.gc === undefined
) {
  const names = scenarios.map(({ name }) => name).join(', ')
  console.error(`node --expose-gc process.js NAME ours|bare [full|quick], where NAME is one of: ${names}`)
  process.exit(2)
}
const collect = globalThis.gc
const round = await scenario[side](scenario[size])
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
