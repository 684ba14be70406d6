import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { ROWS } from './network/rows.js'
import { WORKLOADS } from './network/workloads.js'

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
  'cluster',
  'delivery',
  'inspector',
  'leaks',
]
const ROW_NAMES = ROWS.map(({ name }) => name)

/** What `--help` prints. */
export const USAGE = `Usage: npm run benchmarks -- [options]

  --only NAMES   run some of them: ${SECTIONS.join(', ')}; several with commas
  --quick        fewer and shorter rounds: shows that everything works, not how fast it is
  --check        a few ratios against benchmarks/bounds.json instead; fails if one has got worse
  --json FILE    also write what was measured in this run to FILE
  --out DIR      where charts and results.json go (default benchmarks/results; a run that is quick, or
                 measures part of network, writes only where it is told to)
  --help         print this

Of network:
  --workloads NAMES  ${WORKLOADS.slice(0, 7).join(', ')},
                     ${WORKLOADS.slice(7).join(', ')}
  --rows NAMES       ${ROW_NAMES.slice(0, 5).join(', ')},
                     ${ROW_NAMES.slice(5).join(', ')}
  --rounds N         after one to warm up (default 5)
  --seconds S        of each measurement (default 0.6)`

/**
 * @typedef {object} NetworkOptions
 * @property {string[]} [workloads]
 * @property {string[]} [rows]
 * @property {number} [rounds]
 * @property {number} [seconds]
 *
 * @typedef {object} Options
 * @property {string[]} only sections to run, in order
 * @property {boolean} quick
 * @property {boolean} check
 * @property {string | undefined} json absolute path
 * @property {string | undefined} out absolute path; undefined: nothing is written
 * @property {boolean} whole whether results go where those of whole runs are kept
 * @property {NetworkOptions} network
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
  const { only, quick = false, check = false, json, out, help = false, ...rest } = parse(args)
  const network = networkOptions(rest)
  if (check && (only !== undefined || Object.keys(network).length > 0)) {
    throw new UsageError('--check knows what it measures: it goes with --quick and --json only')
  }
  const whole = !quick && Object.keys(network).length === 0
  return {
    only: only === undefined ? SECTIONS : chosen('only', only, SECTIONS),
    quick,
    check,
    json: json === undefined ? undefined : resolve(json),
    out: out === undefined ? (whole ? defaultOut : undefined) : resolve(out),
    whole: whole && out === undefined,
    network,
    help,
  }
}

/**
 * @param {{ workloads?: string, rows?: string, rounds?: string, seconds?: string }} given
 * @returns {NetworkOptions}
 */
function networkOptions({ workloads, rows, rounds, seconds }) {
  return {
    ...(workloads === undefined ? {} : { workloads: chosen('workloads', workloads, WORKLOADS) }),
    ...(rows === undefined ? {} : { rows: chosen('rows', rows, ROW_NAMES) }),
    ...(rounds === undefined ? {} : { rounds: number('rounds', rounds, 1, Number.isInteger) }),
    ...(seconds === undefined ? {} : { seconds: number('seconds', seconds, 0.05, Number.isFinite) }),
  }
}

/**
 * @param {string} option
 * @param {string} list
 * @param {readonly string[]} known
 * @returns {string[]} in the order of `known`
 */
function chosen(option, list, known) {
  const names = list.split(',').map(name => name.trim())
  const unknown = names.filter(name => !known.includes(name))
  if (unknown.length > 0) {
    throw new UsageError(`--${option} takes ${known.join(', ')}, not "${unknown.join('", "')}"`)
  }
  return known.filter(name => names.includes(name))
}

/**
 * @param {string} option
 * @param {string} text
 * @param {number} least
 * @param {(value: number) => boolean} good
 */
function number(option, text, least, good) {
  const value = Number(text)
  if (good(value) && value >= least) return value
  throw new UsageError(`--${option} takes a number from ${least} on, not "${text}"`)
}

/** @param {string[]} args */
function parse(args) {
  try {
    const { values } = parseArgs({
      args,
      options: {
        only: { type: 'string' },
        quick: { type: 'boolean' },
        check: { type: 'boolean' },
        json: { type: 'string' },
        out: { type: 'string' },
        workloads: { type: 'string' },
        rows: { type: 'string' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
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
