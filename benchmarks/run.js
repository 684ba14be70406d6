/**
 * Runs the benchmarks: `npm run benchmarks`, or `node benchmarks/run.js` after a build.
 *
 * Progress goes to stderr, tables to stdout; these, charts and `results.json` to `benchmarks/results/`.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, platform, release, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readOptions, USAGE, UsageError } from './options.js'
import { updatePage } from './report/page.js'

/**
 * @typedef {object} Outcome what a section gives back
 * @property {object} results for results.json
 * @property {string} report Markdown
 * @property {string} [chart] SVG
 * @property {Record<string, string>} [charts] SVGs by name, of sections that have several
 * @property {boolean} [failed] whether a part of it could not be measured, or the heap did not stay level, as the report says
 *
 * @typedef {object} Context
 * @property {boolean} quick
 * @property {import('./options.js').NetworkOptions} [network]
 * @property {(line: string) => void} progress
 *
 * @typedef {{ run(context: Context): Promise<Outcome> }} Section
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
  cluster: () => import('./cluster.js'),
  delivery: () => import('./delivery.js'),
  inspector: () => import('./inspector.js'),
  leaks: () => import('./leaks.js'),
}
/** Pages of `docs/` with parts for sections. */
const PAGES = ['performance.md', 'inspector.md']
const here = dirname(fileURLToPath(import.meta.url))

try {
  await main(readOptions(process.argv.slice(2), join(here, 'results')))
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  console.error(`${error.message}\n\n${USAGE}`)
  process.exitCode = 2
}

/** @param {import('./options.js').Options} options */
async function main({ only, quick, check, json, out, whole, network, help }) {
  if (help) return console.log(USAGE)
  if (!existsSync(join(here, '../dist/index.js'))) {
    throw new UsageError('There is no build yet: run `npm run benchmarks`, which builds first')
  }
  if (check) return guard({ quick, json })
  /** @type {Record<string, object>} */
  const measured = {}
  const reports = []
  for (const name of only) {
    const section = await sections[name]()
    const progress = (/** @type {string} */ line) => console.error(`${name}: ${line}`)
    const {
      results,
      report,
      chart,
      charts = {},
      failed = false,
    } = await section.run({
      quick,
      network,
      progress,
    })
    if (failed) process.exitCode = 1
    measured[name] = { ...machine(), quick, ...results }
    reports.push(report)
    if (out === undefined) continue
    mkdirSync(out, { recursive: true })
    const drawn = Object.entries({ ...(chart === undefined ? {} : { [name]: chart }), ...charts })
    for (const [file, svg] of drawn) writeFileSync(join(out, `${file}.svg`), svg)
    writeFileSync(join(out, `${name}.md`), `${report}\n`)
    const links = drawn.map(([file]) => `../benchmarks/results/${file}.svg`)
    for (const page of whole ? PAGES : []) {
      updatePage(join(here, '../docs', page), name, report, measured[name], links)
    }
    const file = join(out, 'results.json')
    // Sections that did not run this time keep what they had.
    const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
    writeFileSync(file, format({ ...before, ...measured }))
  }
  console.log(reports.join('\n\n'))
  if (out === undefined) console.error('Nothing was written: say where with --out')
  if (json !== undefined) write(json, measured)
}

/**
 * Ratios against their bounds.
 *
 * @param {{ quick: boolean, json: string | undefined }} options
 */
async function guard({ quick, json }) {
  const { check } = await import('./check.js')
  const bounds = JSON.parse(readFileSync(join(here, 'bounds.json'), 'utf8'))
  const { passed, report, results } = await check(bounds, {
    quick,
    progress: line => console.error(`check: ${line}`),
  })
  console.log(report)
  if (json !== undefined) write(json, { ...machine(), quick, results })
  if (!passed) process.exitCode = 1
}

/** @param {string} file @param {object} value */
function write(file, value) {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, format(value))
}

function machine() {
  const { model = 'unknown' } = cpus()[0] ?? {}
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB, ${platform()} ${release().split('-')[0]}`
  return {
    date: new Date().toISOString(),
    node: process.version,
    cpu: `${cpus().length} x ${model.trim()}, ${memory}`,
  }
}

/** @param {object} value */
function format(value) {
  return `${JSON.stringify(value, undefined, 2)}\n`
}
