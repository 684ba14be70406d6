import { Child } from '../child.js'

/** Milliseconds that a child may take to start, and to do one round. */
const PATIENCE = 60_000
const SCRIPT = new URL('process.js', import.meta.url)

/**
 * Measures the sides of a scenario in interleaved rounds, each in a process of its own.
 *
 * @param {object} scenario
 * @param {string} scenario.name of its module
 * @param {readonly string[]} scenario.sides
 * @param {number} scenario.rounds after one to warm up
 * @param {object} scenario.size
 * @param {URL} [scenario.script] what each process runs; default that of `sessions`
 * @param {(line: string) => void} progress
 * @returns {Promise<Record<string, Record<string, number>>[]>} what each side measured, round by round
 */
export async function inRounds({ name, sides, rounds, size, script = SCRIPT }, progress) {
  const children = new Map(
    sides.map(side => {
      const args = [name, side, JSON.stringify(size)]
      return [side, new Child(`${name}, ${side}`, script, args, ['--expose-gc'])]
    }),
  )
  try {
    await Promise.all([...children.values()].map(child => child.next(PATIENCE)))
    const measured = []
    for (let round = 0; round <= rounds; round++) {
      /** @type {Record<string, Record<string, number>>} */
      const values = {}
      for (const [side, child] of children) {
        values[side] = await child.ask({}, PATIENCE)
        const words = Object.entries(values[side]).map(([what, value]) => `${what} ${value.toPrecision(4)}`)
        const when = round === 0 ? 'warm-up' : `round ${round} of ${rounds}`
        progress(`${when}: ${name}, ${side}: ${words.join(', ')}`)
      }
      if (round > 0) measured.push(values)
    }
    return measured
  } finally {
    for (const child of children.values()) child.stop()
  }
}
