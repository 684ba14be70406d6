/**
 * Where the time of a CPU profile went: `node benchmarks/profile.js profiles/*.cpuprofile`.
 *
 * Prints the share of each part of the code, by its folder and file, and of the functions that take the most.
 */
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { table } from './report/table.js'

/** Functions that are listed. */
const TOP = 25

/**
 * @typedef {{ functionName: string, url: string, lineNumber: number }} CallFrame
 * @typedef {{ nodes: { id: number, callFrame: CallFrame }[], samples: number[], timeDeltas: number[] }} Profile
 */

/**
 * Sums up the self times of profiles.
 *
 * @param {readonly Profile[]} profiles as `node --cpu-prof` writes them
 * @returns {{ parts: [name: string, share: number][], functions: [name: string, share: number][] }} largest first;
 *   shares are of the time in which something ran
 */
export function shares(profiles) {
  /** @type {Map<string, number>} */
  const parts = new Map()
  /** @type {Map<string, number>} */
  const functions = new Map()
  let total = 0
  for (const { nodes, samples, timeDeltas } of profiles) {
    const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
    samples.forEach((id, i) => {
      const frame = /** @type {CallFrame} */ (frames.get(id))
      if (frame.functionName === '(idle)') return
      const time = timeDeltas[i] ?? 0
      total += time
      const part = partOf(frame)
      add(parts, part, time)
      add(functions, `${frame.functionName || '(anonymous)'}, ${part}`, time)
    })
  }
  return { parts: ranked(parts, total), functions: ranked(functions, total) }
}

/** @param {CallFrame} frame */
function partOf({ functionName, url }) {
  // What V8 itself does, and calls into Node's C++, has no file.
  if (url === '') return functionName.startsWith('(') ? functionName : 'native'
  if (url.startsWith('node:')) return url
  const path = url.split('/node_modules/').at(-1) ?? url
  if (path !== url)
    return path
      .split('/')
      .slice(0, path.startsWith('@') ? 2 : 1)
      .join('/')
  return url.replace(/^.*?\/(dist|src|benchmarks)\//, '$1/')
}

/** @param {Map<string, number>} sums @param {string} name @param {number} time */
function add(sums, name, time) {
  sums.set(name, (sums.get(name) ?? 0) + time)
}

/**
 * @param {Map<string, number>} sums
 * @param {number} total
 * @returns {[string, number][]}
 */
function ranked(sums, total) {
  return [...sums].sort(([, a], [, b]) => b - a).map(([name, time]) => [name, time / total])
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const files = process.argv.slice(2)
  if (files.length === 0) {
    console.error('Usage: node benchmarks/profile.js FILE.cpuprofile…')
    process.exit(2)
  }
  const { parts, functions } = shares(files.map(file => JSON.parse(readFileSync(file, 'utf8'))))
  const percent = (/** @type {[string, number]} */ [name, share]) => [name, `${(share * 100).toFixed(1)} %`]
  console.log(table(['part', 'self time:'], parts.filter(([, share]) => share >= 0.005).map(percent)))
  console.log(`\n${table(['function', 'self time:'], functions.slice(0, TOP).map(percent))}`)
}
