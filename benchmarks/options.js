import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

/** The benchmarks there are, in the order they run. */
export const SECTIONS = [
  'seed',
  'codecs',
  'actors',
  'network',
  'middleware',
  'models',
  'channels',
  'sessions',
]

/** What `--help` prints. */
export const USAGE = `Usage: npm run benchmarks -- [options]

  --only NAMES   run some of them: ${SECTIONS.join(', ')}; several with commas
  --quick        fewer and shorter rounds: shows that everything works, not how fast it is
  --json FILE    also write what was measured in this run to FILE
  --out DIR      where charts and results.json go (default benchmarks/results)
  --help         print this`

/**
 * @typedef {object} Options
 * @property {string[]} only sections to run, in order
 * @property {boolean} quick
 * @property {string | undefined} json absolute path
 * @property {string} out absolute path
 * @property {boolean} help
 */

/** A mistake in the command line: its message is for whoever typed it. */
export class UsageError extends Error {}

/**
 * Reads the command line.
 *
 * @param {string[]} args as in `process.argv.slice(2)`
 * @param {string} defaultOut
 * @returns {Options}
 * @throws {UsageError}
 */
export function readOptions(args, defaultOut) {
  const { only, quick = false, json, out = defaultOut, help = false } = parse(args)
  const names = only === undefined ? SECTIONS : only.split(',').map(name => name.trim())
  const unknown = names.filter(name => !SECTIONS.includes(name))
  if (unknown.length > 0) {
    throw new UsageError(`--only takes ${SECTIONS.join(', ')}, not "${unknown.join('", "')}"`)
  }
  return {
    only: SECTIONS.filter(name => names.includes(name)),
    quick,
    json: json === undefined ? undefined : resolve(json),
    out: resolve(out),
    help,
  }
}

/** @param {string[]} args */
function parse(args) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        only: { type: 'string' },
        quick: { type: 'boolean' },
        json: { type: 'string' },
        out: { type: 'string' },
        help: { type: 'boolean' },
      },
    })
    return values
  } catch (cause) {
    // Node's text goes on with advice about `--` that does not fit here.
    const [message = ''] = /** @type {Error} */ (cause).message.split('. ')
    throw new UsageError(message, { cause })
  }
}
