/**
 * Fuzzing at length: `npm run fuzz -- --inputs 1000000 [--seed 7] [--only frames] [--patience 20]`.
 *
 * Bundled and started by scripts/fuzz.js. An input that breaks something is printed in the form of the corpus, and so is
 * one that does not end within the patience, in seconds of CPU time.
 */
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { keep } from './corpus.js'
import { allTargets, type Target } from './targets.js'

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '100000' },
    seed: { type: 'string' },
    only: { type: 'string' },
    patience: { type: 'string', default: '20' },
    /** Given by scripts/fuzz.js: what watches. */
    watchdog: { type: 'string' },
  },
})
const patience = Number(values.patience)
if (!(patience > 0)) throw new Error('--patience must be seconds')
const wanted = Number(values.inputs)
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(values.seed)
if (!(wanted > 0) || !Number.isInteger(seed)) throw new Error('--inputs and --seed must be numbers')

/** What part of all inputs a target gets: sockets are slow. */
const SHARES: Record<string, number> = { codecs: 0.36, names: 0.03, frames: 0.6, http: 0.01 }
/** Inputs made at once. */
const BATCH = 500
/** Bytes of heap that may be held at the end more than after the first tenth. */
const GROWTH = 32 * 1024 * 1024

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const heap = async (): Promise<number> => {
  // What was closed is let go in turns of the event loop.
  for (let turn = 0; turn < 20; turn++) await new Promise(resolve => setImmediate(resolve))
  collect()
  return process.memoryUsage().heapUsed
}

/** Counts inputs, for the thread that watches. */
const progress = new Int32Array(new SharedArrayBuffer(4))
let at = 'nothing yet'
Object.assign(globalThis, { fuzzing: () => `${at} ${JSON.stringify(keep(last.at(-1)))}` })
if (values.watchdog !== undefined) {
  new Worker(new URL(values.watchdog), {
    workerData: { progress, seconds: patience },
    execArgv: [],
  }).unref()
}

/** The inputs that something which fails later may come of. */
const last: unknown[] = []
for (const event of ['unhandledRejection', 'uncaughtException']) {
  process.on(event, (error: unknown) => {
    console.error(event, error)
    for (const input of last) console.error(JSON.stringify(keep(input)))
    process.exit(1)
  })
}

async function fuzz(
  target: Target,
  inputs: number,
): Promise<{ done: number; seconds: number; grown: number }> {
  let done = 0
  let spent = 0
  let before: number | undefined
  for (let batch = 0; done < inputs; batch++) {
    const began = performance.now()
    for (const input of fc.sample(target.inputs, { numRuns: BATCH, seed: seed + batch })) {
      if (last.push(input) > 3) last.shift()
      Atomics.add(progress, 0, 1)
      at = `${target.name}, seed ${seed}, batch ${batch}:`
      try {
        await target.run(input)
      } catch (error) {
        console.error(`${target.name}, seed ${seed}, batch ${batch}:`, error)
        console.error(JSON.stringify({ target: target.name, inputs: [keep(input)] }))
        process.exit(1)
      }
      done += target.size(input)
    }
    spent += performance.now() - began
    if (before === undefined && done >= inputs / 10) before = await heap()
  }
  target.reached()
  return { done, seconds: spent / 1000, grown: (await heap()) - (before ?? 0) }
}

const targets = (await allTargets()).filter(({ name }) => values.only === undefined || name === values.only)
const shares = targets.reduce((sum, { name }) => sum + SHARES[name]!, 0)
console.log(`seed ${seed}`)
console.log(
  '| target | inputs | seconds | inputs a second | heap grown, KiB |\n| --- | --- | --- | --- | --- |',
)
let bad = false
let all = 0
let time = 0
for (const target of targets) {
  const { done, seconds, grown } = await fuzz(target, Math.ceil((wanted * SHARES[target.name]!) / shares))
  console.log(
    `| ${target.name} | ${done} | ${seconds.toFixed(1)} | ${Math.round(done / seconds)} | ${Math.round(grown / 1024)} |`,
  )
  all += done
  time += seconds
  if (grown > GROWTH) bad = true
}
console.log(`| all | ${all} | ${time.toFixed(1)} | ${Math.round(all / time)} | |`)
for (const target of targets) await target.close()
if (bad) console.error('The heap has grown.')
process.exit(bad ? 1 : 0)
