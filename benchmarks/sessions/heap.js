/**
 * What a session takes up: in use by one connection, and kept in RAM after that.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { inRounds } from './rounds.js'
import { Site } from './site.js'
import { CountingStore, cookieOf } from './stored.js'

/** @type {import('../sessions.js').Part} */
export async function heap({ quick, progress }) {
  const size = { connections: quick ? 300 : 10_000 }
  const sides = ['shared', 'own', 'new']
  const rounds = await inRounds({ name: 'heap', sides, rounds: quick ? 1 : 5, size }, progress)
  return [
    {
      label: 'heap per connection',
      unit: 'bytes',
      sides: [
        { label: 'all with one session', values: rounds.map(({ shared }) => shared.live) },
        { label: 'each with a stored session', values: rounds.map(({ own }) => own.live) },
        { label: 'each without a cookie', values: rounds.map(({ new: fresh }) => fresh.live) },
      ],
    },
    {
      label: 'heap per session',
      unit: 'bytes',
      control: false,
      sides: [
        { label: 'in use', values: rounds.map(({ own, shared }) => own.live - shared.live) },
        { label: 'cached besides', values: rounds.map(({ own, shared }) => own.left - shared.left) },
        { label: 'cached, as it is counted', values: rounds.map(({ own }) => own.counted) },
      ],
    },
  ]
}

/**
 * @param {string} side
 * @param {{ connections: number }} size
 */
export async function startHeap(side, { connections }) {
  return async () => {
    const store = new CountingStore()
    const ids = store.fill(side === 'own' ? connections : 1)
    const headers = Array.from({ length: connections }, (_, i) =>
      side === 'new' ? {} : { cookie: cookieOf(ids[i % ids.length]) },
    )
    const site = new Site(store)
    await site.app.start()
    const before = await heapUsed()
    await site.connect(headers)
    const live = (await heapUsed()) - before
    await site.leave()
    const left = (await heapUsed()) - before
    const { cachedBytes } = site.app.sessions.statistics
    await site.app.stop()
    return { live: live / connections, left: left / connections, counted: cachedBytes / connections }
  }
}

async function heapUsed() {
  await nextTurn()
  globalThis.gc?.()
  return process.memoryUsage().heapUsed
}
