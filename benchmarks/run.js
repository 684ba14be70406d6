/**
 * Runs the benchmarks: `npm run benchmarks`, or `node benchmarks/run.js` after a build.
 *
 * Progress goes to stderr, tables to stdout, charts and `results.json` to `benchmarks/results/`.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readOptions, USAGE, UsageError } from './options.js'

/**
 * @typedef {object} Outcome what a section gives back
 * @property {object} results for results.json
 * @property {string} report Markdown
 * @property {string} chart SVG
 *
 * @typedef {{ run(context: { quick: boolean, progress(line: string): void }): Promise<Outcome> }} Section
 */

/** @type {Record<string, () => Promise<Section>>} */
const sections = {
  seed: () => import('./seed.js'),
  codecs: () => import('./codecs.js'),
  actors: () => import('./actors.js'),
  network: () => import('./network.js'),
  middleware: () => import('./middleware.js'),
  models: () => import('./models.js'),
  channels: () => import('./channels.js'),
  sessions: () => import('./sessions.js'),
}
const here = dirname(fileURLToPath(import.meta.url))

try {
  await main(readOptions(process.argv.slice(2), join(here, 'results')))
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(`${error.message}\n\n${USAGE}`)
  process.exitCode = 2
}

/** @param {import('./options.js').Options} options */
async function main({ only, quick, json, out, help }) {
  if (help) return console.log(USAGE)
  if (!existsSync(join(here, '../dist/index.js'))) {
    throw new UsageError('There is no build yet: run `npm run benchmarks`, which builds first')
  }
  mkdirSync(out, { recursive: true })
  /** @type {Record<string, object>} */
  const measured = {}
  const reports = []
  for (const name of only) {
    const section = await sections[name]()
    const progress = (/** @type {string} */ line) => console.error(`${name}: ${line}`)
    const { results, report, chart } = await section.run({ quick, progress })
    measured[name] = { ...machine(), quick, ...results }
    reports.push(report)
    writeFileSync(join(out, `${name}.svg`), chart)
  }
  console.log(reports.join('\n\n'))
  const file = join(out, 'results.json')
  // Sections that did not run this time keep what they had.
  const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  writeFileSync(file, format({ ...before, ...measured }))
  if (json !== undefined) {
    mkdirSync(dirname(json), { recursive: true })
    writeFileSync(json, format(measured))
  }
}

function machine() {
  const { model = 'unknown' } = cpus()[0] ?? {}
  return { date: new Date().toISOString(), node: process.version, cpu: `${cpus().length} x ${model.trim()}` }
}

/** @param {object} value */
function format(value) {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
