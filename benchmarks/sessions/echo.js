/**
 * Echo with cached sessions beside echo without, over the memory transport: two runs of `seed`.
 */
import { startSeed } from '../seed-runs.js'
import { inRounds } from './rounds.js'

/** @type {import('../sessions.js').Part} */
export async function echo({ quick, progress }) {
  const size = { messages: quick ? 5000 : 200_000 }
  const sides = ['echo', 'echo, sessions']
  const rounds = await inRounds({ name: 'echo', sides, rounds: quick ? 1 : 9, size }, progress)
  return [
    {
      label: 'echo over the memory transport',
      unit: '/s',
      sides: [
        { label: 'echo', values: rounds.map(({ echo }) => echo.rate) },
        {
          label: 'echo, sessions',
          values: rounds.map(({ 'echo, sessions': sessions }) => sessions.rate),
          target: { of: 'ratio', at: 'least', limit: 0.85 },
        },
      ],
    },
  ]
}

/**
 * @param {string} side name of a run
 * @param {{ messages: number }} size
 */
export async function startEcho(side, { messages }) {
  const { runs } = await startSeed()
  const run = runs.find(({ name }) => name === side)
  return async () => {
    const start = performance.now()
    await run?.send(messages)
    return { rate: (messages / (performance.now() - start)) * 1000 }
  }
}
